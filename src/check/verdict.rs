//! A check: its code, what it is about, why it matters, what to do, and how facts are judged.

use akldap_authentik::ApiError;

use super::facts::Facts;

/// What belongs together, by the names that `--only` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// The way to authentik.
    Reach,
    /// The token and the outpost it stands for.
    Token,
    /// The providers.
    Providers,
    /// The certificates of the TLS ports.
    Certificates,
    /// The flows that binds and unbinds run.
    Flows,
    /// A given account.
    Account,
    /// Users and groups.
    Directory,
    /// The stream of events.
    Events,
    /// This machine.
    Machine,
}

impl Area {
    /// Every area, with its name and its heading.
    pub const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Reach, "reach", "The way to authentik"),
        (Self::Token, "token", "Token and outpost"),
        (Self::Providers, "providers", "LDAP providers"),
        (
            Self::Certificates,
            "certificates",
            "Certificates of the TLS ports",
        ),
        (Self::Flows, "flows", "Bind and unbind flows"),
        (Self::Account, "account", "The given account"),
        (Self::Directory, "directory", "Users and groups"),
        (Self::Events, "events", "Events"),
        (Self::Machine, "machine", "This machine"),
    ];

    /// The area of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, known, _)| *known == name).map(|(area, ..)| *area)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(area, ..)| *area == self)
            .map_or("", |(_, name, _)| name)
    }
}

/// What the facts say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All well; what was seen.
    Well(String),
    /// It works, but not as it should; what was seen.
    Warning(String),
    /// It does not work; what was seen.
    Fault(String),
    /// It could not be looked at; why, or where to look.
    NotSeen(String),
}

/// A check.
pub(super) struct Check {
    /// Stable; never reused for another check.
    pub code: &'static str,
    /// Where it belongs.
    pub area: Area,
    /// What is checked, as a statement that should hold.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do, in authentik's words.
    pub fix: &'static str,
    /// The judgement.
    pub judge: fn(&Facts) -> Verdict,
}

/// A fault if there is something to say, otherwise all is well.
pub(super) fn fault_if(problem: Option<String>, well: impl Into<String>) -> Verdict {
    problem.map_or_else(|| Verdict::Well(well.into()), Verdict::Fault)
}

/// What authentik answered instead, with the probable reason.
pub(super) fn said(error: &ApiError) -> String {
    format!("{error}: {}", error.hint())
}

/// What is not looked at until another check passes.
pub(super) fn after(code: &str) -> Verdict {
    Verdict::NotSeen(format!("see {code} first"))
}

/// For what only a login shows, when there was none to look at.
pub(super) fn unseen_account(facts: &Facts) -> Verdict {
    Verdict::NotSeen(if facts.account_given {
        "the account could not be checked: first fix the faults above".to_owned()
    } else {
        "this needs a login: give --bind-dn and --password-file".to_owned()
    })
}

/// The problems of several things in one line; `None` if there are none.
pub(super) fn joined(problems: impl Iterator<Item = String>) -> Option<String> {
    /// This many are reported.
    const TOLD: usize = 5;
    let all: Vec<String> = problems.collect();
    let more = all.len().saturating_sub(TOLD);
    let mut text = all.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
    if more > 0 {
        text += &format!("; and {more} more");
    }
    (!all.is_empty()).then_some(text)
}
