//! Dovecot's authentication service with LDAP behind both of its databases.

use crate::exercise::{Need, exercise};
use crate::machine::Machine;
use crate::program::Output;
use crate::recorder::{DEMO, Recorder};
use crate::setting::{USERS, demo};
use crate::stage::{BASE, user_dn};
use crate::version::package;

const NEEDS: [Need<'static>; 3] = [
    Need::Program("dovecot"),
    Need::File("/usr/lib/dovecot/modules/auth/libauthdb_ldap.so", "dovecot-ldap"),
    Need::PrivateMachine,
];

async fn start(uri: &str) -> Machine {
    let mut machine = Machine::start().await;
    let folder = machine.folder().to_owned();
    machine.write(
        "dovecot.conf",
        &format!(
            "base_dir = {folder}/base
state_dir = {folder}/state
log_path = {folder}/log
listen = 127.0.0.1
protocols =
ssl = no
auth_verbose = yes
# Any character: the filter must take them literally.
auth_username_chars =
# No pause after a failure, which would only lengthen the test.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = ldap
  args = {folder}/ldap.conf
}}
userdb {{
  driver = ldap
  args = {folder}/ldap.conf
}}
"
        ),
    );
    machine.write(
        "ldap.conf",
        &format!(
            "uris = {uri}
dn = {service}
dnpass = demo-ldapservice
auth_bind = yes
ldap_version = 3
base = ou=users,{BASE}
scope = subtree
pass_filter = (&(objectClass=user)(|(cn=%u)(mail=%u))(memberOf=cn=everyone,ou=groups,{BASE}))
pass_attrs = cn=user
user_filter = (&(objectClass=user)(|(cn=%u)(mail=%u)))
user_attrs = homeDirectory=home, uidNumber=uid, gidNumber=gid
iterate_filter = (objectClass=user)
iterate_attrs = cn=user
",
            service = user_dn("ldapservice"),
        ),
    );
    machine.daemon("dovecot -F -c dovecot.conf", "out").await;
    machine
        .eventually("test -S base/auth-userdb", |output| output.code == 0)
        .await;
    machine
}

async fn doveadm(machine: &mut Machine, arguments: &str) -> Output {
    machine.run(&format!("doveadm -c dovecot.conf {arguments}")).await
}

/// `doveadm auth test` by name and mail address: right and wrong passwords, refused accounts, filter characters as a name.
#[tokio::test]
async fn passwords() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut machine = start(&recorder.uri()).await;
    const NO: i32 = 77;
    for (name, password, code) in [
        ("alice", "demo-alice", 0),
        ("alice@example.com", "demo-alice", 0),
        ("pat o'brien", "demo-pat o'brien", 0),
        ("alice", "wrong", NO),
        ("inactive", "demo-inactive", NO),
        ("mallory", "demo-mallory", NO),
        ("akadmin", "demo-akadmin", NO),
        ("nobody", "demo-nobody", NO),
        ("*", "demo-alice", NO),
        ("alice)(cn=*", "demo-alice", NO),
    ] {
        let output = doveadm(&mut machine, &format!("auth test \"{name}\" \"{password}\"")).await;
        assert_eq!(output.code, code, "{name} {password}: {output:?}");
        let verdict = if code == 0 {
            "auth succeeded"
        } else {
            "auth failed"
        };
        assert!(output.text.contains(verdict), "{output:?}");
        if name.starts_with("alice@") {
            assert!(
                output.text.contains("user=alice\n"),
                "the mailbox is alice's: {output:?}"
            );
        }
    }
    recorder.keep("dovecot", "passwords", &package("dovecot-ldap"), DEMO);
}

/// `doveadm user`: home, uid and gid by name and mail address, nobody, and everybody through the iterate filter.
#[tokio::test]
async fn mailboxes() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut machine = start(&recorder.uri()).await;
    for name in ["alice", "alice@example.com"] {
        let found = doveadm(&mut machine, &format!("user {name}")).await.expect(0);
        for line in ["uid\t5001\n", "gid\t5001\n", "home\t/home/alice\n"] {
            assert!(found.text.contains(line), "{name}: {found:?}");
        }
    }
    const NO_USER: i32 = 67;
    doveadm(&mut machine, "user nobody").await.expect(NO_USER);
    let everybody = doveadm(&mut machine, "user '*'").await.expect(0);
    assert_eq!(everybody.text.lines().count(), USERS, "{everybody:?}");
    assert!(everybody.text.contains("\nuser000001\n"), "{everybody:?}");
    recorder.keep("dovecot", "mailboxes", &package("dovecot-ldap"), DEMO);
}
