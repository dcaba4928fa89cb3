//! Everything that is wrong with a configuration at once: whoever hears about one value at a time has to start the server once for
//! each. Must not know what the values mean.

use super::error::ConfigError;
use super::options::{OFFICIAL, OPTIONS};
use super::reader::SettingReader;
use super::setting::AnySetting;
use super::strings::Strings;

/// All values that cannot be read, and what ended the reading (`first`) if that is something else. Values that contradict each
/// other are found one pair at a time.
pub(super) fn all(strings: &dyn Strings, first: ConfigError) -> ConfigError {
    let mut reader = SettingReader::new(strings);
    let settings = OFFICIAL.iter().chain(OPTIONS);
    let mut problems: Vec<ConfigError> = settings
        .filter(|setting| !is_passed_over(**setting))
        .filter_map(|setting| reader.problem(*setting))
        .collect();
    if problems.is_empty() {
        return first;
    }
    if !problems.contains(&first) {
        problems.push(first.clone());
    }
    if problems.len() == 1 {
        return first;
    }
    ConfigError::Several { problems, more: 0 }
}

/// Whether a value that cannot be read is ignored with a warning: the proxy variables are not only ours.
fn is_passed_over(setting: &dyn AnySetting) -> bool {
    setting.variable().ends_with("_PROXY")
}
