//! Runs programs of the machine the tests are on.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Longer than any of these programs takes, even one that compiles something first.
const PATIENCE: Duration = Duration::from_secs(180);

/// Debian's interpreter, whose packages the tests want; another python3 may come first in the path.
pub const PYTHON: &str = "/usr/bin/python3";

/// What a program did.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub text: String,
    pub errors: String,
}

impl Output {
    /// Lines that begin with this.
    pub fn lines(&self, start: &str) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with(start)).collect()
    }

    /// The number of entries in LDIF.
    pub fn entries(&self) -> usize {
        self.lines("dn:").len()
    }

    /// The values of an attribute that LDIF shows in plain text, in order of appearance.
    pub fn values(&self, attribute: &str) -> Vec<&str> {
        let start = format!("{attribute}: ");
        self.text
            .lines()
            .filter_map(|line| line.strip_prefix(&start))
            .collect()
    }

    /// The attribute names in LDIF, each once, in order of appearance.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for line in self.text.lines().filter(|line| !line.starts_with(['#', ' '])) {
            match line.split_once(':') {
                Some((name, _)) if name != "dn" && !names.contains(&name) => names.push(name),
                _ => {}
            }
        }
        names
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// A command with the project as its directory.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(crate::project())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a command until it says `end`, then ends it. Its text is what it said before.
pub async fn run_until(command: &mut Command, end: &str) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut output = child.stdout.take().expect("its output");
    let mut octets = Vec::new();
    let said = |octets: &[u8]| {
        String::from_utf8_lossy(octets)
            .split_once(end)
            .map(|(before, _)| before.to_owned())
    };
    let reading = async {
        while said(&octets).is_none() && output.read_buf(&mut octets).await.is_ok_and(|read| read > 0) {}
    };
    timeout(PATIENCE, reading)
        .await
        .expect("the program says so in time");
    let found = said(&octets);
    let code = if found.is_some() {
        child.kill().await.expect("it can be ended");
        0
    } else {
        child.wait().await.expect("it ends").code().unwrap_or(-1)
    };
    let text = found.unwrap_or_else(|| String::from_utf8_lossy(&octets).into_owned());
    Output {
        code,
        text,
        errors: String::new(),
    }
}

/// Runs a command to its end.
pub async fn run(command: &mut Command) -> Output {
    let output = timeout(PATIENCE, command.output())
        .await
        .expect("the program ends in time")
        .expect("it starts");
    Output {
        code: output.status.code().unwrap_or(-1),
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
