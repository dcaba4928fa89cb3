//! Names that look like options of this server but are not: what is said about them, and which option was probably meant.

use super::error::ConfigWarning;
use super::nearest::nearest;
use super::options::{OPTION_PREFIX, OPTIONS};
use super::strings::Strings;

/// A warning for each name under our prefix that nothing reads.
pub(super) fn warnings(strings: &dyn Strings) -> impl Iterator<Item = ConfigWarning> {
    let is_unknown = |name: &String| {
        name.starts_with(OPTION_PREFIX) && OPTIONS.iter().all(|setting| setting.variable() != name)
    };
    let unknown = strings.names().into_iter().filter(is_unknown);
    unknown.map(|name| match option_meant(&name) {
        Some(nearest) => ConfigWarning::UnknownOption { name, nearest },
        None => ConfigWarning::UnlikeAnyOption { name },
    })
}

/// The known option nearest to a name that nothing reads, if any resembles it.
fn option_meant(name: &str) -> Option<&'static str> {
    let tail = |name: &'static str| name.strip_prefix(OPTION_PREFIX).unwrap_or(name);
    let sought = name
        .strip_prefix(OPTION_PREFIX)
        .unwrap_or(name)
        .to_ascii_uppercase();
    let variables = || OPTIONS.iter().map(|setting| setting.variable());
    let meant = nearest(&sought, variables().map(tail))?;
    variables().find(|variable| tail(variable) == meant)
}
