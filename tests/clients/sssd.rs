//! SSSD with its own configuration, caches and sockets, asked through the C library and PAM as on any Linux machine.

use std::time::Duration;

use tokio::time::sleep;

use crate::machine::Machine;
use crate::recorder::{Answer, Log, Recorder};
use crate::setting::{USERS, demo};
use crate::transport::{AUTHORITY, STRANGER, Transport, over_tls};
use crate::version::package;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::{BASE, eventually, user_dn};

pub const NEEDS: [Need<'static>; 3] = [
    Need::Program("sssd"),
    Need::Program("pamtester"),
    Need::PrivateMachine,
];

/// SSSD's folders, which its package made on the machine and which here are empty ones of our own.
const FOLDERS: &str = "mount -t tmpfs none /var/lib/sss && mount -t tmpfs none /etc/sssd && mkdir -p /run/sssd \
    && cd /var/lib/sss && mkdir -p db mc pipes/private pubconf/krb5.include.d gpo_cache secrets deskprofile && cd - >/dev/null";

/// As authentik's page on SSSD has it, with further lines for the domain.
fn configuration(uri: &str, more: &str) -> String {
    format!(
        "[sssd]
config_file_version = 2
services = nss, pam
domains = demo
[nss]
enum_cache_timeout = 1
entry_negative_timeout = 1
entry_cache_nowait_percentage = 0
[pam]
pam_verbosity = 2
[domain/demo]
id_provider = ldap
auth_provider = ldap
access_provider = ldap
{change}
sudo_provider = none
autofs_provider = none
ldap_uri = {uri}
ldap_schema = rfc2307bis
ldap_search_base = {BASE}
ldap_user_search_base = ou=users,{BASE}
ldap_default_bind_dn = {service}
ldap_default_authtok = demo-ldapservice
ldap_user_object_class = user
ldap_user_name = cn
ldap_user_gecos = displayName
ldap_group_object_class = group
ldap_group_name = cn
ldap_access_order = filter
ldap_access_filter = memberOf=cn=everyone,ou=groups,{BASE}
{more}
",
        service = user_dn("ldapservice"),
        change = match more.contains("chpass_provider") {
            true => "",
            false => "chpass_provider = none",
        },
    )
}

/// For a server without TLS.
pub const PLAIN: &str = "ldap_auth_disable_tls_never_use_in_production = true";

/// With TLS, and this authority alone trusted.
fn secure(transport: Transport, authority: &str) -> String {
    let start_tls = transport.choose("false", "false", "true");
    format!("ldap_id_use_start_tls = {start_tls}\nldap_tls_cacert = {authority}\nldap_tls_reqcert = demand")
}

pub async fn start(uri: &str, more: &str) -> Machine {
    let mut machine = starting(uri, more).await;
    machine
        .eventually("getent -s sss passwd alice", |output| output.code == 0)
        .await;
    machine
}

async fn starting(uri: &str, more: &str) -> Machine {
    let mut machine = Machine::start().await;
    machine.run(FOLDERS).await.expect(0);
    machine.write("sssd.conf", &configuration(uri, more));
    machine
        .run("install -m 600 sssd.conf /etc/sssd/sssd.conf")
        .await
        .expect(0);
    machine.name_service("sss").await;
    machine.login_service("pam_sss.so").await;
    machine
        .daemon("sssd --interactive --debug-level=2 --logger=stderr", "log")
        .await;
    machine
        .eventually("test -S /var/lib/sss/pipes/nss", |output| output.code == 0)
        .await;
    machine
}

/// Users and groups by name and number, `id` with groups of groups, members of a group, names that are not there.
#[client_test]
async fn people_and_groups() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let target = Transport::Clear.to(&stage).await;
    look_up(&mut start(&target.uri(), PLAIN).await).await;
    target.keep("sssd", "people-and-groups", &package("sssd-ldap"));
}

async fn look_up(machine: &mut Machine) {
    for command in [
        "getent -s sss passwd alice",
        "getent passwd alice",
        "getent passwd 5001",
    ] {
        let found = machine.run(command).await.expect(0);
        assert_eq!(
            found.text, "alice:*:5001:5001:Alice Example:/home/alice:/bin/zsh\n",
            "{command}"
        );
    }
    for (name, groups) in [
        (
            "alice",
            &["alice", "backend", "company", "engineering", "everyone"][..],
        ),
        ("bob", &["bob", "company", "engineering", "everyone", "frontend"]),
        ("pat o'brien", &["company", "everyone", "pat o'brien", "sales"]),
    ] {
        let found = machine.run(&format!("id -Gnz \"{name}\"")).await.expect(0);
        let mut names: Vec<&str> = found.text.split_terminator('\0').collect();
        names.sort_unstable();
        // The C library's group names contain no commas, but SSSD still gives "Sales, EMEA".
        names.retain(|name| !name.contains(','));
        assert_eq!(names, groups, "{found:?}");
    }
    let id = machine.run("id bob").await.expect(0);
    assert!(
        id.text
            .starts_with("uid=2006(bob) gid=2006(bob) groups=2006(bob),"),
        "{id:?}"
    );
    for command in ["getent group backend", "getent group 84411"] {
        let found = machine.run(command).await.expect(0);
        let (head, members) = found.text.trim_end().rsplit_once(':').expect("a line of a group");
        assert_eq!(head, "backend:*:84411", "{command}");
        let mut members: Vec<&str> = members.split(',').collect();
        members.sort_unstable();
        // Those of the group within it among them.
        assert_eq!(members, ["alice", "inactive", "static", "totp"], "{command}");
    }
    machine.run("id nobodyatall").await.expect(1);
    machine.run("getent passwd '*'").await.expect(2);
    machine.run("getent group nosuchgroup").await.expect(2);
}

/// Logins through PAM: right and wrong passwords, a deactivated account, one the access filter or authentik's policies refuse.
#[client_test]
async fn logins() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let target = Transport::Clear.to(&stage).await;
    log_in(&mut start(&target.uri(), PLAIN).await).await;
    target.keep("sssd", "logins", &package("sssd-ldap"));
}

async fn log_in(machine: &mut Machine) {
    for (name, password, code, said) in [
        ("alice", "demo-alice", 0, "account management done"),
        ("pat o'brien", "demo-pat o'brien", 0, "account management done"),
        ("alice", "wrong", 1, "Authentication failure"),
        ("inactive", "demo-inactive", 1, "Authentication failure"),
        ("mallory", "demo-mallory", 1, "Authentication failure"),
        ("akadmin", "demo-akadmin", 1, "Permission denied"),
        (
            "nobodyatall",
            "demo-nobodyatall",
            1,
            "User not known to the underlying",
        ),
    ] {
        let command = format!("printf %s \"{password}\" | pamtester demo \"{name}\" authenticate acct_mgmt");
        let output = machine.run(&command).await;
        assert_eq!(output.code, code, "{name} {password}: {output:?}");
        let text = format!("{}{}", output.text, output.errors);
        assert!(text.contains(said), "{name} {password}: {output:?}");
    }
    let checks = machine
        .run("printf demo-alice | sssctl user-checks --action=auth --service=demo alice")
        .await
        .expect(0);
    for said in [" - user id: 5001", " - shell: /bin/zsh"] {
        assert!(checks.text.contains(said), "{checks:?}");
    }
    assert!(
        checks
            .errors
            .contains("pam_authenticate for user [alice]: Success"),
        "{checks:?}"
    );
}

over_tls! {
    /// Lookups and logins over LDAPS; nobody is known where the certificate cannot be verified.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: over
}

async fn over(transport: Transport) {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = transport.demo().await;
    let uri = transport.to(&stage).await.uri();
    let mut machine = start(&uri, &secure(transport, AUTHORITY)).await;
    look_up(&mut machine).await;
    log_in(&mut machine).await;
    let mut machine = starting(&uri, &secure(transport, STRANGER)).await;
    let unknown = machine.run("getent -s sss passwd alice").await;
    assert!(unknown.code != 0 && unknown.text.is_empty(), "{unknown:?}");
}

/// Lookups in clear: a login asks for StartTLS all the same, and gets no server it can trust.
#[client_test]
async fn no_login_in_clear() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let more = format!("ldap_tls_cacert = {STRANGER}\nldap_tls_reqcert = demand");
    let mut machine = start(&stage.uri(), &more).await;
    let refused = machine
        .run("printf demo-alice | pamtester demo alice authenticate acct_mgmt")
        .await;
    assert!(
        refused.code != 0 && refused.errors.contains("cannot retrieve authentication info"),
        "{refused:?}"
    );
}

/// Enumeration of everybody; then a changed person through the next enumeration, which asks for changes alone.
#[client_test]
async fn enumeration() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    // SSSD's own cache fails to list names with commas: it puts them into a filter as they are.
    let plain_names = "subtree?(!(cn=*,*))";
    let more = format!(
        "{PLAIN}
enumerate = true
ldap_enumeration_refresh_timeout = 5
ldap_enumeration_refresh_offset = 1
ldap_user_search_base = ou=users,{BASE}?{plain_names}
ldap_group_search_base = {BASE}?{plain_names}"
    );
    let mut machine = start(&recorder.uri(), &more).await;
    let everybody = machine
        .eventually("getent -s sss passwd", |output| {
            output.text.lines().count() == USERS - 1
        })
        .await;
    assert!(everybody.text.contains("\nuser000001:*:"), "{everybody:?}");
    // Everybody's own group, and the 25 except one.
    machine
        .eventually("getent -s sss group", |output| {
            output.text.lines().count() == USERS - 1 + 24
        })
        .await;

    // From the second on, an enumeration asks for what changed since the one before.
    eventually("a search for changes", || !changes(&recorder.log()).is_empty()).await;
    recorder.take();
    let bob = stage.simulator.user_pk("bob").expect("bob");
    stage
        .simulator
        .save_user(bob, |user| user.name = "Robert Builder".into());
    stage.refresh().await;
    // Out of the enumeration: `getent passwd` without a name asks the server nothing.
    machine
        .eventually("getent -s sss passwd", |output| {
            output.text.contains("Robert Builder")
        })
        .await;
    let found = changes(&recorder.log());
    let of_bob = found
        .iter()
        .find(|answer| answer.entries.iter().any(|dn| dn.starts_with("cn=bob,ou=users,")))
        .expect("a search for changes found bob");
    assert!(of_bob.entries.len() < 5, "{of_bob:?}");
}

/// The answers to searches with `(modifyTimestamp>=…)`.
fn changes(log: &Log) -> Vec<Answer> {
    log.exchanges
        .iter()
        .filter(|exchange| {
            // greaterOrEqual of RFC 4511 section 4.5.1, its length, and the attribute as an OCTET STRING.
            exchange
                .octets
                .windows(19)
                .any(|part| part[0] == 0xa5 && part[2..] == *b"\x04\x0fmodifyTimestamp")
        })
        .filter_map(|exchange| exchange.answer.clone())
        .collect()
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// The server goes away: people stay known and log in with cached passwords; it comes back: SSSD goes online again.
#[client_test]
async fn offline_and_online() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let more = format!(
        "{PLAIN}\ncache_credentials = true\noffline_timeout = 1\noffline_timeout_max = 2\noffline_timeout_random_offset = 0\nentry_cache_timeout = 1\nldap_network_timeout = 2\nldap_opt_timeout = 5"
    );
    let mut machine = start(&recorder.uri(), &more).await;
    let login = |name: &str, password: &str| {
        format!("printf %s '{password}' | pamtester demo {name} authenticate acct_mgmt")
    };
    machine.run(&login("alice", "demo-alice")).await.expect(0);
    machine.run("id bob").await.expect(0);

    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    recorder.redirect(nowhere);
    recorder.cut();
    sleep(Duration::from_millis(1200)).await;
    let found = machine.run("id -un 5001; getent passwd bob").await.expect(0);
    assert!(found.text.starts_with("alice\nbob:*:2006:"), "{found:?}");
    machine.run(&login("alice", "demo-alice")).await.expect(0);
    machine.run(&login("alice", "wrong")).await.expect(1);
    // Not seen before, so without a cached password.
    machine.run(&login("bob", "demo-bob")).await.expect(1);

    recorder.redirect(stage.ldap());
    machine
        .eventually(&login("bob", "demo-bob"), |output| output.code == 0)
        .await;
    machine.run("id user000002").await.expect(0);
}

/// authentik goes away: people stay known, a login is refused for the time being and works again afterwards.
#[client_test]
async fn an_outage_of_authentik() {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = demo().await;
    let recorder = Recorder::start(stage.ldap()).await;
    let mut machine = start(&recorder.uri(), PLAIN).await;
    let login = "printf demo-alice | pamtester demo alice authenticate acct_mgmt";
    stage.simulator.refuse_connections(true);
    stage.simulator.cut_connections();
    eventually("the outage is seen", || stage.simulator.websockets() == 0).await;
    // Never asked for before, so not out of SSSD's cache.
    let id = machine.run("id bob").await.expect(0);
    assert!(id.text.contains("(frontend)"), "{id:?}");
    machine.run("id nobodyatall").await.expect(1);
    recorder.take();
    machine.run(login).await.expect(1);
    let asked = recorder.log();
    let codes = asked
        .exchanges
        .iter()
        .filter(|exchange| {
            contains(&exchange.octets, b"cn=alice,ou=users") && contains(&exchange.octets, b"demo-alice")
        })
        .filter_map(|exchange| Some(exchange.answer.as_ref()?.code))
        .collect::<Vec<_>>();
    assert_eq!(codes, [52], "the server does not call the password wrong");
    stage.simulator.refuse_connections(false);
    machine.eventually(login, |output| output.code == 0).await;
}
