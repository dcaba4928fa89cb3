//! `core/groups/`: filters, order, pages, rows.

use std::fmt::Write;

use uuid::Uuid;

use super::directory::Directory;
use super::filters::{self, AttributeFilter, Search};
use super::groups::{Group, GroupInclude};
use super::pages::{Page, Sizes};
use super::query::Query;
use super::reply::Reply;
use super::users::{write_objects, write_related};

impl GroupInclude {
    pub(crate) fn of(query: &Query) -> Self {
        Self {
            users: query.switch("include_users", true),
            parents: query.switch("include_parents", false),
            children: query.switch("include_children", false),
            inherited_roles: query.switch("include_inherited_roles", false),
        }
    }
}

/// The list a request asks for.
pub(crate) fn list(directory: &Directory, query: &Query, sizes: Sizes) -> Result<Reply, Reply> {
    let name = filters::text(query, "name")?;
    let superuser = filters::boolean(query, "is_superuser");
    let attributes = AttributeFilter::of(query)?;
    let search = Search::of(query);
    let members = chosen_members(directory, query)?;
    let mut groups: Vec<&Group> = match &name {
        Some(name) => directory.group_named(name).into_iter().collect(),
        None => directory.groups.values().collect(),
    };
    groups.retain(|group| {
        superuser.is_none_or(|superuser| superuser == group.is_superuser)
            && members
                .as_ref()
                .is_none_or(|members| members.iter().any(|pk| group.members.binary_search(pk).is_ok()))
            && attributes
                .as_ref()
                .is_none_or(|filter| filter.matches(&group.attributes))
            && search
                .as_ref()
                .is_none_or(|search| search.matches(&[("name", &group.name)]))
    });
    sort(&mut groups, query.get("ordering").unwrap_or_default());
    let page = Page::of(query, groups.len(), sizes)?;
    let include = GroupInclude::of(query);
    let rows = page.slice(&groups);
    if rows.iter().any(|group| poisoned(directory, group, include)) {
        return Err(Reply::html(500, "Server Error"));
    }
    Ok(Reply::page(
        rows.len(),
        page.write(rows, |out, group| write(directory, out, group, include)),
    ))
}

/// One group as JSON.
pub(crate) fn row(directory: &Directory, group: &Group, include: GroupInclude) -> Reply {
    if poisoned(directory, group, include) {
        return Reply::html(500, "Server Error");
    }
    let mut out = String::new();
    write(directory, &mut out, group, include);
    Reply::ok(out)
}

fn sort(groups: &mut [&Group], ordering: &str) {
    let keys: Vec<(&str, bool)> = ordering
        .split(',')
        .map(|name| {
            name.trim()
                .strip_prefix('-')
                .map_or((name.trim(), false), |name| (name, true))
        })
        .filter(|(name, _)| matches!(*name, "pk" | "group_uuid" | "name" | "is_superuser"))
        .collect();
    groups.sort_by(|a, b| {
        keys.iter()
            .map(|(name, backwards)| {
                let ordering = match *name {
                    "pk" | "group_uuid" => a.pk.cmp(&b.pk),
                    "is_superuser" => a.is_superuser.cmp(&b.is_superuser),
                    _ => a.name.cmp(&b.name),
                };
                if *backwards { ordering.reverse() } else { ordering }
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| a.name.cmp(&b.name))
    });
}

fn chosen_members(directory: &Directory, query: &Query) -> Result<Option<Vec<i32>>, Reply> {
    if !query.has("members_by_pk") && !query.has("members_by_username") {
        return Ok(None);
    }
    let mut members = Vec::new();
    for text in query.all("members_by_pk") {
        let pk: i32 = text
            .trim()
            .parse()
            .map_err(|_| Reply::invalid("members_by_pk", &format!("“{text}” is not a valid value.")))?;
        let user = directory
            .user(pk)
            .ok_or_else(|| Reply::invalid_choice("members_by_pk", text))?;
        members.push(user.pk);
    }
    for name in query.all("members_by_username") {
        let user = directory
            .user_named(name)
            .ok_or_else(|| Reply::invalid_choice("members_by_username", name))?;
        members.push(user.pk);
    }
    Ok(Some(members))
}

fn poisoned(directory: &Directory, group: &Group, include: GroupInclude) -> bool {
    let related = |keys: &[u32]| {
        keys.iter()
            .filter_map(|key| directory.groups.get(key))
            .any(|group| group.attributes.poisoned)
    };
    group.attributes.poisoned
        || include.parents && related(&group.parents)
        || include.children && related(&group.children)
        || include.users
            && group
                .members
                .iter()
                .filter_map(|pk| directory.user(*pk))
                .any(|user| user.attributes.poisoned)
}

fn write(directory: &Directory, out: &mut String, group: &Group, include: GroupInclude) {
    group.write_head(out);
    write_related(
        out,
        "parents",
        &relatives(directory, &group.parents),
        include.parents,
    );
    out.push_str(",\"users\":[");
    for (at, pk) in group.members.iter().enumerate() {
        let _ = write!(out, "{}{pk}", if at == 0 { "" } else { "," });
    }
    out.push_str("],\"users_obj\":");
    if include.users {
        out.push('[');
        for (at, user) in group
            .members
            .iter()
            .filter_map(|pk| directory.user(*pk))
            .enumerate()
        {
            if at > 0 {
                out.push(',');
            }
            user.write_partial(out);
        }
        out.push(']');
    } else {
        out.push_str("null");
    }
    let _ = write!(out, ",\"attributes\":{}", group.attributes.text);
    write_related(out, "roles", &directory.role_objects(&group.roles), true);
    out.push_str(",\"inherited_roles_obj\":");
    let inherited = inherited_roles(directory, group);
    write_objects(
        out,
        inherited.iter().map(|(_, object)| *object),
        include.inherited_roles,
    );
    write_related(
        out,
        "children",
        &relatives(directory, &group.children),
        include.children,
    );
    out.push('}');
}

fn relatives<'a>(directory: &'a Directory, keys: &[u32]) -> Vec<(Uuid, &'a str)> {
    keys.iter()
        .filter_map(|key| directory.groups.get(key))
        .map(|group| (group.pk, &*group.related))
        .collect()
}

fn inherited_roles<'a>(directory: &'a Directory, group: &Group) -> Vec<(Uuid, &'a str)> {
    let mut roles: Vec<Uuid> = Vec::new();
    for ancestor in group.ancestors.iter().filter_map(|key| directory.groups.get(key)) {
        for role in &ancestor.roles {
            if !roles.contains(role) && !group.roles.contains(role) {
                roles.push(*role);
            }
        }
    }
    directory.role_objects(&roles)
}
