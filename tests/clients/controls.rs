//! Controls as ldapsearch sends them: pages, sorting, lists, dereferencing, and unknown ones.

use crate::setting::{USERS, demo};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::run_until;
use akldap_testing::stage::{BASE, SUFFIX};

#[client_test]
async fn pages() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    for (control, pages) in [
        ("pr=100/noprompt", 2),
        ("!pr=100/noprompt", 2),
        ("pr=1/noprompt", USERS),
        ("pr=7/noprompt", 29),
        ("pr=1000/noprompt", 1),
    ] {
        let output = stage
            .ldapsearch_in_full("ldapservice", &["-E", control, "(objectClass=user)", "cn"])
            .await
            .expect(0);
        let mut dns = output.lines("dn:");
        assert_eq!(
            output.lines("result: 0 ").len(),
            pages,
            "{control}: one result for each page"
        );
        assert_eq!(dns.len(), USERS, "{control}");
        dns.sort_unstable();
        dns.dedup();
        assert_eq!(dns.len(), USERS, "{control}: every user once");
        assert_eq!(output.lines("control: 1.2.840.113556.1.4.319").len(), pages);
    }
    // A size limit goes for the whole of a paged search in ldapsearch, for each page in the server.
    let limited = stage
        .ldapsearch(
            "ldapservice",
            &["-E", "pr=10/noprompt", "-z", "10", "(objectClass=user)", "cn"],
        )
        .await;
    assert_eq!(limited.entries(), 10, "{limited:?}");
}

#[client_test]
async fn sorting() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let filter = "(&(objectClass=user)(cn=user*))";
    let plain: Vec<String> = {
        let output = stage.ldapsearch("ldapservice", &[filter, "cn"]).await.expect(0);
        let mut names: Vec<String> = output.values("cn").iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let backwards: Vec<String> = plain.iter().rev().cloned().collect();
    for (control, expected) in [
        ("sss=cn", &plain),
        ("!sss=cn", &plain),
        ("sss=-cn", &backwards),
        ("sss=cn:caseIgnoreOrderingMatch", &plain),
        ("!sss=-uidNumber", &backwards),
        ("sss=sn/-cn", &plain),
    ] {
        let output = stage
            .ldapsearch_in_full("ldapservice", &["-E", control, filter, "cn"])
            .await
            .expect(0);
        assert_eq!(&output.values("cn"), expected, "{control}");
        assert!(
            output.text.contains("sortResult: (0) Success"),
            "{control}: {}",
            output.text
        );
    }
    let unknown = stage
        .ldapsearch_in_full("ldapservice", &["-E", "sss=cn:1.2.3.4", filter, "cn"])
        .await;
    assert!(unknown.text.contains("sortResult: ("), "{unknown:?}");
    assert!(!unknown.text.contains("sortResult: (0)"), "{unknown:?}");
    let unknown = stage
        .ldapsearch_in_full("ldapservice", &["-E", "!sss=cn:1.2.3.4", filter, "cn"])
        .await;
    assert_eq!(
        unknown.code, 12,
        "a critical sort that cannot be done fails: {unknown:?}"
    );
}

#[client_test]
async fn virtual_lists() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let filter = "(&(objectClass=user)(cn=user*))";
    let users = stage
        .ldapsearch("ldapservice", &[filter, "cn"])
        .await
        .expect(0)
        .entries();
    // before/after/offset/count, and before/after:value.
    for (control, first, entries, position) in [
        ("vlv=0/9/1/0", "user000001", 10, 1),
        ("vlv=2/2/10/0", "user000008", 5, 10),
        ("vlv=0/4:user0001", "user000100", 5, 100),
        ("!vlv=0/0/50/0", "user000050", 1, 50),
    ] {
        // ldapsearch goes on with the next window for ever, whatever its input.
        let mut command = stage.tool_as("ldapservice", "ldapsearch");
        command.args([
            "-o",
            "ldif-wrap=no",
            "-b",
            BASE,
            "-E",
            "sss=cn",
            "-E",
            control,
            filter,
            "cn",
        ]);
        let output = run_until(&mut command, "Press [").await.expect(0);
        let names = output.values("cn");
        assert_eq!(
            (names.first(), names.len()),
            (Some(&first), entries),
            "{control}: {output:?}"
        );
        let told = format!("pos={position} count={users}");
        assert!(
            output.text.contains(&told),
            "{control}: {told} is not in {}",
            output.text
        );
    }
    let unsorted = stage
        .ldapsearch_in_full("ldapservice", &["-E", "!vlv=0/9/1/0", filter, "cn"])
        .await;
    assert_ne!(unsorted.code, 0, "a list without an order: {unsorted:?}");
}

#[client_test]
async fn dereferencing() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let group = format!("cn=backend,ou=groups,{SUFFIX}");
    for control in [
        "deref=member:cn,mail",
        "!deref=member:cn,mail",
        "deref=member:mail,cn;memberOf:cn",
    ] {
        let arguments = [
            "-b",
            &group,
            "-s",
            "base",
            "-E",
            control,
            "(objectClass=*)",
            "member",
        ];
        let output = stage
            .ldapsearch_in_full("ldapservice", &arguments)
            .await
            .expect(0);
        let lines = output.lines("# member:");
        let alice = format!("cn=alice,ou=users,{SUFFIX}");
        let alice = lines
            .iter()
            .find(|line| line.contains(&alice))
            .unwrap_or_else(|| panic!("{control}: {output:?}"));
        assert!(
            alice.contains("<cn=alice>") && alice.contains("<mail=alice@example.com>"),
            "{control}: {alice}"
        );
    }
    // Alice may not see other members this way either.
    let arguments = [
        "-b",
        &group,
        "-s",
        "base",
        "-E",
        "deref=member:cn",
        "(objectClass=*)",
        "member",
    ];
    let output = stage.ldapsearch_in_full("alice", &arguments).await.expect(0);
    assert_eq!(output.lines("# member:").len(), 1, "{output:?}");
}

#[client_test]
async fn controls_without_effect_and_unknown_ones() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    for (controls, code) in [
        (&["-M"][..], 0),
        (&["-MM"], 0),
        (&["-e", "ppolicy"], 0),
        (&["-e", "1.2.3.4"], 0),
        (&["-E", "1.2.3.4=:value"], 0),
        (&["-E", "!1.2.3.4"], 12),
        (&["-e", "!1.2.3.4"], 12),
        // Assertion and matched values are not implemented.
        (&["-e", "!assert=(cn=alice)"], 12),
        (&["-E", "!mv=(mail=*)"], 12),
        (&["-E", "mv=((mail=*))"], 0),
    ] {
        let arguments = [controls, &["-s", "base", "-b", BASE, "(objectClass=*)", "dc"]].concat();
        let output = stage.ldapsearch("ldapservice", &arguments).await;
        assert_eq!(output.code, code, "{controls:?}: {output:?}");
        assert_eq!(output.entries(), usize::from(code == 0), "{controls:?}");
    }
}
