//! Dovecot's authentication service with LDAP behind both of its databases.

use crate::machine::Machine;
use crate::setting::{USERS, demo};
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use crate::version::package;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::Output;
use akldap_testing::stage::{BASE, user_dn};

const NEEDS: [Need<'static>; 3] = [
    Need::Program("dovecot"),
    Need::File("/usr/lib/dovecot/modules/auth/libauthdb_ldap.so", "dovecot-ldap"),
    Need::PrivateMachine,
];

async fn start(target: &Target, authority: &str) -> Machine {
    let mut machine = Machine::start().await;
    let folder = machine.folder().to_owned();
    let uri = target.uri();
    let start_tls = target.transport.choose("no", "no", "yes");
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
tls = {start_tls}
tls_ca_cert_file = {authority}
tls_require_cert = demand
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
#[client_test]
async fn passwords() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let target = Transport::Clear.to(&stage).await;
    try_passwords(&mut start(&target, AUTHORITY).await).await;
    target.keep("dovecot", "passwords", &package("dovecot-ldap"));
}

async fn try_passwords(machine: &mut Machine) {
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
        let output = doveadm(machine, &format!("auth test \"{name}\" \"{password}\"")).await;
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
}

/// `doveadm user`: home, uid and gid by name and mail address, nobody, and everybody through the iterate filter.
#[client_test]
async fn mailboxes() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let target = Transport::Clear.to(&stage).await;
    look_at_mailboxes(&mut start(&target, AUTHORITY).await).await;
    target.keep("dovecot", "mailboxes", &package("dovecot-ldap"));
}

async fn look_at_mailboxes(machine: &mut Machine) {
    for name in ["alice", "alice@example.com"] {
        let found = doveadm(machine, &format!("user {name}")).await.expect(0);
        for line in ["uid\t5001\n", "gid\t5001\n", "home\t/home/alice\n"] {
            assert!(found.text.contains(line), "{name}: {found:?}");
        }
    }
    const NO_USER: i32 = 67;
    doveadm(machine, "user nobody").await.expect(NO_USER);
    let everybody = doveadm(machine, "user '*'").await.expect(0);
    assert_eq!(everybody.text.lines().count(), USERS, "{everybody:?}");
    assert!(everybody.text.contains("\nuser000001\n"), "{everybody:?}");
}

over_tls! {
    /// Both over LDAPS; no login where the certificate cannot be verified.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: over
}

async fn over(transport: Transport) {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let mut machine = start(&target, AUTHORITY).await;
    try_passwords(&mut machine).await;
    look_at_mailboxes(&mut machine).await;
    let mut machine = start(&target, STRANGER).await;
    let refused = doveadm(&mut machine, "auth test alice demo-alice").await;
    assert!(
        refused.code != 0 && !refused.text.contains("succeeded"),
        "{refused:?}"
    );
    let log = machine.read("log");
    let said = transport.choose("", "Can't connect to server", "ldap_start_tls_s() failed");
    assert!(log.contains(said), "{log}");
}
