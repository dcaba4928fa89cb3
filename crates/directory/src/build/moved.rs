//! Who gets another number, because somebody else already has theirs.
//!
//! Of those who share a number one keeps it: one whose attributes state it before one whose number authentik made, then the
//! older account, which has the lower pk, and of groups, whose age is unknown, the one with the lower UUID. A user's number
//! is also that of the user's virtual group, which groups share numbers with. Must not know who else is shown.

use std::collections::HashMap;

use crate::build::record::{RecordName, Warning};
use crate::build::visible::Visible;
use crate::index::snapshot::{Snapshot, text};
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::number::{GroupIx, RecordIx, UserIx, WrongNumber};
use crate::shape::Shape;
use crate::shape::location::Location;
use crate::shape::numbers::NumberRange;

/// The numbers that some have instead of their own.
#[derive(Debug, Default)]
pub(super) struct Moved {
    users: HashMap<UserIx, i64>,
    groups: HashMap<GroupIx, i64>,
}

/// Somebody with a number.
struct Numbered<N> {
    who: N,
    number: i64,
    is_stated: bool,
}

impl<N> Numbered<N> {
    /// `None` for somebody whose number would be too large: who has none shares none.
    fn new(who: N, stated: Option<i64>, computed: Option<i64>) -> Option<Self> {
        Some(Self {
            who,
            number: stated.or(computed)?,
            is_stated: stated.is_some(),
        })
    }
}

impl Moved {
    /// Finds out who moves in a shape, among those who are shown.
    pub(super) fn of(
        base: &Snapshot,
        shape: &Shape,
        visible: &Visible,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, WrongNumber> {
        let mut moved = Self::default();
        let Some(tree) = shape.location.as_ref().map(Location::tree) else {
            return Ok(moved);
        };
        if shape.numbers.is_nothing() {
            return Ok(moved);
        }
        let (uid_number, gid_number) = (AttributeId::UID_NUMBER, AttributeId::GID_NUMBER);
        let mut users = Vec::new();
        let mut taken_gids = HashMap::new();
        for user in base.users() {
            if visible.shows_user(user)? {
                let stated = stated(base, base.records.user_record(user)?, uid_number)?;
                let own = *base.records.users.pks.get(user)?;
                users.extend(Numbered::new(user, stated, tree.user_number(own).ok()));
            }
        }
        // What templates make stays as they make it.
        if !shape.users.makes(uid_number.name()) {
            let name = |user: UserIx| {
                Ok(RecordName::User(
                    text(base.records.name(base.records.user_record(user)?)?)?.to_owned(),
                ))
            };
            let identity = |user: UserIx| {
                let uuid = *base.records.users.uuids.get(user)?;
                let pk = *base.records.users.pks.get(user)?;
                Ok(uuid.map_or_else(
                    || pk.to_be_bytes().to_vec(),
                    |uuid| uuid.get().into_bytes().to_vec(),
                ))
            };
            let range = shape.numbers.uids.shared.as_ref();
            let mut taken = HashMap::new();
            for (user, number) in settle(
                &mut users,
                &mut taken,
                range,
                "uidNumber",
                name,
                identity,
                warnings,
            )? {
                moved.users.insert(user, number);
            }
        }
        for user in &users {
            let own = base
                .records
                .get(base.records.user_record(user.who)?)?
                .overrides(gid_number);
            if !own || stated(base, base.records.user_record(user.who)?, gid_number)?.is_none() {
                let number = moved.users.get(&user.who).copied().unwrap_or(user.number);
                let name = text(base.records.name(base.records.user_record(user.who)?)?)?;
                taken_gids.insert(number, RecordName::User(name.to_owned()));
            }
        }
        if !shape.groups.makes(gid_number.name()) {
            let mut groups = Vec::new();
            for group in base.groups() {
                if visible.shows_group(group)? {
                    let record = base.records.layout.group_record(group);
                    let stated = stated(base, record, gid_number)?;
                    let own = *base.records.groups.numbers.get(group)?;
                    groups.extend(Numbered::new(group, stated, tree.group_number(own).ok()));
                }
            }
            let name = |group: GroupIx| {
                let record = base.records.layout.group_record(group);
                Ok(RecordName::Group(text(base.records.name(record)?)?.to_owned()))
            };
            let identity = |group: GroupIx| Ok(base.records.groups.uuids.get(group)?.to_vec());
            let range = shape.numbers.gids.shared.as_ref();
            let settled = settle(
                &mut groups,
                &mut taken_gids,
                range,
                "gidNumber",
                name,
                identity,
                warnings,
            )?;
            moved.groups.extend(settled);
        }
        Ok(moved)
    }

    pub(super) fn user(&self, user: UserIx) -> Option<i64> {
        self.users.get(&user).copied()
    }

    pub(super) fn group(&self, group: GroupIx) -> Option<i64> {
        self.groups.get(&group).copied()
    }
}

/// Gives another number to those whose own is taken; reports all who share one.
fn settle<N: Copy>(
    all: &mut [Numbered<N>],
    taken: &mut HashMap<i64, RecordName>,
    range: Option<&NumberRange>,
    attribute: &'static str,
    name: impl Fn(N) -> Result<RecordName, WrongNumber>,
    identity: impl Fn(N) -> Result<Vec<u8>, WrongNumber>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<(N, i64)>, WrongNumber> {
    // They come by age; a stable sort keeps that.
    all.sort_by_key(|numbered| !numbered.is_stated);
    let mut late = Vec::new();
    for numbered in all {
        match taken.get(&numbered.number) {
            Some(first) => late.push((numbered.who, numbered.number, first.clone())),
            None => drop(taken.insert(numbered.number, name(numbered.who)?)),
        }
    }
    let mut moved = Vec::new();
    for (who, number, first) in late {
        let second = name(who)?;
        let free = match range {
            Some(range) => range.number_for(&identity(who)?, |number| !taken.contains_key(&number)),
            None => None,
        };
        if let Some(free) = free {
            taken.insert(free, second.clone());
            moved.push((who, free));
        }
        warnings.push(Warning::NumberShared {
            attribute,
            first,
            second,
            number,
            moved_to: free,
        });
    }
    Ok(moved)
}

/// The number that an entry's own attributes state.
pub(super) fn stated(base: &Snapshot, number: RecordIx, id: AttributeId) -> Result<Option<i64>, WrongNumber> {
    let record = base.records.get(number)?;
    if !record.overrides(id) {
        return Ok(None);
    }
    let value = encoded::first_value(base.records.block(record)?, id.name())?;
    Ok(value.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok()))
}
