//! Which release of authentik answers, from `GET admin/version/`. Knows how releases are ordered; what follows from one is
//! decided where it is asked for.

use std::fmt;

use serde::Deserialize;

/// A release of authentik: `2026.5.4`, `2026.8.0-rc1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    text: String,
    /// Year, month, patch, and whether it is the release itself and not a candidate for it.
    order: Option<(u32, u32, u32, bool)>,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Release {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: super::excerpt::excerpt(text),
            order: order(text.trim()),
        }
    }

    /// Whether everything after the last `;` is a code in this release, as its own outpost has it. `false` for a release
    /// whose number cannot be read.
    pub fn takes_codes_of_any_length(&self) -> bool {
        self.order >= Some((2026, 5, 4, true))
    }
}

fn order(text: &str) -> Option<(u32, u32, u32, bool)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (numbers, rest) = text.split_at_checked(end)?;
    let mut parts = numbers.split('.');
    let (year, month) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let patch = match parts.next() {
        Some(patch) => patch.parse().ok()?,
        None => 0,
    };
    // `+build` is the release itself; `-rc1`, `rc1` and `.dev0` come before it.
    let whole = parts.next().is_none() && (rest.is_empty() || rest.starts_with('+'));
    Some((year, month, patch, whole))
}

#[derive(Deserialize)]
pub(crate) struct VersionAnswer {
    pub(crate) version_current: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_and_odd_ones_count_as_old() {
        for (text, new) in [
            ("2026.5.4", true),
            ("2026.5.10", true),
            ("2026.8.0", true),
            ("2026.8.0-rc1", true),
            ("2026.8", true),
            ("2027.2.1+build.5", true),
            ("2026.5.4+abc", true),
            ("2026.5.4-rc1", false),
            ("2026.5.4rc1", false),
            ("2026.5.3", false),
            ("2026.5.0-rc1", false),
            ("2025.10.2", false),
            ("2026.2.99", false),
            ("", false),
            ("main", false),
            ("2026", false),
            ("2026.x.1", false),
            ("99999999999999999999.1.1", false),
        ] {
            assert_eq!(Release::new(text).takes_codes_of_any_length(), new, "{text}");
        }
    }
}
