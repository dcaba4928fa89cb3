//! `core/users/`: filters, order, pages.

use uuid::Uuid;

use super::directory::Directory;
use super::filters::{self, AttributeFilter, Compare, Search};
use super::orders;
use super::pages::{Page, Sizes};
use super::query::Query;
use super::reply::Reply;
use super::users::{User, UserInclude, UserType};

type Bounds = Vec<(Compare, i64)>;

/// All conditions of one request.
#[derive(Debug, Default)]
struct Conditions {
    username: Option<String>,
    email: Option<String>,
    name: Option<String>,
    path: Option<String>,
    path_start: Option<String>,
    uuid: Option<Uuid>,
    is_active: Option<bool>,
    is_superuser: Option<bool>,
    kinds: Vec<UserType>,
    groups: Option<Vec<u32>>,
    roles: Option<Vec<Uuid>>,
    joined: Bounds,
    updated: Bounds,
    login: Bounds,
    login_is_null: Option<bool>,
    attributes: Option<AttributeFilter>,
    search: Option<Search>,
}

impl UserInclude {
    pub(crate) fn of(query: &Query) -> Self {
        Self {
            groups: query.switch("include_groups", true),
            roles: query.switch("include_roles", true),
        }
    }
}

/// The list a request asks for.
pub(crate) fn list(directory: &Directory, query: &Query, sizes: Sizes) -> Result<Reply, Reply> {
    let conditions = Conditions::read(directory, query)?;
    let order = orders::parse(query.get("ordering"));
    let include = UserInclude::of(query);
    if !conditions.any() {
        let page = Page::of(query, directory.users().len(), sizes)?;
        if order.as_slice() == [(orders::Field::Pk, false)] {
            let users: Vec<&User> = page.slice(directory.users()).iter().collect();
            return render(directory, &page, &users, include);
        }
        let all = directory.orders.of(directory.users(), &order);
        let users: Vec<&User> = page
            .slice(&all)
            .iter()
            .filter_map(|pk| directory.user(*pk))
            .collect();
        return render(directory, &page, &users, include);
    }
    let mut users = conditions.candidates(directory);
    users.retain(|user| conditions.hold(directory, user));
    orders::sort(&mut users, &order);
    let page = Page::of(query, users.len(), sizes)?;
    render(directory, &page, page.slice(&users), include)
}

/// One user as JSON; a poisoned one cannot be shown.
pub(crate) fn row(directory: &Directory, user: &User, include: UserInclude) -> Reply {
    if poisoned(directory, user, include) {
        return Reply::html(500, "Server Error");
    }
    let mut out = String::new();
    user.write(&mut out, &directory.related(user), include);
    Reply::ok(out)
}

fn render(directory: &Directory, page: &Page, users: &[&User], include: UserInclude) -> Result<Reply, Reply> {
    if users.iter().any(|user| poisoned(directory, user, include)) {
        return Err(Reply::html(500, "Server Error"));
    }
    Ok(Reply::page(
        users.len(),
        page.write(users, |out, user| {
            user.write(out, &directory.related(user), include)
        }),
    ))
}

fn poisoned(directory: &Directory, user: &User, include: UserInclude) -> bool {
    user.attributes.poisoned
        || include.groups
            && user
                .groups
                .iter()
                .filter_map(|key| directory.groups.get(key))
                .any(|group| group.attributes.poisoned)
}

impl Conditions {
    fn read(directory: &Directory, query: &Query) -> Result<Self, Reply> {
        let uuid = match filters::text(query, "uuid")? {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Reply::invalid("uuid", "Enter a valid UUID."))?,
            ),
        };
        let kinds = query
            .all("type")
            .map(|text| UserType::parse(text).ok_or_else(|| Reply::invalid_choice("type", text)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            username: filters::text(query, "username")?,
            email: filters::text(query, "email")?,
            name: filters::text(query, "name")?,
            path: filters::text(query, "path")?,
            path_start: filters::text(query, "path_startswith")?,
            uuid,
            is_active: filters::boolean(query, "is_active"),
            is_superuser: filters::boolean(query, "is_superuser"),
            kinds,
            groups: chosen_groups(directory, query)?,
            roles: chosen_roles(directory, query)?,
            joined: filters::times(query, "date_joined")?,
            updated: filters::times(query, "last_updated")?,
            login: filters::times(query, "last_login")?,
            login_is_null: filters::boolean(query, "last_login__isnull"),
            attributes: AttributeFilter::of(query)?,
            search: Search::of(query),
        })
    }

    fn any(&self) -> bool {
        self.username.is_some()
            || self.email.is_some()
            || self.name.is_some()
            || self.path.is_some()
            || self.path_start.is_some()
            || self.uuid.is_some()
            || self.is_active.is_some()
            || self.is_superuser.is_some()
            || !self.kinds.is_empty()
            || self.groups.is_some()
            || self.roles.is_some()
            || !self.joined.is_empty()
            || !self.updated.is_empty()
            || !self.login.is_empty()
            || self.login_is_null.is_some()
            || self.attributes.is_some()
            || self.search.is_some()
    }

    /// The users worth looking at: a name or an address is looked up, members come from their group.
    fn candidates<'a>(&self, directory: &'a Directory) -> Vec<&'a User> {
        let pks = if let Some(username) = &self.username {
            directory.usernames_folding_to(username)
        } else if let Some(email) = &self.email {
            directory.emails_folding_to(email)
        } else if let Some(groups) = &self.groups {
            let mut members: Vec<i32> = groups
                .iter()
                .filter_map(|key| directory.groups.get(key))
                .flat_map(|group| group.members.clone())
                .collect();
            members.sort_unstable();
            members.dedup();
            members
        } else {
            return directory.users().iter().collect();
        };
        pks.into_iter().filter_map(|pk| directory.user(pk)).collect()
    }

    fn hold(&self, directory: &Directory, user: &User) -> bool {
        let same = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        same(&self.username, &user.username)
            && same(&self.email, &user.email)
            && same(&self.name, &user.name)
            && same(&self.path, &user.path)
            && self
                .path_start
                .as_ref()
                .is_none_or(|start| user.path.starts_with(start.as_str()))
            && self.uuid.is_none_or(|uuid| uuid == user.uuid)
            && self.is_active.is_none_or(|active| active == user.is_active)
            && self
                .is_superuser
                .is_none_or(|superuser| superuser == directory.is_superuser(user))
            && (self.kinds.is_empty() || self.kinds.contains(&user.kind))
            && self
                .groups
                .as_ref()
                .is_none_or(|groups| user.groups.iter().any(|key| groups.contains(key)))
            && self
                .roles
                .as_ref()
                .is_none_or(|roles| user.roles.iter().any(|role| roles.contains(role)))
            && filters::within(user.date_joined, &self.joined)
            && filters::within(user.last_updated, &self.updated)
            && (self.login.is_empty() || user.last_login.is_some_and(|at| filters::within(at, &self.login)))
            && self
                .login_is_null
                .is_none_or(|null| null == user.last_login.is_none())
            && self
                .attributes
                .as_ref()
                .is_none_or(|filter| filter.matches(&user.attributes))
            && self.search.as_ref().is_none_or(|search| {
                let uuid = user.uuid.to_string();
                search.matches(&[
                    ("email", &user.email),
                    ("name", &user.name),
                    ("uuid", &uuid),
                    ("username", &user.username),
                ])
            })
    }
}

fn chosen_groups(directory: &Directory, query: &Query) -> Result<Option<Vec<u32>>, Reply> {
    if !query.has("groups_by_name") && !query.has("groups_by_pk") {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for name in query.all("groups_by_name") {
        keys.push(
            directory
                .group_key_named(name)
                .ok_or_else(|| Reply::invalid_choice("groups_by_name", name))?,
        );
    }
    for pk in query.all("groups_by_pk") {
        let uuid = parse_uuid("groups_by_pk", pk)?;
        keys.push(
            directory
                .group_key(uuid)
                .ok_or_else(|| Reply::invalid_choice("groups_by_pk", pk))?,
        );
    }
    Ok(Some(keys))
}

fn chosen_roles(directory: &Directory, query: &Query) -> Result<Option<Vec<Uuid>>, Reply> {
    if !query.has("roles_by_name") && !query.has("roles_by_pk") {
        return Ok(None);
    }
    let mut found = Vec::new();
    for name in query.all("roles_by_name") {
        let role = directory.roles.values().find(|role| role.name == name);
        found.push(
            role.ok_or_else(|| Reply::invalid_choice("roles_by_name", name))?
                .pk,
        );
    }
    for pk in query.all("roles_by_pk") {
        let role = directory.roles.get(&parse_uuid("roles_by_pk", pk)?);
        found.push(role.ok_or_else(|| Reply::invalid_choice("roles_by_pk", pk))?.pk);
    }
    Ok(Some(found))
}

fn parse_uuid(field: &str, text: &str) -> Result<Uuid, Reply> {
    text.parse()
        .map_err(|_| Reply::invalid(field, &format!("“{text}” is not a valid UUID.")))
}
