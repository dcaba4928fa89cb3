//! Files that options name and that are no files on a disk: FIFOs, devices, pipes, links. What has an end is read, and what has none is
//! given up, with the option, the file and the limit.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use akldap_simulator::{Options, Simulator};
use akldap_testing::child::PATIENCE;
use akldap_testing::scenery::{directory, recommended};
use akldap_testing::stage::user_dn;
use tokio::process::Command;
use tokio::time::timeout;

const SERVICE: &str = "ldapservice";

struct Surroundings {
    simulator: Simulator,
    folder: tempfile::TempDir,
}

impl Surroundings {
    async fn new() -> Self {
        let simulator = Simulator::start(directory("cached", recommended()), Options::default());
        Self {
            simulator: simulator.await.expect("a simulator"),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// A FIFO that nobody writes to.
    fn fifo(&self) -> PathBuf {
        let path = self.folder.path().join("fifo");
        if !path.exists() {
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.expect("mkfifo").success());
        }
        path
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AUTHENTIK_HOST", self.simulator.url())
            .env("AUTHENTIK_TOKEN", self.simulator.token())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

const AKLDAP: &str = env!("CARGO_BIN_EXE_akldap");

/// What a command says that must come to an end: its exit code, and its output and errors.
async fn end(mut command: Command) -> (Option<i32>, String) {
    let Ok(output) = timeout(PATIENCE, command.output()).await else {
        return (None, format!("no end: {command:?}"));
    };
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("it runs");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// An option that names a file.
struct FileOption {
    /// What it is called in what is said about it.
    name: &'static str,
    /// How a check ends that cannot read the file.
    code: i32,
    variables: Vec<(&'static str, String)>,
    flags: Vec<String>,
}

/// Each of them, naming `file`; beside it `other`, which is sound, if there must be two.
fn options(file: &Path, other: &Path) -> Vec<FileOption> {
    let (file, other) = (text(file), text(other));
    let variable = |name, code, value: String| FileOption {
        name,
        code,
        variables: vec![(name, value)],
        flags: Vec::new(),
    };
    let mut options = vec![
        variable("AUTHENTIK_TOKEN", 2, format!("file://{file}")),
        variable("AUTHENTIK_LDAP__PAGE_SIZE", 2, format!("file://{file}")),
        variable("AUTHENTIK_LDAP__CONFIG_FILE", 2, file.to_owned()),
        variable("AUTHENTIK_LDAP__CA_FILE", 2, file.to_owned()),
    ];
    let pair = [
        "AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE",
        "AUTHENTIK_LDAP__TLS_KEY_FILE",
    ];
    for (name, sound) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        let mut option = variable(name, 1, file.to_owned());
        option.variables.push((sound, other.to_owned()));
        options.push(option);
    }
    let flags = ["--bind-dn", &user_dn(SERVICE), "--password-file", file];
    options.push(FileOption {
        name: "--password-file",
        code: 2,
        variables: Vec::new(),
        flags: flags.map(str::to_owned).to_vec(),
    });
    options
}

#[tokio::test]
async fn a_check_ends_whatever_an_option_names() {
    let around = Surroundings::new().await;
    let fifo = around.fifo();
    let sound = akldap_testing::certificates::path("p256.pem");
    let mut failures = Vec::new();
    for (file, problem) in [
        (fifo.as_path(), "nothing came from it within 1 s"),
        (Path::new("/dev/zero"), "it is larger than "),
    ] {
        for FileOption {
            name,
            code,
            variables,
            flags,
        } in options(file, &sound)
        {
            let mut command = around.command(AKLDAP, &["check", "--only", "certificates", "--wait", "1s"]);
            command.args(flags).envs(variables);
            let (found, told) = end(command).await;
            let words = [name, text(file), problem];
            if found != Some(code) || !words.iter().all(|word| told.contains(word)) {
                failures.push(format!("{name} {}: {found:?} {told}", file.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn a_comparison_ends_whatever_an_option_names() {
    let around = Surroundings::new().await;
    let (password, fifo) = (around.file("password", "x"), around.fifo());
    let dn = user_dn(SERVICE);
    let mut failures = Vec::new();
    for (file, problem) in [
        (fifo.as_path(), "nothing came from it within 1 s"),
        (Path::new("/dev/zero"), "it is larger than "),
    ] {
        for option in ["--password-file", "--queries", "--ldap-ca-file"] {
            let mut command = around.command(AKLDAP, &["diff", "--bind-dn", &dn, option, text(file)]);
            command.args(["--ours", "ldaps://127.0.0.1:1", "--theirs", "ldap://127.0.0.1:1"]);
            command.args(["--max-time", "1s"]);
            if option != "--password-file" {
                command.args(["--password-file", text(&password)]);
            }
            let (found, told) = end(command).await;
            let words = [option, text(file), problem];
            if found != Some(2) || !words.iter().all(|word| told.contains(word)) {
                failures.push(format!("{option} {}: {found:?} {told}", file.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn a_server_does_not_start_with_a_file_without_an_end() {
    let around = Surroundings::new().await;
    let sound = akldap_testing::certificates::path("p256.pem");
    let file = Path::new("/dev/zero");
    let mut failures = Vec::new();
    for FileOption { name, variables, .. } in options(file, &sound) {
        if variables.is_empty() {
            continue;
        }
        let named_by_the_configuration = name.contains("CA_FILE") || name.contains("__TLS_");
        let expected = if named_by_the_configuration { 66 } else { 64 };
        let mut command = around.command(AKLDAP, &["serve"]);
        command.envs(variables);
        for port in ["LDAP", "LDAPS", "METRICS"] {
            command.env(format!("AUTHENTIK_LISTEN__{port}"), "127.0.0.1:0");
        }
        let (found, told) = end(command).await;
        let words = [name, text(file), "it is larger than "];
        if found != Some(expected) || !words.iter().all(|word| told.contains(word)) {
            failures.push(format!("{name}: {found:?} {told}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// As Docker and Kubernetes give secrets, and as a shell does.
#[tokio::test]
async fn links_pipes_and_the_standard_input_are_read() {
    let around = Surroundings::new().await;
    let token = around.file("..data", &format!("{}\n", around.simulator.token()));
    let link = around.folder.path().join("token");
    std::os::unix::fs::symlink(&token, &link).expect("a link");
    let fifo = around.fifo();
    let writing = format!("cat {} > {} & ", text(&token), text(&fifo));
    let dn = user_dn(SERVICE);
    let certificate = akldap_testing::certificates::path("p256.pem");
    let (certificate, key) = (text(&certificate), text(&certificate).replace(".pem", ".key"));
    let account = format!("--only token --only account --bind-dn {dn}");
    for script in [
        format!("{AKLDAP} check --only token --token-file {}", text(&link)),
        format!("{AKLDAP} check --only token --token-file <(cat {})", text(&token)),
        format!(
            "{writing} {AKLDAP} check --only token --token-file {}",
            text(&fifo)
        ),
        format!(
            "{AKLDAP} check --only token --token-file /dev/stdin < {}",
            text(&token)
        ),
        format!(
            "cat {} | {AKLDAP} check --only token --token-file /dev/stdin",
            text(&token)
        ),
        format!("{AKLDAP} check {account} --password-file <(echo demo-{SERVICE})"),
        format!("(sleep 0.2; echo demo-{SERVICE}) | {AKLDAP} check {account} --password-file /dev/stdin"),
        format!("echo '[common]' | {AKLDAP} config check /dev/stdin"),
        format!("{AKLDAP} config check <(echo '[common]')"),
        format!("{AKLDAP} check --only token --ca-file <(cat {certificate})"),
        format!(
            "{AKLDAP} check --pre --only certificates --tls-certificate-file <(cat {certificate}) --tls-key-file <(cat {key})"
        ),
    ] {
        let mut command = around.command("bash", &["-c", &script]);
        if script.contains("--token-file") {
            command.env_remove("AUTHENTIK_TOKEN");
        }
        let (code, told) = end(command).await;
        assert_eq!(code, Some(0), "{script}: {told}");
    }
}
