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
struct ServerProcess(Child);

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl ServerProcess {
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
fn bad_configuration_is_a_line_each_and_exit_code_64() {
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
        let lines = if environment.is_empty() { 2 } else { 1 };
        assert_eq!(stderr.trim_end().lines().count(), lines, "{stderr}");
        assert!(stderr.contains(name), "{stderr}");
        assert!(!stderr.contains("secret-token") && stdout.is_empty());
    }
    assert_eq!(run(&["--nonsense"], &[]).0, Some(64));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let environment = [
        ("AUTHENTIK_HOST", "authentik.example.org"),
        ("AUTHENTIK_INSECURE", "maybe"),
        ("AUTHENTIK_LDAP__PAGE_SIZE", "many"),
        ("HTTP_PROXY", "socks5://proxy:1080"),
    ];
    let (code, _, stderr) = run(&["serve", "--idle-timeout", "soon"], &environment);
    assert_eq!(code, Some(64));
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 5, "{stderr}");
    let names = [
        "AUTHENTIK_HOST is",
        "AUTHENTIK_TOKEN is not set",
        "AUTHENTIK_INSECURE is",
        "AUTHENTIK_LDAP__PAGE_SIZE is",
        "--idle-timeout is",
    ];
    for name in names {
        assert_eq!(
            stderr.matches(&format!("akldap: {name}")).count(),
            1,
            "{name}: {stderr}"
        );
    }
    assert!(!stderr.contains("invalid digit"), "{stderr}");
}

/// Whoever asked for JSON reads no other text.
#[test]
fn a_command_line_that_cannot_be_used_is_told_in_json_where_json_was_asked_for() {
    let json = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(arguments, &[]);
        assert_eq!(code, Some(64), "{arguments:?}: {stdout}{stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains("--help"),
            "{stderr}"
        );
        serde_json::from_str::<serde_json::Value>(&stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"))
    };
    for arguments in [
        &["check", "--json", "--no-such-option"][..],
        &["check", "--only", "nonsense", "--json"],
        &["--page-size", "5", "check", "--bind-dn", "cn=a", "--json"],
    ] {
        let report = json(arguments);
        assert_eq!(
            (&report["well"], &report["checks"]),
            (&serde_json::Value::Null, &serde_json::json!([]))
        );
        let error = report["error"].as_str().expect("why");
        assert!(!error.contains('\n') && !error.contains("--help"), "{error}");
    }
    let report = json(&["diff", "--ours", "ldap://a", "--json"]);
    assert_eq!(report["equal"], serde_json::Value::Null);
    let error = report["error"].as_str().expect("why");
    assert!(
        error.contains("required") && error.contains("--theirs"),
        "{error}"
    );
    let (code, stdout, _) = run(&["check", "--no-such-option"], &[]);
    assert_eq!((code, stdout.as_str()), (Some(64), ""));
}

/// What was found counts only if it can be read.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "x").unwrap();
    let password = password.to_str().unwrap();
    let file = folder.path().join("akldap.toml");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let faulty = [
        ("AUTHENTIK_HOST", "http://127.0.0.1:1"),
        ("AUTHENTIK_TOKEN", "secret-token"),
    ];
    let nowhere = "ldap://127.0.0.1:1";
    let diff = [
        "diff",
        "--json",
        "--bind-dn",
        "cn=a",
        "--password-file",
        password,
        "--ours",
        nowhere,
        "--theirs",
        nowhere,
    ];
    for (arguments, full, left) in [
        (&["check", "--pre"][..], 2, 1),
        (&["check", "--json"], 2, 1),
        (&diff, 2, 2),
        (&["check", "--json", "--no-such-option"], 64, 64),
        (&["config", "show"], 71, 0),
        (&["config", "check", file], 71, 0),
        (&["--help"], 71, 0),
        (&["check", "--help"], 71, 0),
        (&["--version"], 71, 0),
    ] {
        let mut command = akldap(arguments, &faulty);
        command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let Output { status, stderr, .. } = command.output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(full), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("cannot write to the standard output: No space left on device"),
            "{arguments:?}: {stderr}"
        );

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let Output { status, stderr, .. } = akldap(arguments, &faulty).stdout(writer).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(left), "{arguments:?}: {stderr}");
        assert!(
            !stderr.contains("standard output") && !stderr.contains("panicked"),
            "{stderr}"
        );

        let mut command = akldap(arguments, &faulty);
        for name in ["/dev/full", "/dev/null"] {
            command.stderr(std::fs::File::options().write(true).open(name).unwrap());
            let status = command.output().unwrap().status;
            assert_eq!(status.code(), Some(left), "{arguments:?} with errors to {name}");
        }
    }
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
    assert_eq!(code, Some(0));
    let commit = version
        .trim_end()
        .strip_prefix(concat!("akldap ", env!("CARGO_PKG_VERSION")));
    assert!(
        commit.is_some_and(|commit| commit.is_empty() || commit.starts_with(" (")),
        "{version}"
    );
}

/// The build script is run as cargo runs it, in a repository, in an archive without git, and where the commit is given.
#[test]
fn the_commit_is_that_of_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let compiled = Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .args([&script, &source])
        .status()
        .unwrap();
    assert!(compiled.success());
    let built_in = |place: &Path, profile: &str, given: &str| {
        let output = Command::new(&script)
            .env("CARGO_MANIFEST_DIR", place)
            .env("PROFILE", profile)
            .env("AKLDAP_COMMIT", given)
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let commit = text
            .lines()
            .find_map(|line| line.strip_prefix("cargo::rustc-env=AKLDAP_COMMIT="));
        commit.unwrap().to_owned()
    };
    let place = folder.path().join("place");
    let inside = place.join("archive");
    std::fs::create_dir_all(&inside).unwrap();
    assert_eq!(built_in(&place, "release", ""), "", "an archive without git");
    assert_eq!(built_in(&place, "release", "abc"), "abc");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        Command::new("git")
            .arg("-C")
            .arg(&place)
            .args(identity)
            .args(arguments)
            .output()
    };
    if git(&["init", "--quiet"]).is_err() {
        return;
    }
    std::fs::write(place.join("file"), "").unwrap();
    git(&["add", "file"]).unwrap();
    git(&["commit", "--quiet", "--message", "x"]).unwrap();
    let commit = built_in(&place, "release", "");
    assert_eq!(commit.len(), 12, "{commit}");
    assert_eq!(
        built_in(&place, "debug", ""),
        "",
        "builds for development are not made again for a commit"
    );
    assert_eq!(
        built_in(&inside, "release", ""),
        "",
        "an archive inside somebody's repository"
    );
    std::fs::write(place.join("file"), "changed").unwrap();
    assert_eq!(built_in(&place, "release", ""), format!("{commit} with changes"));
}

/// The version is in Cargo.toml; texts that repeat it must follow. RELEASING.md relies on this.
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
    assert_eq!(code, Some(69), "a port cannot be opened");
    assert_eq!(stderr.matches("os error").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("Address already in use").count(), 1, "{stderr}");
    assert!(stderr.contains("--listen-ldap"), "{stderr}");
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
    let mut server = ServerProcess(akldap(&[], &environment).spawn().unwrap());
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
    let first = log.lines().next().unwrap_or_default();
    for part in [
        env!("CARGO_PKG_VERSION"),
        "commit",
        "http://127.0.0.1:1/",
        "starts",
    ] {
        assert!(first.contains(part), "{part} is not in the first line: {first}");
    }
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
    let (code, _, stderr) = run(&["healthcheck", "--ready"], &environment);
    assert_eq!(code, Some(1), "and not ready");
    assert!(stderr.contains("not ready: cannot reach authentik"), "{stderr}");
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
    let mut demo = ServerProcess(
        akldap(&arguments, &[("TMPDIR", directory.path().to_str().unwrap())])
            .spawn()
            .unwrap(),
    );
    let mut output = BufReader::new(demo.0.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert_eq!(first, "ready\n");
    let mut greeting = String::new();
    while !greeting.contains("Ctrl-C ends it.") {
        assert_ne!(output.read_line(&mut greeting).unwrap(), 0, "{greeting}");
    }
    assert!(
        greeting.contains("30 users") && greeting.contains("ldapsearch"),
        "{greeting}"
    );
    // What the pages say can be done by hand.
    let (_, walk) = greeting.split_once("AUTHENTIK_HOST=").unwrap();
    let (host, rest) = walk.split_once(" AUTHENTIK_TOKEN=").unwrap();
    let (token, rest) = rest.split_once(' ').unwrap();
    let arguments: Vec<&str> = rest.lines().next().unwrap().split(' ').skip(1).collect();
    let (code, told, _) = run(
        &arguments,
        &[("AUTHENTIK_HOST", host), ("AUTHENTIK_TOKEN", token)],
    );
    assert!(code == Some(0) && told.contains("✔ AK201"), "{told}");
    let (_, authority) = greeting.split_once("LDAPTLS_CACERT=").unwrap();
    let authority = authority.split(' ').next().unwrap().to_owned();
    let written = std::fs::read_to_string(&authority).unwrap();
    assert_eq!(written, include_str!("../../certs/ca.pem"));
    let ready = run(
        &["healthcheck", "--ready"],
        &[("TMPDIR", directory.path().to_str().unwrap())],
    );
    assert_eq!(ready.0, Some(0), "{}", ready.2);
    assert_eq!(demo.end(), Some(0));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("The demo has ended"), "{rest}");
    assert!(!Path::new(&authority).exists(), "nothing is left");
    let mut errors = String::new();
    demo.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "", "it is quiet");
}

/// Its ports are what it is for.
#[test]
fn a_demo_that_cannot_be_read_about_serves_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [("TMPDIR", directory.path().to_str().unwrap())];
    let free = "127.0.0.1:0";
    let arguments = [
        "demo", "--users", "30", "--ldap", free, "--ldaps", free, "--http", free,
    ];
    let mut command = akldap(&arguments, &environment);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let mut demo = ServerProcess(command.spawn().unwrap());
    let mut errors = BufReader::new(demo.0.stderr.take().unwrap());
    let mut first = String::new();
    errors.read_line(&mut first).unwrap();
    assert!(
        first.starts_with("akldap: cannot write to the standard output: "),
        "{first}"
    );
    let (code, _, stderr) = run(&["healthcheck", "--ready"], &environment);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn the_demo_names_its_own_flags() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    let arguments = ["demo", "--ldap", free, "--ldaps", &address, "--http", free];
    let environment = [("TMPDIR", directory.path().to_str().unwrap())];
    let (code, _, stderr) = run(&arguments, &environment);
    assert_eq!(code, Some(69), "{stderr}");
    assert_eq!(stderr.matches("Address already in use").count(), 1, "{stderr}");
    assert!(
        stderr.contains("(--ldaps)") && !stderr.contains("AUTHENTIK_LISTEN"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["demo", "--host", "https://authentik.example.org"], &environment);
    assert_eq!(code, Some(64));
    assert!(
        stderr.starts_with("akldap: --host and the command demo do not fit together"),
        "{stderr}"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (chain, key, empty) = (
        file("chain.pem", include_str!("../../certs/p256.pem")),
        file("key.pem", "no key"),
        file("empty", ""),
    );
    for (variables, code, names) in [
        (
            [
                ("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE", &chain),
                ("AUTHENTIK_LDAP__TLS_KEY_FILE", &key),
            ],
            66,
            vec![&chain, &key],
        ),
        (
            [
                ("AUTHENTIK_LDAP__CA_FILE", &key),
                ("AUTHENTIK_LDAP__LOG_FORMAT", &"text".to_owned()),
            ],
            66,
            vec![&key],
        ),
        (
            [
                ("AUTHENTIK_TOKEN", &format!("file://{empty}")),
                ("AUTHENTIK_LDAP__LOG_FORMAT", &"text".to_owned()),
            ],
            64,
            vec![&empty],
        ),
    ] {
        let mut environment = vec![
            ("AUTHENTIK_HOST", "https://authentik.example.org"),
            ("AUTHENTIK_TOKEN", "token"),
            ("TMPDIR", directory.path().to_str().unwrap()),
        ];
        environment.extend(variables.iter().map(|(name, value)| (*name, value.as_str())));
        let (ended, _, stderr) = run(&["serve"], &environment);
        assert_eq!(ended, Some(code), "{stderr}");
        let error = stderr
            .lines()
            .find(|line| line.starts_with("akldap: "))
            .unwrap_or_default();
        for name in names {
            assert_eq!(error.matches(name.as_str()).count(), 1, "{stderr}");
        }
    }
}
