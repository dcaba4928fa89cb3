//! docs/readiness.md says who should ask what, and what is shipped does so: whoever restarts asks whether the server is alive,
//! whoever sends it clients whether it is ready.

use std::fs;
use std::path::Path;

const READY: &str = "path: /ready";
const ALIVE: &str = "path: /outpost.goauthentik.io/ping";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// What follows a key, up to the next probe.
fn probe<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("{name}:")).expect(name);
    let end = rest.find("Probe:").unwrap_or(rest.len());
    &rest[..end]
}

#[test]
fn kubernetes_restarts_what_is_dead_and_sends_clients_to_what_is_ready() {
    for name in [
        "docs/readiness.md",
        "deploy/kubernetes/deployment.yaml",
        "deploy/helm/akldap/templates/deployment.yaml",
    ] {
        let text = read(name);
        assert!(probe(&text, "readinessProbe").contains(READY), "{name}");
        assert!(probe(&text, "livenessProbe").contains(ALIVE), "{name}");
    }
}

#[test]
fn the_image_is_healthy_while_it_lives() {
    let text = read("Dockerfile");
    let check = text
        .lines()
        .find(|line| line.starts_with("HEALTHCHECK"))
        .expect("a health check");
    assert!(check.ends_with(r#"CMD ["/ldap", "healthcheck"]"#), "{check}");
    assert!(read("docs/readiness.md").contains(r#"["CMD", "/ldap", "healthcheck", "--ready"]"#));
}

#[test]
fn the_balancer_asks_who_is_ready() {
    let text = read("docs/haproxy.cfg");
    assert_eq!(text.matches("http-check send meth GET uri /ready ").count(), 2);
    assert!(!text.contains("ldap-check"));
}
