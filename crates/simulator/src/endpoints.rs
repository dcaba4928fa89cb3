//! The endpoints an outpost reads: lists and single objects, access checks, the caller itself.

use axum::http::{HeaderName, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use super::caller::Caller;
use super::directory::Directory;
use super::pages::{Page, Sizes};
use super::query::Query;
use super::reply::{JSON, Reply};
use super::request::{Circumstances, Request};
use super::users::{User, UserInclude, UserType};
use super::{group_list, groups, passwords, user_list};

/// Answers a request that is not for a flow.
pub(crate) fn endpoint(
    directory: &Directory,
    caller: &Caller,
    parts: &[&str],
    request: &Request<'_>,
    given: Circumstances,
) -> Reply {
    let query = Query::parse(request.raw_query);
    if !reads(request)
        && matches!(
            parts,
            ["root", ..] | ["admin", ..] | ["core", "users", "me"] | ["outposts", "ldap", ..]
        )
    {
        return Reply::detail(405, &format!("Method \"{}\" not allowed.", request.method));
    }
    let reply = match parts {
        ["root", "config"] => Ok(Reply::ok(directory.root_config.to_string())),
        ["admin", "version"] => signed_in(caller).map(|_| version(directory)),
        ["core", "users", "me"] => signed_in(caller).and_then(|pk| me(directory, pk)),
        ["stages", "all", "user_settings"] => {
            signed_in(caller).and_then(|_| only_reading(request).map(|()| passwords::settings(directory)))
        }
        ["core", "users"] => reader(directory, caller)
            .and_then(|_| only_reading(request))
            .and_then(|()| user_list::list(directory, &query, given.sizes)),
        ["core", "users", pk] => reader(directory, caller)
            .and_then(|_| only_reading(request))
            .and_then(|()| {
                let pk: i32 = pk.parse().map_err(|_| Reply::detail(404, "Not found."))?;
                let user = directory.user(pk).ok_or_else(|| Reply::no_match("User"))?;
                Ok(user_list::row(directory, user, UserInclude::of(&query)))
            }),
        ["core", "groups"] => reader(directory, caller)
            .and_then(|_| only_reading(request))
            .and_then(|()| group_list::list(directory, &query, given.sizes)),
        ["core", "groups", pk] => reader(directory, caller)
            .and_then(|_| only_reading(request))
            .and_then(|()| {
                let pk: Uuid = pk.parse().map_err(|_| Reply::detail(404, "Not found."))?;
                let group = directory.group(pk).ok_or_else(|| Reply::no_match("Group"))?;
                Ok(group_list::row(
                    directory,
                    group,
                    groups::GroupInclude::of(&query),
                ))
            }),
        ["outposts", "instances"] => {
            let account =
                reader(directory, caller).and_then(|account| only_reading(request).map(|()| account));
            account.and_then(|account| instances(directory, account, &query, given.sizes))
        }
        ["outposts", "ldap"] => {
            reader(directory, caller).and_then(|account| providers(directory, account, &query, given.sizes))
        }
        ["outposts", "ldap", pk, "check_access"] => check_access(directory, caller, pk, &query, given),
        ["crypto", "certificatekeypairs", rest @ ..] => {
            let account =
                reader(directory, caller).and_then(|account| only_reading(request).map(|()| account));
            account.and_then(|account| certificates(directory, account, rest, &query, given.sizes))
        }
        _ => Err(Reply::html(404, "Not Found")),
    };
    let mut reply = reply.unwrap_or_else(|refused| refused);
    if reply.content_type == JSON {
        reply
            .headers
            .push((HeaderName::from_static("allow"), "GET, HEAD, OPTIONS".into()));
    }
    reply
}

fn signed_in(caller: &Caller) -> Result<i32, Reply> {
    caller.user().ok_or_else(Reply::not_authenticated)
}

/// Outposts' accounts and superusers may read lists; other users may not.
fn reader(directory: &Directory, caller: &Caller) -> Result<i32, Reply> {
    let pk = signed_in(caller)?;
    let user = directory.user(pk).ok_or_else(Reply::not_authenticated)?;
    let allowed = user.kind == UserType::InternalServiceAccount || directory.is_superuser(user);
    if allowed { Ok(pk) } else { Err(Reply::forbidden()) }
}

/// An outpost may change nothing.
fn only_reading(request: &Request<'_>) -> Result<(), Reply> {
    if reads(request) {
        Ok(())
    } else {
        Err(Reply::forbidden())
    }
}

fn reads(request: &Request<'_>) -> bool {
    matches!(*request.method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn version(directory: &Directory) -> Reply {
    Reply::json(
        200,
        &json!({
            "version_current": directory.version, "version_latest": "0.0.0", "version_latest_valid": false,
            "build_hash": "", "outdated": false, "outpost_outdated": false,
        }),
    )
}

fn me(directory: &Directory, pk: i32) -> Result<Reply, Reply> {
    let user = directory.user(pk).ok_or_else(Reply::not_authenticated)?;
    let mut all = directory.all_groups(user);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let groups: Vec<Value> = all
        .iter()
        .map(|group| json!({"name": &*group.name, "pk": group.pk.to_string()}))
        .collect();
    let roles: Vec<Value> = directory
        .held_roles(user)
        .iter()
        .filter_map(|role| directory.roles.get(role))
        .map(|role| json!({"name": role.name, "pk": role.pk.to_string()}))
        .collect();
    let superuser = directory.is_superuser(user);
    let permissions: &[&str] = if superuser { &SYSTEM_PERMISSIONS } else { &[] };
    Ok(Reply::json(
        200,
        &json!({"user": {
            "pk": user.pk, "username": &*user.username, "name": &*user.name, "is_active": user.is_active,
            "is_superuser": superuser, "groups": groups, "roles": roles, "email": &*user.email,
            "avatar": user.avatar(), "uid": user.uid_hex(), "settings": settings(user, &all),
            "type": user.kind.as_str(), "system_permissions": permissions,
        }}),
    ))
}

/// The global permissions a superuser's session shows.
const SYSTEM_PERMISSIONS: [&str; 16] = [
    "view_system_info",
    "view_role",
    "change_role",
    "edit_system_settings",
    "add_role",
    "view_system_settings",
    "assign_role_permissions",
    "delete_role",
    "unassign_role_permissions",
    "view_media_files",
    "delete_initialpermissions",
    "view_initialpermissions",
    "add_initialpermissions",
    "change_initialpermissions",
    "access_admin_interface",
    "manage_media_files",
];

/// The `settings` attribute of the user over those of the groups.
fn settings(user: &User, groups: &[&groups::Group]) -> Value {
    let mut merged = serde_json::Map::new();
    for attributes in groups
        .iter()
        .map(|group| group.attributes())
        .chain([user.attributes()])
    {
        if let Some(Value::Object(settings)) = attributes.get("settings") {
            merged.extend(settings.clone());
        }
    }
    Value::Object(merged)
}

fn instances(directory: &Directory, account: i32, query: &Query, sizes: Sizes) -> Result<Reply, Reply> {
    let mut outposts = directory.outposts_of(account);
    outposts.retain(|outpost| {
        query
            .get("name__iexact")
            .is_none_or(|name| outpost.name.eq_ignore_ascii_case(name))
    });
    let page = Page::of(query, outposts.len(), sizes)?;
    Ok(Reply::ok(page.write(page.slice(&outposts), |out, outpost| {
        out.push_str(&directory.outpost_row(outpost).to_string());
    })))
}

fn providers(directory: &Directory, account: i32, query: &Query, sizes: Sizes) -> Result<Reply, Reply> {
    let mut providers = directory.providers_of(account);
    providers.retain(|provider| {
        query
            .get("name")
            .is_none_or(|name| name.is_empty() || provider.name == name)
    });
    let page = Page::of(query, providers.len(), sizes)?;
    Ok(Reply::ok(page.write(page.slice(&providers), |out, provider| {
        out.push_str(&provider.outpost_row().to_string());
    })))
}

fn check_access(
    directory: &Directory,
    caller: &Caller,
    pk: &str,
    query: &Query,
    given: Circumstances,
) -> Result<Reply, Reply> {
    let pk: i32 = pk.parse().map_err(|_| Reply::no_match("LDAPProvider"))?;
    let provider = directory
        .providers
        .get(&pk)
        .ok_or_else(|| Reply::no_match("LDAPProvider"))?;
    let slug = query
        .get("app_slug")
        .ok_or_else(|| Reply::html(500, "Server Error"))?;
    let application = directory
        .applications
        .get(slug)
        .ok_or_else(|| Reply::no_match("Application"))?;
    let passing = given.passing_for_anyone || directory.passes(application, caller.user());
    let search = caller
        .user()
        .is_some_and(|user| directory.may_search(user, provider.pk));
    Ok(Reply::json(
        200,
        &json!({"has_search_permission": search, "access": {"passing": passing, "messages": [], "log_messages": []}}),
    ))
}

fn certificates(
    directory: &Directory,
    account: i32,
    rest: &[&str],
    query: &Query,
    sizes: Sizes,
) -> Result<Reply, Reply> {
    let all = directory
        .user(account)
        .is_some_and(|user| directory.is_superuser(user));
    let providers = directory.providers_of(account);
    let mut visible: Vec<_> = directory
        .certificates
        .values()
        .filter(|pair| {
            all || providers
                .iter()
                .any(|provider| provider.certificate == Some(pair.pk))
        })
        .collect();
    let Some((pk, view)) = rest.split_first() else {
        visible.sort_by(|a, b| a.name.cmp(&b.name));
        let page = Page::of(query, visible.len(), sizes)?;
        return Ok(Reply::ok(page.write(page.slice(&visible), |out, pair| {
            out.push_str(&pair.row().to_string())
        })));
    };
    let pk: Uuid = pk.parse().map_err(|_| Reply::detail(404, "Not found."))?;
    let pair = visible
        .iter()
        .find(|pair| pair.pk == pk)
        .ok_or_else(|| Reply::no_match("CertificateKeyPair"))?;
    match view {
        [] => Ok(Reply::json(200, &pair.row())),
        ["view_certificate"] => Ok(Reply::json(200, &json!({"data": pair.certificate_pem}))),
        ["view_private_key"] => Ok(Reply::json(200, &json!({"data": pair.key_pem}))),
        _ => Err(Reply::html(404, "Not Found")),
    }
}
