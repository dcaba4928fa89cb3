//! What was found out about a set-up. Only facts: the `checks` judge what they mean, without asking anybody.

use std::net::SocketAddr;
use std::time::Duration;

use akldap_authentik::events::Disconnect;
use akldap_authentik::flow::{FirstStage, FlowError, Rejection};
use akldap_authentik::{AccessCheck, ApiError, LdapProvider, OutpostChoice, RowWarning};

use super::certificate::Certificate;
use super::spoken::Spoken;

/// Everything that was looked at. `None` where an earlier answer made it pointless.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// What this server is told.
    pub settings: SettingsFacts,
    /// The addresses of authentik's host.
    pub addresses: Result<Vec<String>, String>,
    /// The first call, which needs no permission.
    pub first_call: Result<(), ApiError>,
    /// What is spoken on authentik's port, if the first call raises that question and the port takes connections.
    pub spoken: Option<Spoken>,
    /// The certificates that authentik shows, if it is called over TLS and not through a proxy.
    pub shown: Option<Certificate>,
    /// Seconds by which this machine's clock is ahead of authentik's.
    pub clock_ahead: Option<i64>,
    /// The outpost of the token.
    pub outpost: Option<Result<OutpostChoice, ApiError>>,
    /// authentik's release.
    pub release: Option<Result<String, ApiError>>,
    /// The providers that authentik shows to the outpost.
    pub providers: Option<Result<Vec<LdapProvider>, ApiError>>,
    /// Those that it shows with a field that cannot be read.
    pub unreadable_providers: Vec<RowWarning>,
    /// Pairs of providers of which the base DN of the first is in a container of the second.
    pub base_in_container: Vec<(String, String)>,
    /// The certificate of each of them; none is looked at if one in files is served in their place.
    pub certificates: Vec<CertificateFacts>,
    /// The certificate in files.
    pub files: Option<FileFacts>,
    /// Every bind flow.
    pub flows: Vec<FlowFacts>,
    /// Whether an account was given.
    pub account_given: bool,
    /// What the given account showed; none if there was nobody to ask.
    pub account: Option<AccountFacts>,
    /// Whether the list of users was read, and that of groups.
    pub users: Option<Result<(), ListError>>,
    pub groups: Option<Result<(), ListError>>,
    /// What these lists showed.
    pub people: People,
    /// The stream of events; `Err` says why there is none.
    pub events: Option<Result<(), Disconnect>>,
    /// This machine.
    pub machine: MachineFacts,
    /// The memory that this process may use, in octets, as far as it is known.
    pub memory: Option<u64>,
    /// Looking was ended after this time, with a question open.
    pub cut_short: Option<Duration>,
}

/// Settings that matter for the checks.
#[derive(Clone, Debug, Default)]
pub(super) struct SettingsFacts {
    /// authentik's URL.
    pub host: String,
    /// The URL is https.
    pub is_https: bool,
    /// authentik is on this machine.
    pub is_local: bool,
    /// authentik's certificate is not verified.
    pub insecure: bool,
    /// The proxy through which authentik is called, and the variable that names it; `None`: it is called directly.
    pub proxy: Option<String>,
    /// Rows asked for on a page.
    pub page_size: u32,
    /// Whether the networks of load balancers were named.
    pub proxy_networks_set: bool,
    /// What the configuration warns about.
    pub warnings: Vec<String>,
}

/// A provider's certificate.
#[derive(Clone, Debug)]
pub(super) struct CertificateFacts {
    /// The provider's name.
    pub provider: String,
    /// The server name the provider sets for it; may be empty.
    pub server_name: String,
    /// `None`: the provider has none. It is examined without its key if that is not shown.
    pub certificate: Option<Result<Certificate, ApiError>>,
    /// Why its private key is not shown.
    pub key: Option<ApiError>,
}

/// The certificate in files that is served instead of the providers'.
#[derive(Clone, Debug)]
pub(super) struct FileFacts {
    /// The file of the chain.
    pub path: String,
    /// What it is; `Err`: it cannot be read or used, and why.
    pub certificate: Result<Certificate, String>,
}

/// Why a list was not read to its end.
#[derive(Clone, Debug)]
pub(super) struct ListError {
    /// The page that failed, from 1.
    pub page: u32,
    /// Why.
    pub error: ApiError,
}

/// A bind flow as it shows itself without an answer.
#[derive(Clone, Debug)]
pub(super) struct FlowFacts {
    /// Its slug.
    pub slug: String,
    /// Its first stage.
    pub first: Result<FirstStage, FlowError>,
}

/// What a login with the account showed.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountFacts {
    /// The provider its DN belongs to, or why there is none.
    pub provider: Option<Result<LdapProvider, String>>,
    /// The components of the stages that came.
    pub stages: Vec<String>,
    /// How the flow ended.
    pub login: Option<Result<LoginEnd, FlowError>>,
    /// Whether authentik says whose login it is.
    pub owner: Option<Result<(), ApiError>>,
    /// What authentik says about the account's access.
    pub access: Option<Result<AccessCheck, ApiError>>,
    /// Whether the unbind flow ended the session; `None` if there is no such flow.
    pub logged_out: Option<Result<bool, FlowError>>,
}

/// The end of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LoginEnd {
    /// Somebody is logged in.
    Done,
    /// Nobody is.
    Rejected(Rejection),
}

/// A list of which the end was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CutOffList {
    /// Of what.
    pub what: &'static str,
    /// Rows that came.
    pub received: u64,
    /// Rows there are, as authentik counts them.
    pub listed: u64,
    /// How long the lists were read.
    pub within: Duration,
}

/// What the lists of users and groups showed.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    /// Users in the list, as authentik counts them.
    pub users: u64,
    /// Groups in the list.
    pub groups: u64,
    /// Users that could be read.
    pub users_read: u64,
    /// Groups that could be read.
    pub groups_read: u64,
    /// Memberships seen.
    pub memberships: u64,
    /// Rows of the first page of users, those that could not be read included.
    pub first_page: usize,
    /// Whether there are more pages than that.
    pub has_more_pages: bool,
    /// How long the first page took.
    pub took: Duration,
    /// The lists that were not read to their end, because it would have taken too long.
    pub cut_off: Vec<CutOffList>,
    /// Rows that could not be read.
    pub unreadable: Vec<String>,
    /// Users with the same uidNumber, groups with the same gidNumber: the number and two names.
    pub same_numbers: Vec<(&'static str, i64, String, String)>,
    /// Numbers outside the range where they are expected: the attribute, the number, whose it is, and the range.
    pub outside_range: Vec<(&'static str, i64, String, String)>,
    /// Names that are empty, or somebody else's in another spelling.
    pub doubtful_names: Vec<String>,
    /// How many names need escaping in a DN, and one of them.
    pub escaped: (usize, String),
}

/// A port: its name, its address, and what is wrong with it.
pub(super) type PortFacts = (&'static str, SocketAddr, Option<String>);

/// This machine.
#[derive(Clone, Debug, Default)]
pub(super) struct MachineFacts {
    /// The server has not been started yet, so that its ports must be free.
    pub is_before_start: bool,
    /// Each port: its name, its address, and why it cannot be listened on or, once the server runs, is not the server's.
    pub ports: Vec<PortFacts>,
    /// The most open files this process may have; `None` for no limit.
    pub open_files: Option<u64>,
    /// The most connections the server should have.
    pub max_connections: usize,
}
