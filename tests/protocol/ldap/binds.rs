//! Binds: who is let in, who is not, with which code, and what a connection is afterwards.

use std::time::Duration;

use akldap_simulator::{Directory, Endpoint, Fault, Password, Rule, User, demo_secrets, totp_code};
use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapOp, SaslCredentials};

use akldap_testing::stage::{BASE, SUFFIX, Stage, entry_dn, eventually, user_dn};

#[tokio::test]
async fn the_sample_people_are_let_in_or_not() {
    let stage = Stage::sample().await;
    for (username, password, code) in [
        ("alice", "demo-alice", 0),
        ("ALICE", "demo-alice", 0),
        ("zoë", "demo-zoë", 0),
        ("pat o'brien", "demo-pat o'brien", 0),
        ("ldapservice", "demo-ldapservice", 0),
        ("alice", "demo-bob", 49),
        ("alice", "Demo-alice", 49),
        ("nobody", "demo-nobody", 49),
        ("inactive", "demo-inactive", 49),
        ("mallory", "demo-mallory", 50),
    ] {
        let outcome = stage.bind(&user_dn(username), password).await;
        assert_eq!(outcome.code, code, "{username} {password}: {outcome:?}");
        assert_eq!(code == 0, outcome.message.is_empty(), "{outcome:?}");
    }
    let app_password = demo_secrets().app_password;
    assert_eq!(stage.bind(&user_dn("ldapservice"), &app_password).await.code, 0);
}

#[tokio::test]
async fn one_time_codes_follow_the_password() {
    let stage = Stage::sample().await;
    let secrets = demo_secrets();
    let code = totp_code(&secrets.totp_key, stage.simulator.now());
    let password = format!("demo-totp;{code}");
    assert_eq!(stage.bind(&user_dn("totp"), "demo-totp").await.code, 49);
    assert_eq!(stage.bind(&user_dn("totp"), &password).await.code, 0);
    assert_eq!(
        stage.bind(&user_dn("totp"), &password).await.code,
        49,
        "a code is good once"
    );
    let password = format!("demo-static;{}", secrets.static_tokens[0]);
    assert_eq!(stage.bind(&user_dn("static"), &password).await.code, 0);
    assert_eq!(
        stage.bind(&user_dn("static"), &password).await.code,
        49,
        "a token is good once"
    );
}

#[tokio::test]
async fn bind_dns_are_read_as_people_write_them() {
    let stage = Stage::sample().await;
    for dn in [
        format!("cn=alice,{BASE}"),
        format!("CN=alice, OU=users, {SUFFIX}"),
        format!("cn=alice,ou=groups,{BASE}"),
        format!("uid=alice,ou=users,{BASE}"),
        format!("mail=alice@example.com,ou=users,{BASE}"),
    ] {
        assert_eq!(stage.bind(&dn, "demo-alice").await.code, 0, "{dn}");
    }
    let awkward = "sales, \"emea\" + partners";
    let password = format!("demo-{awkward}");
    for dn in [
        format!("cn=sales\\, \\\"emea\\\" \\+ partners,ou=users,{BASE}"),
        format!("cn=sales\\2c \\22emea\\22 \\2b partners,ou=users,{SUFFIX}"),
        format!("cn={awkward},ou=users,{BASE}"),
    ] {
        assert_eq!(stage.bind(&dn, &password).await.code, 0, "{dn}");
    }
    for (dn, code) in [
        ("cn=alice,dc=example,dc=com".to_owned(), 50),
        (format!("ou=users,{BASE}"), 50),
        ("cn=\"alice".to_owned(), 50),
        (format!("cn=alice,x{BASE}"), 50),
    ] {
        let outcome = stage.bind(&dn, "demo-alice").await;
        assert_eq!(outcome.code, code, "{dn}: {outcome:?}");
        assert!(!outcome.message.is_empty());
    }
}

#[tokio::test]
async fn strict_names_can_be_asked_for() {
    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__STRICT_BIND_DN", "true")
    })
    .await;
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let outcome = stage.bind(&format!("cn=alice,{BASE}"), "demo-alice").await;
    assert_eq!(outcome.code, 50);
    assert!(outcome.message.contains("cn=<username>,ou=users"), "{outcome:?}");
    assert_eq!(stage.bind("alice", "demo-alice").await.code, 50);
}

/// What the identification stage was given since the requests were last forgotten.
fn identified(stage: &Stage) -> Vec<String> {
    let all = stage.simulator.requests().all();
    let bodies = all
        .iter()
        .filter_map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).ok());
    let names = bodies.filter_map(|body| Some(body.get("uid_field")?.as_str()?.to_owned()));
    names.collect()
}

/// Users with awkward names in addition to the sample's.
async fn with_users(names: &[&str]) -> Stage {
    let mut directory = Directory::sample(0, 0);
    for name in names {
        let pk = directory.next_user_pk();
        let mut user = User::new(pk, name, name, "");
        user.password = Password::Text(format!("demo-{name}").into());
        directory.add_user(user);
    }
    Stage::with(directory, |_| {}).await
}

#[tokio::test]
async fn a_bind_dn_is_compared_as_a_base_dn_is() {
    let stage = with_users(&["my uid", "my  uid", "Sales", "Sales, x=EMEA", "Max", "MAX"]).await;
    let mut service = stage.bound("ldapservice").await;
    let odd = "DC=LDAP , dc=\"goauthentik\"; DC=\\49o";
    for (front, account) in [
        ("cn=my uid,ou=users,", "my uid"),
        ("cn=my  uid,ou=users,", "my  uid"),
        ("CN = MY\\20 uid ; OU=\"users\", ", "my  uid"),
        ("cn=#04066d7920756964,ou=users,", "my uid"),
        ("cn=sales,ou=USERS,", "Sales"),
        ("cn=Sales, x=EMEA,ou=users,", "Sales, x=EMEA"),
        ("cn=sales\\, x\\=emea,ou=users,", "Sales, x=EMEA"),
        ("cn=Max,ou=users,", "Max"),
        ("cn=max,ou=users,", "Max"),
        ("cn=M\\41x,ou=users,", "Max"),
    ] {
        // A name without escapes is recognised by its usual end.
        let unescaped = front.contains(", x=");
        for base in [BASE, SUFFIX, odd]
            .into_iter()
            .filter(|base| !unescaped || *base != odd)
        {
            let dn = format!("{front}{base}");
            let found = service.read(&dn, &["cn"]).await;
            let named: Vec<String> = found.entries.iter().map(|entry| entry.one("cn")).collect();
            assert_eq!(named.first().map(String::as_str), Some(account), "{dn}");
            let mut client = stage.client().await;
            stage.simulator.requests().clear();
            let outcome = client.bind(&dn, &format!("demo-{account}")).await;
            assert_eq!(outcome.code, 0, "{dn}: {outcome:?}");
            assert_eq!(identified(&stage), [account], "{dn}");
            assert_eq!(client.who_am_i().await, format!("dn:{}", found.dns()[0]), "{dn}");
        }
    }
    // A name that is no entry's is left to authentik, as it was typed.
    for (dn, typed) in [
        (format!("uid=SALES,ou=users,{BASE}"), "SALES"),
        (format!("cn=Nobody,ou=users,{BASE}"), "Nobody"),
        (format!("cn=my   uid,ou=users,{BASE}"), "my   uid"),
        (format!("cn=\\20Sales,ou=users,{BASE}"), " Sales"),
    ] {
        stage.simulator.requests().clear();
        stage.bind(&dn, "demo-Sales").await;
        assert_eq!(identified(&stage), [typed], "{dn}");
    }
}

#[tokio::test]
async fn twins_by_case_are_told_apart_by_the_spelling() {
    let stage = with_users(&["Max", "MAX"]).await;
    for (typed, sent) in [("Max", "Max"), ("MAX", "MAX"), ("max", "Max"), ("mAx", "Max")] {
        for dn in [user_dn(typed), format!("cn = {typed} , ou=users,{BASE}")] {
            stage.simulator.requests().clear();
            let mut client = stage.client().await;
            // authentik lets the one with the lower pk in, whatever it is asked for.
            assert_eq!(client.bind(&dn, "demo-Max").await.code, 0, "{dn}");
            assert_eq!(identified(&stage), [sent], "{dn}");
            assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("Max")), "{dn}");
        }
    }
}

#[tokio::test]
async fn who_is_bound_is_told_by_the_entry_as_the_directory_shows_it() {
    let stage = Stage::sample().await;
    for dn in [
        format!("uid=alice,ou=users,{BASE}"),
        format!("mail=alice@example.com,{BASE}"),
        format!("cn=ALICE,{BASE}"),
        "alice@example.com".to_owned(),
    ] {
        let mut client = stage.client().await;
        assert_eq!(client.bind(&dn, "demo-alice").await.code, 0, "{dn}");
        assert_eq!(
            client.who_am_i().await,
            format!("dn:{}", entry_dn("alice")),
            "{dn}"
        );
    }
    let mut client = stage.bound("alice").await;
    let pk = stage.simulator.user_pk("alice").unwrap();
    stage.simulator.rename_user(pk, "alice, née smith");
    stage.refresh().await;
    assert_eq!(
        client.who_am_i().await,
        format!("dn:{}", entry_dn("alice\\, née smith"))
    );
}

#[tokio::test]
async fn names_that_are_no_dns_bind_as_in_active_directory() {
    let stage = Stage::sample().await;
    for (name, sent) in [
        ("alice", "alice"),
        ("ALICE", "ALICE"),
        ("alice@example.com", "alice@example.com"),
        ("alice@ldap.GoAuthentik.io", "alice"),
        ("EXAMPLE\\alice", "alice"),
        ("EXAMPLE\\alice@ldap.goauthentik.io", "alice"),
    ] {
        stage.simulator.requests().clear();
        let mut client = stage.client().await;
        let outcome = client.bind(name, "demo-alice").await;
        assert_eq!(outcome.code, 0, "{name}: {outcome:?}");
        assert_eq!(identified(&stage), [sent], "one login: {name}");
        assert_eq!(client.subtree(BASE, "(uid=alice)", &["cn"]).await.outcome.code, 0);
        stage.simulator.requests().clear();
        assert_eq!(stage.bind(name, "wrong").await.code, 49, "{name}");
        assert_eq!(identified(&stage), [sent], "never two: {name}");
    }
    for name in ["@ldap.goauthentik.io", "EXAMPLE\\", "   "] {
        let outcome = stage.bind(name, "demo-alice").await;
        assert_eq!(outcome.code, 50, "{name:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_bare_name_needs_exactly_one_provider_and_can_be_refused() {
    let mut directory = Directory::sample(0, 0);
    let mut second = directory.providers.values().next().unwrap().clone();
    second.pk += 1000;
    second.base_dn = "dc=second".into();
    let pk = second.pk;
    directory.providers.insert(pk, second);
    for outpost in directory.outposts.values_mut() {
        outpost.providers.push(pk);
    }
    let stage = Stage::with(directory, |_| {}).await;
    let outcome = stage.bind("alice", "demo-alice").await;
    assert_eq!(outcome.code, 50, "{outcome:?}");
    assert!(outcome.message.contains("several LDAP providers"), "{outcome:?}");
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);

    let stage = Stage::with(Directory::sample(0, 0), |settings| {
        settings.set("AUTHENTIK_LDAP__ACCEPT_BARE_NAMES", "false")
    })
    .await;
    for name in ["alice", "alice@example.com", "EXAMPLE\\alice"] {
        assert_eq!(stage.bind(name, "demo-alice").await.code, 50, "{name}");
    }
}

#[tokio::test]
async fn other_ways_to_bind_have_their_own_answers() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    assert_eq!(client.bind("", "").await.code, 0, "anonymous");
    assert_eq!(client.who_am_i().await, "");
    assert_eq!(client.bind(&user_dn("alice"), "").await.code, 53);
    assert_eq!(client.bind("", "demo-alice").await.code, 49);
    let version_2 = LdapBindRequest {
        dn: user_dn("alice"),
        cred: LdapBindCred::Simple("demo-alice".into()),
        version: 2,
    };
    let sasl = LdapBindRequest {
        dn: String::new(),
        cred: LdapBindCred::SASL(SaslCredentials {
            mechanism: "EXTERNAL".into(),
            credentials: vec![],
        }),
        version: 3,
    };
    for (request, code) in [(version_2, 2), (sasl, 7)] {
        client.send(LdapOp::BindRequest(request), vec![]).await;
        let LdapOp::BindResponse(response) = client.receive().await.unwrap().op else {
            panic!()
        };
        assert_eq!(response.res.code.clone() as i32, code, "{response:?}");
        assert!(!response.res.message.is_empty());
    }
    assert_eq!(
        client.bind(&user_dn("alice"), "demo-alice").await.code,
        0,
        "the connection lives on"
    );
}

#[tokio::test]
async fn a_failed_bind_leaves_the_connection_anonymous() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("ldapservice")));
    assert_eq!(client.bind(&user_dn("alice"), "wrong").await.code, 49);
    assert_eq!(client.who_am_i().await, "");
    assert_eq!(client.subtree(BASE, "(cn=bob)", &[]).await.outcome.code, 50);
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("alice")));
}

#[tokio::test]
async fn a_password_that_is_not_utf8_is_simply_wrong() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    let dn = user_dn("alice");
    let mut bind = vec![0x02, 0x01, 0x03, 0x04, u8::try_from(dn.len()).unwrap()];
    bind.extend_from_slice(dn.as_bytes());
    bind.extend_from_slice(&[0x80, 0x03, 0xe9, 0xff, 0x00]);
    let mut message = vec![0x02, 0x01, 0x07, 0x60, u8::try_from(bind.len()).unwrap()];
    message.extend_from_slice(&bind);
    let mut frame = vec![0x30, u8::try_from(message.len()).unwrap()];
    frame.extend_from_slice(&message);
    client.send_raw(&frame).await;
    let answer = client.receive().await.unwrap();
    let LdapOp::BindResponse(response) = answer.op else {
        panic!()
    };
    assert_eq!((answer.msgid, response.res.code as i32), (7, 49));
}

#[tokio::test]
async fn an_outage_is_never_a_wrong_password_and_never_success() {
    let stage = Stage::sample().await;
    stage.bind(&user_dn("alice"), "demo-alice").await;
    for fault in [
        Fault::Reset,
        Fault::WorkerLost,
        Fault::Starting,
        Fault::EmptyBody,
        Fault::Truncated,
        Fault::BrokenOff,
        Fault::BadGateway,
        Fault::WrongContentType,
    ] {
        for path in ["/flows/executor/", "/check_access/"] {
            let name = format!("{fault:?} {path}");
            stage.simulator.faults().add(Rule::new(path, fault.clone()));
            let outcome = stage.bind(&user_dn("alice"), "demo-alice").await;
            assert!([51, 52, 80].contains(&outcome.code), "{name}: {outcome:?}");
            stage.simulator.faults().clear();
        }
    }
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
}

#[tokio::test]
async fn three_requests_are_enough_once_the_flow_is_known() {
    let stage = Stage::sample().await;
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    stage.simulator.requests().clear();
    assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    let requests = stage.simulator.requests();
    assert_eq!(requests.count(Endpoint::CheckAccess), 1);
    assert_eq!(requests.count(Endpoint::UsersMe), 0);
    // The sample flow has an MFA stage, whose redirect is one more hop than the recommended flow's.
    let flow = requests.to("/flows/executor/ldap-authentication-flow/");
    let own = flow.iter().filter(|request| !request.query.contains("warmup"));
    let methods: Vec<&str> = own.map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET", "GET"]);
}

#[tokio::test]
async fn a_cached_bind_asks_authentik_once_until_its_session_ends() {
    let mut directory = Directory::sample(0, 0);
    for provider in directory.providers.values_mut() {
        provider.bind_mode = "cached".into();
    }
    let stage = Stage::with(directory, |_| {}).await;
    let mut first = stage.bound("alice").await;
    stage.simulator.requests().clear();
    let mut second = stage.bound("alice").await;
    assert_eq!(
        stage.simulator.requests().count(Endpoint::CheckAccess),
        0,
        "the second bind is cached"
    );
    eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    stage
        .simulator
        .end_sessions_of(stage.simulator.user_pk("alice").unwrap());
    for client in [&mut first, &mut second] {
        let LdapOp::ExtendedResponse(notice) = client.receive().await.expect("a notice").op else {
            panic!()
        };
        assert_eq!(notice.name.as_deref(), Some("1.3.6.1.4.1.1466.20036"));
        assert!(
            client.receive().await.is_none(),
            "the connection ends after the notice"
        );
    }
    stage.simulator.requests().clear();
    stage.bound("alice").await;
    assert_eq!(
        stage.simulator.requests().count(Endpoint::CheckAccess),
        1,
        "the cache forgot"
    );
}

#[tokio::test]
async fn a_changed_password_voids_a_cached_bind() {
    let mut directory = Directory::sample(0, 0);
    for provider in directory.providers.values_mut() {
        provider.bind_mode = "cached".into();
    }
    let stage = Stage::with(directory, |_| {}).await;
    stage.bound("alice").await;
    stage.simulator.advance(Duration::from_secs(2));
    stage
        .simulator
        .set_password(stage.simulator.user_pk("alice").unwrap(), "changed");
    stage.refresh().await;
    assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 49);
    assert_eq!(stage.bind(&user_dn("alice"), "changed").await.code, 0);
}

#[tokio::test]
async fn many_equal_binds_in_cached_mode_run_one_flow() {
    let mut directory = Directory::sample(0, 0);
    for provider in directory.providers.values_mut() {
        provider.bind_mode = "cached".into();
    }
    let stage = Stage::with(directory, |_| {}).await;
    stage.simulator.requests().clear();
    let dn = user_dn("alice");
    let binds = (0..50).map(|_| stage.bind(&dn, "demo-alice"));
    for outcome in futures_util::future::join_all(binds).await {
        assert_eq!(outcome.code, 0);
    }
    assert_eq!(stage.simulator.requests().count(Endpoint::CheckAccess), 1);
}
