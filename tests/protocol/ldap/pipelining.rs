//! Many requests on one connection: every one gets its answer, searches can be abandoned, binds wait for the
//! others.

use std::collections::HashMap;

use akldap_simulator::Directory;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapExtendedRequest, LdapOp, LdapSearchScope,
};

use akldap_testing::client::search;
use akldap_testing::stage::{BASE, Stage, entry_dn, eventually, user_dn};

/// A small generator, so that a failing run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[tokio::test]
async fn a_thousand_pipelined_requests_get_exactly_their_answers() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let mut random = Random(0x5eed_1234_5678_9abc);
    let mut expected: HashMap<i32, (u32, &str)> = HashMap::new();
    let mut sent = 0;
    let mut answered = 0;
    while answered < 1000 {
        while sent < 1000 && sent - answered < 100 {
            let (op, kind): (LdapOp, &str) = match random.below(6) {
                0 => (
                    LdapOp::SearchRequest(search(
                        BASE,
                        LdapSearchScope::Subtree,
                        "(objectClass=user)",
                        &["cn"],
                    )),
                    "all",
                ),
                1 => (
                    LdapOp::SearchRequest(search(&user_dn("alice"), LdapSearchScope::Base, "(cn=*)", &[])),
                    "one",
                ),
                2 => (
                    LdapOp::SearchRequest(search(&user_dn("nobody"), LdapSearchScope::Base, "(cn=*)", &[])),
                    "missing",
                ),
                3 => {
                    let request = LdapCompareRequest {
                        dn: user_dn("bob"),
                        atype: "cn".into(),
                        val: b"bob".to_vec(),
                    };
                    (LdapOp::CompareRequest(request), "compare")
                }
                4 => {
                    let request = LdapExtendedRequest {
                        name: "1.3.6.1.4.1.4203.1.11.3".into(),
                        value: None,
                    };
                    (LdapOp::ExtendedRequest(request), "whoami")
                }
                _ => (LdapOp::DelRequest(user_dn("bob")), "refused"),
            };
            let id = client.send(op, vec![]).await;
            expected.insert(id, (0, kind));
            sent += 1;
        }
        let message = client.receive().await.expect("the connection lives on");
        let (entries, kind) = expected
            .get_mut(&message.msgid)
            .expect("an answer to an open request");
        let code = match &message.op {
            LdapOp::SearchResultEntry(_) => {
                *entries += 1;
                continue;
            }
            LdapOp::SearchResultDone(result)
            | LdapOp::CompareResult(result)
            | LdapOp::DelResponse(result) => result.code.clone() as i32,
            LdapOp::ExtendedResponse(response) => response.res.code.clone() as i32,
            other => panic!("{other:?}"),
        };
        let wanted = match *kind {
            "all" => (60, 0),
            "one" => (1, 0),
            "missing" => (0, 32),
            "compare" => (0, 6),
            "whoami" => (0, 0),
            _ => (0, 50),
        };
        assert_eq!((*entries, code), wanted, "{kind}");
        expected.remove(&message.msgid);
        answered += 1;
    }
    assert!(expected.is_empty());
    assert_eq!(
        client.who_am_i().await,
        format!("dn:{}", entry_dn("ldapservice")),
        "nothing is left over"
    );
}

#[tokio::test]
async fn a_bind_waits_for_the_searches_before_it_and_rules_those_after_it() {
    let stage = Stage::with(Directory::sample(3000, 20), |_| {}).await;
    let mut client = stage.bound("ldapservice").await;
    let listing = client
        .send(
            LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &[])),
            vec![],
        )
        .await;
    let request = LdapBindRequest {
        dn: user_dn("alice"),
        cred: LdapBindCred::Simple("demo-alice".into()),
        version: 3,
    };
    let bind = client.send(LdapOp::BindRequest(request), vec![]).await;
    let after = client
        .send(
            LdapOp::SearchRequest(search(
                BASE,
                LdapSearchScope::Subtree,
                "(objectClass=user)",
                &["cn"],
            )),
            vec![],
        )
        .await;
    assert_eq!(client.collect(listing).await.entries.len(), 3000);
    let message = client.receive().await.unwrap();
    assert_eq!(message.msgid, bind);
    assert_eq!(client.collect(after).await.entries.len(), 1, "alice sees herself");
}

#[tokio::test]
async fn an_abandoned_search_stops_and_a_cancelled_one_says_so() {
    let stage = Stage::with(Directory::sample(20_000, 20), |_| {}).await;
    let mut client = stage.bound("ldapservice").await;
    let everything = || LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &[]));
    let listing = client.send(everything(), vec![]).await;
    assert!(matches!(
        client.receive().await.unwrap().op,
        LdapOp::SearchResultEntry(_)
    ));
    client.send(LdapOp::AbandonRequest(listing), vec![]).await;
    let small = client
        .send(
            LdapOp::SearchRequest(search(
                &user_dn("alice"),
                LdapSearchScope::Base,
                "(cn=*)",
                &["cn"],
            )),
            vec![],
        )
        .await;
    let mut of_the_listing = 1;
    loop {
        let message = client.receive().await.unwrap();
        match message.op {
            LdapOp::SearchResultEntry(_) if message.msgid == listing => of_the_listing += 1,
            LdapOp::SearchResultEntry(entry) => assert!(entry.dn.starts_with("cn=alice,")),
            LdapOp::SearchResultDone(_) => {
                assert_eq!(message.msgid, small, "an abandoned search has no result");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        of_the_listing < 40_000,
        "{of_the_listing} entries came all the same"
    );

    let listing = client.send(everything(), vec![]).await;
    assert!(matches!(
        client.receive().await.unwrap().op,
        LdapOp::SearchResultEntry(_)
    ));
    let id = u8::try_from(listing).unwrap();
    let value = vec![0x30, 0x03, 0x02, 0x01, id];
    let cancel = client
        .send(
            LdapOp::ExtendedRequest(LdapExtendedRequest {
                name: "1.3.6.1.1.8".into(),
                value: Some(value.clone()),
            }),
            vec![],
        )
        .await;
    let mut codes = HashMap::new();
    while codes.len() < 2 {
        let message = client.receive().await.unwrap();
        match message.op {
            LdapOp::SearchResultEntry(_) => {}
            LdapOp::SearchResultDone(result) => {
                codes.insert(message.msgid, result.code as i32);
            }
            LdapOp::ExtendedResponse(response) => {
                codes.insert(message.msgid, response.res.code as i32);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(codes, HashMap::from([(listing, 118), (cancel, 0)]));
    let nothing = client.extended("1.3.6.1.1.8", Some(value)).await;
    assert_eq!(nothing.res.code as i32, 119, "there is nothing left to cancel");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_little_and_disturbs_nobody() {
    let stage = Stage::with(Directory::sample(3000, 20), |settings| {
        settings.set("AUTHENTIK_LDAP__WRITE_TIMEOUT", "1s");
    })
    .await;
    let mut deaf = stage.bound("ldapservice").await;
    for _ in 0..20 {
        deaf.send(
            LdapOp::SearchRequest(search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &[])),
            vec![],
        )
        .await;
    }
    let mut client = stage.bound("alice").await;
    for _ in 0..20 {
        assert_eq!(client.read(&user_dn("alice"), &["cn"]).await.entries.len(), 1);
    }
    let open = || {
        let metrics = stage.server.outpost().metrics().encode().unwrap();
        metrics
            .lines()
            .find(|line| line.starts_with("akldap_open_connections "))
            .unwrap()
            .to_owned()
    };
    eventually("the deaf client is given up", || open().ends_with(" 1")).await;
}
