//! OpenLDAP's slapd: `akldap diff` with it on one side or both, and as the server that clients had before.

mod former;

use std::net::SocketAddr;
use std::process::Stdio;

use akldap::diff::{self, Detail, DiffRequest, Target, TimeLimit};
use tokio::process::Command;

use akldap_testing::child::PATIENCE;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::Stage;

const PASSWORD: &str = "demo-ldapservice";

/// OpenLDAP with a small directory, ended when the test ends.
struct Slapd {
    process: tokio::process::Child,
    address: SocketAddr,
    uri: String,
    _folder: tempfile::TempDir,
}

impl Slapd {
    async fn start(mail: &str) -> Self {
        let database = format!(
            "sizelimit size.soft=2 size.hard=1000 size.pr=1000\n\
             database mdb\nsuffix dc=example\nrootdn cn=admin,dc=example\nrootpw {PASSWORD}\n"
        );
        let entries = format!(
            "dn: dc=example\nobjectClass: domain\ndc: example\nentryUUID: {0}1\n\n\
             dn: cn=alice,dc=example\nobjectClass: inetOrgPerson\ncn: alice\nsn: a\nmail: {mail}\nuserPassword: hidden-value\nentryUUID: {0}2\n\n\
             dn: cn=Bob\\, Jr.,dc=example\nobjectClass: inetOrgPerson\ncn: Bob, Jr.\nsn: b\nmail: bob@example\nuserPassword: hidden-value\nentryUUID: {0}3\n\n\
             dn: cn=staff,dc=example\nobjectClass: groupOfNames\ncn: staff\nmember: cn=alice,dc=example\nentryUUID: {0}4\n",
            "00000000-0000-0000-0000-00000000000"
        );
        Self::of(&database, &entries).await
    }

    /// With this database, but for its folder, and these entries (LDIF).
    async fn of(database: &str, entries: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        let configuration = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\ninclude /etc/ldap/schema/nis.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload memberof\n{database}directory {at}\n"
        );
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let (configuration, entries) = (file("slapd.conf", &configuration), file("entries.ldif", entries));
        let added = Command::new("/usr/sbin/slapadd")
            .arg("-f")
            .arg(&configuration)
            .arg("-l")
            .arg(&entries)
            .output();
        let added = added.await.expect("slapadd");
        assert!(added.status.success(), "{added:?}");
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            free.local_addr().expect("its address").port()
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let uri = format!("ldap://{address}");
        let process = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-h", &uri, "-f"])
            .arg(&configuration)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("slapd");
        let started = std::time::Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(started.elapsed().as_secs() < 60, "slapd does not start");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Self {
            process,
            address,
            uri,
            _folder: folder,
        }
    }
}

#[client_test]
async fn openldap_is_compared_with_openldap_and_with_this_server() {
    let Some(_exercise) = exercise(&[Need::File("/usr/sbin/slapd", "slapd")]) else {
        return;
    };
    let (one, mut other) = tokio::join!(Slapd::start("alice@example"), Slapd::start("alice@other"));
    let target = |uri: &str| Target::parse(uri, false).expect("a URI");
    let mut request = DiffRequest {
        ours: target(&one.uri),
        theirs: target(&other.uri),
        bind_dn: "cn=admin,dc=example".to_owned(),
        base: None,
        searches: None,
        profiles: vec![
            "nextcloud".to_owned(),
            "go-ldap".to_owned(),
            "appliance".to_owned(),
        ],
        ignored: Vec::new(),
        limit: 1000,
        time: TimeLimit::of(PATIENCE),
    };
    let report = diff::run(&request, PASSWORD.as_bytes()).await.expect("a report");
    // The tree is larger than the size limit, which pages get around.
    assert_eq!(report.findings[0].ours.entries, 4);
    let text_of = report.text(Detail::default());
    let told: usize = report.findings.iter().map(|finding| finding.told.len()).sum();
    // A modification leaves traces in operational attributes, which nobody asks for here.
    assert_eq!(told, 1, "{text_of}");
    assert!(
        text_of.contains("dn: cn=alice,dc=example\n-mail: alice@other\n+mail: alice@example\n"),
        "{text_of}"
    );
    assert!(!text_of.contains("hidden-value"));

    let stage = Stage::sample().await;
    request.theirs = target(&format!("ldap://{}", stage.ldap()));
    // The account is known to slapd only.
    let error = diff::run(&request, PASSWORD.as_bytes())
        .await
        .expect_err("no such account");
    assert!(
        error.to_string().contains("the bind was answered with"),
        "{error}"
    );
    other.process.kill().await.expect("it ends");
}
