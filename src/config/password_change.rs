//! Whether passwords are changed through LDAP, and whose. Knows these settings and what they are read into; must not know how
//! a password is changed.

use super::error::ConfigError;
use super::quantity::Count;
use super::reader::SettingReader;
use super::setting::{Setting, ValueKind, own};
use super::value::Unreadable;

pub(super) static PASSWORD_CHANGE: Setting<PasswordChangeKind> = own(
    "AUTHENTIK_LDAP__PASSWORD_CHANGE",
    "password-change",
    PasswordChangeKind,
    PasswordChange::Off,
    "Whose passwords can be changed through LDAP, over TLS only and by authentik's own rules: `off`, `self` (people change their own, and authentik's policies apply) or `self-and-agents` (service accounts change those of others, too, if authentik permits it; authentik then applies no policy). See docs/passwords.md.",
)
.of_provider();

pub(super) static PASSWORD_AGENT_MIN_LENGTH: Setting<Count<usize>> = own(
    "AUTHENTIK_LDAP__PASSWORD_AGENT_MIN_LENGTH",
    "password-agent-min-length",
    Count { min: 0, max: 128 },
    8,
    "Characters that a password must have when a service account sets it for somebody else: authentik applies none of its policies there. 0 means no limit.",
)
.of_provider();

/// Nobody's, one's own, or others' too.
#[derive(Debug)]
pub(super) struct PasswordChangeKind;

impl ValueKind for PasswordChangeKind {
    type Value = PasswordChange;
    type Default = PasswordChange;
    const PLACEHOLDER: &'static str = "WORD";

    fn expected(&self) -> String {
        "off, self or self-and-agents".to_owned()
    }

    fn read(&self, text: &str) -> Result<PasswordChange, Unreadable> {
        match text {
            "off" => Ok(PasswordChange::Off),
            "self" => Ok(PasswordChange::OwnOnly),
            "self-and-agents" => Ok(PasswordChange::OwnAndAgents),
            _ => Err(Unreadable::PLAIN),
        }
    }

    fn unset(&self, default: &PasswordChange) -> Option<PasswordChange> {
        Some(*default)
    }

    fn shown(&self, default: &PasswordChange) -> String {
        match default {
            PasswordChange::Off => "off",
            PasswordChange::OwnOnly => "self",
            PasswordChange::OwnAndAgents => "self-and-agents",
        }
        .to_owned()
    }
}

/// Whose passwords can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordChange {
    /// Nobody's.
    Off,
    /// One's own.
    OwnOnly,
    /// Also those of others, by those whom authentik permits.
    OwnAndAgents,
}

/// How passwords are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordChangeConfig {
    /// PasswordChangeKind.
    pub mode: PasswordChange,
    /// Characters that one set by an agent must have.
    pub agent_min_length: usize,
}

impl PasswordChangeConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            mode: reader.value(&PASSWORD_CHANGE)?,
            agent_min_length: reader.value(&PASSWORD_AGENT_MIN_LENGTH)?,
        })
    }

    /// Whether any can be changed.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode != PasswordChange::Off
    }
}
