//! The binary itself: exit codes, what it says about bad configuration, the demo from start to end.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn akldap(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = akldap(arguments, environment).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// Kills a server that a failing test would leave behind.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn end(&mut self) -> Option<i32> {
        let killed = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("SIGTERM did not end it");
    }
}

#[test]
fn bad_configuration_is_one_line_and_exit_code_64() {
    let host = ("AUTHENTIK_HOST", "https://authentik.example.org");
    let token = ("AUTHENTIK_TOKEN", "secret-token");
    for (environment, name) in [
        (vec![], "AUTHENTIK_HOST"),
        (vec![host], "AUTHENTIK_TOKEN"),
        (
            vec![("AUTHENTIK_HOST", "authentik.example.org"), token],
            "AUTHENTIK_HOST",
        ),
        (
            vec![host, token, ("AUTHENTIK_INSECURE", "maybe")],
            "AUTHENTIK_INSECURE",
        ),
        (
            vec![host, token, ("AUTHENTIK_LISTEN__LDAP", "somewhere")],
            "AUTHENTIK_LISTEN__LDAP",
        ),
        (
            vec![host, token, ("AUTHENTIK_LDAP__PAGE_SIZE", "-1")],
            "AUTHENTIK_LDAP__PAGE_SIZE",
        ),
        (
            vec![host, ("AUTHENTIK_TOKEN", "file:///nonexistent/token")],
            "AUTHENTIK_TOKEN",
        ),
    ] {
        let (code, stdout, stderr) = run(&[], &environment);
        assert_eq!(code, Some(64), "{environment:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
        assert!(stderr.contains(name), "{stderr}");
        assert!(!stderr.contains("secret-token") && stdout.is_empty());
    }
    assert_eq!(run(&["--nonsense"], &[]).0, Some(64));
}

#[test]
fn help_and_version_need_no_configuration() {
    let (code, help, _) = run(&["--help"], &[]);
    assert_eq!(code, Some(0));
    for word in [
        "serve",
        "demo",
        "healthcheck",
        "AUTHENTIK_HOST",
        "AUTHENTIK_LDAP__REQUIRE_TLS",
    ] {
        assert!(help.contains(word), "{word}");
    }
    let (code, version, _) = run(&["--version"], &[]);
    assert_eq!(
        (code, version.trim_end()),
        (Some(0), concat!("akldap ", env!("CARGO_PKG_VERSION")))
    );
}

/// The version stands in Cargo.toml; what repeats it for readers must follow. RELEASING.md relies on this.
#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    for (file, before) in [
        ("docs/swap.md", "registry.example.org/akldap:"),
        ("Dockerfile", "ARG VERSION=\""),
    ] {
        let text = read(file);
        let mut given = text.split(before).skip(1).peekable();
        assert!(given.peek().is_some(), "{file} does not name the version");
        for rest in given {
            let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || ".-".contains(letter)));
            assert_eq!(&rest[..end.unwrap_or(rest.len())], version, "{file}");
        }
    }
    assert!(read("CHANGELOG.md").contains(version), "CHANGELOG.md");
}

#[test]
fn the_health_check_fails_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(
        &["healthcheck"],
        &[("TMPDIR", directory.path().to_str().unwrap())],
    );
    assert_eq!(code, Some(1));
    assert!(stderr.contains("authentik-metrics.sock"), "{stderr}");
}

#[test]
fn the_cause_of_an_error_is_told_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = run(
        &["serve"],
        &[
            ("AUTHENTIK_HOST", "http://127.0.0.1:9"),
            ("AUTHENTIK_TOKEN", "token"),
            ("AUTHENTIK_LISTEN__LDAP", &address),
            ("TMPDIR", directory.path().to_str().unwrap()),
        ],
    );
    assert_eq!(code, Some(1));
    assert_eq!(stderr.matches("os error").count(), 1, "{stderr}");
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, _, stderr) = run(&["healthcheck"], &[("TMPDIR", file.to_str().unwrap())]);
    assert_eq!(code, Some(1));
    assert_eq!(stderr.matches("os error").count(), 1, "{stderr}");
}

#[test]
fn the_health_check_names_a_path_that_is_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let (code, _, stderr) = run(&["healthcheck"], &[("TMPDIR", deep.to_str().unwrap())]);
    assert_eq!(code, Some(1));
    let length = deep.join("authentik-metrics.sock").as_os_str().len();
    assert!(
        stderr.contains(&format!("{length} octets")) && stderr.contains("a shorter directory"),
        "{stderr}"
    );
}

#[test]
fn a_misspelt_option_is_a_warning_and_an_unreachable_authentik_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [
        ("AUTHENTIK_HOST", "http://127.0.0.1:1/"),
        ("AUTHENTIK_TOKEN", "secret-token"),
        ("AUTHENTIK_LISTEN__LDAP", "127.0.0.1:0"),
        ("AUTHENTIK_LISTEN__LDAPS", "127.0.0.1:0"),
        ("AUTHENTIK_LISTEN__METRICS", "127.0.0.1:0"),
        ("AUTHENTIK_LDAP__REQUIRE_TSL", "true"),
        ("AUTHENTIK_POSTGRESQL__HOST", "ignored"),
        ("TMPDIR", directory.path().to_str().unwrap()),
    ];
    let mut server = Server(akldap(&[], &environment).spawn().unwrap());
    let lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let mut log = String::new();
    for line in lines {
        log += &line.unwrap();
        log.push('\n');
        if log.contains("REQUIRE_TLS") && log.contains("cannot load") && log.contains("listening") {
            break;
        }
    }
    assert!(log.contains("REQUIRE_TSL"), "{log}");
    assert!(log.contains("127.0.0.1:1"), "the cause names the address: {log}");
    assert!(
        !log.contains("POSTGRESQL") && !log.contains("secret-token"),
        "{log}"
    );
    let (code, ..) = run(&["healthcheck"], &environment);
    assert_eq!(
        code,
        Some(0),
        "the process is healthy though authentik is not there"
    );
    assert_eq!(server.end(), Some(0));
}

#[test]
fn the_demo_says_when_it_is_ready_and_ends_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "demo",
        "--users",
        "30",
        "--groups",
        "5",
        "--ldap",
        "127.0.0.1:0",
        "--ldaps",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ];
    let mut demo = Server(
        akldap(&arguments, &[("TMPDIR", directory.path().to_str().unwrap())])
            .spawn()
            .unwrap(),
    );
    let mut output = BufReader::new(demo.0.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert_eq!(first, "ready\n");
    assert_eq!(demo.end(), Some(0));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("30 users") && rest.contains("ldapsearch"), "{rest}");
}
