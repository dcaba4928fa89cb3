//! What names below the base of a tree mean.
//!
//! Knows RFC 4514 and the unescaped spelling of authentik's own outpost. Must not know who is asking.

use std::borrow::Cow;
use std::fmt;

use crate::index::snapshot::Snapshot;
use crate::model::branch::{Levels, level_key};
use crate::model::number::{BranchIx, Met, UserIx, WrongNumber};
use crate::model::place::{Container, Entry, UserOrGroup};
use crate::model::record::{RDN_TYPE, UserRdn};
use crate::view::tree::{Tree, Unit};
use akldap_ldap::dn::{self, Dn, DnError, Name, Rdn};
use akldap_ldap::steps;

/// What a name means in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Entries with this name, usually one: several users or groups may have the same name.
    Entries(Vec<Entry>),
    /// Nothing; these are the entries above it that exist, the base first.
    Missing(Vec<Entry>),
    /// It is not below the base.
    Outside,
}

/// Why it is unknown what a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DnNameError {
    /// It is malformed, and not such a name in the spelling of authentik's outpost either.
    Malformed(DnError),
    Wrong(WrongNumber),
}

impl From<WrongNumber> for DnNameError {
    fn from(wrong: WrongNumber) -> Self {
        Self::Wrong(wrong)
    }
}

impl fmt::Display for DnNameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(formatter, "malformed name: {error}"),
            Self::Wrong(wrong) => wrong.fmt(formatter),
        }
    }
}

impl Tree {
    /// What a name means. Names that RFC 4514 cannot make sense of, or that name nothing, are also tried as the
    /// unescaped names that authentik's own outpost gives out (`cn=Sales, EMEA,ou=groups,…`).
    pub(crate) fn resolve(&self, snapshot: &Snapshot, name: &Name<'_>) -> Result<Resolved, DnNameError> {
        if let Some(entries) = self.resolve_plain(snapshot, name.octets())? {
            return Ok(Resolved::Entries(entries));
        }
        let missing = match name.parsed() {
            Ok(dn) => match self.resolve_parsed(snapshot, dn)? {
                Resolved::Entries(entries) => return Ok(Resolved::Entries(entries)),
                missing => Ok(missing),
            },
            Err(error) => Err(DnNameError::Malformed(error)),
        };
        match self.resolve_unescaped(snapshot, name.octets())? {
            Some(entry) => Ok(Resolved::Entries(vec![entry])),
            None => missing,
        }
    }

    /// The user whose entry a search with this name as its base finds; of several that differ only in case, and none of
    /// which is spelled so, the one with the lowest pk.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn user_named(&self, snapshot: &Snapshot, name: &Name<'_>) -> Result<Option<UserIx>, WrongNumber> {
        Ok(self.users_named(snapshot, name)?.first().copied())
    }

    /// The same for whoever has to know whether there are several: those that differ only in case, in ascending order of pk, if
    /// none is spelled so.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn users_named(&self, snapshot: &Snapshot, name: &Name<'_>) -> Result<Vec<UserIx>, WrongNumber> {
        let user = |entry: &Entry| match entry {
            Entry::User(user) => Some(*user),
            _ => None,
        };
        match self.resolve(snapshot, name) {
            Ok(Resolved::Entries(entries)) => Ok(entries.iter().map_while(user).collect()),
            Ok(_) | Err(DnNameError::Malformed(_)) => Ok(Vec::new()),
            Err(DnNameError::Wrong(wrong)) => Err(wrong),
        }
    }

    /// The DN of a user. A snapshot in another shape than this provider's has none of the organizational units that paths make; there they are
    /// as the user's own path has them.
    ///
    /// # Errors
    /// When the number belongs to another snapshot, or one in the snapshot points to nothing.
    pub fn user_dn(&self, snapshot: &Snapshot, user: UserIx) -> Result<String, WrongNumber> {
        let records = &snapshot.records;
        let record = records.user_record(user)?;
        let suffix = self.leaf_suffix(Container::Users);
        let dn = match records.branches.are_made() {
            true => [records.rdn(record)?, suffix].concat(),
            false => {
                let name = dn::escape(records.name(record)?);
                let mut dn = [self.style().user_rdn.prefix(), &name].concat();
                let levels = self.levels_above(snapshot, user)?;
                if !levels.names.is_empty() {
                    dn.push(b',');
                    dn.extend_from_slice(&levels.local_name());
                }
                dn.extend_from_slice(suffix);
                dn
            }
        };
        String::from_utf8(dn).map_err(|_| WrongNumber::Octets)
    }

    /// The organizational units that the path of a user makes.
    fn levels_above<'s>(&self, snapshot: &'s Snapshot, user: UserIx) -> Result<Levels<'s>, WrongNumber> {
        Ok(match self.style().by_path {
            true => Levels::of(&snapshot.records.users.accounts.of(user)?.path),
            false => Levels::of(""),
        })
    }

    /// Whether a name is in this place, decided without parsing it. False also for names whose spelling is unusual.
    #[must_use]
    pub fn contains_plainly(&self, name: &[u8]) -> bool {
        self.split_plainly(name).is_some()
    }

    /// The user name in `cn=<user name>,ou=users,<base DN>`, or in a name of the style of this place, if its spelling is the usual one: parsing would
    /// then give the same result.
    #[must_use]
    pub fn plain_username<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        match self.split_plainly(name)? {
            (Some(Container::Users), username) => username,
            _ => None,
        }
    }

    fn resolve_plain(&self, snapshot: &Snapshot, name: &[u8]) -> Result<Option<Vec<Entry>>, WrongNumber> {
        let Some((container, value)) = self.split_plainly(name) else {
            return Ok(None);
        };
        let container = container.unwrap_or(Container::Base);
        let Some(value) = value else {
            return Ok(Some(vec![Entry::Container(container)]));
        };
        let entries = leaves(snapshot, container, value)?;
        Ok((!entries.is_empty()).then_some(entries))
    }

    /// The spellings that nearly all names come in, without parsing: those we write ourselves, whatever their case, as long as they are RFC 4514
    /// names without escapes.
    fn split_plainly<'n>(&self, name: &'n [u8]) -> Option<(Option<Container>, Option<&'n [u8]>)> {
        let (container, value) = self.split_textually(name)?;
        value.is_none_or(is_plain).then_some((container, value))
    }

    /// Splits a name as text: the container, if it is not the base, and the unescaped name of a leaf.
    fn split_textually<'n>(&self, name: &'n [u8]) -> Option<(Option<Container>, Option<&'n [u8]>)> {
        let rest = strip_suffix(name, &self.suffix)?;
        if rest.is_empty() {
            return Some((None, None));
        }
        for unit in self.units.iter().filter(|unit| unit.is_plain) {
            let leaf = strip_suffix(rest, b",").and_then(|rest| strip_suffix(rest, &unit.key));
            let Some(leaf) = leaf.and_then(|rest| strip_suffix(rest, b"ou=")) else {
                continue;
            };
            if leaf.is_empty() {
                return Some((Some(unit.container), None));
            }
            if let Some(value) =
                strip_suffix(leaf, b",").and_then(|leaf| self.leaf_name(unit.container, leaf))
            {
                return Some((Some(unit.container), Some(value)));
            }
        }
        None
    }

    /// The name in `cn=<name>`, or of users in whatever way their names begin here.
    fn leaf_name<'n>(&self, container: Container, leaf: &'n [u8]) -> Option<&'n [u8]> {
        let after = |prefix: &[u8]| {
            let (attribute, value) = leaf.split_at_checked(prefix.len())?;
            attribute.eq_ignore_ascii_case(prefix).then_some(value)
        };
        let own = self.style().user_rdn;
        let value = after(RDN_TYPE);
        match (container, own) {
            (Container::Users, UserRdn::Uid) => value.or_else(|| after(own.prefix())),
            _ => value,
        }
    }

    /// The user name in the levels of a name below the base, if it is one that a user's entry can have, whoever has it.
    #[must_use]
    pub fn username_in<'n>(&self, levels: &'n [Rdn]) -> Option<&'n [u8]> {
        match levels {
            [user, path @ .., unit] if self.unit_of(unit) == Some(Container::Users) => {
                let is_path = path.is_empty()
                    || (self.style().by_path && path.iter().all(|level| level.value_of("ou").is_some()));
                self.name_in(Container::Users, user).filter(|_| is_path)
            }
            _ => None,
        }
    }

    /// The same for what comes before the base DN in a name that is not escaped as RFC 4514 requires.
    #[must_use]
    pub fn unescaped_username<'n>(&self, front: &'n [u8]) -> Option<&'n [u8]> {
        let of_users = |unit: &&Unit| unit.container == Container::Users && unit.is_plain;
        self.units.iter().filter(of_users).find_map(|unit| {
            let leaf = strip_suffix(strip_suffix(front, &unit.key)?, b",ou=")?;
            self.leaf_name(Container::Users, leaf)
        })
    }

    pub(crate) fn unit_of(&self, rdn: &Rdn) -> Option<Container> {
        let key = akldap_ldap::text::fold_case(rdn.value_of("ou")?);
        let unit = self.units.iter().find(|unit| *unit.key == *key);
        unit.map(|unit| unit.container)
    }

    fn name_in<'n>(&self, container: Container, leaf: &'n Rdn) -> Option<&'n [u8]> {
        let own = self.style().user_rdn;
        let value = leaf.value_of(UserRdn::Cn.attribute());
        match (container, own) {
            (Container::Users, UserRdn::Uid) => value.or_else(|| leaf.value_of(own.attribute())),
            _ => value,
        }
    }

    /// Whether this is a name of the tree in the spelling of authentik's own outpost, whoever has it.
    pub(crate) fn is_unescaped_name(&self, name: &[u8]) -> bool {
        matches!(self.split_textually(name), Some((Some(_), Some(_))))
    }

    /// The one entry whose name in the spelling of authentik's own outpost this is.
    fn resolve_unescaped(&self, snapshot: &Snapshot, name: &[u8]) -> Result<Option<Entry>, WrongNumber> {
        let Some((Some(container), Some(value))) = self.split_textually(name) else {
            return Ok(None);
        };
        Ok(match leaves(snapshot, container, value)?.as_slice() {
            [entry] => Some(*entry),
            _ => None,
        })
    }

    fn resolve_parsed(&self, snapshot: &Snapshot, name: &Dn) -> Result<Resolved, WrongNumber> {
        let base = Entry::Container(Container::Base);
        let Some(levels) = name.below(&self.base) else {
            return Ok(Resolved::Outside);
        };
        let Some((top, lower)) = levels.split_last() else {
            return Ok(Resolved::Entries(vec![base]));
        };
        let Some(container) = self.unit_of(top) else {
            return Ok(Resolved::Missing(vec![base]));
        };
        if self.style().by_path && container == Container::Users {
            return self.resolve_by_path(snapshot, lower);
        }
        let Some((leaf, below)) = lower.split_last() else {
            return Ok(Resolved::Entries(vec![Entry::Container(container)]));
        };
        let leaves = match self.name_in(container, leaf) {
            Some(value) => leaves(snapshot, container, value)?,
            None => Vec::new(),
        };
        if below.is_empty() && !leaves.is_empty() {
            return Ok(Resolved::Entries(leaves));
        }
        let above = [base, Entry::Container(container)];
        Ok(Resolved::Missing(
            above.into_iter().chain(leaves.into_iter().take(1)).collect(),
        ))
    }
}

/// How far the levels of a name lead through organizational units that paths make.
struct Descent<'n> {
    /// The entries above, the base first.
    above: Vec<Entry>,
    /// The lowest of the units, in a snapshot that has them.
    branch: BranchIx,
    /// Their names in the form in which they are compared, the uppermost first.
    path: Vec<Cow<'n, [u8]>>,
    /// The levels below.
    rest: &'n [Rdn],
}

impl Tree {
    /// What the levels below the organizational unit of users name where paths make further ones. Without any of those a user is meant
    /// wherever the path leads: that is the name in authentik's outpost.
    fn resolve_by_path(&self, snapshot: &Snapshot, levels: &[Rdn]) -> Result<Resolved, WrongNumber> {
        let branches = &snapshot.records.branches;
        let Descent {
            mut above,
            branch,
            path,
            rest,
        } = descend(snapshot, levels)?;
        let Some((leaf, below)) = rest.split_last() else {
            let is_there = path.is_empty() || branches.are_made();
            return Ok(match above.pop() {
                Some(unit) if is_there => Resolved::Entries(vec![unit]),
                unit => Resolved::Missing(above.into_iter().chain(unit).collect()),
            });
        };
        let met = Met::default();
        let is_there = |user: UserIx| match (path.as_slice(), branches.are_made()) {
            ([], _) => true,
            (_, true) => met.or(branches.of(user), BranchIx::ROOT) == branch,
            // The path may lead further down than there was room for.
            (path, false) => {
                let levels = met.or(self.levels_above(snapshot, user), Levels::of(""));
                levels.begin_with(path.iter().map(|key| &**key))
            }
        };
        let users = match self.name_in(Container::Users, leaf) {
            Some(name) => snapshot.named(name, |record| match record {
                UserOrGroup::User(user) => is_there(user).then_some(Entry::User(user)),
                UserOrGroup::Group(_) => None,
            })?,
            None => Vec::new(),
        };
        met.answer(())?;
        Ok(match below.is_empty() && !users.is_empty() {
            true => Resolved::Entries(users),
            false => Resolved::Missing(above.into_iter().chain(users.into_iter().take(1)).collect()),
        })
    }

    /// The organizational units that a name has above its leaf, whatever that is, and the base, which comes first; none if the name is not
    /// below that of users, or paths make no units.
    pub(crate) fn units_above(
        &self,
        snapshot: &Snapshot,
        name: &Name<'_>,
    ) -> Result<Vec<Entry>, WrongNumber> {
        let levels = match name.parsed() {
            Ok(name) if self.style().by_path => name.below(&self.base),
            _ => None,
        };
        match levels.and_then(<[_]>::split_last) {
            Some((top, lower)) if self.unit_of(top) == Some(Container::Users) => {
                Ok(descend(snapshot, lower)?.above)
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn descend<'n>(snapshot: &Snapshot, levels: &'n [Rdn]) -> Result<Descent<'n>, WrongNumber> {
    let branches = &snapshot.records.branches;
    let mut descent = Descent {
        above: vec![
            Entry::Container(Container::Base),
            Entry::Container(Container::Users),
        ],
        branch: BranchIx::ROOT,
        path: Vec::new(),
        rest: levels,
    };
    while let Some((top, lower)) = descent.rest.split_last()
        && let Some(name) = top.value_of("ou")
    {
        let key = level_key(name);
        if branches.are_made() {
            let Some(below) = branches.below(descent.branch, &key)? else {
                break;
            };
            descent.branch = below;
            descent.above.push(Entry::Branch(below));
        }
        descent.path.push(key);
        descent.rest = lower;
    }
    Ok(descent)
}

/// The entries of a container with a name.
fn leaves(snapshot: &Snapshot, container: Container, name: &[u8]) -> Result<Vec<Entry>, WrongNumber> {
    if container == Container::Base {
        return Ok(Vec::new());
    }
    snapshot.named(name, |record| match (record, container) {
        (UserOrGroup::User(user), Container::Users) => Some(Entry::User(user)),
        (UserOrGroup::User(user), Container::VirtualGroups) => Some(Entry::VirtualGroup(user)),
        (UserOrGroup::Group(group), Container::Groups) => Some(Entry::Group(group)),
        _ => None,
    })
}

/// Whether a value is written in a name as it is.
fn is_plain(value: &[u8]) -> bool {
    steps::add(value.len());
    value.iter().all(|&octet| {
        octet >= b' '
            && !matches!(
                octet,
                b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b'=' | b'#'
            )
    }) && value.first().is_some_and(|&octet| octet != b' ')
        && value.last() != Some(&b' ')
}

fn strip_suffix<'a>(text: &'a [u8], suffix: &[u8]) -> Option<&'a [u8]> {
    steps::add(suffix.len());
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}
