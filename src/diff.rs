//! Whether two LDAP servers answer alike: a walk of the tree, and the searches that clients send. Beside `server`, of which it knows
//! nothing: it is a client of both.
//!
//! A difference is reported once, for the search that shows it first. Only a few octets per entry are kept in memory, and the
//! differences themselves, up to a limit.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

mod answer;
mod comparison;
mod connection;
mod difference;
mod known;
mod name;
mod profiles;
mod report;
pub mod rules;
mod search;
mod secret;
mod target;
mod time_limit;

pub use connection::ConnectionError;
pub use difference::DifferenceKind;
pub use report::{Detail, DiffReport};
pub use search::ComparedSearch;
pub use target::{Security, Target};
pub use time_limit::TimeLimit;

use answer::{AskedServer, NameHash};
use comparison::{SearchComparison, ServerFailure, Which, compare};
use connection::ReceivedEntry;
use difference::Difference;
use known::Case;
use profiles::{SampleKind, Samples};
use report::{SearchFinding, Told};
use rules::Rule;

/// Entries on a page of the walk.
const PAGE: &str = "1000";
/// Entries of each kind that are remembered for the clients' searches.
const CANDIDATES: usize = 200;
/// How authentik's own outpost begins its `vendorVersion`.
const OFFICIAL: &str = "authentik LDAP Outpost";

/// What to compare.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// This server.
    pub ours: Target,
    /// The one it is compared with.
    pub theirs: Target,
    /// The account that asks both.
    pub bind_dn: String,
    /// What is walked; without one, what this server names first in its root DSE.
    pub base: Option<String>,
    /// Searches instead of the walk and those of all clients.
    pub searches: Option<Vec<ComparedSearch>>,
    /// Clients whose searches are sent; none for all of them, unless there are `searches`.
    pub profiles: Vec<String>,
    /// Kinds of differences to leave out.
    pub ignored: Vec<DifferenceKind>,
    /// The most entries of one search whose differences are reported.
    pub limit: usize,
    /// How long everything may take.
    pub time: TimeLimit,
}

/// Why nothing could be compared.
#[derive(Debug)]
pub enum DiffError {
    /// A server cannot be asked.
    Server {
        /// The option that names it.
        option: &'static str,
        /// Its URI.
        uri: String,
        /// Why.
        error: ConnectionError,
    },
    /// There is no base DN to walk.
    NoBase,
    /// A search or profile is not valid.
    Searches(String),
    /// Neither server shows an entry at or below the base DN.
    NothingFound {
        /// The base DN.
        base: String,
    },
    /// There is no search to compare.
    NoSearch,
}

impl fmt::Display for DiffError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { option, uri, error } => write!(formatter, "{option} {uri}: {error}"),
            Self::NoBase => formatter.write_str("neither server names a base DN in its root DSE; use --base"),
            Self::Searches(error) => formatter.write_str(error),
            Self::NothingFound { base } => write!(
                formatter,
                "neither server shows an entry at or below {base:?}: correct --base, or give an account that \
                 may read it"
            ),
            Self::NoSearch => formatter.write_str("the --queries file contains no search"),
        }
    }
}

impl std::error::Error for DiffError {}

/// The names of the clients whose searches are known.
pub fn profile_names() -> impl Iterator<Item = &'static str> {
    profiles::names()
}

/// Whether these are names of clients.
///
/// # Errors
/// When one is not, in words for whoever wrote it.
pub fn check_profiles(names: &[String]) -> Result<(), String> {
    profiles::searches(names, &Samples::default()).map(|_| ())
}

/// Compares two servers.
///
/// # Errors
/// When one of them cannot be asked.
pub async fn run(request: &DiffRequest, password: &[u8]) -> Result<DiffReport, DiffError> {
    // A mistake in a name is reported before any server is asked.
    check_profiles(&request.profiles).map_err(DiffError::Searches)?;
    let mut servers = Servers {
        request,
        ours: AskedServer::new(&request.ours, &request.bind_dn, password, request.time),
        theirs: AskedServer::new(&request.theirs, &request.bind_dn, password, request.time),
    };
    let roots = servers.root_dses().await?;
    let value = |entry: &ReceivedEntry, name: &str| {
        let mut attributes = entry.attributes.iter();
        let found = attributes.find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.and_then(|(_, values)| String::from_utf8(values.first()?.clone()).ok())
    };
    let named = roots
        .iter()
        .find_map(|root| value(root, "namingContexts").filter(|name| !name.is_empty()));
    // Only the given searches are sent, unless those of a client are wanted too: they need the entries of the walk.
    let walks = request.searches.is_none() || !request.profiles.is_empty();
    let base = match request.base.clone().or_else(|| named.clone()) {
        Some(base) => base,
        None if walks => return Err(DiffError::NoBase),
        None => String::new(),
    };
    let official = roots.last().and_then(|root| value(root, "vendorVersion"));
    let context = named.as_deref().unwrap_or(&base);
    let mut findings = Findings {
        context,
        is_official: official.is_some_and(|version| version.starts_with(OFFICIAL)),
        ignored: &request.ignored,
        all: Vec::new(),
        known: BTreeMap::new(),
        changed: HashSet::new(),
        facts: HashSet::new(),
    };
    let mut searches = request.searches.clone().unwrap_or_default();
    if walks {
        let walk = ComparedSearch::parse("walk", &format!("ldap:///??sub?(objectClass=*)?x-page={PAGE}"));
        let walk = ComparedSearch {
            base: base.clone(),
            ..walk.map_err(DiffError::Searches)?
        };
        let mut candidates = SearchableEntries::default();
        let walked = servers
            .compare(&walk, |key, entry| candidates.look(key, entry))
            .await?;
        if walked.ours.entries == 0 && walked.theirs.entries == 0 {
            return Err(DiffError::NothingFound { base });
        }
        let samples = candidates.samples(&base, &walked.same);
        findings.add(walk, walked);
        searches.extend(profiles::searches(&request.profiles, &samples).map_err(DiffError::Searches)?);
    }
    if !walks && searches.is_empty() {
        return Err(DiffError::NoSearch);
    }
    for search in searches {
        let compared = servers.compare(&search, |_, _| {}).await?;
        findings.add(search, compared);
    }
    Ok(DiffReport {
        ours: request.ours.uri.clone(),
        theirs: request.theirs.uri.clone(),
        findings: findings.all,
        known: findings.known,
        base,
    })
}

struct Servers<'a> {
    request: &'a DiffRequest,
    ours: AskedServer<'a>,
    theirs: AskedServer<'a>,
}

impl Servers<'_> {
    async fn compare(
        &mut self,
        search: &ComparedSearch,
        look: impl FnMut(NameHash, &ReceivedEntry),
    ) -> Result<SearchComparison, DiffError> {
        let limit = self.request.limit;
        let compared = compare(search, &mut self.ours, &mut self.theirs, limit, look).await;
        compared.map_err(|ServerFailure { which, error }| self.failed(which, error))
    }

    fn failed(&self, which: Which, error: ConnectionError) -> DiffError {
        let (option, target) = match which {
            Which::Ours => ("--ours", &self.request.ours),
            Which::Theirs => ("--theirs", &self.request.theirs),
        };
        DiffError::Server {
            option,
            uri: target.uri.clone(),
            error,
        }
    }

    /// The root DSEs, ours first; an empty one where none is shown.
    async fn root_dses(&mut self) -> Result<[ReceivedEntry; 2], DiffError> {
        let search = ComparedSearch::parse("root DSE", "ldap:///?*,+").map_err(DiffError::Searches)?;
        let mut roots = [ReceivedEntry::default(), ReceivedEntry::default()];
        let [ours, theirs] = &mut roots;
        let asked = self.ours.ask(&search, |_, entry| ours.clone_from(entry)).await;
        asked.map_err(|error| self.failed(Which::Ours, error))?;
        // The official outpost answers `+` with nothing.
        let search = ComparedSearch::parse("root DSE", "ldap:///").map_err(DiffError::Searches)?;
        let asked = self
            .theirs
            .ask(&search, |_, entry| theirs.clone_from(entry))
            .await;
        asked.map_err(|error| self.failed(Which::Theirs, error))?;
        Ok(roots)
    }
}

/// The differences found, each reported once.
struct Findings<'a> {
    /// The base DN of the directory.
    context: &'a str,
    is_official: bool,
    ignored: &'a [DifferenceKind],
    all: Vec<SearchFinding>,
    known: BTreeMap<Rule, usize>,
    /// The entries that something was reported about.
    changed: HashSet<NameHash>,
    /// What was reported, each by its hash.
    facts: HashSet<NameHash>,
}

impl Findings<'_> {
    fn add(&mut self, search: ComparedSearch, comparison: SearchComparison) {
        let SearchComparison {
            ours,
            theirs,
            differences,
            untold,
            names_order,
            values_order,
            ..
        } = comparison;
        for (rule, times) in [
            (rules::NAMES_ORDER, names_order),
            (rules::VALUES_ORDER, values_order),
        ] {
            if times > 0 {
                *self.known.entry(rule).or_default() += times;
            }
        }
        let case = Case {
            search: &search,
            base: self.context,
            our_code: ours.code,
            their_code: theirs.code,
            their_entries: theirs.entries,
        };
        let (mut told, mut repeated) = (Vec::new(), 0);
        let mut changed = Vec::new();
        for difference in differences {
            if self.ignored.contains(&difference.kind()) {
                continue;
            }
            let known = self
                .is_official
                .then(|| known::recognise(&case, &difference))
                .flatten();
            if let Some(rule) = known {
                *self.known.entry(rule).or_default() += 1;
            }
            // A search that finds somebody on one side only says nothing new if they were seen to be different.
            let key = difference.key();
            let follows = matches!(difference.kind(), DifferenceKind::Missing | DifferenceKind::More)
                && key.is_some_and(|key| self.changed.contains(&key));
            if follows || !fact_of(&difference).is_none_or(|fact| self.facts.insert(fact)) {
                repeated += 1;
                continue;
            }
            changed.extend(key);
            told.push(Told { difference, known });
        }
        self.changed.extend(changed);
        self.all.push(SearchFinding {
            search,
            ours,
            theirs,
            told,
            repeated,
            untold,
        });
    }
}

/// What identifies a difference in an entry, whichever search shows it; a difference in an answer has no such mark.
fn fact_of(difference: &Difference) -> Option<NameHash> {
    let key = difference.key()?;
    let mut parts: Vec<Vec<u8>> = vec![difference.kind().name().into(), key.to_le_bytes().to_vec()];
    if let Difference::Attribute {
        name, ours, theirs, ..
    } = difference
    {
        parts.push(name.to_ascii_lowercase());
        for side in [ours, theirs] {
            let mut values = side.values.clone();
            values.sort();
            parts.push(values.len().to_le_bytes().to_vec());
            parts.extend(values);
        }
    }
    if let Difference::Spelling { ours, theirs, .. } = difference {
        parts.extend([ours.clone(), theirs.clone()]);
    }
    Some(answer::hash_of(parts.iter().map(Vec::as_slice)))
}

/// Entries of the walk that searches can be made for.
#[derive(Default)]
struct SearchableEntries {
    users: Vec<(NameHash, ReceivedEntry)>,
    groups: Vec<(NameHash, ReceivedEntry)>,
}

impl SearchableEntries {
    fn look(&mut self, key: NameHash, entry: &ReceivedEntry) {
        let list = match profiles::kind_of(entry) {
            Some(SampleKind::User) => &mut self.users,
            Some(SampleKind::Group) => &mut self.groups,
            None => return,
        };
        if list.len() < CANDIDATES {
            list.push((key, entry.clone()));
        }
    }

    /// A plain user, one whose name needs escaping or is not ASCII, and such a group, each with somebody or something they belong
    /// to. Entries that are the same on both sides come first: differences in the others would be reported again.
    fn samples(self, base: &str, same: &HashSet<NameHash>) -> Samples {
        let sorted = |candidates: Vec<(NameHash, ReceivedEntry)>| -> Vec<ReceivedEntry> {
            let alike = |(key, _): &(NameHash, ReceivedEntry)| same.contains(key);
            let (alike, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(alike);
            alike.into_iter().chain(others).map(|(_, entry)| entry).collect()
        };
        let (users, groups) = (sorted(self.users), sorted(self.groups));
        let joined = users
            .iter()
            .flat_map(|user| groups.iter().map(move |group| (user, group)));
        let mut joined: Vec<(&ReceivedEntry, &ReceivedEntry)> = joined
            .filter(|(user, group)| profiles::has_member(group, user))
            .collect();
        joined.sort_by_key(|(user, group)| !profiles::names_group(user, group));
        let pair =
            |pick: &dyn Fn(&(&ReceivedEntry, &ReceivedEntry)) -> bool| joined.iter().copied().find(pick);
        let mut pairs = vec![(users.first(), groups.first())];
        if let Some((user, group)) = pair(&|(user, _)| !is_odd(user)) {
            pairs = vec![(Some(user), Some(group))];
        }
        for (user, group) in [pair(&|(user, _)| is_odd(user)), pair(&|(_, group)| is_odd(group))]
            .into_iter()
            .flatten()
        {
            pairs.push((Some(user), Some(group)));
        }
        let pairs = pairs
            .into_iter()
            .map(|(user, group)| (user.cloned(), group.cloned()));
        Samples {
            base: base.to_owned(),
            pairs: pairs.collect(),
        }
    }
}

fn is_odd(entry: &ReceivedEntry) -> bool {
    let plain =
        |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'=' | b',' | b'-' | b'_' | b'.');
    !entry.dn.iter().all(plain)
}
