//! The other operations, with the other programs of ldap-utils.

use crate::setting::demo;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{Output, run};
use akldap_testing::stage::{BASE, entry_dn, user_dn};

#[client_test]
async fn compare() {
    let Some(_exercise) = exercise(&[Need::Program("ldapcompare")]) else {
        return;
    };
    let stage = demo().await;
    let (alice, bob) = (user_dn("alice"), user_dn("bob"));
    let group = format!("cn=Backend, ou=groups, {BASE}");
    for (who, dn, assertion, code, said) in [
        ("alice", &alice, "cn:ALICE", 6, "TRUE"),
        ("alice", &alice, "cn:bob", 5, "FALSE"),
        ("alice", &alice, "mail::YWxpY2VAZXhhbXBsZS5jb20=", 6, "TRUE"),
        ("alice", &alice, "nosuch:x", 16, ""),
        ("alice", &bob, "cn:bob", 32, ""),
        ("ldapservice", &bob, "cn:bob", 6, "TRUE"),
        ("ldapservice", &bob, "uidNumber:1", 5, "FALSE"),
        (
            "ldapservice",
            &group,
            &*format!("member:CN=alice,OU=users,{BASE}"),
            6,
            "TRUE",
        ),
        ("ldapservice", &group, &*format!("member:{bob}"), 5, "FALSE"),
        ("ldapservice", &bob, "objectClass:2.5.6.6", 6, "TRUE"),
    ] {
        let output = run(stage.tool_as(who, "ldapcompare").args([dn, assertion])).await;
        assert_eq!(output.code, code, "{who} {dn} {assertion}: {output:?}");
        assert!(output.text.trim_end().ends_with(said), "{output:?}");
    }
    let anonymous = run(stage.tool("ldapcompare").args([&alice, "cn:alice"])).await;
    assert_eq!(anonymous.code, 50, "{anonymous:?}");
}

#[client_test]
async fn who_am_i() {
    let Some(_exercise) = exercise(&[Need::Program("ldapwhoami")]) else {
        return;
    };
    let stage = demo().await;
    let output = run(&mut stage.tool_as("alice", "ldapwhoami")).await.expect(0);
    assert_eq!(output.text, format!("dn:{}\n", entry_dn("alice")));
    assert_eq!(
        run(stage.tool_as("alice", "ldapwhoami").args(["-e", "ppolicy"]))
            .await
            .expect(0)
            .text,
        output.text
    );
}

/// Some of these programs end with 1 whatever the result code, and only print it.
#[track_caller]
fn said(output: &Output, code: i32) {
    if code == 0 {
        assert_eq!(output.code, 0, "{output:?}");
    } else {
        let printed = format!("{}{}", output.text, output.errors).contains(&format!("({code})"));
        assert!(output.code != 0 && printed, "{code}: {output:?}");
    }
}

#[client_test]
async fn extended_operations() {
    let Some(_exercise) = exercise(&[Need::Program("ldapexop")]) else {
        return;
    };
    let stage = demo().await;
    for (operation, code) in [
        (&["whoami"][..], 0),
        // There is nothing to cancel under this message id: noSuchOperation of RFC 3909.
        (&["cancel", "77"], 119),
        // The bind itself is not an operation that could be cancelled.
        (&["cancel", "1"], 119),
        // Refresh of dynamic entries is not offered.
        (&["refresh", BASE, "60"], 2),
        (&["1.2.3.4"], 2),
        (&["1.2.3.4:value"], 2),
    ] {
        let output = run(stage.tool_as("alice", "ldapexop").args(operation)).await;
        said(&output, code);
    }
}

#[client_test]
async fn writing_is_refused() {
    let Some(_exercise) = exercise(&[Need::Program("ldapmodify")]) else {
        return;
    };
    let stage = demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let alice = user_dn("alice");
    let change = file(
        "change",
        format!("dn: {alice}\nchangetype: modify\nreplace: mail\nmail: other@example.com\n"),
    );
    let password = file(
        "password",
        format!("dn: {alice}\nchangetype: modify\nreplace: userPassword\nuserPassword: other\n"),
    );
    let new = file(
        "new",
        format!("dn: cn=new,ou=users,{BASE}\nobjectClass: person\ncn: new\nsn: new\n"),
    );
    for (program, arguments, code) in [
        ("ldapmodify", &["-f", &change][..], 50),
        ("ldapadd", &["-f", &new], 50),
        ("ldapdelete", &[&alice], 50),
        ("ldapmodrdn", &[&alice, "cn=alicia"], 50),
        ("ldappasswd", &["-s", "new", "-a", "demo-alice"], 19),
        ("ldapmodify", &["-f", &password], 19),
    ] {
        let output = run(stage.tool_as("alice", program).args(arguments)).await;
        said(&output, code);
    }
    let output = stage
        .ldapsearch("alice", &["(&(objectClass=user)(cn=alice))", "mail"])
        .await
        .expect(0);
    assert_eq!(output.values("mail"), ["alice@example.com"]);
}
