//! Unusual, malformed and hostile input inside sound envelopes: every one is answered, none closes the connection.

use ldap3_proto::proto::{LdapOp, LdapSearchScope};

use crate::conformance::controls::{MANAGE_DSA_IT, control, element, integer};
use akldap_testing::client::{Client, search};
use akldap_testing::stage::{BASE, Stage, user_dn};

/// The connection still answers.
async fn lives(client: &mut Client, after: &str) {
    let found = client.read(&user_dn("alice"), &["cn"]).await;
    assert_eq!((found.outcome.code, found.entries.len()), (0, 1), "after {after}");
}

/// Sends a request as octets and returns the code of its answer.
async fn code_of(client: &mut Client, id: i32, operation: &[u8]) -> i32 {
    let message = element(0x30, &[&integer(id), operation]);
    client.send_raw(&message).await;
    loop {
        let answer = client
            .receive()
            .await
            .expect("an answer, not the end of the connection");
        assert_eq!(answer.msgid, id, "{answer:?}");
        match answer.op {
            LdapOp::SearchResultEntry(_) => {}
            LdapOp::SearchResultDone(result)
            | LdapOp::CompareResult(result)
            | LdapOp::ModifyResponse(result)
            | LdapOp::AddResponse(result)
            | LdapOp::DelResponse(result)
            | LdapOp::ModifyDNResponse(result) => return result.code as i32,
            LdapOp::ExtendedResponse(response) => return response.res.code as i32,
            LdapOp::BindResponse(response) => return response.res.code as i32,
            other => panic!("{other:?}"),
        }
    }
}

/// A search request of the whole tree with this filter, in octets.
fn search_octets(filter: &[u8]) -> Vec<u8> {
    let fixed: &[u8] = &[10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
    let attributes = element(0x30, &[&element(4, &[b"1.1"])]);
    element(
        0x63,
        &[&element(4, &[BASE.as_bytes()]), fixed, filter, &attributes],
    )
}

/// Every input that the official outpost's LDAP library fails at, with what it should give.
#[tokio::test]
async fn what_the_official_outpost_hangs_up_on_is_answered() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for (filter, entries) in [
        ("(modifyTimestamp>=30000101000000.0Z)", 0),
        ("(&(objectClass=user)(uidNumber>=5001)(uidNumber<=5001))", 1),
        ("(&(objectClass=user)(cn~=alice))", 1),
        ("(memberOf:1.2.840.113556.1.4.1941:=cn=nothing,dc=x)", 0),
        ("(uac:1.2.840.113556.1.4.803:=2)", 0),
        ("(&(objectClass=user)(ou:dn:=users))", 60),
        ("(cn=)", 0),
        ("(cn=foo\\28bar\\29)", 0),
        ("(cn=user\\2a)", 0),
        ("(&(objectClass=user)(cn=us*00*1))", 5),
        ("(cn=us*zz)", 0),
        (
            "(&(cn=backend)(|(objectclass=groupOfNames)(objectclass=group)(objectclass=univentionGroup)(objectclass=ipausergroup)))",
            1,
        ),
        (
            "(&(|(cn=backend)(cn=bob))(|(objectclass=groupOfNames)(objectclass=user)))",
            2,
        ),
        ("(&(objectClass=user)(!(objectClass=computer)))", 60),
        ("(&(objectClass=user)(commonName=alice))", 1),
        ("(&(objectClass=user)(2.5.4.3=alice))", 1),
        ("(&)", 4 + 60 + 12 + 60),
        ("(|)", 0),
        ("(cn:nosuchrule:=alice)", 0),
        ("(:caseIgnoreMatch:=backend)", 1),
        ("(nosuchattribute=*)", 0),
    ] {
        let found = client.subtree(BASE, filter, &["1.1"]).await;
        assert_eq!(
            (found.outcome.code, found.entries.len()),
            (0, entries),
            "{filter}: {:?}",
            found.dns()
        );
        lives(&mut client, filter).await;
    }
    let critical = vec![control(MANAGE_DSA_IT, true, None)];
    let found = client
        .search_with(
            search(BASE, LdapSearchScope::Base, "(objectClass=*)", &[]),
            critical,
        )
        .await;
    assert_eq!(
        (found.outcome.code, found.entries.len()),
        (0, 1),
        "a critical control without a value"
    );
}

#[tokio::test]
async fn broken_operations_are_answered_for_their_message_id() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let broken: Vec<(&str, Vec<u8>, &[i32])> = vec![
        ("an empty search", element(0x63, &[]), &[2]),
        (
            "an unknown filter component",
            search_octets(&element(0xaf, &[])),
            &[2],
        ),
        (
            "an element longer than its filter",
            search_octets(&[0xa0, 4, 0xa3, 9, 4, 1]),
            &[2],
        ),
        (
            "substrings without parts",
            search_octets(&element(0xa4, &[&element(4, &[b"cn"]), &element(0x30, &[])])),
            &[2],
        ),
        (
            "substrings out of order",
            search_octets(&element(
                0xa4,
                &[
                    &element(4, &[b"cn"]),
                    &element(0x30, &[&element(0x82, &[b"a"]), &element(0x80, &[b"b"])]),
                ],
            )),
            &[2],
        ),
        (
            "a match without rule and attribute",
            search_octets(&element(0xa9, &[&element(0x83, &[b"x"])])),
            &[2],
        ),
        ("an empty compare", element(0x6e, &[]), &[2]),
        (
            "a compare with a broken tail",
            element(
                0x6e,
                &[
                    &element(4, &[b"dc=x"]),
                    &element(0x30, &[&element(4, &[b"cn"]), &element(4, &[b"x"]), &[0]]),
                ],
            ),
            &[2],
        ),
        ("an empty modify", element(0x66, &[]), &[2]),
        ("an empty extended request", element(0x77, &[]), &[2]),
        (
            "an unknown extended request",
            element(0x77, &[&element(0x80, &[b"1.2.3.4"])]),
            &[2],
        ),
        ("a delete", element(0x4a, &[b"cn=alice"]), &[50, 53]),
        (
            "an add",
            element(0x68, &[&element(4, &[b"cn=x"]), &element(0x30, &[])]),
            &[50, 53],
        ),
        (
            "a rename",
            element(
                0x6c,
                &[&element(4, &[b"cn=x"]), &element(4, &[b"cn=y"]), &[1, 1, 0xff]],
            ),
            &[50, 53],
        ),
        (
            "a modify",
            element(0x66, &[&element(4, &[b"cn=x"]), &element(0x30, &[])]),
            &[50, 53],
        ),
        (
            "a cancel without its message id",
            element(0x77, &[&element(0x80, &[b"1.3.6.1.1.8"])]),
            &[2],
        ),
        (
            "Who am I with a value",
            element(
                0x77,
                &[
                    &element(0x80, &[b"1.3.6.1.4.1.4203.1.11.3"]),
                    &element(0x81, &[b"x"]),
                ],
            ),
            &[2],
        ),
        (
            "a value that is not text",
            search_octets(&element(
                0xa3,
                &[&element(4, &[b"objectGUID"]), &element(4, &[b"\xff\xfe\x01"])],
            )),
            &[0],
        ),
        (
            "a name that is not text",
            search_octets(&element(
                0xa3,
                &[&element(4, &[b"\xff\xfe"]), &element(4, &[b"x"])],
            )),
            &[0],
        ),
        (
            "a zero octet in a value",
            search_octets(&element(
                0xa3,
                &[&element(4, &[b"cn"]), &element(4, &[b"alice\0"])],
            )),
            &[0],
        ),
    ];
    for (what, operation, codes) in broken {
        let code = code_of(&mut client, 0x0101, &operation).await;
        assert!(codes.contains(&code), "{what}: {code}");
        lives(&mut client, what).await;
    }
}

#[tokio::test]
async fn bad_controls_are_an_answer_too() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let request = || search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
    for oid in [
        "1.2.840.113556.1.4.319",
        "1.2.840.113556.1.4.473",
        "2.16.840.1.113730.3.4.9",
        "1.3.6.1.4.1.4203.666.5.16",
    ] {
        for value in [
            None,
            Some(vec![]),
            Some(vec![0x30]),
            Some(vec![0xff; 64]),
            Some(vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        ] {
            let found = client
                .search_with(request(), vec![control(oid, true, value.clone())])
                .await;
            assert_eq!(
                (found.outcome.code, found.entries.len()),
                (2, 0),
                "{oid} {value:?}"
            );
            lives(&mut client, oid).await;
        }
    }
    // A control that is not a control.
    let search = search_octets(&element(0x87, &[b"cn"]));
    let message = element(
        0x30,
        &[&integer(7), &search, &element(0xa0, &[&element(0x30, &[])])],
    );
    client.send_raw(&message).await;
    let answer = client.receive().await.unwrap();
    let LdapOp::SearchResultDone(done) = answer.op else {
        panic!("{answer:?}")
    };
    assert_eq!((answer.msgid, done.code as i32), (7, 2));
    lives(&mut client, "a control that is no control").await;
}

/// RFC 4511 section 4: trailing elements of a SEQUENCE whose tags are not recognised are ignored.
#[tokio::test]
async fn elements_of_protocols_to_come_are_ignored() {
    let stage = Stage::sample().await;
    let mut client = stage.client().await;
    let unknown = element(0xaf, &[&[0xff, 0xff]]);
    let name = user_dn("ldapservice");
    let bind = element(
        0x60,
        &[
            &integer(3),
            &element(4, &[name.as_bytes()]),
            &element(0x80, &[b"demo-ldapservice"]),
            &unknown,
        ],
    );
    assert_eq!(code_of(&mut client, 1, &bind).await, 0, "a bind");
    let assertion = |tag: u8| element(tag, &[&element(4, &[b"cn"]), &element(4, &[b"alice"]), &unknown]);
    let search = search_octets(&assertion(0xa3));
    assert_eq!(code_of(&mut client, 2, &search).await, 0, "a filter");
    let entry = user_dn("alice");
    let compare = element(
        0x6e,
        &[&element(4, &[entry.as_bytes()]), &assertion(0x30), &unknown],
    );
    assert_eq!(code_of(&mut client, 3, &compare).await, 6, "a compare");
    let whoami = element(0x77, &[&element(0x80, &[b"1.3.6.1.4.1.4203.1.11.3"]), &unknown]);
    assert_eq!(code_of(&mut client, 4, &whoami).await, 0, "an extended request");
    let cancel = |last: &[u8]| {
        let value = element(0x30, &[&integer(99), last]);
        element(
            0x77,
            &[&element(0x80, &[b"1.3.6.1.1.8"]), &element(0x81, &[&value])],
        )
    };
    let code = code_of(&mut client, 7, &cancel(&unknown)).await;
    assert_eq!(
        code, 119,
        "the value of an extended request: there is nothing to cancel"
    );
    let code = code_of(&mut client, 8, &cancel(&integer(98))).await;
    assert_eq!(code, 2, "what a cancel has, once more");
    let rename = element(
        0x6c,
        &[
            &element(4, &[b"cn=x"]),
            &element(4, &[b"cn=y"]),
            &[1, 1, 0xff],
            &unknown,
        ],
    );
    assert!(
        [50, 53].contains(&code_of(&mut client, 5, &rename).await),
        "a rename"
    );
    // A critical control that is known, with something after its value, and something after all controls.
    let paged = element(0x30, &[&integer(2), &element(4, &[]), &unknown]);
    let control = element(
        0x30,
        &[
            &element(4, &[b"1.2.840.113556.1.4.319"]),
            &[1, 1, 0xff],
            &element(4, &[&paged]),
            &unknown,
        ],
    );
    let message = element(
        0x30,
        &[
            &integer(6),
            &search_octets(&element(0x87, &[b"cn"])),
            &element(0xa0, &[&control]),
            &unknown,
        ],
    );
    client.send_raw(&message).await;
    let found = client.collect(6).await;
    assert_eq!((found.outcome.code, found.entries.len()), (0, 2), "{found:?}");
    lives(&mut client, "all of that").await;
}

/// RFC 4511 section 4.5.1.7: an assertion whose value the syntax does not know is Undefined, and so is its negation.
#[tokio::test]
async fn values_that_a_syntax_does_not_know_match_nothing_either_way() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let all = client
        .subtree(BASE, "(objectClass=*)", &["1.1"])
        .await
        .entries
        .len();
    assert_eq!(all, 4 + 60 + 12 + 60);
    for filter in [
        "(memberOf=cn=a,,b)",
        "(member=nonsense)",
        "(uniqueMember=cn=a,,b#'01'B)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=a,,b)",
        "(uidNumber=abc)",
        "(uidNumber~=abc)",
        "(uidNumber>=abc)",
        "(uidNumber:=abc)",
        "(uidNumber:dn:integerMatch:=abc)",
        "(:integerMatch:=abc)",
        "(uidNumber:1.2.840.113556.1.4.803:=two)",
        "(ak-active=maybe)",
        "(createTimestamp<=yesterday)",
        "(entryUUID=1)",
        "(cn:nosuchrule:=alice)",
    ] {
        for nothing in [
            filter.to_owned(),
            format!("(!{filter})"),
            format!("(&(objectClass=*)(!{filter}))"),
            format!("(!(|{filter}(cn=alice)))"),
        ] {
            let found = client.subtree(BASE, &nothing, &["1.1"]).await;
            assert_eq!((found.outcome.code, found.entries.len()), (0, 0), "{nothing}");
        }
        let found = client
            .subtree(BASE, &format!("(|{filter}(cn=alice))"), &["1.1"])
            .await;
        assert_eq!((found.outcome.code, found.entries.len()), (0, 2), "{filter}");
    }
    // Text that is not UTF-8.
    let name = element(4, &[b"cn"]);
    for (id, filter) in [
        (0x0201, element(0xa3, &[&name, &element(4, &[b"zo\xeb"])])),
        (
            0x0202,
            element(0xa4, &[&name, &element(0x30, &[&element(0x80, &[b"zo\xeb"])])]),
        ),
    ] {
        let message = element(0x30, &[&integer(id), &search_octets(&element(0xa2, &[&filter]))]);
        client.send_raw(&message).await;
        let found = client.collect(id).await;
        assert_eq!((found.outcome.code, found.entries.len()), (0, 0), "{id}");
    }
    // Well-formed, though nobody has it.
    for filter in [
        "(memberOf=cn=nobody,dc=elsewhere)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=nobody,dc=elsewhere)",
        "(uidNumber=987654321)",
        "(entryUUID=deadbeef-0000-4000-8000-000000000000)",
        "(nosuchattribute=x)",
    ] {
        let found = client.subtree(BASE, &format!("(!{filter})"), &["1.1"]).await;
        assert_eq!((found.outcome.code, found.entries.len()), (0, all), "{filter}");
    }
    for base in ["", "cn=subschema"] {
        for (filter, entries) in [
            ("(objectClass=*)", 1),
            ("(!(supportedLDAPVersion=three))", 0),
            ("(!(supportedLDAPVersion=9))", 1),
            ("(!(attributeTypes=two words))", 0),
            ("(!(attributeTypes=nosuch))", 1),
            ("(!(namingContexts=cn=a,,b))", 0),
        ] {
            let found = client
                .search_with(search(base, LdapSearchScope::Base, filter, &["1.1"]), vec![])
                .await;
            assert_eq!(
                (found.outcome.code, found.entries.len()),
                (0, entries),
                "{base:?} {filter}"
            );
        }
    }
    let name = user_dn("alice");
    for (attribute, value, code) in [
        ("uidNumber", "abc", 21),
        ("memberOf", "cn=a,,b", 21),
        ("ak-active", "maybe", 21),
        ("uidNumber", "1", 5),
        ("memberOf", "cn=nobody,dc=elsewhere", 5),
        ("objectClass", "computer", 5),
    ] {
        let outcome = client.compare(&name, attribute, value.as_bytes()).await;
        assert_eq!(outcome.code, code, "{attribute}={value}: {outcome:?}");
        assert_eq!(
            outcome.message.is_empty(),
            code == 5,
            "{attribute}={value}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn depth_and_size_of_filters_have_their_limits() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let nested =
        |levels: usize| (0..levels).fold(element(0x87, &[b"cn"]), |inner, _| element(0xa2, &[&inner]));
    assert_eq!(code_of(&mut client, 5, &search_octets(&nested(63))).await, 0);
    for levels in [64, 1000, 5000] {
        assert_eq!(
            code_of(&mut client, 6, &search_octets(&nested(levels))).await,
            2,
            "{levels} levels"
        );
        lives(&mut client, "a deep filter").await;
    }
    let term = element(0xa3, &[&element(4, &[b"cn"]), &element(4, &[b"nobody"])]);
    let wide = element(0xa1, &vec![term.as_slice(); 2000]);
    assert_eq!(
        code_of(&mut client, 7, &search_octets(&wide)).await,
        0,
        "2,000 names in one OR"
    );
    lives(&mut client, "a wide filter").await;
}

#[tokio::test]
async fn odd_message_ids_and_long_lengths_are_understood() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let whoami = element(0x77, &[&element(0x80, &[b"1.3.6.1.4.1.4203.1.11.3"])]);
    for id in [0, 1, 127, 128, 65_536, i32::MAX] {
        assert_eq!(code_of(&mut client, id, &whoami).await, 0, "{id}");
    }
    // Lengths in eight octets, and every octet in a packet of its own.
    let operation = [
        &[0x77, 0x88, 0, 0, 0, 0, 0, 0, 0, 25, 0x80, 23][..],
        b"1.3.6.1.4.1.4203.1.11.3",
    ]
    .concat();
    let message = [&[0x30, 0x84, 0, 0, 0, 38, 2, 1, 9][..], &operation].concat();
    for octet in &message {
        client.send_raw(&[*octet]).await;
    }
    let answer = client.receive().await.unwrap();
    assert_eq!(answer.msgid, 9);
    lives(&mut client, "long lengths").await;
}

#[tokio::test]
async fn what_cannot_be_framed_ends_with_a_notice() {
    let stage = Stage::sample().await;
    for (what, octets) in [
        (
            "an unknown operation",
            element(0x30, &[&integer(1), &element(0x7e, &[])]),
        ),
        (
            "a response",
            element(0x30, &[&integer(1), &element(0x61, &[&[10, 1, 0, 4, 0, 4, 0]])]),
        ),
        (
            "a negative message id",
            element(0x30, &[&integer(-1), &element(0x42, &[])]),
        ),
        (
            "nine length octets",
            vec![0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 5, 2, 1, 1, 0x42, 0],
        ),
        ("a TLS hello", vec![0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]),
    ] {
        let mut client = stage.bound("alice").await;
        client.send_raw(&octets).await;
        let notice = client
            .receive()
            .await
            .unwrap_or_else(|| panic!("{what}: a notice"));
        let LdapOp::ExtendedResponse(response) = notice.op else {
            panic!("{what}")
        };
        assert_eq!(
            (notice.msgid, response.name.as_deref(), response.res.code as i32),
            (0, Some("1.3.6.1.4.1.1466.20036"), 2),
            "{what}"
        );
        assert!(client.receive().await.is_none(), "{what}");
    }
}

/// Controls of Active Directory's clients: accepted where they ask for what is done anyway, refused where it could not be
/// honoured.
#[tokio::test]
async fn critical_controls_of_active_directory_are_accepted_where_they_are_kept_anyway() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let users = || search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
    let flags = |flags: i32| Some(element(0x30, &[&integer(flags)]));
    let boolean = |value: u8| Some(vec![1, 1, value]);
    for (oid, value, code) in [
        ("1.2.840.113556.1.4.1339", None, 0),
        ("1.2.840.113556.1.4.1340", flags(1), 0),
        ("1.2.840.113556.1.4.1340", flags(3), 0),
        ("1.2.840.113556.1.4.1340", flags(4), 12),
        ("1.2.840.113556.1.4.1340", None, 12),
        ("1.2.840.113556.1.4.801", flags(7), 0),
        ("1.2.840.113556.1.4.801", Some(vec![1]), 12),
        ("1.2.840.113556.1.4.417", None, 0),
        ("1.2.840.113556.1.4.1413", None, 0),
        ("1.3.6.1.4.1.4203.1.10.1", boolean(0), 0),
        ("1.3.6.1.4.1.4203.1.10.1", boolean(0xff), 12),
        ("1.3.6.1.4.1.4203.1.10.1", None, 12),
        // Extended DNs would be another form of every name.
        ("1.2.840.113556.1.4.529", flags(1), 12),
    ] {
        let found = client.search_with(users(), vec![control(oid, true, value)]).await;
        let entries = if code == 0 { 60 } else { 0 };
        assert_eq!(
            (found.outcome.code, found.entries.len()),
            (code, entries),
            "{oid}"
        );
    }
}
