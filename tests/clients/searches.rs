//! Bases, filters, attribute lists and limits as ldapsearch sends them.

use akldap_simulator::Directory;

use crate::setting::{USERS, demo};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{command, run};
use akldap_testing::stage::{BASE, SUFFIX, Stage, user_dn};

#[client_test]
async fn attribute_lists() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let everything = [
        "ak-active",
        "ak-superuser",
        "cn",
        "createTimestamp",
        "displayName",
        "gidNumber",
        "goauthentikio-user-debug",
        "homeDirectory",
        "loginShell",
        "mail",
        "memberOf",
        "modifyTimestamp",
        "name",
        "objectClass",
        "pwdChangedTime",
        "sAMAccountName",
        "sn",
        "sshPublicKey",
        "telephoneNumber",
        "title",
        "uid",
        "uidNumber",
    ];
    let person = [
        "cn",
        "displayName",
        "distinguishedName",
        "mail",
        "memberOf",
        "name",
        "objectClass",
        "sn",
        "telephoneNumber",
        "title",
        "uid",
    ];
    let alice = user_dn("alice");
    for (asked, expected) in [
        (&[][..], &everything[..]),
        (&["*"], &everything),
        (&["*", "+"], &everything),
        (&["1.1"], &[]),
        (&["nosuch"], &[]),
        (&["cn"], &["cn"]),
        (&["CN", "2.5.4.3", "commonName"], &["cn"]),
        (&["uid,cn"], &["cn", "uid"]),
        (&["1.1", "sn"], &["sn"]),
        (&["sn", "entryUUID"], &["entryUUID", "sn"]),
        (&["@inetOrgPerson"], &person),
    ] {
        let arguments = [&["-b", &alice, "-s", "base", "(objectClass=*)"], asked].concat();
        let output = stage.ldapsearch("ldapservice", &arguments).await.expect(0);
        assert_eq!(output.entries(), 1);
        let mut names = output.names();
        names.sort_unstable();
        assert_eq!(names, expected, "{asked:?}");
    }
    let operational = ["-b", &alice, "-s", "base", "(objectClass=*)", "+"];
    let operational = stage.ldapsearch("ldapservice", &operational).await.expect(0);
    for name in ["createTimestamp", "modifyTimestamp", "memberOf"] {
        assert!(operational.names().contains(&name), "{name}: {operational:?}");
    }
    assert!(!operational.names().contains(&"cn"), "{operational:?}");
}

#[client_test]
async fn types_without_values() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let output = stage
        .ldapsearch(
            "ldapservice",
            &["-A", "(&(objectClass=user)(cn=alice))", "cn", "mail"],
        )
        .await
        .expect(0);
    let mut lines: Vec<&str> = output
        .text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("dn:"))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["cn:", "mail:"]);
}

#[client_test]
async fn bases_in_every_spelling() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let group = format!("cn=Sales\\, EMEA,ou=groups,{SUFFIX}");
    for base in [
        group.clone(),
        format!("cn=Sales\\2C EMEA,ou=groups,{BASE}"),
        format!("CN=sales\\2c\\20emea , OU=Groups , {BASE}"),
        format!("cn=#0c0b53616c65732c20454d4541,ou=groups,{BASE}"),
        format!("2.5.4.3=Sales\\, EMEA,ou=groups,{BASE}"),
        format!("cn=\"Sales, EMEA\",ou=groups,{BASE}"),
        format!("cn=Sales, EMEA,ou=groups,{BASE}"),
    ] {
        let output = stage
            .ldapsearch(
                "ldapservice",
                &["-b", &base, "-s", "base", "(objectClass=*)", "cn"],
            )
            .await;
        // The form with a BER value and the quotes of LDAPv2 are the only ones a client may refuse itself.
        assert_eq!(
            (output.code, output.values("dn")),
            (0, vec![&*group]),
            "{base}: {output:?}"
        );
        assert_eq!(output.values("cn"), ["Sales, EMEA"]);
    }
    for (base, code, matched) in [
        (
            format!("cn=nobody,ou=users,{BASE}"),
            32,
            format!("ou=users,{SUFFIX}"),
        ),
        (format!("ou=nowhere,{BASE}"), 32, BASE.to_owned()),
        (format!("xou=users,{BASE}"), 32, BASE.to_owned()),
        ("not a name".to_owned(), 34, String::new()),
    ] {
        let output = stage.ldapsearch("ldapservice", &["-b", &base]).await;
        assert_eq!((output.code, output.entries()), (code, 0), "{base}: {output:?}");
        if !matched.is_empty() {
            let wanted = format!("Matched DN: {matched}").to_lowercase();
            assert!(
                output.errors.to_lowercase().contains(&wanted),
                "{base}: {output:?}"
            );
        }
    }
    for (scope, entries) in [
        ("base", 1),
        ("one", 3),
        ("sub", 2 * USERS + 25 + 4),
        ("children", 2 * USERS + 25 + 3),
    ] {
        let output = stage
            .ldapsearch("ldapservice", &["-s", scope, "(objectClass=*)", "1.1"])
            .await;
        assert_eq!(
            (output.code, output.entries()),
            (0, entries),
            "{scope}: {}",
            output.errors
        );
    }
}

#[client_test]
async fn filters_of_every_kind() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    for (filter, entries) in [
        ("(&(objectClass=user)(cn=zoë))", 1),
        ("(&(objectClass=user)(cn=zo\\c3\\ab))", 1),
        ("(&(objectClass=user)(cn=ZOË))", 1),
        ("(&(objectClass=user)(cn=pat o'brien))", 1),
        ("(&(objectClass=user)(cn=sales, \"emea\" + partners))", 1),
        ("(cn=\\2a)", 0),
        ("(cn=\\28x\\29)", 0),
        ("(&(objectClass=user)(cn=user0000*1))", 10),
        ("(&(objectClass=user)(cn=*000*00*1))", 1),
        ("(&(objectClass=user)(displayName~=alice example))", 1),
        ("(&(objectClass=user)(employeeNumber>=17)(employeeNumber<=17))", 1),
        ("(&(objectClass=user)(cn:caseExactMatch:=ALICE))", 0),
        ("(&(objectClass=user)(cn:caseExactMatch:=alice))", 1),
        ("(&(ou:dn:=users)(cn=alice))", 1),
        ("(|(objectClass=user)(objectClass=user))", USERS),
        ("(&(objectClass=user)(!(memberOf=*)))", 2),
        ("(&(objectClass=user)(|))", 0),
        ("(&(objectClass=user)(&))", USERS),
        ("(objectClass=posixGroup)", 25),
        ("(objectClass=group)", 25 + USERS),
        ("(objectClass=goauthentik.io/ldap/virtual-group)", USERS),
        ("(userAccountControl:1.2.840.113556.1.4.803:=2)", 0),
        ("(nosuch=*)", 0),
    ] {
        let output = stage.ldapsearch("ldapservice", &[filter, "1.1"]).await;
        assert_eq!(
            (output.code, output.entries()),
            (0, entries),
            "{filter}: {output:?}"
        );
    }
    let nested =
        format!("(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:=cn=company,ou=groups,{BASE}))");
    assert_eq!(
        stage
            .ldapsearch("ldapservice", &[&nested, "1.1"])
            .await
            .expect(0)
            .entries(),
        8
    );
}

#[client_test]
async fn size_and_time_limits() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    for (limit, code, entries) in [("5", 4, 5), ("200", 0, 200), ("0", 0, 200), ("max", 0, 200)] {
        let output = stage
            .ldapsearch("ldapservice", &["-z", limit, "(objectClass=user)", "1.1"])
            .await;
        assert_eq!(
            (output.code, output.entries()),
            (code, entries),
            "{limit}: {}",
            output.errors
        );
    }
    let output = stage
        .ldapsearch("ldapservice", &["-l", "1", "(objectClass=user)", "1.1"])
        .await;
    assert_eq!((output.code, output.entries()), (0, USERS), "{}", output.errors);
}

#[client_test]
async fn a_time_limit_that_is_exceeded() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    // Far more than sockets and pipes hold, so that the server has to wait for whoever does not read.
    let stage = Stage::with(Directory::sample(8_000, 12), |_| {}).await;
    let search = format!(
        "set -o pipefail; ldapsearch -x -LLL -H {} -D '{}' -w demo-ldapservice -b '{BASE}' -l 1 '(objectClass=*)' '*' + | (sleep 2.5; grep -c ^dn:)",
        stage.uri(),
        user_dn("ldapservice"),
    );
    let output = run(command("bash").args(["-c", &search])).await;
    assert_eq!(output.code, 3, "{output:?}");
    let entries: usize = output.text.trim().parse().expect("a number");
    assert!((1..16_000).contains(&entries), "{entries} entries");
    assert!(output.errors.contains("longer than its time limit"), "{output:?}");
}
