//! A script that reports in lines of JSON and may wait for a line in between.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::transport::{AUTHORITY, STRANGER, Transport, distrusts};

/// Longer than any script takes for one report, compiling itself included.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Conversation {
    child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

impl Conversation {
    /// Starts a script that is given the authority to trust. Over TLS it must first refuse a server that it does not trust.
    pub async fn trusting(transport: Transport, script: impl Fn(&str) -> Command) -> Self {
        if transport.is_secure() {
            distrusts(&mut script(STRANGER)).await;
        }
        Self::start(&mut script(AUTHORITY))
    }

    pub fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        Self {
            orders: child.stdin.take().expect("its input"),
            reports: BufReader::new(child.stdout.take().expect("its output")).lines(),
            errors: child.stderr.take().expect("its errors"),
            child,
        }
    }

    /// The next line, as JSON.
    pub async fn report(&mut self) -> Value {
        let line = timeout(PATIENCE, self.reports.next_line())
            .await
            .expect("it reports in time")
            .expect("readable");
        if let Some(report) = line.as_deref().and_then(|line| serde_json::from_str(line).ok()) {
            return report;
        }
        let mut text = String::new();
        let _ = timeout(Duration::from_secs(5), self.errors.read_to_string(&mut text)).await;
        panic!("{line:?} is no report\n{text}")
    }

    /// The only report of a script, which then ends well.
    pub async fn only_report(mut self) -> Value {
        let report = self.report().await;
        self.end().await;
        report
    }

    /// Lets the script go on.
    pub async fn go_on(&mut self) {
        self.orders.write_all(b"\n").await.expect("it listens");
    }

    /// Waits for the end, which must be a good one.
    pub async fn end(mut self) {
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends in time")
            .expect("it ends");
        let mut text = String::new();
        let _ = self.errors.read_to_string(&mut text).await;
        assert!(status.success(), "{status}\n{text}");
    }
}
