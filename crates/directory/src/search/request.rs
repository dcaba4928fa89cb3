//! What a search is given besides the request itself, and how it ends.
//!
//! Must not know how entries are found.

use crate::index::snapshot::Snapshot;
use crate::view::context::View;
use akldap_ldap::control::{
    DerefSpec, PAGED_RESULTS, PagedResults, SORT_RESPONSE, SortKey, VLV_RESPONSE, VlvRequest,
};
use akldap_ldap::response::LdapResult;

/// Who is searching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Someone who may search the full directory.
    Full,
    /// Someone who sees base, containers, their own user, the groups it is a direct member of, and its virtual
    /// group.
    Own {
        /// The primary key of the user.
        user_pk: i64,
    },
}

impl Viewer {
    pub(crate) fn view(self, snapshot: &Snapshot) -> View {
        match self {
            Self::Full => View::Full,
            Self::Own { user_pk } => View::Own(snapshot.user_by_pk(user_pk)),
        }
    }
}

/// The controls of a search, decoded.
#[derive(Clone, Debug, Default)]
pub struct SearchControls {
    /// Paged results, RFC 2696.
    pub paged: Option<PagedResults>,
    /// Server-side sorting, RFC 2891.
    pub sort: Option<Vec<SortKey>>,
    /// Whether a search that cannot be sorted must fail.
    pub sort_critical: bool,
    /// Virtual list view.
    pub vlv: Option<VlvRequest>,
    /// Dereference.
    pub deref: Option<Vec<DerefSpec>>,
    /// Signs the cookies of paged results. It is the same for all connections, so that cookies survive them.
    pub cookie_key: [u8; 32],
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchOutcome {
    /// The result.
    pub result: LdapResult,
    /// The response controls: OID and value.
    pub controls: Vec<(&'static str, Vec<u8>)>,
    /// How many entries were returned.
    pub entries: u64,
}

/// The state of a search after [`Search::advance`](crate::Search::advance).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    More,
    /// Everything is written except the SearchResultDone.
    Done(SearchOutcome),
}

/// How a search ended: with the values of its response controls, and with a cookie if it was paged.
pub(super) fn outcome(
    result: LdapResult,
    sort: Option<Vec<u8>>,
    vlv: Option<Vec<u8>>,
    cookie: Option<Vec<u8>>,
    entries: u64,
) -> SearchOutcome {
    let mut controls = Vec::new();
    controls.extend(sort.map(|value| (SORT_RESPONSE, value)));
    controls.extend(vlv.map(|value| (VLV_RESPONSE, value)));
    controls.extend(cookie.map(|cookie| {
        let response = PagedResults { size: 0, cookie };
        (PAGED_RESULTS, response.encode())
    }));
    SearchOutcome {
        result,
        controls,
        entries,
    }
}
