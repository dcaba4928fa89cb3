//! How binds are run, limited and kept. Knows these settings and what they are read into; must not know what the values
//! are used for.

use std::time::Duration;

use super::error::ConfigError;
use super::kind::{Optional, Switch, Unset};
use super::quantity::{Count, Interval, Period, YEAR};
use super::reader::SettingReader;
use super::setting::{Setting, own};

pub(super) static MAX_CONCURRENT_FLOWS: Setting<Count<usize>> = own(
    "AUTHENTIK_LDAP__MAX_CONCURRENT_FLOWS",
    "max-concurrent-flows",
    Count { min: 1, max: 10_000 },
    8,
    "Logins run at the same time in authentik, which has two workers by default. Further ones wait in a queue.",
);

pub(super) static FLOW_QUEUE_LIMIT: Setting<Count<usize>> = own(
    "AUTHENTIK_LDAP__FLOW_QUEUE_LIMIT",
    "flow-queue-limit",
    Count {
        min: 0,
        max: 1_000_000,
    },
    1024,
    "Logins that may wait for their turn. Further ones are answered busy (51).",
);

pub(super) static FLOW_QUEUE_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__FLOW_QUEUE_TIMEOUT",
    "flow-queue-timeout",
    Period {
        max: Duration::from_mins(10),
        off: false,
    },
    Duration::from_secs(10),
    "How long a login may wait for its turn before it is answered busy (51).",
);

pub(super) static BIND_TIMEOUT: Setting<Period> = own(
    "AUTHENTIK_LDAP__BIND_TIMEOUT",
    "bind-timeout",
    Period {
        max: Duration::from_mins(10),
        off: false,
    },
    Duration::from_secs(30),
    "How long authentik may take to judge a login before it is answered unavailable (52). Waiting for a turn and for a Duo push is not included.",
);

pub(super) static FAILED_BIND_LIMIT: Setting<Count<usize>> = own(
    "AUTHENTIK_LDAP__FAILED_BIND_LIMIT",
    "failed-bind-limit",
    Count { min: 0, max: 100 },
    20,
    "Different wrong passwords for one person from one address (IPv6: a /64) after which such binds are answered busy (51) for a while, unless they are cached. A password that is repeated counts once; user name, e-mail address and UUID are one person; nobody else and no other address is affected. 0 means no limit.",
);

pub(super) static FAILED_BIND_WINDOW: Setting<Period> = own(
    "AUTHENTIK_LDAP__FAILED_BIND_WINDOW",
    "failed-bind-window",
    Period {
        max: Duration::from_hours(24),
        off: false,
    },
    Duration::from_mins(5),
    "The time in which wrong passwords are counted for that limit.",
);

pub(super) static BIND_CACHE_MAX_AGE: Setting<Period> = own(
    "AUTHENTIK_LDAP__BIND_CACHE_MAX_AGE",
    "bind-cache-max-age",
    Period {
        max: YEAR,
        off: false,
    },
    Duration::from_hours(1),
    "Longest life of a cached bind, for providers in cached bind mode. It ends with the session if that ends earlier.",
);

pub(super) static BIND_CACHE_CODE_MAX_AGE: Setting<Optional<Period>> = own(
    "AUTHENTIK_LDAP__BIND_CACHE_CODE_MAX_AGE",
    "bind-cache-code-max-age",
    Optional(Period { max: YEAR, off: true }),
    Unset,
    "Longest life of a cached bind that took a one-time code. Unset: that of any cached bind, so that clients that bind again and again with the same `password;code` keep working; 0: it is not cached.",
);

pub(super) static BIND_CACHE_CODE_SAME_ADDRESS: Setting<Switch> = own(
    "AUTHENTIK_LDAP__BIND_CACHE_CODE_SAME_ADDRESS",
    "bind-cache-code-same-address",
    Switch,
    true,
    "A cached bind that took a one-time code is valid only for the client address that gave it. Turn this off if one client comes from several addresses: a pool of application servers, a NAT with several, IPv6 privacy addresses.",
);

pub(super) static USERS_UNREAD_LIMIT: Setting<Period> = own(
    "AUTHENTIK_LDAP__USERS_UNREAD_LIMIT",
    "users-unread-limit",
    Period {
        max: Duration::from_hours(24),
        off: false,
    },
    Duration::from_mins(5),
    "How long cached binds stay valid when a look was due and authentik's users cannot be read, although logins work. After that they are checked with authentik, because a changed password would go unnoticed.",
);

pub(super) static BIND_CACHE_OUTAGE_GRACE: Setting<Interval> = own(
    "AUTHENTIK_LDAP__BIND_CACHE_OUTAGE_GRACE",
    "bind-cache-outage-grace",
    Interval {
        max: Duration::from_hours(7 * 24),
    },
    None,
    "How long a cached bind may outlive that age while authentik cannot be reached. Never beyond the end of its session or a change already known, and only until authentik answers again.",
);

pub(super) static BIND_NEGATIVE_WINDOW: Setting<Interval> = own(
    "AUTHENTIK_LDAP__BIND_NEGATIVE_WINDOW",
    "bind-negative-window",
    Interval {
        max: Duration::from_hours(1),
    },
    Some(Duration::from_secs(10)),
    "How long the same wrong secret for the same DN is refused without asking authentik again.",
);

pub(super) static ACCESS_RECHECK_INTERVAL: Setting<Interval> = own(
    "AUTHENTIK_LDAP__ACCESS_RECHECK_INTERVAL",
    "access-recheck-interval",
    Interval { max: YEAR },
    Some(Duration::from_mins(5)),
    "How often the session, application access and search permission of a login in use are checked again, and after how long a cached bind is checked before it is used.",
);

pub(super) static ACCESS_RECHECK_RATE: Setting<Count<usize>> = own(
    "AUTHENTIK_LDAP__ACCESS_RECHECK_RATE",
    "access-recheck-rate",
    Count { min: 1, max: 1000 },
    10,
    "The most logins in use that are checked again in a second, one request each. With more logins than this times the interval, the checks take longer than the interval: for 20,000 logins at 10 a second, about 35 minutes.",
);

pub(super) static MFA_SECOND_TRY: Setting<Switch> = own(
    "AUTHENTIK_LDAP__MFA_SECOND_TRY",
    "mfa-second-try",
    Switch,
    true,
    "With authentik before 2026.5.4 and a provider with MFA support, `password;code` whose password is refused is tried once more as a whole, because a password may end in what looks like a code. A wrong password then counts twice in authentik.",
);

pub(super) static STRICT_BIND_DN: Setting<Switch> = own(
    "AUTHENTIK_LDAP__STRICT_BIND_DN",
    "strict-bind-dn",
    Switch,
    false,
    "Accept only `cn=name,ou=users,<base>` as bind DN. Otherwise any DN below the base with a `cn` logs in.",
)
.of_provider();

pub(super) static ACCEPT_BARE_NAMES: Setting<Switch> = own(
    "AUTHENTIK_LDAP__ACCEPT_BARE_NAMES",
    "accept-bare-names",
    Switch,
    true,
    "Accept bind names that are not DNs, as Active Directory does and as Outlook, printers and many forms send them: `name`, \
     `name@domain` and `DOMAIN\\name`. The name is what follows the backslash, or precedes an `@` whose domain is that of the base DN (`dc=example,dc=com`: `example.com`); any other `@` is part of it. So \
     `foo@example.com` always means `foo` there, even if an account has exactly that name or e-mail address: it binds by its DN. \
     A name with `=` in it is read as a DN. Only with exactly one provider; off with `AUTHENTIK_LDAP__STRICT_BIND_DN`.",
)
.of_provider();

/// How binds are run and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindConfig {
    /// Flows run at the same time.
    pub max_concurrent_flows: usize,
    /// Binds that may wait for their turn.
    pub flow_queue_limit: usize,
    /// How long a bind may wait for its turn.
    pub flow_queue_timeout: Duration,
    /// How long authentik may take to judge a bind, not counting the wait for a turn and for a Duo push.
    pub timeout: Duration,
    /// What follows from failed binds.
    pub failed: FailedBindConfig,
    /// Longest life of a cached bind.
    pub cache_max_age: Duration,
    /// How long a cached bind may outlive that while authentik cannot be reached. `None`: not at all.
    pub cache_outage_grace: Option<Duration>,
    /// How long the same wrong secret is refused without asking. `None`: never.
    pub negative_window: Option<Duration>,
    /// Longest life of a cached bind that took a one-time code.
    pub cache_code_max_age: Duration,
    /// Such a bind is valid only for the client address that gave the code.
    pub cache_code_same_address: bool,
    /// How long the users may stay unread, beyond the time to the next look, before cached binds are doubted.
    pub users_unread_limit: Duration,
    /// How often the access of logins is checked again. `None`: never.
    pub access_recheck_interval: Option<Duration>,
    /// Logins in use checked in a second at most.
    pub access_recheck_rate: usize,
    /// Try `password;code` as a whole once its password was refused.
    pub mfa_second_try: bool,
}

/// What follows from failed binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBindConfig {
    /// Different wrong secrets within the window after which a person at an address has to wait. 0: no limit.
    pub limit: usize,
    /// In which time they are counted.
    pub window: Duration,
}

impl BindConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let cache_max_age = reader.value(&BIND_CACHE_MAX_AGE)?;
        Ok(Self {
            max_concurrent_flows: reader.value(&MAX_CONCURRENT_FLOWS)?,
            flow_queue_limit: reader.value(&FLOW_QUEUE_LIMIT)?,
            flow_queue_timeout: reader.value(&FLOW_QUEUE_TIMEOUT)?,
            timeout: reader.value(&BIND_TIMEOUT)?,
            failed: FailedBindConfig {
                limit: reader.value(&FAILED_BIND_LIMIT)?,
                window: reader.value(&FAILED_BIND_WINDOW)?,
            },
            cache_max_age,
            cache_code_max_age: reader.value(&BIND_CACHE_CODE_MAX_AGE)?.unwrap_or(cache_max_age),
            cache_code_same_address: reader.value(&BIND_CACHE_CODE_SAME_ADDRESS)?,
            users_unread_limit: reader.value(&USERS_UNREAD_LIMIT)?,
            cache_outage_grace: reader.value(&BIND_CACHE_OUTAGE_GRACE)?,
            negative_window: reader.value(&BIND_NEGATIVE_WINDOW)?,
            access_recheck_interval: reader.value(&ACCESS_RECHECK_INTERVAL)?,
            access_recheck_rate: reader.value(&ACCESS_RECHECK_RATE)?,
            mfa_second_try: reader.value(&MFA_SECOND_TRY)?,
        })
    }
}
