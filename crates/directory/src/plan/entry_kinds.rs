//! Which kinds of entries may satisfy a filter: containers, users, groups, virtual groups.
//!
//! Must not know which entries there are.

use crate::filter::node::{Matcher, Node, Test};
use crate::model::built_in::AttributeId;
use crate::model::number::WrongNumber;
use crate::plan::lookup::Lookup;
use crate::view::context::Context;

/// Kinds of entries that may satisfy something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryKinds(u8);

impl EntryKinds {
    pub(super) const NONE: Self = Self(0);
    pub(super) const CONTAINERS: Self = Self(1);
    pub(super) const USERS: Self = Self(2);
    pub(super) const GROUPS: Self = Self(4);
    pub(super) const VIRTUAL_GROUPS: Self = Self(8);
    pub(super) const ALL: Self = Self(15);

    pub(super) fn of(kind: Self, holds: bool) -> Self {
        if holds { kind } else { Self::NONE }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn has(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }

    /// Those that may satisfy a filter.
    pub(super) fn of_filter(context: Context<'_>, node: &Node) -> Result<Self, WrongNumber> {
        match node {
            Node::Constant(Some(true)) | Node::Not(_) | Node::Within(_) => Ok(Self::ALL),
            Node::Constant(_) => Ok(Self::NONE),
            Node::And(nodes) => nodes.iter().try_fold(Self::ALL, |kinds, node| {
                Ok(kinds.and(Self::of_filter(context, node)?))
            }),
            Node::Or(nodes) => nodes.iter().try_fold(Self::NONE, |kinds, node| {
                Ok(kinds.or(Self::of_filter(context, node)?))
            }),
            Node::Test(test) => Self::of_test(context, test),
        }
    }

    fn of_test(context: Context<'_>, test: &Test) -> Result<Self, WrongNumber> {
        let snapshot = context.snapshot;
        match &test.matcher {
            Matcher::Extended { .. } => return Ok(Self::ALL),
            Matcher::Class(classes, _) => {
                let replaced = snapshot.any_overrides(AttributeId::OBJECT_CLASS);
                return Ok(Self::CONTAINERS
                    .or(Self::of(Self::USERS, classes.users || replaced))
                    .or(Self::of(Self::GROUPS, classes.groups || replaced))
                    .or(Self::of(Self::VIRTUAL_GROUPS, classes.virtual_groups)));
            }
            _ => {}
        }
        let mut kinds = Self::NONE;
        Lookup(context).for_each_container(test, |_| kinds = Self::CONTAINERS)?;
        for id in test.attribute.ids() {
            let stored = snapshot.indexes.get(id)?.records() > 0;
            kinds = kinds
                .or(Self::of(Self::USERS.or(Self::GROUPS), stored))
                .or(Self::of_built_in(id));
        }
        Ok(kinds)
    }

    /// Those that have a built-in attribute without any being stored as custom.
    fn of_built_in(id: AttributeId) -> Self {
        let Some(built_in) = id.definition().filter(|_| id.is_built_in()) else {
            return Self::NONE;
        };
        Self::of(Self::USERS, built_in.users.is_some())
            .or(Self::of(Self::GROUPS, built_in.groups.is_some()))
            .or(Self::of(Self::VIRTUAL_GROUPS, built_in.virtual_groups.is_some()))
    }
}
