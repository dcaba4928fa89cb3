//! What a panic leaves in the log of the real process: its place, and never its message, which may quote a password.

use std::process::Command;

use akldap::config::{LogConfig, LogFormat, LogLevel};

/// Tells the copy of this test program started below that it is the one to panic.
const CHILD: &str = "AKLDAP_TEST_PANICKING_CHILD";

#[test]
fn a_panic_is_logged_without_its_message() {
    if std::env::var_os(CHILD).is_some() {
        let config = LogConfig {
            level: LogLevel::Info,
            format: Some(LogFormat::Json),
            colour: false,
        };
        akldap::logging::init(config).expect("nobody else logs here");
        assert!(
            akldap::logging::init(config).is_err(),
            "a second set-up is an error"
        );
        assert!(std::panic::catch_unwind(|| panic!("the password is hunter2")).is_err());
        return;
    }
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "panic_log::a_panic_is_logged_without_its_message",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .expect("a child process");
    let log = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    let line = log
        .lines()
        .find(|line| line.starts_with('{'))
        .expect("a JSON line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["level"], "error");
    assert!(
        line["location"]
            .as_str()
            .is_some_and(|place| place.starts_with("tests/process/panic_log.rs:")),
        "{line}"
    );
}
