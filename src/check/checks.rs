//! Every check, in the order in which they are shown. Judging only: nothing here asks anybody.

mod account;
mod authentik;
mod certificates;
mod directory;
mod events;
mod flows;
mod machine;
mod providers;

use super::verdict::Check;

/// All checks.
pub(super) fn all() -> impl Iterator<Item = &'static Check> {
    let tables: [&[Check]; 8] = [
        authentik::CHECKS,
        providers::CHECKS,
        certificates::CHECKS,
        flows::CHECKS,
        account::CHECKS,
        directory::CHECKS,
        events::CHECKS,
        machine::CHECKS,
    ];
    tables.into_iter().flatten()
}

#[cfg(test)]
mod tests;
