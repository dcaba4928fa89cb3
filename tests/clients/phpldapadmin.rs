//! phpLDAPadmin, served by PHP's own web server, clicked through with curl.

use std::path::PathBuf;

use crate::machine::Machine;
use crate::setting::odd_attributes;
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use akldap_testing::child::free_addresses;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise, kept};
use akldap_testing::stage::{SUFFIX, user_dn};

/// Debian's package, unpacked: installing it would set up a web server.
fn unpacked() -> PathBuf {
    kept().join("phpldapadmin")
}

/// As the package says, `RELEASE-1.2.6.3`.
pub fn version() -> String {
    let text = std::fs::read_to_string(unpacked().join("usr/share/phpldapadmin/VERSION"));
    text.map_or_else(
        |_| "unknown".to_owned(),
        |text| text.trim().trim_start_matches("RELEASE-").to_owned(),
    )
}

struct Browser {
    machine: Machine,
    port: u16,
}

impl Browser {
    async fn start(target: &Target, authority: &str) -> Self {
        // PHP accepts no port in addition to a URI.
        let (host, directory) = match target.transport {
            Transport::Ldaps => (target.uri(), 0),
            Transport::Clear | Transport::StartTls => ("127.0.0.1".to_owned(), target.port()),
        };
        let tls = target.transport == Transport::StartTls;
        let mut machine = Machine::start().await;
        let from = unpacked();
        let from = from.display();
        // It joins encrypted octets, a random vector and a tag with `::` and splits them there, which fails now and then:
        // when one of them begins or ends with a colon.
        let joined = "sed -i \"s/'::'/'|and then|'/g\" site/lib/functions.php";
        machine
            .run(&format!(
                "cp -r '{from}/usr/share/phpldapadmin' site && {joined} && rm -f site/templates && cp -r '{from}/etc/phpldapadmin/templates' site/"
            ))
            .await
            .expect(0);
        machine.write(
            "site/config/config.php",
            &format!(
                "<?php
$config->custom->session['blowfish'] = 'known to this test alone, and to no other';
$config->custom->appearance['hide_template_warning'] = true;
$config->custom->appearance['timezone'] = 'UTC';
$servers = new Datastore();
$servers->newServer('ldap_pla');
$servers->setValue('server', 'name', 'demo');
$servers->setValue('server', 'host', '{host}');
$servers->setValue('server', 'port', {directory});
$servers->setValue('server', 'tls', {tls});
$servers->setValue('server', 'base', array());
$servers->setValue('login', 'auth_type', 'session');
$servers->setValue('login', 'attr', 'dn');
"
            ),
        );
        let [listens] = free_addresses();
        let port = listens.port();
        machine
            .daemon(
                &format!("LDAPTLS_CACERT={authority} php -d error_reporting=0 -d display_errors=0 -S 127.0.0.1:{port} -t site/htdocs"),
                "log",
            )
            .await;
        let mut browser = Self { machine, port };
        let first = format!("curl -s -b jar -c jar http://127.0.0.1:{port}/index.php");
        browser
            .machine
            .eventually(&first, |output| output.code == 0 && !output.text.is_empty())
            .await;
        browser
    }

    /// A page of the command `cmd`, as text without markup; must be answered 200.
    async fn page(&mut self, cmd: &str, fields: &[(&str, &str)], method: &str) -> String {
        let mut command = format!(
            "curl -s -L -b jar -c jar {method} http://127.0.0.1:{}/cmd.php -w '\\nstatus %{{http_code}}\\n' --data cmd={cmd} --data server_id=1",
            self.port
        );
        for (name, value) in fields {
            command += &format!(" --data-urlencode '{name}={value}'");
        }
        let output = self.machine.run(&command).await.expect(0);
        assert!(
            output.text.ends_with("\nstatus 200\n"),
            "{cmd} {fields:?}: {output:?}\n{}",
            self.machine.read("log")
        );
        output.text
    }

    async fn get(&mut self, cmd: &str, fields: &[(&str, &str)]) -> String {
        self.page(cmd, fields, "--get").await
    }

    async fn login(&mut self, name: &str, password: &str) -> String {
        let dn = user_dn(name);
        self.page("login", &[("login", &dn), ("login_pass", password)], "")
            .await
    }
}

/// What a person reads of a page.
fn text(page: &str) -> String {
    let mut text = String::new();
    let mut markup = false;
    for character in page.replace("&nbsp;", " ").chars() {
        match character {
            '<' => markup = true,
            '>' => {
                markup = false;
                text.push(' ');
            }
            _ if !markup => text.push(character),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Pages: login and a refused one, the tree with numbers of children, an entry's form, the schema, server info, a search.
#[client_test]
async fn pages() {
    over(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS; no login where the certificate cannot be verified.
    over_ldaps,
    /// The same over StartTLS.
    over_start_tls: over
}

async fn over(transport: Transport) {
    let site = unpacked();
    let needs = [
        Need::Program("php"),
        Need::Program("curl"),
        Need::File(site.to_str().expect("text"), "phpLDAPadmin (.ci/run unpacks it)"),
        Need::PrivateMachine,
    ];
    let Some(_exercise) = exercise(&needs) else {
        return;
    };
    let stage = transport.demo().await;
    let target = transport.to(&stage).await;
    if transport.is_secure() {
        let mut stranger = Browser::start(&target, STRANGER).await;
        let refused = text(&stranger.login("ldapservice", "demo-ldapservice").await);
        assert!(!refused.contains("Successfully logged"), "{refused}");
    }
    let mut browser = Browser::start(&target, AUTHORITY).await;
    let refused = text(&browser.login("ldapservice", "wrong").await);
    assert!(refused.contains("Invalid Username or Password"), "{refused}");
    let home = text(&browser.login("ldapservice", "demo-ldapservice").await);
    assert!(home.contains("Successfully logged into server"), "{home}");
    assert!(
        home.contains("dc = ldap , dc = goauthentik , dc = io (3)"),
        "{home}"
    );

    let groups_dn = format!("ou=groups,{SUFFIX}");
    browser.get("expand", &[("dn", SUFFIX)]).await;
    let tree = text(&browser.get("expand", &[("dn", &groups_dn)]).await);
    for shown in [
        "ou = groups (25)",
        "ou = users (50+)",
        "cn = backend",
        "cn = Sales, EMEA",
    ] {
        assert!(tree.contains(shown), "{shown}: {tree}");
    }

    let alice = format!("cn=alice,ou=users,{SUFFIX}");
    let entry = browser.get("template_engine", &[("dn", &alice)]).await;
    for value in [
        "alice@example.com",
        "/home/alice",
        "+49 30 2",
        "inetOrgPerson",
        "5001",
    ] {
        assert!(
            entry.contains(&format!("value=\"{value}\"")),
            "{value}: {}",
            text(&entry)
        );
    }

    let schema = text(
        &browser
            .get(
                "schema",
                &[("view", "objectclasses"), ("viewvalue", "inetorgperson")],
            )
            .await,
    );
    assert!(schema.contains("2.16.840.1.113730.3.2.2"), "{schema}");
    let info = text(&browser.get("server_info", &[]).await);
    for shown in [
        "namingContexts dc=ldap,dc=goauthentik,dc=io",
        "subschemaSubentry cn=subschema",
    ] {
        assert!(info.contains(shown), "{info}");
    }
    let search = [
        ("query", "none"),
        ("base", SUFFIX),
        ("scope", "sub"),
        ("filter", "(mail=ali*)"),
        ("display_attrs", "cn,mail"),
        ("size_limit", "50"),
        ("search", "true"),
        ("format", "list"),
        ("orderby", ""),
        ("showresults", "na"),
    ];
    let found = text(&browser.get("query_engine", &search).await);
    for shown in ["Entries found: 1 ", "mail alice@example.com"] {
        assert!(found.contains(shown), "{found}");
    }
    target.keep("phpldapadmin", "pages", &version());
    drop(browser);

    // Of every kind of entry; alice has classes from an admin here.
    let stage = odd_attributes(false, transport).await;
    let target = transport.to(&stage).await;
    let mut browser = Browser::start(&target, AUTHORITY).await;
    browser.login("ldapservice", "demo-ldapservice").await;
    for (name, shown) in [
        (format!("cn=alice,ou=users,{SUFFIX}"), "my.class/x"),
        (
            format!("cn=backend,ou=groups,{SUFFIX}"),
            "goauthentik.io/ldap/group",
        ),
        (
            format!("cn=alice,ou=virtual-groups,{SUFFIX}"),
            "goauthentik.io/ldap/virtual-group",
        ),
        (format!("ou=users,{SUFFIX}"), "nsContainer"),
        (SUFFIX.to_owned(), "domain"),
    ] {
        let entry = browser.get("template_engine", &[("dn", &name)]).await;
        assert!(entry.contains(shown), "{shown}: {}", text(&entry));
    }
}
