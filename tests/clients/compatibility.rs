//! `docs/compatibility.md`: which clients were run against the server, what was exercised, and how it ended.
//!
//! Its rows are the tests of this folder: what was exercised is the comment above the test, or its name. Versions are those
//! of this machine, results those of the tests' last run on it; those over TLS are told by their names. To write it:
//!
//! ```sh
//! cargo test --test clients && AKLDAP_WRITE_DOCS=1 cargo test --test clients compatibility
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::phpldapadmin;
use crate::telegraf;
use crate::version::{npm, package, said};
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{BEYOND, notes};

/// A client, the tests that run it, and how to tell its version.
struct Client {
    name: &'static str,
    /// Whose use of it is followed; empty where the client is used as such.
    stands_for: &'static str,
    /// Modules or, where one holds several clients' tests, beginnings of tests' names.
    tests: &'static [&'static str],
    version: fn() -> String,
}

/// In the order of the table: by the number of people who use them.
const CLIENTS: &[Client] = &[
    Client {
        name: "php-ldap",
        stands_for: "Nextcloud's user_ldap, replayed",
        tests: &["nextcloud", "passwords::php"],
        version: || said("php", &["-r", "echo PHP_VERSION;"]),
    },
    Client {
        name: "OpenLDAP's ldap-utils",
        stands_for: "scripts, Home Assistant, everything on libldap",
        tests: &[
            "binds",
            "searches",
            "controls",
            "operations",
            "passwords::ldap_utils",
        ],
        version: || package("ldap-utils"),
    },
    Client {
        name: "SSSD",
        stands_for: "Linux logins",
        tests: &["sssd", "passwords::sssd"],
        version: || package("sssd-ldap"),
    },
    Client {
        name: "Dovecot",
        stands_for: "mailboxes, docker-mailserver",
        tests: &["dovecot"],
        version: || package("dovecot-ldap"),
    },
    Client {
        name: "Postfix",
        stands_for: "mail routing, docker-mailserver",
        tests: &["postfix"],
        version: || package("postfix-ldap"),
    },
    Client {
        name: "Apache mod_authnz_ldap",
        stands_for: "web servers, Subversion",
        tests: &["apache"],
        version: || package("apache2-bin"),
    },
    Client {
        name: "Java JNDI",
        stands_for: "Keycloak, Jenkins, Nexus, SonarQube",
        tests: &["java::syncs", "passwords::jndi", "passwords::keycloak_policy"],
        version: || said("javac", &["-version"]).replace("javac ", ""),
    },
    Client {
        name: "Apache LDAP API, UnboundID LDAP SDK, JNDI",
        stands_for: "Apache Directory Studio and other readers of schemas",
        tests: &["java::schema"],
        version: || "2.1.7, 7.0.2".to_owned(),
    },
    Client {
        name: "Perl Net::LDAP",
        stands_for: "Proxmox VE",
        tests: &["perl"],
        version: || package("libnet-ldap-perl"),
    },
    Client {
        name: "go-ldap",
        stands_for: "Grafana, Authelia, Gitea, Vault",
        tests: &["golang"],
        version: || package("golang-github-go-ldap-ldap-dev"),
    },
    Client {
        name: "Ruby net-ldap",
        stands_for: "GitLab",
        tests: &["ruby"],
        version: || package("ruby-net-ldap"),
    },
    Client {
        name: "ldapts",
        stands_for: "Bitwarden's directory connector",
        tests: &["node::ldapts"],
        version: || npm("ldapts"),
    },
    Client {
        name: "ldapjs",
        stands_for: "Wiki.js, The Lounge",
        tests: &["node::ldapjs"],
        version: || npm("ldapjs"),
    },
    Client {
        name: "Python ldap3",
        stands_for: "authentik's own test of an outpost",
        tests: &["python::authentiks_own", "python::ldap3"],
        version: || package("python3-ldap3"),
    },
    Client {
        name: "python-ldap",
        stands_for: "nginx-ldap-auth, TrueNAS, Django",
        tests: &["python::python_ldap", "passwords::python_ldap"],
        version: || package("python3-ldap"),
    },
    Client {
        name: "FreeRADIUS",
        stands_for: "Wi-Fi and VPN logins",
        tests: &["freeradius"],
        version: || package("freeradius-ldap"),
    },
    Client {
        name: "nslcd, libpam-ldapd",
        stands_for: "Linux logins, NAS boxes",
        tests: &["nslcd"],
        version: || package("nslcd"),
    },
    Client {
        name: "phpLDAPadmin",
        stands_for: "directory browsers",
        tests: &["phpldapadmin"],
        version: phpldapadmin::version,
    },
    Client {
        name: "curl",
        stands_for: "scripts",
        tests: &["curl"],
        version: || package("curl"),
    },
    Client {
        name: "Telegraf's openldap input",
        stands_for: "collectors that read OpenLDAP's monitor",
        tests: &["telegraf"],
        version: telegraf::release,
    },
    Client {
        name: "openssl s_client",
        stands_for: "looking at certificates",
        tests: &["openssl"],
        version: || package("openssl"),
    },
];

/// How the names of tests over LDAPS and StartTLS end.
const OVER_TLS: [&str; 2] = ["over_ldaps", "over_start_tls"];

/// Modules whose tests say nothing about a client: what they show is that others can fail.
const OTHERS: [&str; 9] = [
    "readme",
    "compatibility",
    "recorder",
    "nextcloud::spoilt",
    "haproxy",
    "nginx",
    "prometheus",
    "slapd",
    "tls",
];

const HEAD: &str = "# Compatibility

Clients written by others that `.ci/run` installs and runs against the server, in front of the simulated authentik. What is
asserted is what a person would see: the output of `id`, a mail address, HTTP 200 or 401, a login that is let in or refused.
Versions and results are those of the run that wrote this page. The tests are in `tests/clients/`.

In the columns LDAPS and StartTLS the client does its work over TLS with a certificate that it verifies: it must get nothing where it
does not trust the server's authority, and the server refuses unencrypted binds in the meantime. ldap-utils, openssl and curl also speak TLS 1.2
alone there.

| client | version | used by | tests | result | LDAPS | StartTLS |
| --- | --- | --- | --- | --- | --- | --- |
";

const TAIL: &str = "
## Not run here

These cannot be installed from a package registry, or run on no machine without a screen or an account. For each, the library it
is built on is run above with the requests it sends, as far as its source or documentation tells.

| product | why not | followed with |
| --- | --- | --- |
| Nextcloud itself | no Debian package | php-ldap, with its requests and conclusions |
| Keycloak, Jenkins, Nexus, SonarQube | no Debian package | Java JNDI |
| GitLab | no Debian package | Ruby net-ldap |
| Grafana, Authelia, Gitea, Vault | no Debian package | go-ldap |
| Bitwarden's directory connector | needs an account of Bitwarden | ldapts |
| Proxmox VE, Proxmox Backup Server | own distributions | Perl Net::LDAP |
| Home Assistant | has no LDAP client of its own: it runs a script | ldap-utils, curl |
| Jellyfin, Emby | no Debian package; the .NET library neither | sizes and filters of its searches: ldap-utils |
| pfSense, OPNsense, TrueNAS, Synology DSM, QNAP | appliances | php-ldap, python-ldap, SSSD and nslcd, which are inside them |
| VMware vCenter | licensed appliance | nothing: `uniqueMember` and `entryUUID`, which it wants, are tested with Apache and JNDI |
| Apache Directory Studio, JXplorer | programs with windows | Apache's LDAP API and Java JNDI; phpLDAPadmin reads the same schema and root DSE |
| Windows' ADSI and .NET | Windows | nothing |
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> PathBuf {
    root().join("docs/compatibility.md")
}

/// Every test of this folder, `module::name`, with what it says it exercises.
fn tests() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(root().join("tests/clients"), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for file in std::fs::read_dir(folder).expect("a folder") {
            let path = file.expect("a file").path();
            let name = path.file_stem().and_then(|name| name.to_str()).expect("text");
            let module = format!("{prefix}{name}");
            if path.is_dir() {
                folders.push((path, format!("{module}::")));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                found.extend(tests_of(&module, &text));
            }
        }
    }
    found.retain(|test, _| !OTHERS.iter().any(|other| belongs(test, other)));
    found
}

/// The tests of one source file, those within `over_tls!` too.
fn tests_of(module: &str, text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut comment = String::new();
    let mut is_test = false;
    for line in text.lines() {
        let over_tls = line
            .strip_prefix("    ")
            .and_then(|line| line.split([',', ':']).next())
            .filter(|name| OVER_TLS.iter().any(|transport| name.ends_with(transport)));
        let plain = line
            .trim_start_matches("async ")
            .strip_prefix("fn ")
            .filter(|_| is_test)
            .and_then(|rest| rest.split('(').next());
        if let Some(part) = line.trim_start().strip_prefix("/// ") {
            comment = format!("{comment} {part}");
        } else if line == "#[client_test]" {
            is_test = true;
        } else if let Some(name) = over_tls.or(plain) {
            let said = match comment.trim() {
                "" => sentence(name),
                comment => comment.trim_end_matches('.').to_owned(),
            };
            found.push((format!("{module}::{name}"), said));
            comment.clear();
            is_test = false;
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
    found
}

/// The name of a test as the beginning of a sentence.
fn sentence(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + &rest.replace('_', " ")
}

/// Whose test this is.
fn client_of(test: &str) -> &'static Client {
    CLIENTS
        .iter()
        .find(|client| client.tests.iter().any(|start| belongs(test, start)))
        .unwrap_or_else(|| panic!("{test} belongs to no client of CLIENTS in tests/clients/compatibility.rs"))
}

/// Whether a test is in this module, or its name begins so.
fn belongs(test: &str, start: &str) -> bool {
    let (module, _) = test.rsplit_once("::").unwrap_or_default();
    module == start
        || module.starts_with(&format!("{start}::"))
        || (start.contains("::") && test.starts_with(start))
}

/// How a test's last run on this machine ended.
fn result(test: &str) -> String {
    std::fs::read_to_string(notes().join(test.replace("::", "."))).unwrap_or_else(|_| "not run".to_owned())
}

/// How the tests of a client over this transport ended, those whose names end so. What a client cannot becomes a note below
/// the table.
fn over(transport: &str, tests: &[&String], footnotes: &mut Vec<String>) -> String {
    let mut cell = "not tried".to_owned();
    for test in tests.iter().filter(|test| test.ends_with(transport)) {
        cell = result(test);
        if let Some(why) = cell.strip_prefix(BEYOND) {
            footnotes.push(why.to_owned());
            cell = format!("client cannot[^{}]", footnotes.len());
        }
    }
    cell
}

fn write_page(tests: &BTreeMap<String, String>) -> String {
    let mut text = HEAD.to_owned();
    let mut details = "\n## What was exercised\n".to_owned();
    let mut footnotes = Vec::new();
    for client in CLIENTS {
        let own: Vec<_> = tests
            .iter()
            .filter(|(test, _)| std::ptr::eq(client_of(test), client))
            .collect();
        let bad: Vec<_> = own
            .iter()
            .map(|(test, _)| (test, result(test)))
            .filter(|(_, result)| result != "passed" && !result.starts_with(BEYOND))
            .map(|(test, result)| format!("`{test}` {result}"))
            .collect();
        let result = if bad.is_empty() {
            "passed".to_owned()
        } else {
            bad.join(", ")
        };
        let (name, version, used_by) = (client.name, (client.version)(), client.stands_for);
        let names: Vec<&String> = own.iter().map(|(test, _)| *test).collect();
        let [ldaps, start_tls] = OVER_TLS.map(|transport| over(transport, &names, &mut footnotes));
        let number = own.len();
        let _ = writeln!(
            text,
            "| {name} | {version} | {used_by} | {number} | {result} | {ldaps} | {start_tls} |"
        );
        let _ = writeln!(details, "\n### {name}\n");
        for (test, said) in own {
            let _ = writeln!(details, "- {said} (`{test}`)");
        }
    }
    for (index, why) in footnotes.iter().enumerate() {
        let _ = writeln!(text, "\n[^{}]: {why}.", index + 1);
    }
    text + &details + TAIL
}

#[client_test]
fn the_page_lists_the_tests_there_are() {
    let tests = tests();
    assert!(tests.len() > 30, "only {} tests were found", tests.len());
    for client in CLIENTS {
        for transport in OVER_TLS {
            let some = tests
                .keys()
                .any(|test| test.ends_with(transport) && std::ptr::eq(client_of(test), client));
            assert!(some, "{} has no test {transport}", client.name);
        }
    }
    if std::env::var_os("AKLDAP_WRITE_DOCS").is_some() {
        std::fs::write(page(), write_page(&tests)).expect("written");
    }
    let text = std::fs::read_to_string(page()).expect("docs/compatibility.md");
    for client in CLIENTS {
        let start = format!("| {} | ", client.name);
        let row = text.lines().find_map(|line| line.strip_prefix(&start));
        let cells: Vec<&str> = row
            .expect(client.name)
            .trim_end_matches(" |")
            .split(" | ")
            .collect();
        let [version, _, number, result, ldaps, start_tls] = cells[..] else {
            panic!("{row:?}")
        };
        let own = tests.keys().filter(|test| std::ptr::eq(client_of(test), client));
        assert_eq!(number, own.count().to_string(), "{row:?}");
        assert_eq!(result, "passed", "{row:?}");
        for cell in [ldaps, start_tls] {
            let note = cell.strip_prefix("client cannot");
            assert!(
                cell == "passed" || note.is_some_and(|note| text.contains(&format!("\n{note}: "))),
                "{row:?}"
            );
        }
        assert!(version != "unknown" && !version.is_empty(), "{row:?}");
    }
    let listed: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.strip_suffix("`)")?.rsplit_once(" (`"))
        .map(|(said, test)| (test.to_owned(), said.to_owned()))
        .collect();
    let differing: Vec<_> = tests
        .iter()
        .filter(|(test, said)| listed.get(*test) != Some(*said))
        .chain(listed.iter().filter(|(test, _)| !tests.contains_key(*test)))
        .collect();
    assert!(
        differing.is_empty(),
        "docs/compatibility.md is out of date, see tests/clients/compatibility.rs for how to write it: {differing:?}"
    );
}
