//! Rows 1 to 11: controls, limits, the rootDSE.

use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapOp, LdapSearchScope};

use crate::conformance::controls::{
    MANAGE_DSA_IT, control, dereference, entries_with_controls, page_of, paged, sorted, value_of, view,
    view_of,
};
use crate::conformance::table::{Need, need};
use akldap_testing::client::search;
use akldap_testing::stage::{BASE, SUFFIX, user_dn};

fn users() -> ldap3_proto::proto::LdapSearchRequest {
    search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"])
}

pub fn needs() -> Vec<Need> {
    vec![
        need!("1", "Paged results, critical and not", "60 users in pages of 25", "25, 25, 10, each with a response control", stage => {
            let mut client = stage.bound("ldapservice").await;
            for critical in [false, true] {
                let mut cookie = Vec::new();
                for (size, last) in [(25, false), (25, false), (10, true)] {
                    let found = client.search_with(users(), vec![paged(25, &cookie, critical)]).await;
                    assert_eq!((found.outcome.code, found.entries.len()), (0, size));
                    cookie = page_of(&found.outcome).unwrap().1;
                    assert_eq!(cookie.is_empty(), last);
                }
            }
        }),
        need!("2", "Page size change, size 0 to end, cookie after a reconnect", "pages of 25, 10 on a new connection, then 0", "the sequence goes on; 0 ends it", stage => {
            let mut client = stage.bound("ldapservice").await;
            let first = client.search_with(users(), vec![paged(25, b"", false)]).await;
            let (_, cookie) = page_of(&first.outcome).unwrap();
            let mut other = stage.bound("ldapservice").await;
            let second = other.search_with(users(), vec![paged(10, &cookie, false)]).await;
            assert_eq!((second.outcome.code, second.entries.len()), (0, 10));
            assert!(second.dns().iter().all(|dn| !first.dns().contains(dn)));
            let (_, cookie) = page_of(&second.outcome).unwrap();
            let end = other.search_with(users(), vec![paged(0, &cookie, false)]).await;
            assert_eq!((end.outcome.code, end.entries.len()), (0, 0));
            assert_eq!(page_of(&end.outcome).unwrap().1, b"");
        }),
        need!("3", "Size limit", "60 users, sizeLimit 10", "10 entries, code 4", stage => {
            let mut client = stage.bound("ldapservice").await;
            let mut request = users();
            request.sizelimit = 10;
            let found = client.search_with(request, vec![]).await;
            assert_eq!((found.outcome.code, found.entries.len()), (4, 10));
        }),
        need!("4", "typesOnly, time limit", "typesOnly and timeLimit 1", "names without values; code 0 within the limit (beyond it: limits.rs)", stage => {
            let mut client = stage.bound("ldapservice").await;
            let mut request = users();
            request.typesonly = true;
            request.timelimit = 1;
            let found = client.search_with(request, vec![]).await;
            assert_eq!((found.outcome.code, found.entries.len()), (0, 60));
            assert!(found.entries.iter().all(|entry| entry.attributes == [("cn".to_owned(), vec![])]));
        }),
        need!("5", "Unknown controls", "an unknown control, critical and not", "code 12; ignored", stage => {
            let mut client = stage.bound("ldapservice").await;
            for (critical, code, entries) in [(true, 12, 0), (false, 0, 60)] {
                let unknown = control("1.3.6.1.4.1.4203.1.9.1.1", critical, None);
                let found = client.search_with(users(), vec![unknown]).await;
                assert_eq!((found.outcome.code, found.entries.len()), (code, entries));
            }
        }),
        need!("6", "manageDsaIT", "a search with it, critical and not", "code 0, all entries", stage => {
            let mut client = stage.bound("ldapservice").await;
            for critical in [true, false] {
                let found = client.search_with(users(), vec![control(MANAGE_DSA_IT, critical, None)]).await;
                assert_eq!((found.outcome.code, found.entries.len()), (0, 60));
            }
        }),
        need!("7", "Password policy request on bind", "a bind with it, not critical", "code 0", stage => {
            let mut client = stage.client().await;
            let request = LdapBindRequest {
                dn: user_dn("alice"),
                cred: LdapBindCred::Simple("demo-alice".into()),
                version: 3,
            };
            let policy = LdapControl::PasswordPolicyRequest { criticality: false };
            client.send(LdapOp::BindRequest(request), vec![policy]).await;
            let Some(LdapOp::BindResponse(response)) = client.receive().await.map(|message| message.op) else { panic!() };
            assert_eq!(response.res.code as i32, 0);
        }),
        need!("8", "Dereference", "a group, deref of member for cn and uid", "the members' attributes in a control of the entry", stage => {
            let mut client = stage.bound("ldapservice").await;
            let request = search(BASE, LdapSearchScope::Subtree, "(&(objectClass=groupOfNames)(cn=backend))", &["cn"]);
            let (entries, code) = entries_with_controls(&mut client, request, vec![dereference("member", &["cn", "uid"], true)]).await;
            assert_eq!((code, entries.len()), (0, 1));
            let value = value_of(&entries[0].1, crate::conformance::controls::DEREF).unwrap();
            assert!(String::from_utf8_lossy(&value).contains(&format!("cn=alice,ou=users,{SUFFIX}")));
        }),
        need!("9", "Sorting and virtual list view", "sorted by -cn; the window 11 to 15", "in order; five entries of 60", stage => {
            let mut client = stage.bound("ldapservice").await;
            let whole = client.search_with(users(), vec![sorted(&["-cn"], true)]).await;
            assert_eq!(whole.entries.len(), 60);
            let window = client.search_with(users(), vec![sorted(&["-cn"], true), view(0, 4, 11, 0)]).await;
            assert_eq!(window.dns(), whole.dns()[10..15]);
            assert_eq!(view_of(&window.outcome), Some((11, 60, 0)));
        }),
        need!("10", "Anonymous bind; rootDSE without a bind", "an empty bind; a base search of the empty name", "code 0; the rootDSE with its controls", stage => {
            let mut client = stage.client().await;
            assert_eq!(client.read("", &["supportedControl"]).await.entries.len(), 1, "before any bind");
            assert_eq!(client.bind("", "").await.code, 0);
            let found = client.read("", &["*", "+"]).await;
            assert!(!found.entries[0].get("namingContexts").unwrap().is_empty());
            assert!(found.entries[0].get("supportedControl").unwrap().len() >= 5);
        }),
        need!("11", "rootDSE: contexts, extensions, features, mechanisms", "a base search of the empty name", "what is implemented and nothing else", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.read("", &["*", "+"]).await;
            let root = &found.entries[0];
            let has = |name: &str, value: &str| root.get(name).unwrap_or_default().iter().any(|found| found.eq_ignore_ascii_case(value));
            assert!(has("defaultNamingContext", BASE) && has("namingContexts", BASE));
            for extension in ["1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.3", "1.3.6.1.1.8"] {
                assert!(has("supportedExtension", extension), "{extension}");
            }
            for feature in ["1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.3"] {
                assert!(has("supportedFeatures", feature), "{feature}");
            }
            for oid in root.get("supportedControl").unwrap() {
                // Whatever is advertised is never unknown: without its value it is malformed (2) or done (0).
                let code = client.search_with(users(), vec![control(&oid, true, None)]).await.outcome.code;
                assert!([0, 2].contains(&code), "{oid}: {code}");
            }
            assert!(root.get("supportedSASLMechanisms").is_none(), "there are none");
        }),
    ]
}
