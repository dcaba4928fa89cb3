//! FreeRADIUS with its LDAP module, asked with radclient as a network device would.

use crate::machine::Machine;
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use crate::version::package;
use akldap_testing::child::free_addresses;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::{BASE, user_dn};

const NEEDS: [Need<'static>; 4] = [
    Need::Program("freeradius"),
    Need::Program("radclient"),
    Need::File("/usr/lib/freeradius/rlm_ldap.so", "freeradius-ldap"),
    Need::PrivateMachine,
];

/// One site: the user must be found, the group decides the answer's Filter-Id, and a bind is the password check.
fn configuration(folder: &str, target: &Target, authority: &str, port: u16) -> String {
    let uri = target.uri();
    let start_tls = target.transport.choose("no", "no", "yes");
    format!(
        r#"prefix = /usr
libdir = /usr/lib/freeradius
name = freeradius
confdir = {folder}
run_dir = {folder}
logdir = {folder}
radacctdir = {folder}
pidfile = {folder}/pid
log {{
  destination = files
  file = {folder}/log
  auth = yes
}}
security {{
  allow_vulnerable_openssl = yes
  reject_delay = 0
}}
thread pool {{
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 1
}}
client localhost {{
  ipaddr = 127.0.0.1
  secret = testing123
}}
modules {{
  always reject {{
    rcode = reject
  }}
  ldap {{
    server = "{uri}"
    identity = "{service}"
    password = demo-ldapservice
    base_dn = "{BASE}"
    update {{
      reply:Reply-Message := 'displayName'
    }}
    user {{
      base_dn = "ou=users,{BASE}"
      filter = "(&(objectClass=user)(cn=%{{%{{Stripped-User-Name}}:-%{{User-Name}}}}))"
      scope = sub
    }}
    group {{
      base_dn = "ou=groups,{BASE}"
      filter = "(objectClass=groupOfNames)"
      name_attribute = cn
      membership_filter = "(|(member=%{{control:Ldap-UserDn}})(memberUid=%{{%{{Stripped-User-Name}}:-%{{User-Name}}}}))"
      membership_attribute = memberOf
    }}
    options {{
      chase_referrals = no
    }}
    tls {{
      start_tls = {start_tls}
      ca_file = {authority}
      require_cert = "demand"
    }}
    pool {{
      start = 1
      min = 1
      max = 2
      spare = 1
      uses = 0
      lifetime = 0
      idle_timeout = 60
      retry_delay = 1
    }}
  }}
}}
server demo {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    ldap
    if (notfound) {{
      reject
    }}
    if (LDAP-Group == "backend") {{
      update reply {{
        Filter-Id := "staff"
      }}
    }}
    elsif (LDAP-Group == "cn=sales,ou=groups,dc=ldap,dc=goauthentik,dc=io") {{
      update reply {{
        Filter-Id := "shop"
      }}
    }}
    update control {{
      Auth-Type := ldap
    }}
  }}
  authenticate {{
    Auth-Type ldap {{
      ldap
    }}
  }}
}}
"#,
        service = user_dn("ldapservice"),
    )
}

/// Access-Accept with attributes and a group's Filter-Id, or Access-Reject: passwords, refused accounts, filter characters.
#[client_test]
async fn access_requests() {
    over(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS; it does not start where the certificate cannot be verified.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: over
}

const START: &str = "freeradius -d . -D /usr/share/freeradius -f -n radiusd";

async fn over(transport: Transport) {
    let Some(_exercise) = exercise(&NEEDS) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    let mut machine = Machine::start().await;
    let folder = machine.folder().to_owned();
    let [listens] = free_addresses();
    let port = listens.port();
    let text = |authority: &str| configuration(&folder, &target, authority, port);
    if transport.is_secure() {
        machine.write("radiusd.conf", &text(STRANGER));
        let refused = machine.run(START).await;
        assert_ne!(refused.code, 0, "{refused:?}");
    }
    machine.write("radiusd.conf", &text(AUTHORITY));
    machine.daemon(START, "out").await;
    machine
        .eventually("grep 'Ready to process requests' log", |output| output.code == 0)
        .await;
    for (name, password, shown) in [
        ("alice", "demo-alice", Some(("Alice Example", Some("staff")))),
        ("bob", "demo-bob", Some(("Bob Builder", None))),
        (
            "pat o'brien",
            "demo-pat o'brien",
            Some(("Pat O'Brien", Some("shop"))),
        ),
        ("alice", "wrong", None),
        ("inactive", "demo-inactive", None),
        ("mallory", "demo-mallory", None),
        ("nobody", "demo-nobody", None),
        ("*", "demo-alice", None),
        ("alice)(cn=*", "demo-alice", None),
    ] {
        machine.write(
            "request",
            &format!("User-Name = \"{name}\", User-Password = \"{password}\"\n"),
        );
        let output = machine
            .run(&format!(
                "radclient -x -t 10 -r 1 -f request 127.0.0.1:{port} auth testing123"
            ))
            .await;
        let verdict = if shown.is_some() {
            "Received Access-Accept"
        } else {
            "Received Access-Reject"
        };
        assert!(
            output.text.contains(verdict),
            "{name} {password}: {output:?}\n{}",
            machine.read("log")
        );
        let Some((message, filter)) = shown else {
            continue;
        };
        assert!(
            output.text.contains(&format!("Reply-Message = \"{message}\"")),
            "{output:?}"
        );
        let filter = filter.map(|filter| format!("Filter-Id = \"{filter}\""));
        assert_eq!(
            output
                .text
                .lines()
                .map(str::trim)
                .find(|line| line.starts_with("Filter-Id")),
            filter.as_deref(),
            "{output:?}"
        );
    }
    target.keep("freeradius", "access-requests", &package("freeradius-ldap"));
}
