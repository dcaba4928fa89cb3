//! How searches are answered at a provider whose search mode is direct. Knows these settings and what they are read into; must
//! not know how authentik is asked.

use std::time::Duration;

use super::error::ConfigError;
use super::quantity::Period;
use super::reader::SettingReader;
use super::setting::{Setting, ValueKind, own};
use super::value::Unreadable;

pub(super) static DIRECT_SEARCH: Setting<DirectSearchWord> = own(
    "AUTHENTIK_LDAP__DIRECT_SEARCH",
    "direct-search",
    DirectSearchWord,
    DirectSearch::Fresh,
    "What direct search mode means, for providers that authentik has set to it. `fresh`: changed users are looked for before the answer, unless they were a moment ago. `live`: users and groups are confirmed for this very search, which is answered 52 when authentik fails. docs/direct-search.md says what either can miss.",
)
.of_provider();

pub(super) static DIRECT_SEARCH_MAX_AGE: Setting<Period> = own(
    "AUTHENTIK_LDAP__DIRECT_SEARCH_MAX_AGE",
    "direct-search-max-age",
    Period {
        max: Duration::from_hours(1),
        off: false,
    },
    Duration::from_secs(5),
    "With `fresh`: how old the last look may be. All searches in that time share it.",
)
.of_provider();

pub(super) static DIRECT_SEARCH_PATIENCE: Setting<Period> = own(
    "AUTHENTIK_LDAP__DIRECT_SEARCH_PATIENCE",
    "direct-search-patience",
    Period {
        max: Duration::from_mins(1),
        off: false,
    },
    Duration::from_secs(2),
    "With `fresh`: how long a search waits for the look. When authentik takes longer, what was last read is served; while looks keep taking longer, searches do not wait for them.",
)
.of_provider();

/// What direct search mode means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectSearch {
    /// Changed users are looked for before the answer.
    Fresh,
    /// Users and groups are confirmed for the search.
    Live,
}

/// How searches are answered at a provider whose search mode is direct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectSearchConfig {
    /// What direct search mode means.
    pub mode: DirectSearch,
    /// How old the last look may be, unless everything is confirmed.
    pub max_age: Duration,
    /// How long a search waits for a look.
    pub patience: Duration,
}

impl DirectSearchConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            mode: reader.value(&DIRECT_SEARCH)?,
            max_age: reader.value(&DIRECT_SEARCH_MAX_AGE)?,
            patience: reader.value(&DIRECT_SEARCH_PATIENCE)?,
        })
    }
}

/// The word for what direct search mode means.
#[derive(Debug)]
pub(super) struct DirectSearchWord;

impl ValueKind for DirectSearchWord {
    type Value = DirectSearch;
    type Default = DirectSearch;
    const PLACEHOLDER: &'static str = "WORD";

    fn expected(&self) -> String {
        "fresh or live".to_owned()
    }

    fn read(&self, text: &str) -> Result<DirectSearch, Unreadable> {
        match text.to_ascii_lowercase().as_str() {
            "fresh" => Ok(DirectSearch::Fresh),
            "live" => Ok(DirectSearch::Live),
            _ => Err(Unreadable::PLAIN),
        }
    }

    fn unset(&self, default: &DirectSearch) -> Option<DirectSearch> {
        Some(*default)
    }

    fn shown(&self, default: &DirectSearch) -> String {
        match default {
            DirectSearch::Fresh => "fresh",
            DirectSearch::Live => "live",
        }
        .to_owned()
    }
}
