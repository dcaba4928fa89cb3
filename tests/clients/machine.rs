//! A private view of the machine for daemons: their own mounts and processes, the same loopback.
//!
//! A shell in new mount and process namespaces takes commands. What it mounts over `/etc/nsswitch.conf`, `/etc/pam.d` and
//! the like is seen by its own programs alone, and when it ends, however the test ends, the kernel ends all of them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{sleep, timeout};

use akldap_testing::program::{Output, command};

/// Longer than any command takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Machine {
    folder: TempDir,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _shell: Child,
}

impl Machine {
    /// An empty folder as the working directory, and an empty `/run`.
    pub async fn start() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        // Daemons read their files here after they have given up root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("readable");
        let errors = std::fs::File::create(folder.path().join("shell")).expect("a file");
        let mut shell = command("unshare");
        shell
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["bash", "--noprofile", "--norc"])
            .current_dir(folder.path())
            .env("LC_ALL", "C.UTF-8")
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut shell = shell.spawn().expect("it starts");
        let mut machine = Self {
            folder,
            orders: shell.stdin.take().expect("its input"),
            answers: BufReader::new(shell.stdout.take().expect("its output")).lines(),
            _shell: shell,
        };
        machine.run("mount -t tmpfs none /run").await.expect(0);
        machine
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder as text.
    pub fn folder(&self) -> &str {
        self.folder.path().to_str().expect("text")
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// What a file in the folder says.
    pub fn read(&self, name: &str) -> String {
        std::fs::read(self.path(name))
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// Puts a file or folder over one of the machine's.
    pub async fn cover(&mut self, path: &str, with: &str) {
        self.run(&format!("mount --bind '{with}' '{path}'"))
            .await
            .expect(0);
    }

    /// The machine's name service switch with one more source for people and groups.
    pub async fn name_service(&mut self, source: &str) {
        let text =
            format!("passwd: files {source}\ngroup: files {source}\nshadow: files {source}\nhosts: files\n");
        self.write("nsswitch.conf", &text);
        self.cover("/etc/nsswitch.conf", "nsswitch.conf").await;
    }

    /// One PAM service, `demo`, that asks one module, and no other service.
    pub async fn login_service(&mut self, module: &str) {
        let text =
            format!("auth required {module}\naccount required {module}\nsession required pam_permit.so\n");
        self.write("pam.d/demo", &text);
        self.cover("/etc/pam.d", "pam.d").await;
    }

    /// The same service with the right to change passwords.
    pub async fn change_service(&mut self, module: &str) {
        let text = format!(
            "auth required {module}\naccount required {module}\npassword required {module}\nsession required pam_permit.so\n"
        );
        self.write("pam.d/demo", &text);
    }

    /// Runs shell commands to their end.
    pub async fn run(&mut self, commands: &str) -> Output {
        let order = format!("{{ {commands}\n}} </dev/null >output 2>errors; echo $?\n");
        self.orders
            .write_all(order.as_bytes())
            .await
            .expect("the shell listens");
        let answer = timeout(PATIENCE, self.answers.next_line()).await;
        let code = match answer {
            Ok(Ok(Some(code))) => code.parse().expect("a number"),
            other => panic!("{commands}: {other:?} {}", self.read("shell")),
        };
        Output {
            code,
            text: self.read("output"),
            errors: self.read("errors"),
        }
    }

    /// Starts a program that stays, with its log in a file of the folder.
    pub async fn daemon(&mut self, command: &str, log: &str) {
        self.run(&format!("{command} </dev/null >>{log} 2>&1 &"))
            .await
            .expect(0);
    }

    /// Runs commands again and again until what they do is as wanted.
    pub async fn eventually(&mut self, commands: &str, wanted: impl Fn(&Output) -> bool) -> Output {
        let mut last = None;
        for _ in 0..150 {
            let output = self.run(commands).await;
            if wanted(&output) {
                return output;
            }
            last = Some(output);
            sleep(Duration::from_millis(200)).await;
        }
        let mut logs = String::new();
        for name in ["shell", "log"] {
            let text = self.read(name);
            let tail = text.lines().rev().take(30).collect::<Vec<_>>();
            logs.extend(tail.into_iter().rev().flat_map(|line| [line, "\n"]));
        }
        panic!("it never came true: {commands}: {last:?}\n{logs}")
    }
}
