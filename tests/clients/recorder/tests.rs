//! The recorder between ldap-utils and the server.

use super::message::{BIND, SEARCH, UNBIND};
use super::tamper::Tamper;
use super::{DEMO, Detail, Recorder};
use crate::setting::{USERS, demo};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{Output, command, run};
use akldap_testing::stage::{BASE, eventually, user_dn};

/// A program of ldap-utils, as the service account, through the recorder.
async fn tool(recorder: &Recorder, program: &str, arguments: &[&str]) -> Output {
    let mut command = command(program);
    command.args(["-x", "-H", &recorder.uri(), "-D", &user_dn("ldapservice")]);
    run(command.args(["-w", "demo-ldapservice"]).args(arguments)).await
}

#[client_test]
async fn ldap_utils_are_recorded() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let people = format!("ou=users,{BASE}");
    let alice = user_dn("alice");
    let searches: [&[&str]; 9] = [
        &["-b", "", "-s", "base", "*", "+"],
        &["-b", BASE, "(cn=alice)"],
        &[
            "-b",
            BASE,
            "(&(objectClass=user)(|(mail=alice@*)(sn=*der)(cn~=bob)))",
            "cn",
            "mail",
        ],
        &["-b", &people, "-E", "pr=100/noprompt", "(objectClass=user)", "cn"],
        &[
            "-b",
            &people,
            "-E",
            "sss=-cn",
            "-z",
            "3",
            "(uidNumber>=2000)",
            "1.1",
        ],
        &["-b", &people, "-s", "one", "-A", "(!(cn=user*))"],
        &["-b", BASE, "-E", "deref=member:cn,mail", "(cn=oncall)", "member"],
        &[
            "-b",
            BASE,
            "(memberOf:1.2.840.113556.1.4.1941:=cn=company,ou=groups,dc=ldap,dc=goauthentik,dc=io)",
            "cn",
        ],
        &[
            "-b",
            "cn=nobody,ou=users,dc=ldap,dc=goauthentik,dc=io",
            "-s",
            "base",
        ],
    ];
    for (arguments, code) in searches.iter().zip([0, 0, 0, 0, 4, 0, 0, 0, 32]) {
        tool(&recorder, "ldapsearch", arguments).await.expect(code);
    }
    tool(&recorder, "ldapwhoami", &[]).await.expect(0);
    tool(&recorder, "ldapcompare", &[&alice, "mail:alice@example.com"])
        .await
        .expect(6);
    // It says the result and exits with 1 whatever that is.
    let refused = tool(&recorder, "ldappasswd", &["-s", "demo-new", &alice]).await;
    assert!(refused.text.contains("(19)"), "{refused:?}");
    tool(&recorder, "ldapdelete", &[&alice]).await.expect(50);
    eventually("the last unbind has passed", || {
        recorder.log().count(UNBIND) == 13
    })
    .await;
    let log = recorder.log();
    assert_eq!((log.connections, log.count(BIND)), (13, 13));
    assert_eq!(log.count(SEARCH), 10, "the pages are two");
    assert!(log.entries > USERS);
    let unanswered = log.exchanges.iter().filter(|exchange| exchange.answer.is_none());
    assert_eq!(unanswered.count(), 13, "an unbind has no answer");
    let text = run(command("ldapsearch").arg("-VV")).await.errors;
    let version = text
        .split_whitespace()
        .find(|word| word.starts_with("2."))
        .unwrap_or("?")
        .to_owned();
    recorder.keep("ldap-utils", "tour", &format!("ldap-utils {version}"), DEMO);
}

#[client_test]
async fn a_spoilt_server_shows() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::with(stage.ldap(), Tamper::Nothing, Detail::Counts).await;
    let pages = [
        "-o",
        "ldif-wrap=no",
        "-b",
        BASE,
        "-E",
        "pr=100/noprompt",
        "(objectClass=user)",
        "entryUUID",
    ];
    let in_chain = "(memberOf:1.2.840.113556.1.4.1941:=cn=company,ou=groups,dc=ldap,dc=goauthentik,dc=io)";
    for (tamper, users, uuids, requests, members) in [
        (Tamper::Nothing, USERS, USERS, 2, true),
        (Tamper::NoPaging, USERS, USERS, 1, true),
        (Tamper::NoCookie, 100, 100, 1, true),
        (Tamper::NoEntryUuid, USERS, 0, 2, true),
        (Tamper::NoInChain, USERS, USERS, 2, false),
    ] {
        recorder.spoil(tamper);
        recorder.take();
        let output = tool(&recorder, "ldapsearch", &pages).await.expect(0);
        assert_eq!(
            (output.entries(), output.lines("entryUUID:").len()),
            (users, uuids),
            "{tamper:?}"
        );
        assert_eq!(recorder.log().count(SEARCH), requests, "{tamper:?}");
        let output = tool(&recorder, "ldapsearch", &["-b", BASE, in_chain, "cn"])
            .await
            .expect(0);
        assert_eq!(output.entries() > 0, members, "{tamper:?}");
        assert!(recorder.log().exchanges.is_empty(), "only counted");
    }
}
