//! Which users and groups of a directory as it was loaded a shape shows.
//!
//! Must not know how the rest is left out.

use crate::build::record::Warning;
use crate::filter::evaluation::Scratch;
use crate::filter::node::Node;
use crate::index::snapshot::Snapshot;
use crate::model::number::{Column, GroupIx, Number, UserIx, WrongNumber};
use crate::model::place::{Entry, UserOrGroup};
use crate::model::record;
use crate::shape::Shape;
use crate::shape::location::Location;
use crate::shape::visibility::{Condition, Visibility};
use crate::view::context::{Context, View};
use akldap_ldap::ber::Reader;
use akldap_ldap::filter::Filter;

/// For each user and group, whether it is shown.
#[derive(Debug)]
pub(super) struct Visible {
    users: Option<Column<UserIx, bool>>,
    groups: Option<Column<GroupIx, bool>>,
}

impl Visible {
    /// Finds out who is shown. A condition that cannot be judged shows nobody, and hides everybody.
    pub(super) fn of(
        base: &Snapshot,
        shape: &Shape,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, WrongNumber> {
        let location = shape.location.as_ref();
        let users = match shape.visible_users.is_everything() {
            true => None,
            false => Some(judge(
                &shape.visible_users,
                base.user_count(),
                |condition, judged| mark_users(base, location, condition, judged, warnings),
            )?),
        };
        let groups = match shape.visible_groups.is_everything() {
            true => None,
            false => Some(judge(
                &shape.visible_groups,
                base.group_count(),
                |condition, judged| mark_groups(base, location, condition, judged, warnings),
            )?),
        };
        Ok(Self { users, groups })
    }

    /// This user and these groups.
    pub(super) fn just(base: &Snapshot, user: UserIx, groups: &[GroupIx]) -> Result<Self, WrongNumber> {
        let mut users = Judged::none(base.user_count());
        users.mark(user)?;
        let mut all = Judged::none(base.group_count());
        groups.iter().try_for_each(|group| all.mark(*group))?;
        Ok(Self {
            users: Some(Column::from(users.satisfied)),
            groups: Some(Column::from(all.satisfied)),
        })
    }

    /// The same with only those groups that are shown otherwise, too.
    pub(super) fn of_groups(
        self,
        base: &Snapshot,
        shows: impl Fn(&Self, GroupIx) -> Result<bool, WrongNumber>,
    ) -> Result<Self, WrongNumber> {
        let each = base
            .groups()
            .map(|group| Ok(self.shows_group(group)? && shows(&self, group)?));
        let groups: Vec<bool> = each.collect::<Result<_, _>>()?;
        Ok(Self {
            groups: Some(Column::from(groups)),
            ..self
        })
    }

    /// Whether everything is shown.
    pub(super) fn is_everything(&self) -> bool {
        self.users.is_none() && self.groups.is_none()
    }

    pub(super) fn shows_user(&self, user: UserIx) -> Result<bool, WrongNumber> {
        self.users
            .as_ref()
            .map_or(Ok(true), |users| users.get(user).copied())
    }

    pub(super) fn shows_group(&self, group: GroupIx) -> Result<bool, WrongNumber> {
        self.groups
            .as_ref()
            .map_or(Ok(true), |groups| groups.get(group).copied())
    }
}

/// Whether each satisfies a condition, as far as that was checked.
struct Judged<N> {
    satisfied: Vec<bool>,
    number: std::marker::PhantomData<fn(N)>,
}

impl<N: Number> Judged<N> {
    fn none(count: usize) -> Self {
        Self {
            satisfied: vec![false; count],
            number: std::marker::PhantomData,
        }
    }

    fn mark(&mut self, number: N) -> Result<(), WrongNumber> {
        *self.satisfied.get_mut(number.index()).ok_or(N::WRONG)? = true;
        Ok(())
    }
}

fn judge<N: Number>(
    visibility: &Visibility,
    count: usize,
    mut mark: impl FnMut(&Condition, &mut Judged<N>) -> Result<bool, WrongNumber>,
) -> Result<Column<N, bool>, WrongNumber> {
    let mut any = |conditions: &[Condition], otherwise: bool| {
        let mut judged = Judged::none(count);
        for condition in conditions {
            if !mark(condition, &mut judged)? && otherwise {
                judged.satisfied.fill(true);
            }
        }
        Ok(judged.satisfied)
    };
    let mut shown = match visibility.shown.as_slice() {
        [] => vec![true; count],
        conditions => any(conditions, false)?,
    };
    let hidden = any(&visibility.hidden, true)?;
    for (shown, hidden) in shown.iter_mut().zip(hidden) {
        *shown &= !hidden;
    }
    Ok(Column::from(shown))
}

/// Marks the users who satisfy a condition; false if it cannot be judged.
fn mark_users(
    base: &Snapshot,
    location: Option<&Location>,
    condition: &Condition,
    judged: &mut Judged<UserIx>,
    warnings: &mut Vec<Warning>,
) -> Result<bool, WrongNumber> {
    match condition {
        Condition::Group(name) => {
            let Some(groups) = groups_below(base, name)? else {
                warnings.push(Warning::UnknownGroup { group: name.clone() });
                return Ok(true);
            };
            for group in groups {
                for &user in base.records.memberships.group_users.of(group)? {
                    judged.mark(user)?;
                }
            }
        }
        Condition::Path(path) => {
            for user in base.users() {
                if is_at_or_below(&base.records.users.accounts.of(user)?.path, path) {
                    judged.mark(user)?;
                }
            }
        }
        Condition::Type(kind) => {
            for user in base.users() {
                if base
                    .records
                    .users
                    .accounts
                    .of(user)?
                    .kind
                    .eq_ignore_ascii_case(kind)
                {
                    judged.mark(user)?;
                }
            }
        }
        Condition::Active(active) => {
            for user in base.users() {
                if base
                    .records
                    .get(base.records.user_record(user)?)?
                    .has(record::ACTIVE)
                    == *active
                {
                    judged.mark(user)?;
                }
            }
        }
        Condition::Filter(octets) => {
            return mark_matches(
                base,
                location,
                octets,
                base.users(),
                Entry::User,
                judged,
                warnings,
            );
        }
    }
    Ok(true)
}

/// Marks the groups that satisfy a condition; false if it cannot be judged.
fn mark_groups(
    base: &Snapshot,
    location: Option<&Location>,
    condition: &Condition,
    judged: &mut Judged<GroupIx>,
    warnings: &mut Vec<Warning>,
) -> Result<bool, WrongNumber> {
    match condition {
        Condition::Group(name) => match groups_below(base, name)? {
            Some(groups) => groups.into_iter().try_for_each(|group| judged.mark(group))?,
            None => warnings.push(Warning::UnknownGroup { group: name.clone() }),
        },
        Condition::Filter(octets) => {
            return mark_matches(
                base,
                location,
                octets,
                base.groups(),
                Entry::Group,
                judged,
                warnings,
            );
        }
        // Reading never makes one of these for groups.
        Condition::Path(_) | Condition::Type(_) | Condition::Active(_) => return Ok(false),
    }
    Ok(true)
}

fn mark_matches<N: Number>(
    base: &Snapshot,
    location: Option<&Location>,
    filter: &[u8],
    all: impl Iterator<Item = N>,
    entry: impl Fn(N) -> Entry,
    judged: &mut Judged<N>,
    warnings: &mut Vec<Warning>,
) -> Result<bool, WrongNumber> {
    let filter = Filter::read(&mut Reader::new(filter));
    let (Some(location), Ok(filter)) = (location, filter) else {
        return Ok(false);
    };
    let context = Context {
        snapshot: base,
        tree: location.tree(),
        view: View::Full,
    };
    let Some(node) = Node::compile(&context, &filter)? else {
        warnings.push(Warning::FilterTooCostly {
            filter: filter.to_string(),
        });
        return Ok(false);
    };
    let mut scratch = Scratch::default();
    for number in all {
        if node.evaluate(&context, entry(number), &mut scratch)? == Some(true) {
            judged.mark(number)?;
        }
    }
    Ok(true)
}

/// The groups with a name, and all below them; `None` if there are none.
fn groups_below(base: &Snapshot, name: &str) -> Result<Option<Vec<GroupIx>>, WrongNumber> {
    let groups = base.named(name.as_bytes(), |found| match found {
        UserOrGroup::Group(group) => Some(group),
        UserOrGroup::User(_) => None,
    })?;
    if groups.is_empty() {
        return Ok(None);
    }
    let children = &base.records.memberships.group_children;
    children.closure(&groups, base.group_count()).map(Some)
}

/// Whether a path is this one or leads through it.
fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
