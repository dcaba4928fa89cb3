//! Rows 20 to 32: filters and bases.

use ldap3_proto::proto::LdapOp;

use crate::conformance::table::{Need, need};
use akldap_testing::stage::{BASE, SUFFIX, Stage, user_dn};

/// Carries out filters and compares the number of entries found.
async fn counts(stage: &Stage, cases: &[(String, usize)]) {
    let mut client = stage.bound("ldapservice").await;
    for (filter, expected) in cases {
        let found = client.subtree(BASE, filter, &["1.1"]).await;
        assert_eq!(
            (found.outcome.code, found.entries.len()),
            (0, *expected),
            "{filter}: {:?}",
            found.dns()
        );
    }
}

fn case(filter: &str, expected: usize) -> (String, usize) {
    (filter.replace("BASE", BASE), expected)
}

pub fn needs() -> Vec<Need> {
    vec![
        need!("20", "memberOf searchable by any spelling of the name", "spaces, `\\2C`, `\\,`, case; presence", "the same entries; no group without a parent", stage => {
            counts(&stage, &[
                case("(&(objectClass=user)(memberOf=cn=backend, ou=groups, BASE))", 2),
                case("(&(objectClass=user)(memberOf=CN=Backend,OU=Groups,BASE))", 2),
                case("(&(objectClass=user)(memberOf=cn=sales\\5c2C emea,ou=groups,BASE))", 2),
                case("(&(objectClass=user)(memberOf=cn=Sales\\5c, EMEA,ou=groups,BASE))", 2),
                case("(&(objectClass=group)(cn=company)(memberOf=*))", 0),
                case("(&(objectClass=group)(cn=backend)(memberOf=*))", 1),
            ]).await;
        }),
        need!("21", "Nested membership, rule 1.2.840.113556.1.4.1941", "members of company; groups of alice", "through every level, both ways", stage => {
            counts(&stage, &[
                case("(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:=cn=company,ou=groups,BASE))", 8),
                case("(&(objectClass=groupOfNames)(member:1.2.840.113556.1.4.1941:=cn=alice,ou=users,BASE))", 5),
            ]).await;
        }),
        need!("22", "Bit rules 803 and 804", "userAccountControl:…803:=2; on uidNumber", "success; the bits of numbers there are", stage => {
            counts(&stage, &[
                case("(userAccountControl:1.2.840.113556.1.4.803:=2)", 0),
                case("(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))", 60),
                // 5001 is 0x1389.
                case("(&(objectClass=user)(cn=alice)(uidNumber:1.2.840.113556.1.4.803:=4873))", 1),
                case("(&(objectClass=user)(cn=alice)(uidNumber:1.2.840.113556.1.4.803:=2))", 0),
                case("(&(objectClass=user)(cn=alice)(uidNumber:1.2.840.113556.1.4.804:=3))", 1),
            ]).await;
        }),
        need!("23", "`>=`, `<=`, `~=`", "uidNumber, modifyTimestamp, displayName", "the entries in the range", stage => {
            counts(&stage, &[
                case("(&(objectClass=user)(uidNumber>=5001)(uidNumber<=5001))", 1),
                case("(&(objectClass=user)(modifyTimestamp>=19700101000000Z))", 60),
                case("(&(objectClass=user)(modifyTimestamp>=19700101000000.0Z)(!(modifyTimestamp>=29990101000000.123Z)))", 60),
                case("(&(objectClass=user)(displayName~=ALICE  example))", 1),
            ]).await;
        }),
        need!("24", "Substrings of several parts", "us*00*1; *ice; a*ic*", "every part counts", stage => {
            counts(&stage, &[
                case("(&(objectClass=user)(cn=us*00*1))", 5),
                case("(&(objectClass=user)(cn=*ice))", 2),
                case("(&(objectClass=user)(cn=al*ic*))", 1),
                case("(&(objectClass=user)(cn=us*zz*1))", 0),
            ]).await;
        }),
        need!("25", "Escaped values are literal", "`\\2a`, `\\28`, `\\29`, `\\5c`", "no entry has such a name", stage => {
            counts(&stage, &[
                case("(cn=\\2a)", 0),
                case("(cn=user\\2a)", 0),
                case("(cn=foo\\28bar\\29)", 0),
                case("(cn=a\\5cb)", 0),
                case("(&(objectClass=user)(cn=sales, \"emea\" + partners))", 1),
            ]).await;
        }),
        need!("26", "Several objectClass tests in an OR", "five classes, some unknown", "groups are found", stage => {
            counts(&stage, &[
                case("(&(cn=backend)(|(objectclass=groupOfNames)(objectclass=group)(objectclass=univentionGroup)(objectclass=ipausergroup)))", 1),
                case("(&(|(cn=backend)(cn=bob))(|(objectclass=groupOfNames)(objectclass=person)))", 2),
            ]).await;
        }),
        need!("27", "Negated objectClass", "(!(objectClass=computer))", "all users", stage => {
            counts(&stage, &[
                case("(&(objectClass=user)(!(objectClass=computer)))", 60),
                case("(&(cn=alice)(!(objectClass=group)))", 1),
            ]).await;
        }),
        need!("28", "Attribute aliases and OIDs", "commonName, 2.5.4.3, OID.2.5.4.3", "as cn", stage => {
            counts(&stage, &[
                case("(&(objectClass=user)(commonName=alice))", 1),
                case("(&(objectClass=user)(2.5.4.3=alice))", 1),
                case("(&(objectClass=user)(surname=Alice Example))", 1),
                case("(&(objectClass=2.16.840.1.113730.3.2.2)(cn=alice))", 1),
            ]).await;
        }),
        need!("29", "Integer, telephone and space-insensitive matching", "uidNumber=05001; +49301; spaces in a name", "equal as numbers, telephones and text", stage => {
            counts(&stage, &[
                case("(&(objectClass=user)(uidNumber=05001))", 1),
                case("(&(objectClass=user)(telephoneNumber=+49301))", 1),
                case("(&(objectClass=user)(displayName=  alice    EXAMPLE ))", 1),
            ]).await;
        }),
        need!("30", "Base names with spaces or escapes", "`, `; `\\20`; `\\2C`; hexadecimal pairs", "the entry", stage => {
            let mut client = stage.bound("ldapservice").await;
            for base in [
                format!("cn=alice, ou=users, {}", BASE.replace(',', ", ")),
                format!("CN = alice , OU=users,{BASE}"),
                format!("cn=\\61lice,ou=users,{BASE}"),
                format!("cn=sales\\2c emea,ou=groups,{BASE}"),
                format!("cn=Sales, EMEA,ou=groups,{BASE}"),
            ] {
                let found = client.read(&base, &["1.1"]).await;
                assert_eq!((found.outcome.code, found.entries.len()), (0, 1), "{base}");
            }
        }),
        need!("31", "A missing base", "an unknown user; a foreign base", "code 32 with matchedDN", stage => {
            let mut client = stage.bound("ldapservice").await;
            let missing = client.read(&user_dn("nobody"), &[]).await;
            assert_eq!((missing.outcome.code, missing.entries.len()), (32, 0));
            assert_eq!(missing.outcome.matched_dn, format!("ou=users,{SUFFIX}"));
            let foreign = client.read("dc=example,dc=com", &[]).await;
            assert_eq!((foreign.outcome.code, foreign.outcome.matched_dn.as_str()), (32, ""));
        }),
        need!("32", "A malformed DN or filter", "base `alice`; a filter cut short; an empty OR", "codes 34, 2 and 0; the connection lives", stage => {
            let mut client = stage.bound("ldapservice").await;
            for base in ["alice", "cn=a\\zz,dc=x", "=x,dc=y"] {
                assert_eq!(client.read(base, &[]).await.outcome.code, 34, "{base}");
            }
            client.send_raw(&[0x30, 28, 2, 1, 77, 0x63, 23, 4, 0, 10, 1, 2, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0, 0xa3, 4, 4, 9, b'c', b'n']).await;
            let answer = client.receive().await.unwrap();
            let LdapOp::SearchResultDone(done) = answer.op else { panic!("{answer:?}") };
            assert_eq!((answer.msgid, done.code as i32), (77, 2));
            assert_eq!(client.subtree(BASE, "(|)", &[]).await.entries.len(), 0);
            assert_eq!(client.read(&user_dn("alice"), &[]).await.entries.len(), 1);
        }),
    ]
}
