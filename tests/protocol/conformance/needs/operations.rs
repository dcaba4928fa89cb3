//! Rows 33 to 52: the other operations, errors, names.

use akldap_simulator::{Directory, Fault, Rule};
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapModify, LdapModifyRequest, LdapModifyType, LdapOp,
    LdapPartialAttribute, LdapSearchScope, SaslCredentials,
};

use crate::conformance::controls::{element, integer, page_of, paged, sorted};
use crate::conformance::table::{Need, need};
use akldap_testing::client::search;
use akldap_testing::stage::{BASE, SUFFIX, Stage, entry_dn, user_dn};

pub fn needs() -> Vec<Need> {
    vec![
        need!("33", "A diagnosticMessage with every error", "a wrong password, a missing base, a malformed DN, a delete", "a text each", stage => {
            let mut client = stage.bound("ldapservice").await;
            assert!(!client.read(&user_dn("nobody"), &[]).await.outcome.message.is_empty());
            assert!(!client.read("alice", &[]).await.outcome.message.is_empty());
            client.send(LdapOp::DelRequest(user_dn("alice")), vec![]).await;
            let Some(LdapOp::DelResponse(refused)) = client.receive().await.map(|message| message.op) else { panic!() };
            assert!(!refused.message.is_empty());
            assert!(!stage.bind(&user_dn("alice"), "wrong").await.message.is_empty());
        }),
        need!("34", "Compare", "mail, memberOf, a missing attribute, a missing entry", "codes 6, 5, 16, 32", stage => {
            let mut client = stage.bound("ldapservice").await;
            let group = format!("CN=Backend, ou=groups,{BASE}");
            for (name, attribute, value, code) in [
                ("alice", "mail", "ALICE@example.com", 6),
                ("alice", "mail", "bob@example.com", 5),
                ("alice", "memberOf", group.as_str(), 6),
                ("alice", "nosuch", "x", 16),
                ("nobody", "cn", "x", 32),
            ] {
                let outcome = client.compare(&user_dn(name), attribute, value.as_bytes()).await;
                assert_eq!(outcome.code, code, "{attribute}={value}: {outcome:?}");
            }
        }),
        need!("35", "Who am I", "bound and anonymous", "`dn:` and the name; nothing", stage => {
            assert_eq!(stage.bound("alice").await.who_am_i().await, format!("dn:{}", entry_dn("alice")));
            assert_eq!(stage.client().await.who_am_i().await, "");
        }),
        need!("36", "Password modify", "the extended operation; a modify of userPassword", "code 19 and where to change it", because "an outpost's token cannot set passwords; authentik is where they are changed", stage => {
            let response = stage.bound("alice").await.extended("1.3.6.1.4.1.4203.1.11.1", None).await;
            assert_eq!(response.res.code as i32, 19);
            assert!(response.res.message.contains("authentik"));
            for (attribute, code) in [("userPassword", 19), ("USERPASSWORD;x-y", 19), ("2.5.4.35", 19), ("mail", 50)] {
                let change = |atype: &str| LdapModify {
                    operation: LdapModifyType::Replace,
                    modification: LdapPartialAttribute { atype: atype.to_owned(), vals: vec![b"x".to_vec()] },
                };
                let request = LdapModifyRequest { dn: user_dn("alice"), changes: vec![change("description"), change(attribute)] };
                let mut client = stage.bound("alice").await;
                client.send(LdapOp::ModifyRequest(request), vec![]).await;
                let LdapOp::ModifyResponse(result) = client.receive().await.unwrap().op else { panic!("{attribute}") };
                assert!(result.message.contains("authentik"), "{result:?}");
                assert_eq!(result.code as i32, code, "{attribute}");
            }
        }),
        need!("37", "StartTLS", "the extended operation", "code 0, then TLS", stage => {
            let mut client = stage.client().await;
            let response = client.extended("1.3.6.1.4.1.1466.20037", None).await;
            assert_eq!(response.res.code as i32, 0);
            // The rest, over TLS, is in tests/ldap/tls.rs; plain LDAP is no longer understood here.
            client.send(LdapOp::UnbindRequest, vec![]).await;
        }),
        need!("38", "Abandon and cancel without hanging up", "abandon of nothing; cancel of nothing", "no answer; code 119; the connection lives", stage => {
            let mut client = stage.bound("ldapservice").await;
            client.send(LdapOp::AbandonRequest(4711), vec![]).await;
            let target = element(0x30, &[&integer(4711)]);
            let response = client.extended("1.3.6.1.1.8", Some(target)).await;
            assert_eq!(response.res.code as i32, 119);
            assert_eq!(client.read(&user_dn("alice"), &["cn"]).await.entries.len(), 1);
        }),
        need!("39", "Operations side by side on a connection", "a slow search and a fast one, pipelined", "both answers, each complete", stage => {
            let mut client = stage.bound("ldapservice").await;
            let all = search(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["*"]);
            let one = search(&user_dn("alice"), LdapSearchScope::Base, "(cn=*)", &["cn"]);
            let slow = client.send(LdapOp::SearchRequest(all), vec![]).await;
            let fast = client.send(LdapOp::SearchRequest(one), vec![]).await;
            let (mut entries, mut done) = ([0, 0], Vec::new());
            while done.len() < 2 {
                let message = client.receive().await.unwrap();
                match message.op {
                    LdapOp::SearchResultEntry(_) => entries[usize::from(message.msgid == fast)] += 1,
                    LdapOp::SearchResultDone(_) => done.push(message.msgid),
                    other => panic!("{other:?}"),
                }
            }
            done.sort_unstable();
            assert_eq!(done, [slow, fast]);
            assert_eq!(entries, [4 + 60 + 12 + 60, 1]);
        }),
        need!("40", "Another bind on the same connection", "alice, bob, a wrong password", "each replaces the one before", stage => {
            let mut client = stage.bound("alice").await;
            assert_eq!(client.bind(&user_dn("bob"), "demo-bob").await.code, 0);
            assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("bob")));
            assert_eq!(client.bind(&user_dn("bob"), "wrong").await.code, 49);
            assert_eq!(client.who_am_i().await, "");
        }),
        need!("41", "Bind errors by their cause", "a wrong password, none, a malformed DN, authentik down, TLS required", "codes 49, 53, 50, 52, 13", _stage => {
            let stage = Stage::sample().await;
            for (dn, password, code) in [
                (user_dn("alice"), "wrong", 49),
                (user_dn("nobody"), "wrong", 49),
                (user_dn("alice"), "", 53),
                ("cn=a\\zz,dc=x".to_owned(), "x", 50),
            ] {
                let outcome = stage.bind(&dn, password).await;
                assert_eq!(outcome.code, code, "{dn}: {outcome:?}");
            }
            stage.simulator.faults().add(Rule::new("/flows/executor/", Fault::Reset));
            assert_eq!(stage.bind(&user_dn("alice"), "demo-alice").await.code, 52);
            stage.simulator.faults().clear();
            let strict = Stage::with(Directory::sample(0, 0), |settings| {
                settings.set("AUTHENTIK_LDAP__REQUIRE_TLS", "true");
            })
            .await;
            assert_eq!(strict.bind(&user_dn("alice"), "demo-alice").await.code, 13);
        }),
        need!("42", "SASL", "EXTERNAL, PLAIN, an unknown mechanism", "code 7 and a text; nothing advertised", because "authentik has no SASL; a client certificate cannot be checked without a flow", stage => {
            let mut client = stage.client().await;
            for mechanism in ["EXTERNAL", "PLAIN", "X-NOSUCH", ""] {
                let cred = LdapBindCred::SASL(SaslCredentials { mechanism: mechanism.into(), credentials: b"\0a\0b".to_vec() });
                let request = LdapBindRequest { dn: String::new(), cred, version: 3 };
                client.send(LdapOp::BindRequest(request), vec![]).await;
                let Some(LdapOp::BindResponse(response)) = client.receive().await.map(|message| message.op) else { panic!() };
                assert_eq!(response.res.code.clone() as i32, 7, "{response:?}");
                assert!(!response.res.message.is_empty());
            }
        }),
        need!("43", "A complete subschema", "cn=subschema; every attribute and class in use", "all declared, RFC 4512 in form", stage => {
            let mut client = stage.bound("ldapservice").await;
            let schema = client.read("cn=subschema", &["attributeTypes", "objectClasses", "matchingRules", "ldapSyntaxes"]).await;
            let schema = &schema.entries[0];
            let declared = |kind: &str| schema.get(kind).unwrap().join("\n").to_lowercase();
            let (attributes, classes) = (declared("attributeTypes"), declared("objectClasses"));
            assert!(!declared("matchingRules").is_empty() && !declared("ldapSyntaxes").is_empty());
            assert!(!attributes.contains("syntax '"), "syntaxes are not quoted");
            let found = client.subtree(BASE, "(objectClass=*)", &["*", "+"]).await;
            for entry in found.entries {
                for class in entry.get("objectClass").unwrap_or_default() {
                    assert!(classes.contains(&format!("'{}'", class.to_lowercase())), "class {class}");
                }
                for (name, _) in &entry.attributes {
                    assert!(attributes.contains(&format!("'{}'", name.to_lowercase())), "attribute {name}");
                }
            }
        }),
        need!("44", "Special characters in names are escaped", "the user `sales, \"emea\" + partners`; the group `Sales, EMEA`", "RFC 4514 names that lead back to the entry", stage => {
            let mut client = stage.bound("ldapservice").await;
            for (filter, dn) in [
                ("(&(objectClass=user)(displayName=Sales, EMEA))", format!("cn=sales\\, \\\"emea\\\" \\+ partners,ou=users,{SUFFIX}")),
                ("(&(objectClass=groupOfNames)(cn=Sales, EMEA))", format!("cn=Sales\\, EMEA,ou=groups,{SUFFIX}")),
            ] {
                let found = client.subtree(BASE, filter, &["1.1"]).await;
                assert_eq!(found.dns(), [dn.as_str()]);
                assert_eq!(client.read(&dn, &["1.1"]).await.dns(), [dn.as_str()]);
            }
        }),
        need!("45", "No attributes without values", "every entry", "each attribute has a value", because "memberOf stays as authentik's own outpost sends it: without values when there are none", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.subtree(BASE, "(objectClass=*)", &[]).await;
            for entry in found.entries {
                for (name, values) in &entry.attributes {
                    assert!(!values.is_empty() || name == "memberOf", "{name} of {}", entry.dn);
                }
            }
        }),
        need!("46", "Names match whatever their case", "cn=ALICE in direct and cached mode", "the entry", _stage => {
            for mode in ["direct", "cached"] {
                let mut directory = Directory::sample(0, 0);
                for provider in directory.providers.values_mut() {
                    provider.search_mode = mode.into();
                }
                let stage = Stage::with(directory, |_| {}).await;
                let mut client = stage.bound("ldapservice").await;
                let found = client.subtree(BASE, "(&(objectClass=user)(cn=ALICE))", &["cn"]).await;
                assert_eq!(found.entries.len(), 1, "{mode}");
            }
        }),
        need!("47", "Large directories", "5,000 users: one by name, all by pages of 500", "an index, not a scan; every user", because "100,000 entries are a matter of the benchmarks; here only that nothing is lost", _stage => {
            let stage = Stage::with(Directory::sample(5000, 50), |_| {}).await;
            let mut client = stage.bound("ldapservice").await;
            let found = client.subtree(BASE, "(&(objectClass=user)(cn=user004000))", &["cn"]).await;
            assert_eq!(found.entries.len(), 1);
            let (mut count, mut cookie) = (0, Vec::new());
            loop {
                let request = search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
                let found = client.search_with(request, vec![crate::conformance::controls::paged(500, &cookie, true)]).await;
                count += found.entries.len();
                cookie = crate::conformance::controls::page_of(&found.outcome).unwrap().1;
                if cookie.is_empty() {
                    break;
                }
            }
            assert_eq!(count, 5000);
        }),
        need!("48", "Size limit of a paged search", "60 users, sizeLimit 10, pages of 3, also sorted", "3, 3, 3, 1 and code 4", stage => {
            let mut client = stage.bound("ldapservice").await;
            for order in [None, Some("cn"), Some("-cn")] {
                let (mut cookie, mut pages) = (Vec::new(), Vec::new());
                let code = loop {
                    let mut request = search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
                    request.sizelimit = 10;
                    let mut controls = vec![paged(3, &cookie, true)];
                    controls.extend(order.map(|key| sorted(&[key], true)));
                    let found = client.search_with(request, controls).await;
                    pages.push(found.entries.len());
                    cookie = page_of(&found.outcome).unwrap().1;
                    if cookie.is_empty() {
                        break found.outcome.code;
                    }
                };
                assert_eq!((pages, code), (vec![3, 3, 3, 1], 4), "{order:?}");
            }
        }),
        need!("49", "Search from the empty name on", "base \"\", subtree and one level, bound", "what lies below the naming contexts, behind the rootDSE; the base entry", stage => {
            let mut client = stage.bound("ldapservice").await;
            let alice = format!("cn=alice,ou=users,{SUFFIX}");
            let user = client.subtree("", "(&(objectClass=user)(cn=alice))", &["cn"]).await;
            assert_eq!((user.outcome.code, user.dns()), (0, vec![alice.as_str()]));
            let all = client.subtree("", "(objectClass=*)", &["cn"]).await;
            let below = client.subtree(BASE, "(objectClass=*)", &["cn"]).await;
            assert_eq!((all.dns()[0], &all.dns()[1..]), ("", &below.dns()[..]));
            let level = client.search("", LdapSearchScope::OneLevel, "(objectClass=*)", &[]).await;
            assert_eq!(level.dns(), [BASE]);
            // A user sees of it what they see below the base.
            let mut own = stage.bound("alice").await;
            let mine = own.subtree("", "(objectClass=user)", &["cn"]).await;
            assert_eq!(mine.dns(), [alice.as_str()]);
            let mut nobody = stage.client().await;
            assert_eq!(nobody.subtree("", "(objectClass=*)", &[]).await.dns(), [""]);
            assert_eq!(nobody.search("", LdapSearchScope::OneLevel, "(objectClass=*)", &[]).await.entries.len(), 0);
        }),
        need!("50", "A bind DN names whom a search by it finds", "spaces, escapes, case, another attribute", "the entry's own DN by who am I", stage => {
            for dn in [
                format!("CN = Alice ; OU=\"users\" , {BASE}"),
                format!("cn=\\61lice,ou=users,{BASE}"),
                format!("uid=alice,ou=users,{BASE}"),
                format!("mail=alice@example.com,{BASE}"),
            ] {
                let mut client = stage.client().await;
                assert_eq!(client.bind(&dn, "demo-alice").await.code, 0, "{dn}");
                assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("alice")), "{dn}");
            }
        }),
        need!("51", "Bind names of Active Directory", "a bare name, an e-mail address, name@domain, DOMAIN\\name", "the person they name", stage => {
            for name in ["alice", "alice@example.com", "alice@ldap.goauthentik.io", "EXAMPLE\\alice"] {
                let mut client = stage.client().await;
                assert_eq!(client.bind(name, "demo-alice").await.code, 0, "{name}");
                assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("alice")), "{name}");
                assert_eq!(client.bind(name, "wrong").await.code, 49, "{name}");
            }
        }),
        need!("52", "Elements that no RFC has yet", "a request with one behind those of RFC 4511", "the answer to the request without it", stage => {
            let mut client = stage.client().await;
            let name = user_dn("alice");
            let bind = element(0x60, &[
                &integer(3),
                &element(4, &[name.as_bytes()]),
                &element(0x80, &[b"demo-alice"]),
                &element(0xaf, &[b"x"]),
            ]);
            client.send_raw(&element(0x30, &[&integer(5), &bind, &element(0x8f, &[])])).await;
            let LdapOp::BindResponse(response) = client.receive().await.unwrap().op else {
                panic!("a bind is answered")
            };
            assert_eq!(response.res.code as i32, 0);
        }),
    ]
}
