//! Who is let in, seen with ldap-utils: views, exit codes, StartTLS and LDAPS.

use crate::setting::{USERS, demo};
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::run;
use akldap_testing::stage::{BASE, SUFFIX, user_dn};

#[client_test]
async fn the_service_account_lists_every_user() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let output = stage
        .ldapsearch("ldapservice", &["(objectClass=user)"])
        .await
        .expect(0);
    assert_eq!(output.entries(), USERS);
    for name in ["alice", "bob", "mallory", "inactive", "user000001"] {
        assert!(
            output
                .values("dn")
                .contains(&&*format!("cn={name},ou=users,{SUFFIX}")),
            "{name}"
        );
    }
}

#[client_test]
async fn alice_sees_herself_her_groups_and_her_virtual_group() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let output = stage.ldapsearch("alice", &[]).await.expect(0);
    let mut dns = output.values("dn");
    dns.sort_unstable();
    let mut expected = vec![
        BASE.to_owned(),
        format!("ou=users,{SUFFIX}"),
        format!("ou=groups,{SUFFIX}"),
        format!("ou=virtual-groups,{SUFFIX}"),
        format!("cn=alice,ou=users,{SUFFIX}"),
        format!("cn=backend,ou=groups,{SUFFIX}"),
        format!("cn=everyone,ou=groups,{SUFFIX}"),
        format!("cn=alice,ou=virtual-groups,{SUFFIX}"),
    ];
    expected.sort_unstable();
    assert_eq!(dns, expected);
    let herself = format!("cn=alice,ou=users,{SUFFIX}");
    assert!(
        output.values("member").iter().all(|member| *member == herself),
        "{output:?}"
    );
    assert_eq!(
        stage
            .ldapsearch("alice", &["(objectClass=user)"])
            .await
            .expect(0)
            .entries(),
        1
    );
    let bob = format!("cn=bob,ou=users,{BASE}");
    let other = stage.ldapsearch("alice", &["-b", &bob, "-s", "base"]).await;
    assert_eq!((other.code, other.entries()), (32, 0), "{other:?}");
}

#[client_test]
async fn refused_binds_have_their_exit_codes() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    for (dn, password, code) in [
        (user_dn("alice"), "wrong", 49),
        (user_dn("nobody"), "demo-nobody", 49),
        (user_dn("inactive"), "demo-inactive", 49),
        (user_dn("totp"), "demo-totp", 49),
        (user_dn("mallory"), "demo-mallory", 50),
        ("cn=alice,dc=example,dc=com".to_owned(), "demo-alice", 50),
        (format!("ou=users,{BASE}"), "demo-alice", 50),
        (user_dn("alice"), "", 53),
        ("cn=\\zz".to_owned(), "demo-alice", 50),
    ] {
        let mut command = stage.tool("ldapsearch");
        let output = run(command.args(["-LLL", "-D", &dn, "-w", password, "-b", BASE, "-s", "base"])).await;
        assert_eq!(
            (output.code, output.entries()),
            (code, 0),
            "{dn} {password}: {output:?}"
        );
        assert!(output.errors.contains("additional info: "), "{dn}: {output:?}");
    }
    let version_2 = run(stage
        .tool_as("alice", "ldapsearch")
        .args(["-P", "2", "-b", BASE, "-s", "base"]))
    .await;
    assert_eq!(version_2.code, 2, "{version_2:?}");
}

#[client_test]
async fn names_bind_as_people_write_them() {
    let Some(_exercise) = exercise(&[Need::Program("ldapwhoami")]) else {
        return;
    };
    let stage = demo().await;
    let awkward = "sales, \"emea\" + partners";
    for (dn, password, shown) in [
        (user_dn("ALICE"), "demo-alice", None),
        (format!("CN=alice, OU=users, {BASE}"), "demo-alice", None),
        (
            format!("cn=pat o'brien,ou=users,{BASE}"),
            "demo-pat o'brien",
            None,
        ),
        (format!("cn=zo\\C3\\AB,ou=users,{BASE}"), "demo-zoë", None),
        (
            user_dn("zoë"),
            "demo-zoë",
            Some(format!("dn:cn=zoë,ou=users,{SUFFIX}\n")),
        ),
        (
            format!("cn=sales\\2C \\22emea\\22 \\2B partners,ou=users,{BASE}"),
            &*format!("demo-{awkward}"),
            None,
        ),
        (
            format!("cn={awkward},ou=users,{BASE}"),
            &*format!("demo-{awkward}"),
            None,
        ),
    ] {
        let output = run(stage.tool("ldapwhoami").args(["-D", &dn, "-w", password])).await;
        assert_eq!(output.code, 0, "{dn}: {output:?}");
        assert!(
            output.text.to_lowercase().starts_with("dn:cn="),
            "{dn}: {output:?}"
        );
        if let Some(shown) = shown {
            assert_eq!(output.text, shown);
        }
    }
}

#[client_test]
async fn nobody_needs_credentials_for_the_root_dse_and_the_subschema() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = demo().await;
    let output = run(stage
        .tool("ldapsearch")
        .args(["-LLL", "-o", "ldif-wrap=no", "-b", "", "-s", "base"]))
    .await
    .expect(0);
    assert_eq!(output.entries(), 1);
    assert_eq!(output.values("namingContexts"), [SUFFIX]);
    assert_eq!(output.values("supportedLDAPVersion"), ["3"]);
    assert_eq!(output.values("subschemaSubentry"), ["cn=subschema"]);
    for attributes in [&["+"][..], &["*", "+"]] {
        let with = run(stage
            .tool("ldapsearch")
            .args(["-LLL", "-o", "ldif-wrap=no", "-b", "", "-s", "base"])
            .args(attributes))
        .await
        .expect(0);
        assert_eq!(with.text, output.text, "{attributes:?}");
    }
    let entry = ["-LLL", "-o", "ldif-wrap=no", "-b", "cn=subschema", "-s", "base"];
    let whole = run(stage.tool("ldapsearch").args(entry)).await.expect(0);
    for attributes in [&["+"][..], &["*", "+"]] {
        let output = run(stage.tool("ldapsearch").args(entry).args(attributes)).await;
        assert_eq!(output.expect(0).text, whole.text, "{attributes:?}");
    }
    let schema = [
        "-LLL",
        "-o",
        "ldif-wrap=no",
        "-b",
        "cn=Subschema",
        "-s",
        "base",
        "attributeTypes",
        "objectClasses",
    ];
    let schema = run(stage.tool("ldapsearch").args(schema)).await.expect(0);
    assert!(
        schema
            .values("objectClasses")
            .iter()
            .any(|class| class.contains("'goauthentik.io/ldap/user'"))
    );
    assert!(
        schema
            .values("attributeTypes")
            .iter()
            .any(|attribute| attribute.contains("'sAMAccountName'"))
    );
    let anything = run(stage.tool("ldapsearch").args(["-LLL", "-b", BASE])).await;
    assert_eq!((anything.code, anything.entries()), (50, 0), "{anything:?}");
    assert_eq!(
        run(&mut stage.tool("ldapwhoami")).await.expect(0).text,
        "anonymous\n"
    );
}

over_tls! {
    /// Everybody listed, a login and refused ones over LDAPS, also with TLS 1.2 alone; nothing where the certificate cannot be verified.
    over_ldaps,
    /// The same with `-ZZ`, which is StartTLS.
    over_start_tls: over
}

/// What GnuTLS offers, on which Debian's libldap is built.
const OLD_TLS: (&str, &str) = ("LDAPTLS_CIPHER_SUITE", "NORMAL:-VERS-TLS1.3");

async fn over(transport: Transport) {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch")]) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let tool = |target: &Target, program: &str, authority: &str| {
        let mut command = akldap_testing::program::command(program);
        command
            .args(["-x", "-H", &target.uri()])
            .env("LDAPTLS_CACERT", authority)
            .env("LDAPTLS_REQCERT", "demand");
        if transport == Transport::StartTls {
            command.arg("-ZZ");
        }
        command
    };
    let modern = transport.requiring_tls_1_3().await;
    let newest = transport.to(&modern).await;
    let mut search = tool(&newest, "ldapwhoami", AUTHORITY);
    let refused = run(search.envs([OLD_TLS])).await;
    assert_ne!(refused.code, 0, "it spoke TLS 1.3: {refused:?}");
    for version in [None, Some(OLD_TLS)] {
        let everybody = async |authority: &str| {
            let mut search = tool(&target, "ldapsearch", authority);
            search
                .args(["-LLL", "-D", &user_dn("ldapservice"), "-w", "demo-ldapservice"])
                .args(["-b", BASE, "(objectClass=user)"])
                .envs(version);
            run(&mut search).await
        };
        let refused = everybody(STRANGER).await;
        assert!(refused.code != 0 && refused.entries() == 0, "{refused:?}");
        assert_eq!(
            everybody(AUTHORITY).await.expect(0).entries(),
            USERS,
            "{version:?}"
        );
        for (name, password, code) in [
            ("alice", "demo-alice", 0),
            ("alice", "wrong", 49),
            ("mallory", "demo-mallory", 50),
            ("inactive", "demo-inactive", 49),
        ] {
            let mut login = tool(&target, "ldapwhoami", AUTHORITY);
            login.args(["-D", &user_dn(name), "-w", password]).envs(version);
            run(&mut login).await.expect(code);
        }
    }
}
