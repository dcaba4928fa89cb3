//! Versions of clients as installed.

use std::path::Path;
use std::process::Command;

/// Of a Debian package; `unknown` without Debian's package tools.
pub fn package(name: &str) -> String {
    said("dpkg-query", &["--show", "--showformat=${Version}", name])
}

/// Of a package of npm, by the lock file its installation follows.
pub fn npm(name: &str) -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node/package-lock.json");
    let lock: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(lock).expect("a lock file")).expect("JSON");
    lock["packages"][format!("node_modules/{name}")]["version"]
        .as_str()
        .expect("a version")
        .to_owned()
}

/// The first line a program says.
pub fn said(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| {
            let text = if output.stdout.is_empty() {
                output.stderr
            } else {
                output.stdout
            };
            String::from_utf8_lossy(&text)
                .lines()
                .next()
                .map(|line| line.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown".to_owned())
}
