//! What authentik says about a logged-in user: access to the application, and who the user is.
//!
//! These two answers let people in, so they are decoded strictly: anything missing or of another type is an error.

use serde::Deserialize;
use serde_json::Value;

use super::page::nullable;

/// The answer of `GET outposts/ldap/{id}/check_access/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessCheck {
    /// Whether the application's bindings let the user in.
    pub passing: bool,
    /// Whether the user may search the whole directory.
    pub has_search_permission: bool,
    /// Messages of the policies; authentik usually sends none here.
    pub messages: Vec<String>,
    /// The answer took the session's cookie away: it is no longer the user's, and the rest of the answer applies to
    /// anybody.
    pub session_ended: bool,
}

#[derive(Deserialize)]
struct AccessCheckAnswer {
    has_search_permission: bool,
    access: PolicyAnswer,
}

#[derive(Deserialize)]
struct PolicyAnswer {
    passing: bool,
    #[serde(default, deserialize_with = "nullable")]
    messages: Vec<Value>,
}

impl AccessCheck {
    pub(crate) fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        let answer: AccessCheckAnswer = serde_json::from_slice(body)?;
        let messages = answer
            .access
            .messages
            .iter()
            .filter_map(Value::as_str)
            .map(super::excerpt::excerpt)
            .collect();
        Ok(Self {
            passing: answer.access.passing,
            has_search_permission: answer.has_search_permission,
            messages,
            session_ended: false,
        })
    }
}

/// Who a session belongs to, from `GET core/users/me/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Me {
    /// The user's primary key.
    pub pk: i64,
    /// The log-in name.
    pub username: String,
    /// The user's `uid`.
    pub uid: String,
    /// Whether the account is active; an inactive user gets no answer in the first place.
    pub is_active: bool,
}

#[derive(Deserialize)]
struct MeAnswer {
    user: Me,
}

impl Me {
    pub(crate) fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(serde_json::from_slice::<MeAnswer>(body)?.user)
    }
}
