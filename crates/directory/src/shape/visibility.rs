//! Which users and groups a provider shows, as an admin writes it.
//!
//! A list of conditions, separated by commas outside parentheses and quotation marks: `group:staff`, `path:users/emea`, `type:service_account`,
//! `active`, `inactive`,
//! `attribute:shell`, `attribute:shell=/bin/sh`, or a search filter in its text form (RFC 4515). Only data; must not know who
//! satisfies a condition.

use std::fmt;

use akldap_ldap::ber::Reader;
use akldap_ldap::filter::{AttributeValueAssertion, Filter, parser};

/// Which entries of a kind are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visibility {
    /// Those that satisfy one of these; all if there is none.
    pub shown: Vec<Condition>,
    /// But none that satisfies one of these.
    pub hidden: Vec<Condition>,
}

/// What a user or group may satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Being a member of the group of this name, or of one below it; a group is that group or one below it.
    Group(String),
    /// Being filed under this path or below it; for users.
    Path(String),
    /// Being of this type; for users.
    Type(String),
    /// Being active, or not; for users.
    Active(bool),
    /// Matching a filter, which is encoded as in a request.
    Filter(Vec<u8>),
}

/// The types of users that authentik has.
const USER_TYPES: [&str; 4] = [
    "internal",
    "external",
    "service_account",
    "internal_service_account",
];

/// Whom conditions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Users.
    Users,
    /// Groups.
    Groups,
}

/// Why a text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionError {
    /// It does not begin with a known word.
    Unknown(String),
    /// The word needs something after its colon.
    Empty(&'static str),
    /// authentik has no users of this type.
    Type(String),
    /// Groups have no such thing.
    NotOfGroups(&'static str),
    /// The filter cannot be read, and why.
    Filter(String),
}

impl fmt::Display for ConditionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => write!(
                formatter,
                "{text:?} is none of group:NAME, path:PATH, type:TYPE, active, inactive, attribute:NAME, \
                 attribute:NAME=VALUE and a filter in parentheses"
            ),
            Self::Empty(word) => write!(formatter, "nothing follows {word}"),
            Self::Type(kind) => write!(
                formatter,
                "type:{kind} is not a type of user; expected one of {}",
                USER_TYPES.join(", ")
            ),
            Self::NotOfGroups(word) => write!(formatter, "{word} applies to users, and not to groups"),
            Self::Filter(error) => write!(formatter, "the filter is malformed: {error}"),
        }
    }
}

impl std::error::Error for ConditionError {}

impl Visibility {
    /// Whether all entries are shown.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.shown.is_empty() && self.hidden.is_empty()
    }

    /// Whether it depends on where the provider's entries are: filters may compare names and numbers.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        let mut all = self.shown.iter().chain(&self.hidden);
        all.any(|condition| matches!(condition, Condition::Filter(_)))
    }

    /// Whether it may depend on groups. What a filter asks for is not looked at.
    pub(crate) fn depends_on_groups(&self) -> bool {
        let mut all = self.shown.iter().chain(&self.hidden);
        all.any(|condition| matches!(condition, Condition::Filter(_) | Condition::Group(_)))
    }
}

/// Reads conditions. A comma within the parentheses of a filter or within quotation marks separates nothing.
///
/// # Errors
/// When one of them cannot be read.
pub fn conditions(text: &str, about: About) -> Result<Vec<Condition>, ConditionError> {
    let (mut found, mut depth, mut quoted, mut start) = (Vec::new(), 0_usize, false, 0);
    let mut take = |part: &str| {
        let part = part.trim();
        if !part.is_empty() {
            found.push(condition(part, about)?);
        }
        Ok(())
    };
    for (at, character) in text.char_indices() {
        match character {
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if depth == 0 && !quoted => {
                take(text.get(start..at).unwrap_or_default())?;
                start = at + 1;
            }
            _ => {}
        }
    }
    take(text.get(start..).unwrap_or_default())?;
    Ok(found)
}

fn condition(text: &str, about: About) -> Result<Condition, ConditionError> {
    if text.starts_with('(') {
        let octets = parser::octets(text).map_err(|error| ConditionError::Filter(error.to_string()))?;
        // A filter that a client could not send is not one here either.
        Filter::read(&mut Reader::new(&octets)).map_err(|error| ConditionError::Filter(error.to_string()))?;
        return Ok(Condition::Filter(octets));
    }
    let of_users = |word| match about {
        About::Users => Ok(()),
        About::Groups => Err(ConditionError::NotOfGroups(word)),
    };
    let after = |word: &'static str| {
        let rest = text.strip_prefix(word).map(unquoted);
        match rest {
            Some("") => Err(ConditionError::Empty(word)),
            rest => Ok(rest.map(str::to_owned)),
        }
    };
    if matches!(text, "active" | "inactive") {
        of_users("active")?;
        return Ok(Condition::Active(text == "active"));
    }
    if let Some(name) = after("group:")? {
        return Ok(Condition::Group(name));
    }
    if let Some(path) = after("path:")? {
        of_users("path:")?;
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Err(ConditionError::Empty("path:"));
        }
        return Ok(Condition::Path(path.to_owned()));
    }
    if let Some(kind) = after("type:")? {
        of_users("type:")?;
        if !USER_TYPES.contains(&kind.as_str()) {
            return Err(ConditionError::Type(kind));
        }
        return Ok(Condition::Type(kind));
    }
    if let Some(attribute) = after("attribute:")? {
        let filter = match attribute.split_once('=') {
            None => Filter::Present(attribute.as_bytes()),
            Some((name, value)) => Filter::Equality(AttributeValueAssertion {
                attribute: name.trim().as_bytes(),
                value: value.trim().as_bytes(),
            }),
        };
        let mut octets = Vec::new();
        filter.write(&mut octets);
        return Ok(Condition::Filter(octets));
    }
    Err(ConditionError::Unknown(text.to_owned()))
}

/// A text without the quotation marks around it.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Condition>, ConditionError> {
        conditions(text, About::Users)
    }

    fn filter(text: &str) -> Condition {
        Condition::Filter(parser::octets(text).unwrap())
    }

    #[test]
    fn conditions_are_read_one_by_one() {
        assert_eq!(
            read(" group:Sales EMEA , path:/users/emea/, type:external,active,inactive"),
            Ok(vec![
                Condition::Group("Sales EMEA".into()),
                Condition::Path("users/emea".into()),
                Condition::Type("external".into()),
                Condition::Active(true),
                Condition::Active(false),
            ])
        );
        assert_eq!(read(" , "), Ok(Vec::new()));
    }

    #[test]
    fn a_comma_within_a_filter_separates_nothing() {
        assert_eq!(
            read("(&(cn=a,b)(sn=*)),attribute:shell,attribute: shell = /bin/sh"),
            Ok(vec![
                filter("(&(cn=a,b)(sn=*))"),
                filter("(shell=*)"),
                filter("(shell=/bin/sh)"),
            ])
        );
        assert_eq!(
            read(r#"group:"Sales, EMEA (all", active"#),
            Ok(vec![
                Condition::Group("Sales, EMEA (all".into()),
                Condition::Active(true)
            ])
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (text, about, told) in [
            ("users:x", About::Users, "\"users:x\" is none of"),
            ("group: ", About::Users, "nothing follows group:"),
            ("path:/", About::Users, "nothing follows path:"),
            (
                "type:service_akount",
                About::Users,
                "type:service_akount is not a type of user; expected one of internal, external",
            ),
            ("path:users", About::Groups, "path: applies to users"),
            ("inactive", About::Groups, "active applies to users"),
            (
                "(cn=a",
                About::Groups,
                "the filter is malformed: a parenthesis is not closed",
            ),
        ] {
            let error = conditions(text, about).unwrap_err().to_string();
            assert!(error.starts_with(told), "{text}: {error}");
        }
        assert_eq!(conditions("group:a,(cn=b)", About::Groups).unwrap().len(), 2);
    }
}
