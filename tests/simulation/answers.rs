//! What authentik answers: its lists, its configuration, access, and the flow that logs somebody in. One call is carried out
//! at one moment.

use akldap_authentik::transport::{Reply, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, DATE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use crate::plan::{Direct, PROVIDERS, SECRETS};
use crate::time::{at, now, parse};
use crate::world::{Flow, Granted, World, base, uid};

pub const UNBIND_FLOW: &str = "default-invalidation-flow";
const NO_SESSION: &str = "authentik_session=; Max-Age=0; Path=/";

/// An answer, and the sessions that ended by it.
pub struct Answered {
    pub reply: Reply,
    pub ended: Vec<String>,
}

pub fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let date = httpdate::fmt_http_date(at(now()));
    headers.insert(DATE, HeaderValue::from_str(&date).expect("a date is text"));
    Reply {
        status,
        headers,
        body: body.into(),
    }
}

fn object(value: &Value) -> Reply {
    reply(200, value.to_string())
}

/// Carries out a request.
pub fn answer(world: &mut World, request: &Request) -> Answered {
    let path = request.url.path().strip_prefix("/api/v3/").unwrap_or_default();
    let get = |name: &str| {
        let mut pairs = request.url.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let reply = match parts.as_slice() {
        ["flows", "executor", slug] => return flow(world, request, slug),
        ["core", "users"] => users(world, &get),
        ["core", "users", "me"] => me(world, request),
        ["core", "users", pk] => match user(world, pk) {
            Some(text) => reply(200, text),
            None => reply(404, r#"{"detail":"No User matches the given query."}"#),
        },
        ["core", "groups"] => {
            let rows: Vec<String> = (0..world.groups.len())
                .map(|group| world.group_json(group))
                .collect();
            page(&rows, &get, world.setting.page)
        }
        ["outposts", "instances"] => {
            let served = world
                .providers
                .iter()
                .enumerate()
                .filter(|(_, provider)| *provider.served.now());
            let served: Vec<usize> = served.map(|(provider, _)| provider + 1).collect();
            let row = json!({
                "pk": "00000000-0000-4000-a000-000000000001", "name": "outpost", "type": "ldap", "providers": served,
                "refresh_interval_s": 300, "config": {}, "managed": null,
            });
            page(&[row.to_string()], &get, 100)
        }
        ["outposts", "ldap"] => {
            world.providers_read.push(now());
            providers(world, &get)
        }
        ["outposts", "ldap", pk, "check_access"] => access(world, request, pk, &get),
        ["root", "config"] => object(&json!({"cache_timeout_flows": 300, "capabilities": []})),
        ["admin", "version"] => object(&json!({"version_current": "2026.5.4"})),
        _ => reply(404, r#"{"detail":"Not found."}"#),
    };
    Answered {
        reply,
        ended: Vec::new(),
    }
}

fn user(world: &mut World, pk: &str) -> Option<String> {
    let person = pk.parse::<usize>().ok()?.checked_sub(1)?;
    world.people.get(person)?.row.now().as_ref()?;
    Some(world.user_json(person).to_owned())
}

fn users(world: &mut World, get: &impl Fn(&str) -> Option<String>) -> Reply {
    let mut people = world.present();
    if let Some(after) = get("last_updated__gt") {
        let after = parse(&after);
        people.retain(|person| world.updated(*person) > after);
    }
    let ordering = get("ordering").unwrap_or_default();
    if ordering.contains("last_updated") {
        people.sort_by_key(|person| (world.updated(*person), *person));
    }
    if ordering.starts_with('-') {
        people.reverse();
    }
    // Only what is on the page is written.
    let size = page_size(get, world.setting.page);
    let first = (page_number(get) - 1) * size;
    let rows: Vec<String> = people
        .iter()
        .enumerate()
        .map(|(index, person)| match (first..first + size).contains(&index) {
            true => world.user_json(*person).to_owned(),
            false => String::new(),
        })
        .collect();
    page(&rows, get, world.setting.page)
}

fn page_size(get: &impl Fn(&str) -> Option<String>, most: usize) -> usize {
    let asked = get("page_size").and_then(|size| size.parse().ok()).unwrap_or(20);
    most.min(asked).max(1)
}

fn page_number(get: &impl Fn(&str) -> Option<String>) -> usize {
    let asked = get("page").and_then(|page| page.parse::<usize>().ok());
    asked.unwrap_or(1).max(1)
}

fn page(rows: &[String], get: &impl Fn(&str) -> Option<String>, most: usize) -> Reply {
    let (size, number) = (page_size(get, most), page_number(get));
    let pages = rows.len().div_ceil(size).max(1);
    if number > pages {
        return reply(404, r#"{"detail":"Invalid page."}"#);
    }
    let first = (number - 1) * size;
    let last = (first + size).min(rows.len());
    let next = if number < pages { number + 1 } else { 0 };
    let start = if rows.is_empty() { 0 } else { first + 1 };
    reply(
        200,
        format!(
            "{{\"pagination\":{{\"next\":{next},\"previous\":{},\"count\":{},\"current\":{number},\"total_pages\":{pages},\
             \"start_index\":{start},\"end_index\":{last}}},\"results\":[{}],\"autocomplete\":{{}}}}",
            number - 1,
            rows.len(),
            rows[first..last].join(",")
        ),
    )
}

fn providers(world: &World, get: &impl Fn(&str) -> Option<String>) -> Reply {
    let served = world
        .providers
        .iter()
        .enumerate()
        .filter(|(_, provider)| *provider.served.now());
    let rows: Vec<String> = served
        .map(|(number, provider)| {
            json!({
                "pk": number + 1, "name": format!("ldap{number}"), "base_dn": base(number), "bind_flow_slug": "bind",
                "unbind_flow_slug": world.setting.unbind.then_some(UNBIND_FLOW),
                "application_slug": format!("app{}", provider.application.now()), "certificate": null, "tls_server_name": "",
                "uid_start_number": 2000, "gid_start_number": 4000, "search_mode": if number == 0 && world.setting.direct != Direct::No { "direct" } else { "cached" },
                "bind_mode": if *provider.cached.now() { "cached" } else { "direct" }, "mfa_support": true,
            })
            .to_string()
        })
        .collect();
    page(&rows, get, 100)
}

fn cookie(request: &Request) -> Option<&str> {
    let text = request.headers.get(COOKIE)?.to_str().ok()?;
    let mut pairs = text.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == "authentik_session")
        .map(|(_, value)| value)
}

/// The session a request comes with, and who is logged in by it and may be.
fn caller(world: &mut World, request: &Request) -> Option<(String, usize)> {
    let sid = world.session_of(cookie(request)?)?;
    let person = world.sessions.get(&sid)?.person?;
    let active = world.people[person]
        .row
        .now()
        .as_ref()
        .is_some_and(|row| row.active);
    active.then_some((sid, person))
}

fn access(world: &mut World, request: &Request, pk: &str, get: &impl Fn(&str) -> Option<String>) -> Reply {
    let provider = pk.parse::<usize>().ok().and_then(|pk| pk.checked_sub(1));
    let slug = get("app_slug").unwrap_or_default();
    let application = (0..PROVIDERS).find(|application| format!("app{application}") == slug);
    let (Some(provider), Some(application)) =
        (provider.filter(|provider| *provider < PROVIDERS), application)
    else {
        return reply(404, r#"{"detail":"Not found."}"#);
    };
    let found = caller(world, request);
    let (passing, search) = match &found {
        Some((sid, person)) => {
            let person = &world.people[*person];
            let answer = (
                *person.access[application].now(),
                *person.permission[provider].now(),
            );
            // The question was whether the application that the provider was under, as the server knew it, lets them in.
            if answer.0
                && let Some(granted) = world.sessions.get(sid).and_then(|session| session.granted)
            {
                world.granted[granted].passed.push((now(), provider, answer.1));
            }
            answer
        }
        None => (false, false),
    };
    let mut reply = object(&json!({
        "has_search_permission": search, "access": {"passing": passing, "messages": [], "log_messages": []},
    }));
    if found.is_none() {
        reply
            .headers
            .append(SET_COOKIE, HeaderValue::from_static(NO_SESSION));
    }
    reply
}

fn me(world: &mut World, request: &Request) -> Reply {
    let Some((_, person)) = caller(world, request) else {
        return reply(
            403,
            r#"{"detail":"Authentication credentials were not provided."}"#,
        );
    };
    let row = world.people[person].row.now().clone();
    let row = row.expect("a caller is there");
    object(&json!({"user": {
        "pk": person + 1, "username": row.name, "uid": uid(person), "is_active": row.active,
    }}))
}

fn flow(world: &mut World, request: &Request, slug: &str) -> Answered {
    let known = cookie(request).and_then(|cookie| world.session_of(cookie));
    if slug == UNBIND_FLOW {
        let mut reply = object(&json!({"component": "xak-flow-redirect", "to": "/"}));
        reply
            .headers
            .append(SET_COOKIE, HeaderValue::from_static(NO_SESSION));
        let ended = known.filter(|sid| !world.keeps_sessions && world.end_session(sid));
        return Answered {
            reply,
            ended: ended.into_iter().collect(),
        };
    }
    let sid = known.unwrap_or_else(|| world.open_session(None));
    let (reply, sid) = step(world, request, sid);
    Answered {
        reply: with_cookie(world, reply, &sid),
        ended: Vec::new(),
    }
}

fn with_cookie(world: &mut World, mut reply: Reply, sid: &str) -> Reply {
    let Some(session) = world.sessions.get(sid) else {
        return reply;
    };
    let sub = session.person.map_or_else(|| "anonymous".to_owned(), uid);
    let claims =
        json!({"sid": sid, "iss": "authentik", "sub": sub, "authenticated": session.person.is_some()});
    let value = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let age = match world.setting.session {
        0 => String::new(),
        _ => format!("; expires={}", httpdate::fmt_http_date(at(session.expires))),
    };
    let text = format!("authentik_session={value}; HttpOnly; Path=/{age}");
    world.cookies.insert(value, sid.to_owned());
    let text = HeaderValue::from_str(&text).expect("a cookie is text");
    reply.headers.append(SET_COOKIE, text);
    reply
}

fn identification(failed: bool) -> Reply {
    let errors = match failed {
        true => json!({"non_field_errors": [{"string": "Failed to authenticate.", "code": "invalid"}]}),
        false => json!({}),
    };
    object(&json!({
        "component": "ak-stage-identification", "user_fields": ["username", "email"], "password_fields": true,
        "response_errors": errors,
    }))
}

/// One request to the bind flow: identification with the password, a code for those who have a device, the login.
fn step(world: &mut World, request: &Request, sid: String) -> (Reply, String) {
    let pending = world.sessions.get(&sid).and_then(|session| session.flow.clone());
    if request.method == Method::POST {
        let body = request.body.as_deref().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let reply = match pending {
            Some(flow) if flow.wants_code => code(world, request, &sid, flow, &body),
            _ => identify(world, request, &sid, &body),
        };
        return (reply, sid);
    }
    match pending {
        None => (identification(false), sid),
        Some(flow) if flow.wants_code => (devices(false), sid),
        Some(flow) => log_in(world, request, sid, flow),
    }
}

fn set_flow(world: &mut World, sid: &str, flow: Option<Flow>) {
    if let Some(session) = world.sessions.get_mut(sid) {
        session.flow = flow;
    }
}

fn onwards(request: &Request) -> Reply {
    let url = &request.url;
    let to = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let mut reply = reply(302, "");
    reply
        .headers
        .insert(LOCATION, HeaderValue::from_str(&to).expect("a URL is text"));
    reply
}

fn identify(world: &mut World, request: &Request, sid: &str, body: &Value) -> Reply {
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    // As the stage is set by default: names are compared without case, and everybody's are in small letters.
    let (name, secret) = (text("uid_field").to_lowercase(), text("password"));
    let found = world.identify(&name).filter(|person| {
        let person = &world.people[*person];
        let active = person.row.now().as_ref().is_some_and(|row| row.active);
        active && SECRETS.get(*person.password.now()) == Some(&secret.as_str())
    });
    let Some(person) = found else {
        return identification(true);
    };
    let wants_code = world.people[person].device.is_some();
    let flow = Flow {
        identified: now(),
        person,
        name,
        secret,
        code: false,
        wants_code,
    };
    set_flow(world, sid, Some(flow));
    onwards(request)
}

fn devices(failed: bool) -> Reply {
    let errors = match failed {
        true => json!({"code": [{"string": "Invalid Token.", "code": "invalid"}]}),
        false => json!({}),
    };
    object(&json!({
        "component": "ak-stage-authenticator-validate", "response_errors": errors, "configuration_stages": [],
        "device_challenges": [{"device_class": "totp", "device_uid": "1", "challenge": {}, "last_used": null}],
    }))
}

fn code(world: &mut World, request: &Request, sid: &str, flow: Flow, body: &Value) -> Reply {
    let given = body.get("code").and_then(Value::as_str).unwrap_or_default();
    let sent = (given.to_owned(), client(request));
    *world.codes_sent.entry(sent).or_default() += 1;
    let device = world.people[flow.person].device.as_mut();
    let good = device.and_then(|device| {
        let index = device.good.iter().position(|code| code == given)?;
        Some(device.good.remove(index))
    });
    if good.is_none() {
        return devices(true);
    }
    let flow = Flow {
        secret: format!("{};{given}", flow.secret),
        code: true,
        wants_code: false,
        ..flow
    };
    set_flow(world, sid, Some(flow));
    onwards(request)
}

/// The client for whom a request is made.
fn client(request: &Request) -> String {
    let client = request.headers.get("x-authentik-remote-ip");
    let client = client.and_then(|client| client.to_str().ok());
    client.unwrap_or_default().to_owned()
}

fn log_in(world: &mut World, request: &Request, sid: String, flow: Flow) -> (Reply, String) {
    let active = world.people[flow.person]
        .row
        .now()
        .as_ref()
        .is_some_and(|row| row.active);
    if !active {
        set_flow(world, &sid, None);
        let denied = json!({"component": "ak-stage-access-denied", "error_message": "Unknown error"});
        return (object(&denied), sid);
    }
    world.sessions.remove(&sid);
    let sid = world.open_session(Some(flow.person));
    let granted = world.granted.len();
    if let Some(session) = world.sessions.get_mut(&sid) {
        session.granted = Some(granted);
    }
    let expires = (world.setting.session > 0).then(|| now() + world.setting.session * crate::time::SECOND);
    world.granted.push(Granted {
        identified: flow.identified,
        at: now(),
        person: flow.person,
        name: flow.name,
        secret: flow.secret,
        code: flow.code,
        sid: sid.clone(),
        client: client(request),
        passed: Vec::new(),
        ended: None,
        heard: None,
        expires,
    });
    let finished = json!({"component": "xak-flow-redirect", "to": "/"});
    (object(&finished), sid)
}
