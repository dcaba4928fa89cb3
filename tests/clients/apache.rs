//! Apache's mod_authnz_ldap: one folder for each way to require something, asked with curl.

use crate::machine::Machine;
use crate::transport::{AUTHORITY, STRANGER, Target, Transport, over_tls};
use crate::version::package;
use akldap_testing::child::free_addresses;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::{BASE, SUFFIX, user_dn};

const NEEDS: [Need<'static>; 4] = [
    Need::Program("apache2"),
    Need::File("/usr/lib/apache2/modules/mod_authnz_ldap.so", "mod_authnz_ldap"),
    Need::Program("curl"),
    Need::PrivateMachine,
];

const MODULES: [&str; 8] = [
    "mpm_prefork",
    "authn_core",
    "authz_core",
    "authz_user",
    "auth_basic",
    "ldap",
    "authnz_ldap",
    "dir",
];

/// Each folder and what it requires.
fn folders() -> Vec<(&'static str, String)> {
    vec![
        ("valid", "Require valid-user".to_owned()),
        ("user", "Require ldap-user alice \"pat o'brien\"".to_owned()),
        ("group", format!("Require ldap-group cn=backend,ou=groups,{BASE}")),
        (
            "nested",
            format!(
                "AuthLDAPMaxSubGroupDepth 3\nAuthLDAPSubGroupAttribute member\nRequire ldap-group cn=company,ou=groups,{BASE}"
            ),
        ),
        (
            "unique",
            format!("AuthLDAPGroupAttribute uniqueMember\nRequire ldap-group cn=backend,ou=groups,{BASE}"),
        ),
        (
            "posix",
            format!(
                "AuthLDAPGroupAttribute memberUid\nAuthLDAPGroupAttributeIsDN off\nRequire ldap-group cn=backend,ou=groups,{BASE}"
            ),
        ),
        ("attribute", "Require ldap-attribute title=Engineer".to_owned()),
        (
            "filter",
            format!("Require ldap-filter &(memberOf=cn=frontend,ou=groups,{BASE})(employeeNumber>=10)"),
        ),
        ("dn", format!("Require ldap-dn cn=alice,ou=users,{SUFFIX}")),
        (
            "dn-on-server",
            format!("AuthLDAPCompareDNOnServer on\nRequire ldap-dn CN=Alice, OU=users, {BASE}"),
        ),
    ]
}

async fn start(target: &Target, authority: &str) -> (Machine, u16) {
    let mut machine = Machine::start().await;
    let folder = machine.folder().to_owned();
    // Read as www-data.
    machine.write(
        "ca.pem",
        &std::fs::read_to_string(authority).expect("a certificate"),
    );
    let uri = target.uri();
    let mode = target.transport.choose("NONE", "SSL", "STARTTLS");
    let [listens] = free_addresses();
    let port = listens.port();
    let mut text = format!(
        "ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
Listen 127.0.0.1:{port}
ErrorLog {folder}/log
User www-data
Group www-data
DocumentRoot {folder}/pages
DirectoryIndex index.html
# One process, and every request to the directory seen.
StartServers 1
MinSpareServers 1
MaxSpareServers 1
LDAPSharedCacheSize 0
LDAPCacheEntries 0
LDAPOpCacheEntries 0
"
    );
    for module in MODULES {
        text += &format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n");
    }
    text += &format!("LDAPTrustedGlobalCert CA_BASE64 {folder}/ca.pem\nLDAPVerifyServerCert On\n");
    for (name, requirement) in folders() {
        machine.write(&format!("pages/{name}/index.html"), name);
        text += &format!(
            "<Directory {folder}/pages/{name}>
AuthType Basic
AuthName demo
AuthBasicProvider ldap
AuthLDAPURL \"{uri}/ou=users,{BASE}?cn?sub?(objectClass=user)\" {mode}
AuthLDAPBindDN \"{service}\"
AuthLDAPBindPassword demo-ldapservice
{requirement}
</Directory>
",
            service = user_dn("ldapservice"),
        );
    }
    machine.write("httpd.conf", &text);
    machine
        .daemon(&format!("apache2 -DFOREGROUND -f {folder}/httpd.conf"), "out")
        .await;
    machine
        .eventually(
            &format!("curl -s -o /dev/null http://127.0.0.1:{port}/"),
            |output| output.code == 0,
        )
        .await;
    (machine, port)
}

/// ldap-user, ldap-group (with groups of groups, uniqueMember and memberUid), ldap-attribute, ldap-filter, ldap-dn: 200 or 401.
#[client_test]
async fn requirements() {
    over(Transport::Clear).await;
}

over_tls! {
    /// The same over LDAPS; 500 where the certificate cannot be verified.
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
    if transport.is_secure() {
        let (mut machine, port) = start(&target, STRANGER).await;
        let code = get(&mut machine, port, "valid", "alice", "demo-alice").await;
        assert_eq!(code, "500", "{}", machine.read("log"));
    }
    let (mut machine, port) = start(&target, AUTHORITY).await;
    let everybody = ["alice", "bob", "pat o'brien"];
    for (folder, admitted) in [
        ("valid", &everybody[..]),
        ("user", &["alice", "pat o'brien"]),
        ("group", &["alice"]),
        ("nested", &everybody),
        ("unique", &["alice"]),
        ("posix", &["alice"]),
        ("attribute", &["alice", "bob"]),
        ("filter", &["bob"]),
        ("dn", &["alice"]),
        ("dn-on-server", &["alice"]),
    ] {
        for name in everybody {
            let code = get(&mut machine, port, folder, name, &format!("demo-{name}")).await;
            let wanted = if admitted.contains(&name) { "200" } else { "401" };
            assert_eq!(code, wanted, "{folder} {name}\n{}", machine.read("log"));
        }
        assert_eq!(
            get(&mut machine, port, folder, "alice", "wrong").await,
            "401",
            "{folder}"
        );
    }
    for (name, password) in [
        ("", ""),
        ("nobody", "demo-nobody"),
        ("*", "demo-alice"),
        ("alice)(cn=*", "demo-alice"),
        ("mallory", "demo-mallory"),
        ("inactive", "demo-inactive"),
        ("alice", ""),
    ] {
        let code = get(&mut machine, port, "valid", name, password).await;
        assert_eq!(code, "401", "{name}");
    }
    target.keep("apache", "requirements", &package("apache2-bin"));
}

/// The status of a page.
async fn get(machine: &mut Machine, port: u16, folder: &str, name: &str, password: &str) -> String {
    let command = format!(
        "curl -s -o /dev/null -w '%{{http_code}}' -u \"{name}:{password}\" http://127.0.0.1:{port}/{folder}/"
    );
    machine.run(&command).await.expect(0).text
}
