//! The harness of tests with real LDAP clients: a test whose client is missing shows as ignored, with the package to install.
//!
//! Knows how a test is registered and run. Must not know what it needs: `exercise` says that while the test runs.
//!
//! A program of such tests, with its own `main`:
//!
//! ```standalone_crate
//! use std::process::{Command, ExitCode};
//!
//! use akldap_testing::client_test::{self, client_test};
//! use akldap_testing::exercise::{Need, exercise};
//!
//! #[client_test]
//! fn the_shell_adds() {
//!     // Shown as ignored where it is missing.
//!     let Some(_exercise) = exercise(&[Need::Program("sh")]) else {
//!         return;
//!     };
//!     let status = Command::new("sh").args(["-c", "test $((1 + 1)) = 2"]).status();
//!     assert!(status.unwrap().success());
//! }
//!
//! #[client_test]
//! async fn a_runtime_is_there() {
//!     tokio::task::yield_now().await;
//! }
//!
//! fn main() -> ExitCode {
//!     client_test::main()
//! }
//! ```

use std::process::ExitCode;
use std::sync::mpsc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

pub use akldap_client_test::client_test;
pub use inventory::submit;

use crate::exercise;

/// A registered test.
#[derive(Debug)]
pub struct ClientTest {
    pub module: &'static str,
    pub name: &'static str,
    pub run: fn(),
}

inventory::collect!(ClientTest);

impl ClientTest {
    /// As `cargo test` names tests: without the name of the program.
    fn path(&self) -> String {
        let module = self.module.split_once("::").map(|(_, within)| within);
        module.map_or_else(
            || self.name.to_owned(),
            |module| format!("{module}::{}", self.name),
        )
    }

    /// Runs it on a thread with its name, as Rust's harness does: logs and notes are kept by thread.
    fn run(&'static self) -> Result<Completion, Failed> {
        let (sender, missing) = mpsc::channel();
        let test = move || {
            (self.run)();
            // Nobody listens if the harness is gone.
            let _ = sender.send(exercise::missing());
        };
        let thread = std::thread::Builder::new().name(self.path()).spawn(test)?;
        // The hook has printed the panic and where it was.
        thread.join().map_err(|_| Failed::without_message())?;
        Ok(match missing.recv()? {
            Some(what) => Completion::ignored_with(what),
            None => Completion::Completed,
        })
    }
}

/// The `main` of a program of such tests.
pub fn main() -> ExitCode {
    let trial = |test: &'static ClientTest| Trial::ignorable_test(test.path(), || test.run());
    let mut trials: Vec<Trial> = inventory::iter::<ClientTest>.into_iter().map(trial).collect();
    trials.sort_by(|one, other| one.name().cmp(other.name()));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs a test on its own runtime, with a thread in addition to the one that waits.
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(test);
}
