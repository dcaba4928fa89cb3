//! Names that look like options of this server and are none: what is said about them, and which option was probably meant.

use super::error::ConfigWarning;
use super::options::{OPTION_PREFIX, OPTIONS};
use super::strings::Strings;

/// A warning for each name under our prefix that nothing reads.
pub(super) fn warnings(strings: &dyn Strings) -> impl Iterator<Item = ConfigWarning> {
    let is_unknown = |name: &String| {
        name.starts_with(OPTION_PREFIX) && OPTIONS.iter().all(|setting| setting.variable() != name)
    };
    let unknown = strings.names().into_iter().filter(is_unknown);
    unknown.map(|name| match nearest(&name) {
        Some(nearest) => ConfigWarning::UnknownOption { name, nearest },
        None => ConfigWarning::UnlikeAnyOption { name },
    })
}

/// The known option nearest to a name that nothing reads, if any resembles it.
fn nearest(name: &str) -> Option<&'static str> {
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
