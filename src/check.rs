//! Whether a set-up can work, and what to change where it cannot: authentik as this server's token shows it, a login if an account is
//! given, and this machine. A sibling of `server`, about which it knows nothing.
//!
//! Looking and judging are separate: `survey` finds facts, each of the `checks` judges them.

use std::fmt::Write as _;
use std::time::Duration;

mod cause;
mod certificate;
mod checks;
mod facts;
mod nested;
mod people;
mod ports;
mod promised;
mod spoken;
mod survey;
mod verdict;

use akldap_authentik::ApiError;
use serde_json::{Value, json};

pub use verdict::{Area, Verdict};

use crate::config::Config;
use crate::terminal::{calm, shortened};
use survey::{Extras, LoginAccount};
use verdict::Check;

/// Where the page is that explains every code.
const PAGE: &str = "docs/troubleshooting.md";

/// Characters of what was seen that are shown to people: authentik's names may be of any length.
const LONGEST: usize = 600;

/// What everything else depends on.
const BASIC: [Area; 4] = [Area::Reach, Area::Token, Area::Providers, Area::Flows];

/// What to check.
#[derive(Clone, Debug, Default)]
pub struct CheckRequest {
    /// The server has not been started yet.
    pub is_before_start: bool,
    /// These areas; none for all.
    pub areas: Vec<Area>,
    /// The DN of an account that logs in.
    pub bind_dn: Option<String>,
    /// How long looking may take; `None` for as long as its calls do.
    pub within: Option<Duration>,
    /// How long the lists are read; `None` for half of `within`, or a minute.
    pub list_limit: Option<Duration>,
}

/// One result.
pub struct Finding {
    check: &'static Check,
    /// What was found.
    pub verdict: Verdict,
}

impl Finding {
    /// The check's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.check.code
    }
}

/// The results, in order.
pub struct Report {
    /// One for each check.
    pub findings: Vec<Finding>,
    /// Time was up before everything was looked at.
    pub is_cut_short: bool,
}

/// Looks and judges.
///
/// # Errors
/// When the settings allow no call at all.
pub async fn run(config: &Config, request: &CheckRequest, password: &[u8]) -> Result<Report, ApiError> {
    let wants = |area: Area| request.areas.is_empty() || request.areas.contains(&area);
    let scope = Extras {
        certificates: wants(Area::Certificates),
        people: wants(Area::Directory),
        events: wants(Area::Events),
        machine: wants(Area::Machine),
        list_limit: request.list_limit,
    };
    let account = request.bind_dn.as_deref().map(|dn| LoginAccount { dn, password });
    let facts = survey::survey(config, account, scope, request.is_before_start, request.within).await?;
    let mut findings: Vec<Finding> = checks::all()
        .map(|check| Finding {
            check,
            verdict: match ((check.judge)(&facts), facts.cut_short) {
                (Verdict::NotSeen(_), Some(limit)) => {
                    Verdict::NotSeen(format!("not checked within {} s", limit.as_secs()))
                }
                (verdict, _) => verdict,
            },
        })
        .collect();
    let is_unseen = |finding: &Finding| matches!(finding.verdict, Verdict::NotSeen(_));
    let any_unseen = findings
        .iter()
        .any(|finding| wants(finding.check.area) && is_unseen(finding));
    // What prevented the survey is reported with it; otherwise nobody would know that nothing was looked at.
    findings.retain(|finding| {
        let is_in_the_way =
            matches!(finding.verdict, Verdict::Fault(_)) && BASIC.contains(&finding.check.area);
        wants(finding.check.area) || (any_unseen && is_in_the_way)
    });
    Ok(Report {
        findings,
        is_cut_short: facts.cut_short.is_some(),
    })
}

impl Report {
    /// Whether there is no fault.
    #[must_use]
    pub fn is_well(&self) -> bool {
        !self
            .findings
            .iter()
            .any(|finding| matches!(finding.verdict, Verdict::Fault(_)))
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (area, _, heading) in Area::ALL {
            let mut findings = self
                .findings
                .iter()
                .filter(|finding| finding.check.area == area)
                .peekable();
            if findings.peek().is_some() {
                let _ = writeln!(out, "{heading}");
                findings.for_each(|finding| write_finding(&mut out, finding));
                out.push('\n');
            }
        }
        let count = |is: fn(&Verdict) -> bool| {
            self.findings
                .iter()
                .filter(|finding| is(&finding.verdict))
                .count()
        };
        let faults = count(|verdict| matches!(verdict, Verdict::Fault(_)));
        let warnings = count(|verdict| matches!(verdict, Verdict::Warning(_)));
        let _ = writeln!(
            out,
            "faults: {faults}, warnings: {warnings}, of {} checks",
            self.findings.len()
        );
        out
    }

    /// The report for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(finding_json).collect();
        json!({ "well": self.is_well(), "checks": findings })
    }
}

fn write_finding(out: &mut String, finding: &Finding) {
    let Check {
        code,
        title,
        why,
        fix,
        ..
    } = finding.check;
    let (sign, seen, is_bad) = match &finding.verdict {
        Verdict::Well(seen) => ('✔', seen, false),
        Verdict::Warning(seen) => ('!', seen, true),
        Verdict::Fault(seen) => ('✘', seen, true),
        Verdict::NotSeen(seen) => ('–', seen, false),
    };
    let _ = writeln!(
        out,
        "  {sign} {code} {title}: {}",
        calm(&shortened(seen, LONGEST))
    );
    if is_bad {
        let _ = writeln!(out, "      why: {why}");
        let _ = writeln!(out, "      fix: {fix}");
        let _ = writeln!(out, "      {PAGE}#{}", code.to_lowercase());
    }
}

fn finding_json(finding: &Finding) -> Value {
    let Check {
        code,
        area,
        title,
        why,
        fix,
        ..
    } = finding.check;
    let (result, seen) = match &finding.verdict {
        Verdict::Well(seen) => ("well", seen),
        Verdict::Warning(seen) => ("warning", seen),
        Verdict::Fault(seen) => ("fault", seen),
        Verdict::NotSeen(seen) => ("not seen", seen),
    };
    json!({
        "code": code, "area": area.name(), "title": title, "result": result, "seen": seen, "why": why, "fix": fix,
        "page": format!("{PAGE}#{}", code.to_lowercase()),
    })
}
