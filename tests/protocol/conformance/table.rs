//! The conformance table: what clients need of an LDAP server in front of authentik, each carried out
//! against the server. `AKLDAP_WRITE_TABLE=1 cargo test --test protocol conformance::table -- --nocapture` prints it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::conformance::needs;
use akldap_testing::stage::Stage;

/// Looks whether a need is met; panics where it is not.
type Check = fn(Arc<Stage>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One need of clients.
pub struct Need {
    /// Its number in the table.
    pub number: &'static str,
    /// What clients need.
    pub title: &'static str,
    /// What is sent.
    pub request: &'static str,
    /// What must come back.
    pub expectation: &'static str,
    /// Why the need is not fully met, if it is not; the check then covers what is met.
    pub reason: Option<&'static str>,
    /// How that is checked.
    pub check: Check,
}

/// A need: number, title, request, expectation, perhaps the reason it is not met in full, and the check.
macro_rules! need {
    ($number:literal, $title:literal, $request:literal, $expectation:literal, $stage:ident => $check:block) => {
        need!(@ $number, $title, $request, $expectation, None, $stage => $check)
    };
    ($number:literal, $title:literal, $request:literal, $expectation:literal, because $reason:literal, $stage:ident => $check:block) => {
        need!(@ $number, $title, $request, $expectation, Some($reason), $stage => $check)
    };
    (@ $number:literal, $title:literal, $request:literal, $expectation:literal, $reason:expr, $stage:ident => $check:block) => {
        $crate::conformance::table::Need {
            number: $number,
            title: $title,
            request: $request,
            expectation: $expectation,
            reason: $reason,
            check: |$stage| Box::pin(async move $check),
        }
    };
}
pub(crate) use need;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_need_is_met_or_has_its_reason() {
    let needs = needs::all();
    let numbers: Vec<&str> = needs.iter().map(|need| need.number).collect();
    let mut expected: Vec<String> = (1..=52).map(|number| number.to_string()).collect();
    expected.insert(14, "14b".into());
    assert_eq!(numbers, expected, "the needs are those of the table");

    let stage = Arc::new(Stage::sample().await);
    let mut failed = Vec::new();
    let mut table =
        String::from("| # | Need | Request | Expected | Result |\n| --- | --- | --- | --- | --- |\n");
    for need in needs {
        let result = match (tokio::spawn((need.check)(Arc::clone(&stage))).await, need.reason) {
            (Ok(()), None) => "met".to_owned(),
            (Ok(()), Some(reason)) => format!("in part: {reason}"),
            (Err(error), _) => {
                failed.push(format!("{} {}: {error}", need.number, need.title));
                "FAILED".to_owned()
            }
        };
        table += &format!(
            "| {} | {} | {} | {} | {result} |\n",
            need.number, need.title, need.request, need.expectation
        );
    }
    if std::env::var_os("AKLDAP_WRITE_TABLE").is_some() {
        println!("{table}");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
