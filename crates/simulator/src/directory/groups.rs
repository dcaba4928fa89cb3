//! The groups of a directory: which are above each other, who is in them, and what follows from that.

use uuid::Uuid;

use super::super::groups::Group;
use super::super::users::{Related, User};
use super::Directory;

impl Directory {
    /// Adds a group and returns its pk; a group of the same name is returned as it is.
    pub fn add_group(&mut self, pk: Uuid, name: &str) -> Uuid {
        if let Some(group) = self.group_named(name) {
            return group.pk;
        }
        let key = self.next_group;
        self.next_group += 1;
        self.groups.insert(key, Group::new(pk, name));
        self.group_by_pk.insert(pk, key);
        self.group_by_name.insert(name.into(), key);
        pk
    }

    /// Deletes a group and all memberships in it.
    pub fn remove_group(&mut self, pk: Uuid) -> bool {
        let Some(key) = self.group_by_pk.remove(&pk) else {
            return false;
        };
        let Some(group) = self.groups.remove(&key) else {
            return false;
        };
        self.group_by_name.remove(&group.name);
        for member in &group.members {
            if let Some(user) = self.position(*member).and_then(|at| self.users.get_mut(at)) {
                user.groups.retain(|group| *group != key);
            }
        }
        for other in self.groups.values_mut() {
            other.parents.retain(|parent| *parent != key);
            other.children.retain(|child| *child != key);
        }
        self.settle_groups();
        true
    }

    /// Changes name, flags, roles or attributes of a group.
    pub fn change_group(&mut self, pk: Uuid, change: impl FnOnce(&mut Group)) -> bool {
        let Some(key) = self.group_by_pk.get(&pk).copied() else {
            return false;
        };
        let Some(group) = self.groups.get_mut(&key) else {
            return false;
        };
        let (name, superuser) = (group.name.clone(), group.is_superuser);
        change(group);
        group.pk = pk;
        group.render();
        let (renamed, new_name) = (group.name != name, group.name.clone());
        let superuser_changed = group.is_superuser != superuser;
        if renamed {
            self.group_by_name.remove(&name);
            self.group_by_name.insert(new_name, key);
        }
        if superuser_changed {
            self.settle_groups();
        }
        true
    }

    /// Replaces a group's parents.
    pub fn set_parents(&mut self, pk: Uuid, parents: &[Uuid]) {
        let Some(key) = self.group_by_pk.get(&pk).copied() else {
            return;
        };
        let parents: Vec<u32> = parents
            .iter()
            .filter_map(|parent| self.group_by_pk.get(parent).copied())
            .collect();
        for (other, group) in &mut self.groups {
            group.children.retain(|child| *child != key);
            if parents.contains(other) {
                group.children.push(key);
            }
        }
        if let Some(group) = self.groups.get_mut(&key) {
            group.parents = parents;
        }
        self.settle_groups();
    }

    /// Puts a user into a group.
    pub fn join(&mut self, user: i32, group: Uuid) {
        let Some(key) = self.group_by_pk.get(&group).copied() else {
            return;
        };
        let Some(at) = self.position(user) else { return };
        let (Some(user), Some(group)) = (self.users.get_mut(at), self.groups.get_mut(&key)) else {
            return;
        };
        if let Err(at) = group.members.binary_search(&user.pk) {
            group.members.insert(at, user.pk);
            user.groups.push(key);
        }
    }

    /// Takes a user out of a group.
    pub fn leave(&mut self, user: i32, group: Uuid) {
        let Some(key) = self.group_by_pk.get(&group).copied() else {
            return;
        };
        let Some(at) = self.position(user) else { return };
        let (Some(user), Some(group)) = (self.users.get_mut(at), self.groups.get_mut(&key)) else {
            return;
        };
        group.members.retain(|member| *member != user.pk);
        user.groups.retain(|group| *group != key);
    }

    /// Recomputes ancestors and inherited superuser flags.
    fn settle_groups(&mut self) {
        let lineage: Vec<(u32, Vec<u32>, bool)> = self
            .groups
            .keys()
            .map(|key| {
                let ancestors = self.climb(*key);
                let superuser = std::iter::once(key)
                    .chain(&ancestors)
                    .filter_map(|key| self.groups.get(key))
                    .any(|group| group.is_superuser);
                (*key, ancestors, superuser)
            })
            .collect();
        for (key, ancestors, superuser) in lineage {
            if let Some(group) = self.groups.get_mut(&key) {
                group.ancestors = ancestors;
                group.grants_superuser = superuser;
            }
        }
    }

    fn climb(&self, from: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![from];
        while let Some(key) = open.pop() {
            for parent in self
                .groups
                .get(&key)
                .map(|group| group.parents.as_slice())
                .unwrap_or_default()
            {
                if *parent != from && !found.contains(parent) {
                    found.push(*parent);
                    open.push(*parent);
                }
            }
        }
        found
    }

    /// Direct groups and all above them, each once.
    pub(crate) fn all_groups(&self, user: &User) -> Vec<&Group> {
        let mut keys = Vec::new();
        for key in &user.groups {
            let ancestors = self
                .groups
                .get(key)
                .map(|group| group.ancestors.as_slice())
                .unwrap_or_default();
            for key in std::iter::once(key).chain(ancestors) {
                if !keys.contains(key) {
                    keys.push(*key);
                }
            }
        }
        keys.iter().filter_map(|key| self.groups.get(key)).collect()
    }

    /// Membership, direct or through a group below.
    pub(crate) fn is_member(&self, user: i32, group: Uuid) -> bool {
        self.user(user)
            .is_some_and(|user| self.all_groups(user).iter().any(|other| other.pk == group))
    }

    /// Superuser through any group above.
    pub fn is_superuser(&self, user: &User) -> bool {
        user.groups
            .iter()
            .filter_map(|key| self.groups.get(key))
            .any(|group| group.grants_superuser)
    }

    pub(crate) fn related<'a>(&'a self, user: &User) -> Related<'a> {
        Related {
            is_superuser: self.is_superuser(user),
            groups: user
                .groups
                .iter()
                .filter_map(|key| self.groups.get(key))
                .map(|group| (group.pk, &*group.partial))
                .collect(),
            roles: self.role_objects(&user.roles),
        }
    }
}
