//! The option somebody probably meant.

use super::options::{OPTION_PREFIX, OPTIONS};

/// The known option nearest to a name that nothing reads, if any resembles it.
pub(crate) fn nearest_option(name: &str) -> Option<&'static str> {
    /// A third of a name wrong is a different name, not a slip.
    const RESEMBLING_PART: usize = 3;
    let tail = name
        .strip_prefix(OPTION_PREFIX)
        .unwrap_or(name)
        .to_ascii_uppercase();
    OPTIONS
        .iter()
        .map(|setting| {
            let known = setting
                .variable()
                .strip_prefix(OPTION_PREFIX)
                .unwrap_or(setting.variable());
            (strsim::levenshtein(&tail, known), known.len(), setting.variable())
        })
        .min()
        .filter(|(distance, length, _)| *distance <= (*length / RESEMBLING_PART).max(1))
        .map(|(_, _, variable)| variable)
}
