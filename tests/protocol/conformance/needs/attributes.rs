//! Rows 12 to 19: what entries contain.

use ldap3_proto::proto::LdapSearchScope;

use crate::conformance::table::{Need, need};
use akldap_testing::stage::{BASE, SUFFIX, user_dn};

fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,{SUFFIX}")
}

fn is_timestamp(text: &str) -> bool {
    text.len() >= 15 && text.ends_with('Z') && text.bytes().take(14).all(|octet| octet.is_ascii_digit())
}

pub fn needs() -> Vec<Need> {
    vec![
        need!("12", "`*` for user attributes, `+` for operational ones", "`+`; `*`", "entryUUID and the like; the ordinary ones without entryUUID", stage => {
            let mut client = stage.bound("ldapservice").await;
            let operational = client.read(&user_dn("alice"), &["+"]).await;
            for name in ["entryUUID", "entryDN", "structuralObjectClass", "subschemaSubentry", "hasSubordinates"] {
                assert!(operational.entries[0].get(name).is_some(), "{name}: {:?}", operational.entries[0].names());
            }
            assert!(operational.entries[0].get("cn").is_none());
            let ordinary = client.read(&user_dn("alice"), &["*"]).await;
            assert!(ordinary.entries[0].get("cn").is_some() && ordinary.entries[0].get("entryUUID").is_none());
        }),
        need!("13", "entryUUID of users and groups, searchable", "entryUUID by name; a filter on it", "authentik's uuid; one entry", stage => {
            let mut client = stage.bound("ldapservice").await;
            let uuid = stage.simulator.look(|directory| directory.user_named("alice").unwrap().uuid).to_string();
            let group = stage.simulator.look(|directory| directory.group_named("backend").unwrap().pk).to_string();
            for (dn, uuid) in [(format!("cn=alice,ou=users,{SUFFIX}"), uuid), (group_dn("backend"), group)] {
                assert_eq!(client.read(&dn, &["entryUUID"]).await.entries[0].one("entryUUID"), uuid);
                let found = client.subtree(BASE, &format!("(entryUUID={})", uuid.to_uppercase()), &["1.1"]).await;
                assert_eq!(found.dns(), [dn.as_str()]);
            }
        }),
        need!("14", "createTimestamp and modifyTimestamp on users", "both by name", "generalized times", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.read(&user_dn("alice"), &["createTimestamp", "modifyTimestamp"]).await;
            for name in ["createTimestamp", "modifyTimestamp"] {
                assert!(is_timestamp(&found.entries[0].one(name)), "{name}: {:?}", found.entries[0]);
            }
        }),
        need!("14b", "createTimestamp and modifyTimestamp on groups", "both by name", "absent", because "authentik's API tells no times of groups, and made-up ones would mislead delta syncs", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.read(&group_dn("backend"), &["createTimestamp", "modifyTimestamp"]).await;
            assert_eq!((found.outcome.code, found.entries[0].attributes.len()), (0, 0));
        }),
        need!("15", "entryDN, structuralObjectClass, hasSubordinates, numSubordinates, subschemaSubentry", "all by name, on a container and a user; a filter on entryDN", "their values; one entry", stage => {
            let mut client = stage.bound("ldapservice").await;
            let names = ["entryDN", "structuralObjectClass", "hasSubordinates", "numSubordinates", "subschemaSubentry"];
            let container = client.read(&format!("ou=users,{BASE}"), &names).await;
            let container = &container.entries[0];
            assert_eq!(container.one("hasSubordinates"), "TRUE");
            assert_eq!(container.one("numSubordinates"), "60");
            assert_eq!(container.one("subschemaSubentry"), "cn=subschema");
            let user = client.read(&user_dn("alice"), &names).await;
            let user = &user.entries[0];
            assert_eq!(user.one("hasSubordinates"), "FALSE");
            assert!(!user.one("structuralObjectClass").is_empty());
            assert_eq!(user.one("entryDN"), user.dn);
            let found = client.subtree(BASE, &format!("(entryDN={})", user_dn("ALICE")), &["1.1"]).await;
            assert_eq!(found.entries.len(), 1);
        }),
        need!("16", "uniqueMember on groups", "by name; a filter on it", "as member; the groups of alice", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.read(&group_dn("backend"), &["uniqueMember", "member"]).await;
            let group = &found.entries[0];
            assert_eq!(group.get("uniqueMember"), group.get("member"));
            assert!(group.get("uniqueMember").unwrap().contains(&format!("cn=alice,ou=users,{SUFFIX}")));
            let found = client.subtree(BASE, &format!("(uniqueMember={})", user_dn("alice")), &["1.1"]).await;
            assert!(found.dns().contains(&group_dn("backend").as_str()));
        }),
        need!("17", "memberUid on groups", "by name; a filter on it", "user names; the groups of alice", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.read(&group_dn("backend"), &["memberUid"]).await;
            assert!(found.entries[0].get("memberUid").unwrap().contains(&"alice".to_owned()));
            let found = client.subtree(BASE, "(&(objectClass=posixGroup)(memberUid=alice))", &["1.1"]).await;
            assert!(found.dns().contains(&group_dn("backend").as_str()));
        }),
        need!("18", "givenName, loginShell, gecos, userPrincipalName", "loginShell, set as an attribute in authentik", "served as set there", because "authentik has no such fields; whoever needs them sets them as attributes of the user", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.read(&user_dn("alice"), &["loginShell", "givenName"]).await;
            assert_eq!(found.entries[0].one("loginShell"), "/bin/zsh");
            let found = client.subtree(BASE, "(loginShell=/bin/zsh)", &["1.1"]).await;
            assert_eq!(found.entries.len(), 1);
        }),
        need!("19", "`ou` on containers, `dc` and domain on the base", "one level below the base; the base", "ou=users, groups, virtual-groups; dc=ldap", stage => {
            let mut client = stage.bound("ldapservice").await;
            let found = client.search(BASE, LdapSearchScope::OneLevel, "(objectClass=organizationalUnit)", &["ou"]).await;
            let names: Vec<String> = found.entries.iter().map(|entry| entry.one("ou")).collect();
            assert_eq!(names, ["users", "groups", "virtual-groups"]);
            let base = client.read(BASE, &["dc", "objectClass"]).await;
            assert_eq!(base.entries[0].one("dc").to_lowercase(), "ldap");
            assert!(base.entries[0].get("objectClass").unwrap().contains(&"domain".to_owned()));
        }),
    ]
}
