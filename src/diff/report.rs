//! What two servers answered differently, for people and for programs. Knows how differences are written down; must not ask anybody.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::comparison::Summary;
use super::connection::{OperationEnd, ReceivedEntry, code_name};
use super::difference::{AttributeValues, Difference, Side};
use super::rules::Rule;
use super::search::ComparedSearch;
use super::secret;
use crate::terminal::{calm, disturbs};

/// A difference that is reported.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it is.
    pub difference: Difference,
    /// The rule by which it is intended.
    pub known: Option<Rule>,
}

/// What one search showed.
#[derive(Clone, Debug)]
pub struct SearchFinding {
    /// The search.
    pub search: ComparedSearch,
    /// The answer here.
    pub ours: Summary,
    /// The answer there.
    pub theirs: Summary,
    /// What is different, and was not reported before.
    pub told: Vec<Told>,
    /// Differences that an earlier search showed, or that follow from one.
    pub repeated: usize,
    /// Entries that are different beyond the limit on what is reported.
    pub untold: usize,
}

impl SearchFinding {
    fn unexplained(&self) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(|told| told.known.is_none())
    }

    fn is_equal(&self) -> bool {
        self.untold == 0 && self.unexplained().next().is_none()
    }
}

/// The whole comparison.
#[derive(Clone, Debug)]
pub struct DiffReport {
    /// This server.
    pub ours: String,
    /// The other one.
    pub theirs: String,
    /// The base DN of what was compared.
    pub base: String,
    /// Every search.
    pub findings: Vec<SearchFinding>,
    /// How many differences follow each rule.
    pub known: BTreeMap<Rule, usize>,
}

/// How much to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detail {
    /// The known differences too, each with its rule.
    pub known: bool,
    /// The times of every search.
    pub times: bool,
}

impl DiffReport {
    /// Whether there is no difference but known ones.
    pub fn is_equal(&self) -> bool {
        self.findings.iter().all(SearchFinding::is_equal)
    }

    /// The report as text: `-` for what only the other server has, `+` for what only this one has.
    pub fn text(&self, detail: Detail) -> String {
        let mut out = format!("--- {}\n+++ {}\n", self.theirs, self.ours);
        for finding in &self.findings {
            write_finding(&mut out, finding, detail);
        }
        if detail.times {
            out += "\n# milliseconds there, here:\n";
            for finding in &self.findings {
                let (theirs, ours) = (millis(&finding.theirs), millis(&finding.ours));
                let _ = writeln!(out, "# {theirs:>10.1} {ours:>10.1}  {}", finding.search.name);
            }
        }
        let differences: usize = self
            .findings
            .iter()
            .map(|finding| finding.unexplained().count())
            .sum();
        let untold: usize = self.findings.iter().map(|finding| finding.untold).sum();
        let _ = writeln!(
            out,
            "\n# {}, {}",
            count(self.findings.len(), "search", "searches"),
            match differences {
                0 if untold == 0 => "no difference".to_owned(),
                _ => count(differences, "difference", "differences"),
            }
        );
        if untold > 0 {
            let entries = count(untold, "more entry differs", "more entries differ");
            let _ = writeln!(out, "# {entries}; --limit N shows more");
        }
        if !self.known.is_empty() {
            out += "# known differences (docs/differences.md), how often and why:\n";
        }
        for (rule, times) in &self.known {
            let _ = writeln!(out, "# {times:>7}  {rule}");
        }
        out
    }

    /// The report as one JSON object.
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(finding_json).collect();
        json!({
            "ours": self.ours,
            "theirs": self.theirs,
            "base": self.base,
            "equal": self.is_equal(),
            "searches": findings,
            "known": self.known,
        })
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn millis(summary: &Summary) -> f64 {
    summary.took.as_secs_f64() * 1000.0
}

fn write_finding(out: &mut String, finding: &SearchFinding, detail: Detail) {
    let mut shown = finding
        .told
        .iter()
        .filter(|told| detail.known || told.known.is_none())
        .peekable();
    if shown.peek().is_none() {
        return;
    }
    let (name, search) = (&finding.search.name, finding.search.to_string());
    let _ = writeln!(out, "\n# {}\n# {}", calm(name), calm(&search));
    // One heading for everything about one entry.
    let mut heading: Option<&[u8]> = None;
    for told in shown {
        if let Some(rule) = told.known {
            let _ = writeln!(out, "# known: {rule}");
        }
        match &told.difference {
            Difference::Attribute { dn, .. } | Difference::Spelling { dn, .. } if heading != Some(dn) => {
                line(out, "\n", "dn", dn);
                heading = Some(dn);
            }
            Difference::Attribute { .. } | Difference::Spelling { .. } => {}
            _ => heading = None,
        }
        write_difference(out, &told.difference);
    }
}

fn write_difference(out: &mut String, difference: &Difference) {
    match difference {
        Difference::Missing(entry) => write_entry(out, "-", entry),
        Difference::More(entry) => write_entry(out, "+", entry),
        Difference::Name { ours, theirs } => {
            line(out, "\n-", "dn", theirs);
            line(out, "+", "dn", ours);
        }
        Difference::Attribute {
            name, ours, theirs, ..
        } => {
            write_side(out, "-", name, theirs, ours);
            write_side(out, "+", name, ours, theirs);
        }
        Difference::Spelling { ours, theirs, .. } => {
            let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            let _ = writeln!(
                out,
                "# the attribute {} is spelled {} there",
                text(ours),
                text(theirs)
            );
        }
        Difference::Order { ours, theirs } => {
            out.push_str("# in another order, from here on:\n");
            line(out, "-", "dn", theirs);
            line(out, "+", "dn", ours);
        }
        Difference::Reference { ours, theirs } => {
            out.push_str("# references to other servers:\n");
            theirs.iter().for_each(|urls| line(out, "-", "ref", urls));
            ours.iter().for_each(|urls| line(out, "+", "ref", urls));
        }
        Difference::Code { ours, theirs } => {
            let _ = writeln!(
                out,
                "-result: {}\n+result: {}",
                ended(theirs.as_ref()),
                ended(ours.as_ref())
            );
        }
        Difference::Closed { ours } => {
            let who = if *ours { "this server" } else { "the other server" };
            let _ = writeln!(out, "# then {who} closes the connection");
        }
    }
}

fn ended(outcome: Option<&OperationEnd>) -> String {
    outcome.map_or_else(
        || "the connection is closed without an answer".to_owned(),
        |outcome| format!("{outcome}").escape_debug().to_string(),
    )
}

fn write_entry(out: &mut String, sign: &str, entry: &ReceivedEntry) {
    line(out, &format!("\n{sign}"), "dn", &entry.dn);
    for (name, values) in &entry.attributes {
        let name = String::from_utf8_lossy(name);
        values.iter().for_each(|value| line(out, sign, &name, value));
    }
}

fn write_side(out: &mut String, sign: &str, name: &[u8], side: &Side, other: &Side) {
    let name = String::from_utf8_lossy(name);
    side.values.iter().for_each(|value| line(out, sign, &name, value));
    if side.is_there && !other.is_there && side.values.is_empty() {
        let _ = writeln!(out, "# {sign}{} without a value", name.escape_debug());
    }
}

/// One line of LDIF. Passwords are not shown.
fn line(out: &mut String, sign: &str, name: &str, value: &[u8]) {
    let _ = match shown(name, value) {
        ShownFinding::Text(text) => writeln!(out, "{sign}{}: {text}", name.escape_debug()),
        ShownFinding::Octets(text) => writeln!(out, "{sign}{}:: {text}", name.escape_debug()),
        ShownFinding::Hidden => writeln!(out, "{sign}{}: # not shown", name.escape_debug()),
    };
}

enum ShownFinding {
    Text(String),
    /// In base64.
    Octets(String),
    Hidden,
}

fn shown(name: &str, value: &[u8]) -> ShownFinding {
    if secret::is_secret(name) {
        return ShownFinding::Hidden;
    }
    let text = std::str::from_utf8(value).ok();
    // What LDIF accepts as it is, and letters beyond ASCII, which people want to read.
    let plain = text.filter(|text| {
        !text.starts_with([' ', ':', '<']) && !text.ends_with(' ') && !text.contains(disturbs)
    });
    plain.map_or_else(
        || ShownFinding::Octets(STANDARD.encode(value)),
        |text| ShownFinding::Text(text.to_owned()),
    )
}

fn value_json(name: &str, value: &[u8]) -> Value {
    match shown(name, value) {
        ShownFinding::Text(text) => Value::from(text),
        ShownFinding::Octets(text) => json!({ "base64": text }),
        ShownFinding::Hidden => json!({ "hidden": true }),
    }
}

fn finding_json(finding: &SearchFinding) -> Value {
    let summary = |summary: &Summary| {
        json!({
            "code": summary.code,
            "result": summary.code.map(code_name),
            "entries": summary.entries,
            "ms": (millis(summary) * 1000.0).round() / 1000.0,
        })
    };
    let told: Vec<Value> = finding.told.iter().map(told_json).collect();
    json!({
        "name": finding.search.name,
        "search": finding.search.to_string(),
        "ours": summary(&finding.ours),
        "theirs": summary(&finding.theirs),
        "differences": told,
        "repeated": finding.repeated,
        "untold": finding.untold,
    })
}

fn references_json(references: &AttributeValues) -> Value {
    Value::from_iter(references.iter().map(|urls| value_json("ref", urls)))
}

fn told_json(told: &Told) -> Value {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let entry_json = |entry: &ReceivedEntry| {
        let attributes = entry.attributes.iter().map(|(name, values)| {
            let name = text(name);
            let values: Vec<Value> = values.iter().map(|value| value_json(&name, value)).collect();
            (name, Value::from(values))
        });
        Value::Object(attributes.collect())
    };
    let side_json = |name: &[u8], side: &Side| {
        let name = text(name);
        let values: Vec<Value> = side.values.iter().map(|value| value_json(&name, value)).collect();
        json!({ "present": side.is_there, "values": values })
    };
    let outcome_json = |outcome: &Option<OperationEnd>| {
        outcome
            .as_ref()
            .map(|outcome| json!({ "code": outcome.code, "message": outcome.message }))
    };
    let (ours, theirs) = match &told.difference {
        Difference::Missing(entry) => (Value::Null, entry_json(entry)),
        Difference::More(entry) => (entry_json(entry), Value::Null),
        Difference::Name { ours, theirs }
        | Difference::Order { ours, theirs }
        | Difference::Spelling { ours, theirs, .. } => (Value::from(text(ours)), Value::from(text(theirs))),
        Difference::Attribute {
            name, ours, theirs, ..
        } => (side_json(name, ours), side_json(name, theirs)),
        Difference::Reference { ours, theirs } => (references_json(ours), references_json(theirs)),
        Difference::Code { ours, theirs } => (json!(outcome_json(ours)), json!(outcome_json(theirs))),
        Difference::Closed { ours } => (Value::from(*ours), Value::from(!*ours)),
    };
    let attribute = match &told.difference {
        Difference::Attribute { name, .. } => Some(text(name)),
        _ => None,
    };
    json!({
        "kind": told.difference.kind().name(),
        "dn": told.difference.dn().map(text),
        "attribute": attribute,
        "ours": ours,
        "theirs": theirs,
        "known": told.known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(told: Vec<Told>) -> DiffReport {
        DiffReport {
            ours: "ldap://a".into(),
            theirs: "ldap://b".into(),
            base: "dc=x".into(),
            findings: vec![SearchFinding {
                search: ComparedSearch::parse("walk", "ldap:///dc=x??sub").expect("a search"),
                ours: Summary::default(),
                theirs: Summary::default(),
                told,
                repeated: 0,
                untold: 0,
            }],
            known: BTreeMap::new(),
        }
    }

    fn attribute(name: &str, ours: &[&str], theirs: &[&str]) -> Told {
        let side = |values: &[&str]| Side {
            is_there: true,
            values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        };
        Told {
            difference: Difference::Attribute {
                dn: b"cn=a,dc=x".to_vec(),
                name: name.into(),
                ours: side(ours),
                theirs: side(theirs),
            },
            known: None,
        }
    }

    #[test]
    fn differences_are_written_like_ldif() {
        let told = vec![
            attribute("mail", &["new@x"], &["old@x"]),
            attribute("sn", &[" b"], &[]),
        ];
        let text = report(told).text(Detail::default());
        let expected = "--- ldap://b\n+++ ldap://a\n\n# walk\n# ldap:///dc=x??sub?(objectClass=*)\n\ndn: cn=a,dc=x\n\
                        -mail: old@x\n+mail: new@x\n+sn:: IGI=\n\n# 1 search, 2 differences\n";
        assert_eq!(text, expected);
    }

    /// A name may hold what makes a terminal show something else.
    #[test]
    fn what_disturbs_a_terminal_is_written_in_base64() {
        let told = vec![attribute("cn", &["a\u{202e}b"], &["a\u{9b}b"])];
        let text = report(told).text(Detail::default());
        assert!(text.contains("\n-cn:: YcKbYg==\n+cn:: YeKArmI=\n"), "{text}");
    }

    #[test]
    fn passwords_are_not_shown() {
        for name in [
            "userPassword",
            "USERPASSWORD;x-a;lang-de",
            "2.5.4.35",
            "2.5.4.35;binary",
        ] {
            let report = report(vec![attribute(name, &["secret-one"], &["secret-two"])]);
            let text = format!("{}{}", report.text(Detail::default()), report.json());
            assert!(!text.contains("secret-"), "{text}");
            assert!(text.contains(&format!("-{name}: # not shown")), "{text}");
        }
    }

    #[test]
    fn known_differences_make_nothing_different_and_are_shown_on_demand() {
        let mut told = attribute("mail", &["a"], &["b"]);
        told.known = Some("a rule");
        let mut report = report(vec![told]);
        report.known.insert("a rule", 1);
        assert!(report.is_equal());
        let short = report.text(Detail::default());
        assert!(!short.contains("mail") && short.contains("1  a rule"), "{short}");
        let long = report.text(Detail {
            known: true,
            times: true,
        });
        assert!(
            long.contains("# known: a rule\n") && long.contains("+mail: a"),
            "{long}"
        );
        assert_eq!(report.json()["searches"][0]["differences"][0]["known"], "a rule");
        report.findings[0].untold = 2;
        assert!(!report.is_equal());
    }
}
