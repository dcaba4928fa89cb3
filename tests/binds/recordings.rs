//! The binds that were recorded with a real authentik, made over LDAP against a simulator with the same directory: the
//! LDAP answer must be the one that corresponds to the recorded verdict.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::recordings;
use serde_json::Value;

use akldap_testing::client::Outcome;
use akldap_testing::stage::{Stage, eventually};

/// Scenarios that no LDAP client can bring about, by the beginning of their name.
const ELSEWHERE: &[(&str, &str)] = &[
    ("p", "about the HTTP requests themselves"),
    ("q", "about query strings"),
    ("u", "about unbind flows"),
    ("x08", "without a header that is always sent"),
    ("x09", "with a wrong token"),
    ("x10", "without a header that is always sent"),
    ("x11", "with an address that cannot come up"),
    ("x12", "with a wrong token"),
    ("x14", "about cookies behind TLS"),
    ("x18", "the session expires after the bind"),
];

/// One recorded bind.
struct Scenario {
    name: String,
    began: SystemTime,
    /// When each request was made, to the second, and what it took.
    exchanges: Vec<(SystemTime, Duration)>,
    /// The request that brought the code, otherwise the first.
    deciding: usize,
    flow: String,
    username: String,
    secret: String,
    /// Provider of the access check.
    provider: i32,
    code: i32,
    search_everything: bool,
}

fn load() -> Vec<Scenario> {
    let summary = &recordings::authentik()["D-flows-summary.json"];
    let mut scenarios: Vec<Scenario> = summary
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| {
            let name = row["scenario"].as_str().unwrap();
            !ELSEWHERE.iter().any(|(prefix, _)| name.starts_with(prefix))
        })
        .map(read)
        .collect();
    scenarios.sort_by(|a, b| (a.began, &a.name).cmp(&(b.began, &b.name)));
    scenarios
}

fn read(row: &Value) -> Scenario {
    let name = row["scenario"].as_str().unwrap().to_owned();
    let steps: Vec<&Value> = recordings::below(&format!("D-flows/{name}"))
        .map(|(_, exchange)| exchange)
        .collect();
    let (mut password, mut code, mut provider) = (String::new(), None, 1);
    let (mut exchanges, mut deciding) = (Vec::new(), 0);
    for exchange in &steps {
        let date = exchange["response"]["headers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|pair| pair[0] == "date")
            .unwrap();
        let took = exchange["elapsed_ms"].as_f64().unwrap() / 1000.0;
        exchanges.push((
            httpdate::parse_http_date(date[1].as_str().unwrap()).unwrap(),
            Duration::from_secs_f64(took),
        ));
        if let Some(body) = exchange["request"]["body"].as_str() {
            let body: Value = serde_json::from_str(body).unwrap();
            if let Some(text) = body["password"].as_str() {
                password = text.to_owned();
            }
            if let Some(text) = body["code"].as_str() {
                code = Some(text.to_owned());
                deciding = exchanges.len() - 1;
            }
        }
        let path = exchange["request"]["path"].as_str().unwrap();
        if let Some(number) = path
            .strip_suffix("/check_access/")
            .and_then(|path| path.rsplit('/').next())
        {
            provider = number.parse().unwrap();
        }
    }
    let passing = row["check_access"][1].as_str().unwrap_or_default();
    let username = row["uid"].as_str().unwrap().to_owned();
    let expected = match (row["result"][0].as_str().unwrap(), password.as_str()) {
        // What LDAP itself refuses before authentik is asked.
        _ if username.is_empty() => 50,
        // There is no such flow, which says nothing about the password.
        ("http", _) => 52,
        (_, "") if steps.len() > 1 => 53,
        // The flow ended without a login: it is broken, and says nothing about the password.
        ("done", _) if row["me"][0] == 403 => 52,
        ("done", _) if passing.contains("\"passing\":true") => 0,
        ("done", _) => 50,
        _ => 49,
    };
    Scenario {
        began: exchanges[0].0,
        exchanges,
        deciding,
        flow: row["flow"].as_str().unwrap().to_owned(),
        username,
        // Scenarios that ended before a password was asked for need one for LDAP.
        secret: match (password, code) {
            (password, Some(code)) => format!("{password};{code}"),
            (password, None) if password.is_empty() && expected != 53 => "anything".to_owned(),
            (password, None) => password,
        },
        provider,
        code: expected,
        search_everything: passing.contains("\"has_search_permission\":true"),
        name,
    }
}

/// The user name with everything escaped that can be.
fn escaped(username: &str) -> String {
    username.bytes().map(|octet| format!("\\{octet:02x}")).collect()
}

async fn bind(stage: &Stage, scenario: &Scenario) -> (Outcome, usize) {
    let base = stage
        .simulator
        .look(|directory| directory.providers[&scenario.provider].base_dn.clone());
    let mut client = stage.client().await;
    let outcome = client
        .bind(
            &format!("cn={},ou=users,{base}", escaped(&scenario.username)),
            &scenario.secret,
        )
        .await;
    let seen = match outcome.code {
        0 => client
            .subtree(&base, "(objectClass=user)", &["1.1"])
            .await
            .entries
            .len(),
        _ => 0,
    };
    (outcome, seen)
}

#[tokio::test]
async fn recorded_binds_have_the_answer_they_mean() {
    let directory = Directory::from_recordings(recordings::authentik()).unwrap();
    let simulator = Simulator::start(
        directory,
        Options {
            record_requests: true,
            ..Options::default()
        },
    )
    .await
    .unwrap();
    let stage = Stage::of(simulator, |_| {}).await;
    stage.ready().await;
    let (mut wrong, mut codes) = (Vec::new(), BTreeMap::<i32, usize>::new());
    let mut clock = SystemTime::UNIX_EPOCH;
    for scenario in load() {
        stage.simulator.edit(|directory| {
            let provider = directory.providers.get_mut(&scenario.provider).unwrap();
            provider.bind_flow.clone_from(&scenario.flow);
            (provider.mfa_support, provider.bind_mode) = (true, "direct".into());
        });
        stage.server.outpost().refresh_requests().all();
        let pk = i64::from(scenario.provider);
        eventually("the provider has the flow", || {
            let provider = stage.server.outpost().providers().current().by_pk(pk);
            provider.is_some_and(|provider| {
                provider.settings().bind_flow_slug == scenario.flow && provider.settings().mfa_support
            })
        })
        .await;
        // Codes and throttled devices depend on the moment. Dates have whole seconds; what each request took fills them.
        let mut moment = clock;
        for (number, (date, took)) in scenario.exchanges.iter().enumerate() {
            clock = clock.max(*date);
            if number == scenario.deciding {
                moment = clock;
            }
            clock += *took;
        }
        stage.simulator.set_clock(moment);
        let (outcome, seen) = bind(&stage, &scenario).await;
        *codes.entry(outcome.code).or_default() += 1;
        if outcome.code != scenario.code {
            wrong.push(format!(
                "{}: expected {}: {outcome:?}",
                scenario.name, scenario.code
            ));
        } else if outcome.code == 0 && (seen > 10) != scenario.search_everything {
            wrong.push(format!("{}: sees {seen} users", scenario.name));
        }
    }
    println!(
        "{} recorded binds by result code: {codes:?}",
        codes.values().sum::<usize>()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(codes.values().sum::<usize>() > 60);
}
