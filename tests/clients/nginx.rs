//! nginx in front of authentik, over HTTP/2, ending connections after a few requests as it does by default after a
//! thousand: whatever it ends, each step of a login arrives once, and a right password or code is never called wrong.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use akldap_simulator::{Device, Directory, Options, Simulator};
use futures_util::future::join_all;

use akldap_testing::certificates::path;
use akldap_testing::child::free_addresses;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::stage::{Stage, user_dn};

/// Binds with a password, and as many with a password and a single-use code.
const BINDS: usize = 40;
/// Binds at once.
const CLIENTS: usize = 4;

struct Nginx {
    process: Child,
    folder: tempfile::TempDir,
    url: String,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nginx {
    /// Ends each connection after this many requests.
    fn start(simulator: &Simulator, keepalive_requests: u32) -> Self {
        let [address] = free_addresses();
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {at}/{kind};\n"))
            .concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/error;\nevents {{}}\nhttp {{\n{temporary}\
             log_format lines '$server_protocol $request_method $uri $status';\n  access_log {at}/access lines;\n  \
             map $http_upgrade $upgraded {{ default upgrade; '' ''; }}\n  \
             server {{\n    listen {address} ssl http2;\n    ssl_certificate {certificate};\n    \
             ssl_certificate_key {key};\n    keepalive_requests {keepalive_requests};\n    \
             location / {{\n      proxy_pass {upstream};\n      proxy_http_version 1.1;\n      \
             proxy_set_header Host $http_host;\n      proxy_set_header X-Forwarded-Proto https;\n      \
             proxy_set_header Upgrade $http_upgrade;\n      proxy_set_header Connection $upgraded;\n    }}\n  }}\n}}\n",
            certificate = path("p256.pem").display(),
            key = path("p256.key").display(),
            upstream = simulator.url(),
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let process = Command::new("nginx")
            .args([
                "-p",
                folder.path().to_str().unwrap(),
                "-c",
                file.to_str().unwrap(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            process,
            folder,
            url: format!("https://localhost:{}", address.port()),
        }
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

fn token(number: usize) -> String {
    format!("tok{number:05}")
}

async fn logins_behind(keepalive_requests: u32) {
    let tokens: Vec<String> = (0..=BINDS).map(token).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let mut directory = Directory::sample(20, 5);
    let alice = directory.user_named("alice").unwrap().pk;
    directory
        .devices
        .insert(alice, vec![Device::static_tokens(1, &tokens)]);
    for provider in directory.providers.values_mut() {
        (provider.bind_mode, provider.unbind_flow) = ("direct".into(), None);
    }
    let options = Options {
        record_requests: true,
        ..Options::default()
    };
    let simulator = Simulator::start(directory, options).await.unwrap();
    let nginx = Nginx::start(&simulator, keepalive_requests);
    let stage = Stage::of(simulator, |settings| {
        settings.set("AUTHENTIK_HOST", nginx.url.as_str());
        settings.set("AUTHENTIK_LDAP__CA_FILE", path("ca.pem").to_str().unwrap());
    })
    .await;
    stage.ready().await;
    // What one login of each kind takes when the first stage of the flow is known.
    let count = || {
        let all = stage.simulator.requests().to("/flows/executor/");
        all.iter()
            .filter(|request| !request.query.contains("warmup"))
            .count()
    };
    let with_code = |number: usize| format!("demo-alice;{}", token(number));
    assert_eq!(
        stage.bind(&user_dn("bob"), "demo-bob").await.code,
        0,
        "{}",
        nginx.log("error")
    );
    let before = count();
    assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    assert_eq!(stage.bind(&user_dn("alice"), &with_code(BINDS)).await.code, 0);
    let both = count() - before;
    stage.simulator.requests().clear();

    let one_by_one = |client: usize| {
        let stage = &stage;
        async move {
            for number in (0..BINDS).filter(|number| number % CLIENTS == client) {
                let outcome = stage.bind(&user_dn("bob"), "demo-bob").await;
                assert_eq!(outcome.code, 0, "{outcome:?}");
                let outcome = stage.bind(&user_dn("alice"), &with_code(number)).await;
                assert_eq!(outcome.code, 0, "{outcome:?}");
            }
        }
    };
    join_all((0..CLIENTS).map(one_by_one)).await;
    assert_eq!(count(), both * BINDS, "each step once");
    let mut codes = BTreeMap::<String, usize>::new();
    for request in stage.simulator.requests().to("/flows/executor/") {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if let Some((_, code)) = body.split_once("\"code\":\"") {
            *codes
                .entry(code.split('"').next().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    assert_eq!(codes.len(), BINDS);
    assert!(codes.values().all(|sent| *sent == 1), "{codes:?}");
    // Flows use HTTP/1.1, where the last answer on a connection says so; lists use HTTP/2.
    let access = nginx.log("access");
    let of = |part: &str| {
        access
            .lines()
            .filter(|line| line.contains(part))
            .collect::<Vec<_>>()
    };
    assert!(
        of("/flows/executor/")
            .iter()
            .all(|line| line.starts_with("HTTP/1.1 ")),
        "{access}"
    );
    assert!(
        of("/core/users/ ")
            .iter()
            .any(|line| line.starts_with("HTTP/2.0 ")),
        "{access}"
    );
}

#[client_test]
async fn connections_that_end_after_some_requests_spoil_no_login() {
    let Some(_exercise) = exercise(&[Need::Program("nginx")]) else {
        return;
    };
    logins_behind(20).await;
}

#[client_test]
async fn connections_that_end_at_every_step_spoil_no_login() {
    let Some(_exercise) = exercise(&[Need::Program("nginx")]) else {
        return;
    };
    logins_behind(1).await;
}
