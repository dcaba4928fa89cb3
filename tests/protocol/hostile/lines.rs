//! What the log says about searches, about requests that are rightly refused, and about certificates: once, and with the ids that
//! connect a line with the others of its request.

use ldap3_proto::proto::LdapOp;
use serde_json::Value;
use tokio::net::TcpStream;

use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::certificates::connector;
use akldap_testing::client::Client;
use akldap_testing::stage::{BASE, eventually, user_dn};

use crate::hostile::process::Server;

fn lines(server: &Server) -> Vec<Value> {
    server
        .log()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The lines whose message contains these words, once there is one.
async fn lines_with(server: &Server, words: &str) -> Vec<Value> {
    let with = || -> Vec<Value> {
        let mut lines = lines(server);
        lines.retain(|line| line["event"].as_str().is_some_and(|event| event.contains(words)));
        lines
    };
    eventually(words, || !with().is_empty()).await;
    with()
}

/// Searches that are lines of the log, and no audit records.
fn searches(server: &Server) -> Vec<Value> {
    let mut lines = lines(server);
    lines.retain(|line| line["event"] == "search" && line["logger"] != "akldap::audit");
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_logged_at_info_with_the_official_keys_where_that_is_asked_for() {
    let server = Server::start(&[("AUTHENTIK_LDAP__LOG_SEARCHES", "true")]).await;
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let found = client.subtree(BASE, "(cn=alice)", &["cn", "mail"]).await;
    assert_eq!(found.outcome.code, 0);
    eventually("the search", || !searches(&server).is_empty()).await;
    let [line] = searches(&server).try_into().expect("one search");
    assert_eq!((&line["level"], &line["baseDN"]), (&"info".into(), &BASE.into()));
    assert_eq!(
        (&line["filter"], &line["scope"]),
        (&"(cn=alice)".into(), &"WholeSubtree".into())
    );
    assert_eq!(
        (&line["attributes"], &line["client"]),
        (&"cn mail".into(), &"127.0.0.1".into())
    );
    assert_eq!(
        (&line["code"], &line["entries"]),
        (&0.into(), &found.entries.len().into())
    );
    let number = line["connection"].as_u64().expect("a number");
    assert_eq!(line["requestId"], format!("{number}-2"));
    assert!(
        line["bindDN"].as_str().is_some_and(|dn| dn.contains("alice")),
        "{line}"
    );
    let text = server.log();
    let (_, took) = text
        .lines()
        .find(|text| text.contains("\"event\":\"search\""))
        .and_then(|text| text.split_once("\"took-ms\":"))
        .expect("how long it took");
    let decimals = took.trim_end_matches('}').split_once('.').expect("a fraction").1;
    assert_eq!(decimals.len(), 3, "{took}");
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_not_logged_unless_that_is_asked_for() {
    let server = Server::start(&[]).await;
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    assert_eq!(client.subtree(BASE, "(cn=alice)", &["cn"]).await.outcome.code, 0);
    // Lines are in order: a line about the search would come before the next login.
    assert_eq!(client.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    eventually("the login", || server.log().contains("cn=bob,")).await;
    assert_eq!(searches(&server), [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_operation_has_the_id_of_its_beginning() {
    let mut directory = Directory::sample(60, 12);
    for outpost in directory.outposts.values_mut() {
        outpost.config["log_level"] = "debug".into();
    }
    let server = Server::with(directory, &[]).await;
    let [replaced] = lines_with(&server, "replaces AUTHENTIK_LOG_LEVEL")
        .await
        .try_into()
        .expect("one line");
    assert_eq!(
        (&replaced["from"], &replaced["to"]),
        (&"info".into(), &"debug".into())
    );
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    assert_eq!(client.subtree(BASE, "(cn=alice)", &["cn"]).await.outcome.code, 0);
    let ended = lines_with(&server, "search ended").await;
    let begun = lines(&server);
    for line in &ended {
        let began = |other: &&Value| other["event"] == "search" && other["requestId"] == line["requestId"];
        assert_eq!(begun.iter().filter(began).count(), 1, "{line}");
        assert!(line["connection"].is_u64() && line["took-ms"].is_f64(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_writes_and_an_account_that_asks_for_everybody_are_told_once() {
    let server = Server::start(&[]).await;
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    for _ in 0..3 {
        client.send(LdapOp::DelRequest(user_dn("bob")), vec![]).await;
        assert!(client.receive().await.is_some(), "an answer");
        assert_eq!(
            client
                .subtree(BASE, "(objectClass=user)", &["cn"])
                .await
                .outcome
                .code,
            0
        );
    }
    // It is not news when somebody asks for one person, or may see everybody.
    let mut service = Client::connect(server.ldap).await;
    let dn = user_dn("ldapservice");
    assert_eq!(service.bind(&dn, "demo-ldapservice").await.code, 0);
    assert_eq!(
        service
            .subtree(BASE, "(objectClass=user)", &["cn"])
            .await
            .outcome
            .code,
        0
    );
    let [write] = lines_with(&server, "a write was refused")
        .await
        .try_into()
        .expect("one line");
    assert!(
        write["bindDN"].as_str().is_some_and(|dn| dn.contains("alice")) && write["requestId"].is_string()
    );
    let [own] = lines_with(&server, "this account searched for everybody")
        .await
        .try_into()
        .expect("one line");
    assert!(
        own["bindDN"].as_str().is_some_and(|dn| dn.contains("alice")),
        "{own}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_clear_that_needs_tls_is_told_once() {
    let simulator = Simulator::start(Directory::sample(60, 12), Options::default())
        .await
        .unwrap();
    let server = Server::of(simulator, &[("AUTHENTIK_LDAP__REQUIRE_TLS", "true")]);
    let mut client = Client::connect(server.ldap).await;
    for _ in 0..2 {
        assert_eq!(client.read("", &["*"]).await.outcome.code, 13);
    }
    let [line] = lines_with(&server, "a request without TLS was refused")
        .await
        .try_into()
        .expect("one line");
    assert_eq!(line["level"], "warning");
    assert!(
        line["event"]
            .as_str()
            .is_some_and(|event| event.contains("--require-tls")),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_in_use_is_told_with_what_to_do() {
    let server = Server::start(&[]).await;
    let [line] = lines_with(&server, "self-signed")
        .await
        .try_into()
        .expect("one line");
    assert_eq!(line["level"], "warning");
    assert!(
        line["event"]
            .as_str()
            .is_some_and(|event| event.contains("--tls-certificate-file")),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_accept_the_certificate_is_told_with_what_to_do() {
    let server = Server::start(&[]).await;
    let stream = TcpStream::connect(server.ldaps).await.expect("a connection");
    let name = "localhost".try_into().expect("a name");
    assert!(
        connector().connect(name, stream).await.is_err(),
        "it trusts the test authority alone"
    );
    let [line] = lines_with(&server, "TLS handshake failed")
        .await
        .try_into()
        .expect("one line");
    let event = line["event"].as_str().expect("text");
    assert!(
        event.contains("the client does not accept the certificate"),
        "{line}"
    );
}

/// A client that compares passwords sends them in plain text.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_a_filter_is_in_no_line_at_any_level_and_a_key_has_one_type() {
    let mut directory = Directory::sample(60, 12);
    for outpost in directory.outposts.values_mut() {
        outpost.config["log_level"] = "trace".into();
    }
    let server = Server::with(directory, &[("AUTHENTIK_LDAP__LOG_SEARCHES", "true")]).await;
    lines_with(&server, "replaces AUTHENTIK_LOG_LEVEL").await;
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
    let filter = "(|(&(cn=alice)(userPassword=hunter2))(2.5.4.35=hunter2)(userPassword;x-a=*hunter2*))";
    let found = client.subtree(BASE, filter, &["cn", "mail"]).await;
    assert_eq!(found.outcome.code, 0);
    eventually("the search", || !searches(&server).is_empty()).await;
    lines_with(&server, "search ended").await;
    assert!(!server.log().contains("hunter2"), "{}", server.log());
    let of_search: Vec<Value> = lines(&server)
        .into_iter()
        .filter(|line| {
            line["event"]
                .as_str()
                .is_some_and(|event| event.starts_with("search"))
        })
        .collect();
    for (key, types) in [("filter", 2), ("attributes", 2), ("code", 2)] {
        let values: Vec<&Value> = of_search
            .iter()
            .map(|line| &line[key])
            .filter(|value| !value.is_null())
            .collect();
        assert!(values.len() >= types, "{key}: {of_search:#?}");
        assert!(
            values.iter().all(|value| *value == values[0]),
            "{key}: {values:?}"
        );
    }
    assert!(
        of_search
            .iter()
            .any(|line| line["filter"] == "(|(&(cn=alice)(userPassword=…))(2.5.4.35=…)(userPassword;x-a=…))"),
        "{of_search:#?}"
    );
}
