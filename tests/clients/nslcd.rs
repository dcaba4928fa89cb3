//! nslcd with its modules for the C library and PAM.

use crate::machine::Machine;
use crate::setting::{USERS, demo};
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use crate::version::package;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::{BASE, user_dn};

const NEEDS: [Need<'static>; 4] = [
    Need::Program("nslcd"),
    Need::Program("pamtester"),
    Need::File("/etc/nslcd.conf", "nslcd's configuration"),
    Need::PrivateMachine,
];

fn configuration(target: &Target, authority: &str) -> String {
    let uri = target.uri();
    let ssl = target.transport.choose("off", "on", "start_tls");
    format!(
        "uid nslcd
gid nslcd
uri {uri}
ssl {ssl}
tls_reqcert demand
tls_cacertfile {authority}
base {BASE}
base passwd ou=users,{BASE}
base shadow ou=users,{BASE}
binddn {service}
bindpw demo-ldapservice
filter passwd (objectClass=user)
filter shadow (objectClass=user)
filter group (objectClass=group)
map passwd uid cn
map passwd gecos displayName
map shadow uid cn
pagesize 50
validnames /^[a-z0-9 '._-]+$/i
ignorecase yes
pam_authz_search (&(objectClass=group)(cn=everyone)(member=$dn))
",
        service = user_dn("ldapservice"),
    )
}

async fn start(target: &Target, authority: &str) -> Machine {
    let mut machine = Machine::start().await;
    machine
        .run("mkdir /run/nslcd && chown nslcd:nslcd /run/nslcd")
        .await
        .expect(0);
    machine.write("nslcd.conf", &configuration(target, authority));
    machine.run("chmod 600 nslcd.conf").await.expect(0);
    machine.cover("/etc/nslcd.conf", "nslcd.conf").await;
    machine.name_service("ldap").await;
    machine.login_service("pam_ldap.so minimum_uid=1000").await;
    machine.daemon("nslcd --nofork", "log").await;
    machine
        .eventually("test -S /run/nslcd/socket", |output| output.code == 0)
        .await;
    machine
}

async fn started(target: &Target) -> Machine {
    let mut machine = start(target, AUTHORITY).await;
    machine
        .eventually("getent -s ldap passwd alice", |output| output.code == 0)
        .await;
    machine
}

/// Users and groups by name and number, `id`, members of a group, everybody in pages of 50, names that are not there.
#[client_test]
async fn people_and_groups() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let target = Transport::Clear.to(&stage).await;
    look_up(&mut started(&target).await).await;
    target.keep("nslcd", "people-and-groups", &package("nslcd"));
}

async fn look_up(machine: &mut Machine) {
    for command in [
        "getent -s ldap passwd alice",
        "getent passwd ALICE",
        "getent passwd 5001",
    ] {
        let found = machine.run(command).await.expect(0);
        assert_eq!(
            found.text, "alice:*:5001:5001:Alice Example:/home/alice:/bin/zsh\n",
            "{command}"
        );
    }
    for (name, groups) in [
        ("alice", &["alice", "backend", "everyone"][..]),
        ("pat o'brien", &["everyone", "pat o'brien", "sales"]),
    ] {
        let found = machine.run(&format!("id -Gnz \"{name}\"")).await.expect(0);
        let mut names: Vec<&str> = found.text.split_terminator('\0').collect();
        names.sort_unstable();
        assert_eq!(names, groups, "{found:?}");
    }
    let group = machine.run("getent group backend").await.expect(0);
    assert!(group.text.starts_with("backend:*:84411:"), "{group:?}");
    for name in ["alice", "inactive"] {
        assert!(group.text.contains(name), "{group:?}");
    }
    let everybody = machine.run("getent -s ldap passwd").await.expect(0);
    // Names with quotes and letters beyond ASCII are not valid here.
    assert_eq!(everybody.text.lines().count(), USERS - 2, "{}", everybody.text);
    machine.run("getent passwd nobodyatall").await.expect(2);
    machine.run("id '*'").await.expect(1);
}

/// Logins through PAM with an authorisation search: right and wrong passwords, refused accounts.
#[client_test]
async fn logins() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let target = Transport::Clear.to(&stage).await;
    log_in(&mut started(&target).await).await;
    target.keep("nslcd", "logins", &package("nslcd"));
}

async fn log_in(machine: &mut Machine) {
    for (name, password, code, said) in [
        ("alice", "demo-alice", 0, "account management done"),
        ("alice", "wrong", 1, "Authentication failure"),
        ("inactive", "demo-inactive", 1, "Authentication failure"),
        ("mallory", "demo-mallory", 1, "Authentication failure"),
        ("akadmin", "demo-akadmin", 1, "Permission denied"),
    ] {
        let command = format!("printf %s '{password}' | pamtester demo {name} authenticate acct_mgmt");
        let output = machine.run(&command).await;
        assert_eq!(output.code, code, "{name} {password}: {output:?}");
        let text = format!("{}{}", output.text, output.errors);
        assert!(text.contains(said), "{name} {password}: {output:?}");
    }
}

over_tls! {
    /// Both over LDAPS; nobody is known where the certificate cannot be verified.
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
    let mut machine = started(&target).await;
    look_up(&mut machine).await;
    log_in(&mut machine).await;
    let mut machine = start(&target, STRANGER).await;
    let unknown = machine.run("getent -s ldap passwd alice").await;
    assert!(unknown.code != 0 && unknown.text.is_empty(), "{unknown:?}");
}
