//! The parts of the page, from what matters at once to what explains it. Must not know where the facts come from.

use crate::metrics::{SAMPLES, SampleInterval, words::Word as _};
use crate::terminal::shortened;

use super::facts::{LoadFacts, StatusFacts};
use super::html::Html;
use super::{advice, chart, units};

/// A certificate with fewer days left should soon be renewed.
const DAYS_TO_RENEW: i64 = 14;

/// Characters of a name in a table, and of a reason: what is longer would push away what else is to be seen.
const LONGEST_CELL: usize = 200;
const LONGEST_REASON: usize = 600;

/// From this many days on, a time is given in years.
const IN_YEARS: i64 = 3 * 365;

/// The state of things, in one line.
pub(super) fn banner(html: &mut Html, facts: &StatusFacts) {
    let state = match (facts.searches, facts.binds) {
        (true, true) if facts.directory.is_stale => {
            ("warn", "! Searches and logins work, from an old directory")
        }
        (true, true) => ("ok", "✔ Searches and logins work"),
        (true, false) => ("warn", "! Searches work, new logins do not"),
        (false, true) if facts.progress.is_some() => ("warn", "! Logins work, searches do not yet"),
        (false, true) => ("bad", "✘ Logins work, searches do not"),
        (false, false) => ("bad", "✘ Neither searches nor logins work"),
    };
    html.markup("<div class=\"banner ")
        .text(state.0)
        .markup("\"><strong>");
    html.text(state.1).markup("</strong>");
    for reason in reasons(facts) {
        html.element("<span>", shortened(&reason, LONGEST_REASON), "</span> ");
    }
    html.markup("</div>");
}

/// Why it is not as it should be.
fn reasons(facts: &StatusFacts) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some((lasted, cause)) = &facts.outage {
        reasons.push(format!(
            "authentik has been unreachable for {}: {cause}.",
            units::span(*lasted)
        ));
    }
    for (what, load) in [
        ("configuration", &facts.configuration),
        ("directory", &facts.directory),
    ] {
        if let Some(failure) = load.failure.as_ref().filter(|_| facts.outage.is_none()) {
            reasons.push(format!("The {what} could not be read: {failure}."));
        }
    }
    if facts.providers.is_empty() && facts.configuration.age.is_some() {
        reasons.push(
            "No provider is served: in authentik, assign an application with an LDAP provider to this \
             outpost."
                .to_owned(),
        );
    }
    match (&facts.progress, facts.directory.age) {
        (Some(progress), None) => reasons.push(format!(
            "The directory is being loaded for the first time: {progress}."
        )),
        (Some(progress), Some(_)) => reasons.push(format!("The directory is being read again: {progress}.")),
        (None, None) => reasons.push("The directory has not been loaded yet.".to_owned()),
        (None, Some(_)) => {}
    }
    reasons
}

/// The current numbers.
pub(super) fn tiles(html: &mut Html, facts: &StatusFacts) {
    html.markup("<div class=\"tiles\">");
    let people = units::count(facts.users.try_into().unwrap_or(u64::MAX));
    let groups = units::count(facts.groups.try_into().unwrap_or(u64::MAX));
    tile(html, "People", people, format_args!("{groups} groups"), "");
    let (read, warning) = match (facts.directory.age, &facts.progress) {
        (None, Some(_)) => ("not yet".to_owned(), "warn"),
        _ => read(&facts.directory),
    };
    #[expect(clippy::cast_precision_loss, reason = "a size to be looked at")]
    let size = units::octets(facts.octets as f64);
    tile(
        html,
        "Directory read",
        read,
        format_args!("{size} in memory"),
        warning,
    );
    let turns = &facts.turns;
    let waiting = if turns.waiting > 0 { "warn" } else { "" };
    let oldest = match turns.waiting {
        0 => format!("{} under way", turns.running),
        _ => format!(
            "the first for {}; {} under way",
            units::span(turns.oldest),
            turns.running
        ),
    };
    tile(html, "Logins waiting", turns.waiting, oldest, waiting);
    let answered = facts
        .cache_part
        .map_or_else(|| "–".to_owned(), |part| format!("{:.0} %", part * 100.0));
    tile(
        html,
        "From the cache",
        answered,
        format_args!("{} logins kept", units::count(facts.cached)),
        "",
    );
    tile(
        html,
        "Connections",
        units::count(facts.connections),
        "open now",
        "",
    );
    if let Some((name, days)) = facts.certificates.iter().min_by_key(|(_, days)| *days) {
        let text = match *days {
            days if days < 0 => "expired".to_owned(),
            days if days >= IN_YEARS => format!("{} years", days / 365),
            days => format!("{days} days"),
        };
        tile(
            html,
            "Certificate",
            text,
            shortened(name, LONGEST_CELL),
            renewal(name, *days),
        );
    }
    html.markup("</div>");
}

fn read(load: &LoadFacts) -> (String, &'static str) {
    match load.age {
        Some(age) => (
            format!("{} ago", units::span(age)),
            if load.is_stale { "warn" } else { "" },
        ),
        None => ("never".to_owned(), "bad"),
    }
}

/// The self-signed certificate is made again at each start.
fn renewal(name: &str, days: i64) -> &'static str {
    match days {
        _ if name == "self-signed" => "",
        days if days < 0 => "bad",
        days if days < DAYS_TO_RENEW => "warn",
        _ => "",
    }
}

fn tile(
    html: &mut Html,
    title: &'static str,
    value: impl std::fmt::Display,
    more: impl std::fmt::Display,
    class: &'static str,
) {
    html.markup("<div class=\"card\"><h2>")
        .text(title)
        .markup("</h2><b class=\"");
    html.markup(class)
        .markup("\">")
        .text(value)
        .markup("</b><p class=\"dim small\">");
    html.text(more).markup("</p></div>");
}

/// A chart of the last half hour.
struct HalfHour {
    title: &'static str,
    /// What it shows of an interval, if there was something to measure.
    of: fn(&SampleInterval) -> Option<f64>,
    /// How that is displayed.
    shown: fn(f64) -> String,
}

const CHARTS: [HalfHour; 6] = [
    HalfHour {
        title: "Searches a second",
        of: |interval| Some(interval.searches),
        shown: units::rate,
    },
    HalfHour {
        title: "95 of 100 searches within",
        of: |interval| Some(interval.search_time?.as_secs_f64()),
        shown: seconds,
    },
    HalfHour {
        title: "Logins a second",
        of: |interval| Some(interval.binds),
        shown: units::rate,
    },
    HalfHour {
        title: "95 of 100 logins within",
        of: |interval| Some(interval.bind_time?.as_secs_f64()),
        shown: seconds,
    },
    HalfHour {
        title: "Refused a second",
        of: |interval| Some(interval.refused),
        shown: units::rate,
    },
    HalfHour {
        title: "Sent a second",
        of: |interval| Some(interval.octets),
        shown: units::octets,
    },
];

/// The last half hour.
pub(super) fn charts(html: &mut Html, facts: &StatusFacts) {
    html.markup("<div class=\"charts\">");
    for HalfHour { title, of, shown } in CHARTS {
        let values: Vec<Option<f64>> = facts.intervals.iter().map(of).collect();
        let now = values.last().copied().flatten();
        html.markup("<div class=\"card\"><h2>")
            .text(title)
            .markup("</h2><b>")
            .text(now.map_or_else(|| "–".to_owned(), shown))
            .markup("</b>");
        chart::draw(html, &values, SAMPLES, title);
        let highest = values.iter().flatten().copied().reduce(f64::max);
        let highest = highest.map_or_else(
            || "nothing yet".to_owned(),
            |highest| format!("at most {}", shown(highest)),
        );
        html.markup("<p class=\"dim small\">")
            .text(highest)
            .markup(" in half an hour</p></div>");
    }
    html.markup("</div>");
}

fn seconds(seconds: f64) -> String {
    units::took(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A table with a title; rows become blocks on a narrow page.
struct HtmlTable<'a>(&'a mut Html);

impl<'a> HtmlTable<'a> {
    fn start(html: &'a mut Html, title: &'static str, columns: &[&'static str]) -> Self {
        html.markup("<section class=\"card\">")
            .element("<h2>", title, "</h2>");
        html.markup("<div class=\"scroll\"><table class=\"stack\"><thead><tr>");
        for column in columns {
            html.element("<th>", column, "</th>");
        }
        html.markup("</tr></thead><tbody>");
        Self(html)
    }

    fn row(&mut self, cells: &[(&'static str, &str)]) {
        self.0.markup("<tr>");
        for (name, cell) in cells {
            match *name {
                "" => self.0.markup("<td>"),
                name => self.0.markup("<td data-name=\"").text(name).markup("\">"),
            };
            self.0.text(shortened(cell, LONGEST_CELL)).markup("</td>");
        }
        self.0.markup("</tr>");
    }

    fn end(self) {
        self.0.markup("</tbody></table></div></section>");
    }
}

/// What was refused, the latest first, with what to do about it.
pub(super) fn refusals(html: &mut Html, facts: &StatusFacts) {
    if facts.refusals.is_empty() {
        return;
    }
    let mut table = HtmlTable::start(
        html,
        "Refused, the latest first",
        &["what", "times", "last", "what to do"],
    );
    for (refusals, ago) in &facts.refusals {
        let (what, fix) = advice::of(refusals.reason);
        let ago = format!("{} ago", units::span(*ago));
        table.row(&[
            ("", what),
            ("times:", &units::count(refusals.count)),
            ("last:", &ago),
            ("", fix),
        ]);
    }
    table.end();
}

/// The slowest searches of the last hour.
pub(super) fn slow_searches(html: &mut Html, facts: &StatusFacts) {
    if facts.slow.is_empty() {
        return;
    }
    let columns = [
        "filter, without its values",
        "took",
        "found by",
        "entries",
        "when",
    ];
    let mut table = HtmlTable::start(html, "Slow searches of the last hour", &columns);
    for (search, ago) in &facts.slow {
        table.row(&[
            ("", &search.filter),
            ("took", &units::took(search.took)),
            ("by", search.plan.as_str()),
            ("entries:", &units::count(search.entries)),
            ("", &format!("{} ago", units::span(*ago))),
        ]);
    }
    table.end();
}

/// Who is served.
pub(super) fn providers(html: &mut Html, facts: &StatusFacts) {
    if facts.providers.is_empty() {
        return;
    }
    let columns = ["provider", "application", "base DN", "binds", "certificate"];
    let mut table = HtmlTable::start(html, "Providers", &columns);
    for provider in &facts.providers {
        let certificate = match provider.has_certificate {
            true => "from authentik",
            false => "none of its own",
        };
        table.row(&[
            ("", &provider.name),
            ("application", &provider.application),
            ("", &provider.base_dn),
            ("binds", provider.bind_mode),
            ("certificate", certificate),
        ]);
    }
    table.end();
}

/// Certificates in use.
pub(super) fn certificates(html: &mut Html, facts: &StatusFacts) {
    let mut table = HtmlTable::start(html, "Certificates in use", &["name", "expires", "what to do"]);
    for (name, days) in &facts.certificates {
        let expires = match *days {
            days if days < 0 => format!("{} days ago", days.saturating_neg()),
            days if days >= IN_YEARS => format!("in {} years", days / 365),
            days => format!("in {days} days"),
        };
        let fix = match renewal(name, *days) {
            "" if name == "self-signed" => {
                "choose a certificate in the provider, so that clients can verify it"
            }
            "" => "",
            _ => "renew it in authentik under System → Certificates",
        };
        table.row(&[("", name), ("expires", &expires), ("", fix)]);
    }
    table.end();
}

/// How the server keeps up with authentik.
pub(super) fn refreshes(html: &mut Html, facts: &StatusFacts) {
    let columns = ["what is read", "times", "failed", "usually within", "state"];
    let mut table = HtmlTable::start(html, "Read from authentik", &columns);
    for refresh in &facts.refreshes {
        let (what, load) = match refresh.kind.as_str() {
            "configuration" => ("configuration and providers", &facts.configuration),
            "changes" => ("changes of users and groups", &facts.directory),
            _ => ("all users and groups", &facts.directory),
        };
        let usual = refresh.usual.map_or_else(|| "–".to_owned(), units::took);
        // The directory's age is that of the last look at what changed.
        let is_whole = !matches!(refresh.kind.as_str(), "configuration" | "changes");
        let state = match (&load.failure, load.age) {
            (Some(failure), _) => failure.clone(),
            (None, _) if is_whole && facts.progress.is_some() => facts
                .progress
                .map_or_else(String::new, |progress| progress.to_string()),
            (None, Some(_)) if is_whole => String::new(),
            (None, Some(age)) => format!("read {} ago", units::span(age)),
            (None, None) => "not yet".to_owned(),
        };
        table.row(&[
            ("", what),
            ("times:", &units::count(refresh.done)),
            ("failed:", &units::count(refresh.failed)),
            ("usually within", &usual),
            ("", &state),
        ]);
    }
    table.end();
}
