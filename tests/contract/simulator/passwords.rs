//! Password changes: the simulator against what authentik 2025.10 was recorded to answer, step by step.

use std::collections::BTreeMap;

use akldap_simulator::{Directory, Options, Role, Simulator, User, UserSetting, UserType};
use akldap_testing::recordings;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::browser::{FLOW, json_of};

/// Whose the recorded sessions are, by the beginning of their `sub`: user name and pk.
const PEOPLE: [(&str, &str, i32); 3] = [
    ("931b60cd", "ext.partner", 61),
    ("f7ac4487", "plain.user", 9),
    ("296b1942", "agent", 77),
];

/// The claims of a session cookie.
fn claims(cookie: &str) -> Value {
    let payload = cookie.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("claims")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_array().expect("headers");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    pairs
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .collect()
}

/// The recorded installation, as far as these exchanges show it.
fn directory() -> Directory {
    let mut directory = Directory::sample(0, 0);
    for (_, name, pk) in PEOPLE {
        directory.add_user(User::new(pk, name, name, ""));
    }
    let role = uuid::Uuid::from_u128(1);
    let mut agents = Role::new(role, "agents");
    agents.permissions = vec!["reset_user_password".to_owned(), "view_user".to_owned()];
    directory.roles.insert(role, agents);
    directory.change_user(77, |user| {
        user.kind = UserType::ServiceAccount;
        user.roles = vec![role];
    });
    let offered = text(
        &recordings::passwords()["w01-self-ok/01-user-settings"]["response"],
        "body",
    );
    let offered: Vec<Value> = serde_json::from_str(offered).expect("a list");
    directory.user_settings = offered
        .iter()
        .map(|setting| UserSetting {
            title: text(setting, "title").to_owned(),
            component: text(setting, "component").to_owned(),
            stage: text(setting, "object_uid").parse().expect("a UUID"),
            flow: Some(match text(setting, "component") {
                "ak-user-settings-password" => akldap_simulator::PASSWORD_CHANGE.to_owned(),
                other => other.to_owned(),
            }),
        })
        .collect();
    directory
}

struct PasswordReplay {
    simulator: Simulator,
    client: reqwest::Client,
    /// Recorded session keys, and the cookies they are here.
    sessions: BTreeMap<String, (String, String)>,
}

/// One that follows no redirect.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.build().expect("a client")
}

/// The value of a cookie among those that are set.
fn set(headers: &HeaderMap, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    let set = headers.get_all("set-cookie").iter();
    set.filter_map(|value| value.to_str().ok()?.strip_prefix(&prefix))
        .map(|rest| rest.split(';').next().unwrap_or_default().to_owned())
        .next_back()
}

impl PasswordReplay {
    async fn log_in(&self, pk: i32) -> (String, String) {
        let name = PEOPLE.iter().find(|(_, _, other)| *other == pk).expect("known").1;
        let before = self
            .simulator
            .look(|directory| directory.user(pk).cloned())
            .expect("a user");
        self.simulator.set_password(pk, "for this login");
        let url = format!("{}{FLOW}", self.simulator.url());
        let body = json!({"uid_field": name, "password": "for this login"}).to_string();
        let posted = self
            .client
            .post(&url)
            .header("Content-Type", "application/json")
            .body(body);
        let posted = posted.send().await.expect("an answer");
        let mut session = set(posted.headers(), "authentik_session").expect("a session");
        loop {
            let cookie = format!("authentik_session={session}");
            let got = self
                .client
                .get(&url)
                .header("Cookie", cookie)
                .send()
                .await
                .expect("an answer");
            session = set(got.headers(), "authentik_session").expect("a session");
            if let Some(csrf) = set(got.headers(), "authentik_csrf") {
                self.simulator
                    .edit(|directory| directory.change_user(pk, |user| *user = before));
                return (session, csrf);
            }
        }
    }

    /// Sends what was recorded, with our cookies.
    async fn send(&mut self, recorded: &Value) -> reqwest::Response {
        let request = &recorded["request"];
        let query = text(request, "query");
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{}{mark}{query}", self.simulator.url(), text(request, "path"));
        let method = text(request, "method").parse().expect("a method");
        let mut builder = self.client.request(method, url);
        let mut csrf = String::new();
        for (name, value) in pairs(&request["headers"]) {
            match name.to_ascii_lowercase().as_str() {
                "cookie" => {
                    let session = value
                        .split("; ")
                        .find_map(|pair| pair.strip_prefix("authentik_session="))
                        .expect("a session");
                    let claims = claims(session);
                    let sid = text(&claims, "sid").to_owned();
                    if !self.sessions.contains_key(&sid) {
                        let sub = text(&claims, "sub");
                        let whose = PEOPLE.iter().find(|(start, _, _)| sub.starts_with(start));
                        let ours = self.log_in(whose.expect("known").2).await;
                        self.sessions.insert(sid.clone(), ours);
                    }
                    let (session, token) = &self.sessions[&sid];
                    csrf.clone_from(token);
                    let cookies = format!("authentik_session={session}; authentik_csrf={token}");
                    builder = builder.header("Cookie", cookies);
                }
                "x-authentik-csrf" => builder = builder.header("X-authentik-CSRF", csrf.clone()),
                _ => builder = builder.header(name, value),
            }
        }
        if let Some(body) = request["body"].as_str() {
            builder = builder.body(body.to_owned());
        }
        builder.send().await.expect("an answer")
    }
}

/// What of a body decides what a client does.
fn decisive(body: &str) -> Value {
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return Value::from(body.is_empty());
    };
    match body {
        Value::Object(mut body) => {
            let user = body.remove("user");
            body.retain(|key, _| {
                matches!(
                    key.as_str(),
                    "component"
                        | "response_errors"
                        | "fields"
                        | "to"
                        | "detail"
                        | "error_message"
                        | "user_fields"
                        | "password_fields"
                )
            });
            if let Some(user) = user {
                body.insert("user".to_owned(), user["pk"].clone());
            }
            Value::Object(body)
        }
        other => other,
    }
}

#[tokio::test]
async fn changes_of_passwords_are_answered_as_they_were_recorded() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let simulator = Simulator::start(directory(), Options::default())
        .await
        .expect("a simulator");
    simulator.set_password(61, "Pw-61-test");
    simulator.set_password(9, "Pw-9-test");
    let mut replay = PasswordReplay {
        simulator,
        client: client(),
        sessions: BTreeMap::new(),
    };
    let mut wrong = Vec::new();
    for (name, recorded) in recordings::passwords() {
        let sent = replay.send(recorded).await;
        let response = &recorded["response"];
        let headers = pairs(&response["headers"]);
        let header = |name: &str| {
            headers
                .iter()
                .find(|(other, _)| other == name)
                .map(|(_, value)| value.clone())
        };
        let mut differs = |what: &str, theirs: String, ours: String| {
            if theirs != ours {
                wrong.push(format!("{name}: {what} {theirs} is {ours} here"));
            }
        };
        let ours = |name: &str| {
            let value = sent.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        differs(
            "status",
            response["status"].to_string(),
            sent.status().as_u16().to_string(),
        );
        differs(
            "location",
            format!("{:?}", header("location")),
            format!("{:?}", ours("location")),
        );
        // Whose session it is afterwards, and whether it has another key.
        let theirs = header("set-cookie").map(|cookie| {
            let value = cookie.split(['=', ';']).nth(1).expect("a value").to_owned();
            claims(&value)
        });
        let mine = set(sent.headers(), "authentik_session");
        let whose =
            |claims: Option<&Value>| format!("{:?}", claims.map(|claims| claims["authenticated"].clone()));
        let mine_claims = mine.as_deref().map(claims);
        differs("session", whose(theirs.as_ref()), whose(mine_claims.as_ref()));
        if let (Some(theirs), Some(mine)) = (theirs, mine)
            && theirs["authenticated"] == true
        {
            let sid = text(&theirs, "sid").to_owned();
            let moved = !replay.sessions.contains_key(&sid);
            let request = pairs(&recorded["request"]["headers"]);
            let before = request
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("cookie"));
            let before = before
                .and_then(|(_, value)| value.split(['=', ';']).nth(1))
                .expect("a session");
            let (ours_before, token) = replay.sessions[text(&claims(before), "sid")].clone();
            let key = |cookie: &str| text(&claims(cookie), "sid").to_owned();
            differs(
                "another key",
                moved.to_string(),
                (key(&ours_before) != key(&mine)).to_string(),
            );
            replay.sessions.insert(sid, (mine, token));
        }
        let body = sent.text().await.expect("a body");
        differs(
            "body",
            decisive(text(response, "body")).to_string(),
            decisive(&body).to_string(),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(recordings::passwords().len(), 30);
}

#[tokio::test]
async fn policies_and_permissions_decide() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let simulator = Simulator::start(directory(), Options::default())
        .await
        .expect("a simulator");
    let replay = PasswordReplay {
        simulator,
        client: client(),
        sessions: BTreeMap::new(),
    };
    let post = |path: String, session: (String, String), body: Value| {
        replay
            .client
            .post(format!("{}{path}", replay.simulator.url()))
            .header(
                "Cookie",
                format!("authentik_session={}; authentik_csrf={}", session.0, session.1),
            )
            .header("X-authentik-CSRF", session.1)
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
    };
    // Earlier passwords are refused if a policy says so.
    replay.simulator.edit(|directory| {
        let settings = akldap_simulator::NewPassword {
            unique: true,
            ..akldap_simulator::NewPassword::default()
        };
        let flow = akldap_simulator::Flow::password_change(settings);
        directory.flows.insert(flow.slug.clone(), flow);
    });
    replay.simulator.set_password(61, "first password");
    replay.simulator.set_password(61, "second password");
    let flow = format!("/api/v3/flows/executor/{}/", akldap_simulator::PASSWORD_CHANGE);
    let session = replay.log_in(61).await;
    for used in ["first password", "second password"] {
        let body = json!({"password": used, "password_repeat": used});
        let answer = json_of(
            post(flow.clone(), session.clone(), body)
                .await
                .expect("an answer"),
        )
        .await;
        let error = answer["response_errors"]["non_field_errors"][0]["string"].to_string();
        assert!(error.contains("used previously"), "{answer}");
    }
    // Each permission is needed.
    let agent = replay.log_in(77).await;
    for (permissions, status) in [
        (vec!["reset_user_password", "view_user"], 204),
        (vec!["reset_user_password"], 404),
        (vec!["view_user"], 403),
    ] {
        replay.simulator.edit(|directory| {
            let role = directory
                .roles
                .get_mut(&uuid::Uuid::from_u128(1))
                .expect("the role");
            role.permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
        });
        let path = "/api/v3/core/users/61/set_password/".to_owned();
        let answer = post(path, agent.clone(), json!({"password": "x"}))
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{permissions:?}");
    }
}
