//! The parts of the page, from what matters at once to what explains it. Must not know where the facts come from.

use crate::metrics::{SAMPLES, SampleInterval, words::Word as _};

use super::facts::{LoadFacts, StatusFacts};
use super::html::Html;
use super::{advice, chart, units};

/// A certificate with fewer days is soon to be renewed.
const DAYS_TO_RENEW: i64 = 14;

/// How things stand, in one line.
pub(super) fn banner(html: &mut Html, facts: &StatusFacts) {
    let state = match (facts.searches, facts.binds) {
        (true, true) if facts.directory.is_stale => {
            ("warn", "! Searches and logins work, from an old directory")
        }
        (true, true) => ("ok", "✔ Searches and logins work"),
        (true, false) => ("warn", "! Searches work, new logins do not"),
        (false, _) => ("bad", "✘ Neither searches nor logins work"),
    };
    html.markup("<div class=\"banner ")
        .text(state.0)
        .markup("\"><strong>");
    html.text(state.1).markup("</strong>");
    for reason in reasons(facts) {
        html.element("<span>", reason, "</span> ");
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
    if facts.providers.is_empty() {
        reasons.push(
            "No provider is served: assign one with an application to this outpost in authentik.".to_owned(),
        );
    }
    if facts.directory.age.is_none() {
        reasons.push("The directory has not been loaded yet.".to_owned());
    }
    for (what, load) in [
        ("directory", &facts.directory),
        ("configuration", &facts.configuration),
    ] {
        if let Some(failure) = load.failure.as_ref().filter(|_| facts.outage.is_none()) {
            reasons.push(format!("The {what} could not be read: {failure}."));
        }
    }
    reasons
}

/// The numbers of the moment.
pub(super) fn tiles(html: &mut Html, facts: &StatusFacts) {
    html.markup("<div class=\"tiles\">");
    let people = units::count(facts.users.try_into().unwrap_or(u64::MAX));
    let groups = units::count(facts.groups.try_into().unwrap_or(u64::MAX));
    tile(html, "People", people, format_args!("{groups} groups"), "");
    let (read, warning) = read(&facts.directory);
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
            days => format!("{days} days"),
        };
        tile(html, "Certificate", text, name, renewal(name, *days));
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

/// The self-signed certificate is made anew with each start.
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

/// The last half hour.
pub(super) fn charts(html: &mut Html, facts: &StatusFacts) {
    html.markup("<div class=\"charts\">");
    let last = facts.intervals.last();
    let series = |of: fn(&SampleInterval) -> f64| -> Vec<Option<f64>> {
        facts
            .intervals
            .iter()
            .map(|interval| Some(of(interval)))
            .collect()
    };
    let times = |of: fn(&SampleInterval) -> Option<std::time::Duration>| -> Vec<Option<f64>> {
        let times = facts
            .intervals
            .iter()
            .map(|interval| Some(of(interval)?.as_secs_f64()));
        times.collect()
    };
    let rate =
        |of: fn(&SampleInterval) -> f64| last.map_or_else(|| "–".to_owned(), |last| units::rate(of(last)));
    let time = |of: fn(&SampleInterval) -> Option<std::time::Duration>| {
        last.and_then(of).map_or_else(|| "–".to_owned(), units::took)
    };
    one_chart(
        html,
        "Searches a second",
        rate(|of| of.searches),
        &series(|of| of.searches),
        units::rate,
    );
    one_chart(
        html,
        "95 of 100 searches within",
        time(|of| of.search_time),
        &times(|of| of.search_time),
        seconds,
    );
    one_chart(
        html,
        "Logins a second",
        rate(|of| of.binds),
        &series(|of| of.binds),
        units::rate,
    );
    one_chart(
        html,
        "95 of 100 logins within",
        time(|of| of.bind_time),
        &times(|of| of.bind_time),
        seconds,
    );
    one_chart(
        html,
        "Refused a second",
        rate(|of| of.refused),
        &series(|of| of.refused),
        units::rate,
    );
    let sent = last.map_or_else(|| "–".to_owned(), |last| units::octets(last.octets));
    one_chart(
        html,
        "Sent a second",
        sent,
        &series(|of| of.octets),
        units::octets,
    );
    html.markup("</div>");
}

fn seconds(seconds: f64) -> String {
    units::took(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn one_chart(
    html: &mut Html,
    title: &'static str,
    now: String,
    values: &[Option<f64>],
    shown: fn(f64) -> String,
) {
    html.markup("<div class=\"card\"><h2>")
        .text(title)
        .markup("</h2><b>")
        .text(now)
        .markup("</b>");
    chart::draw(html, values, SAMPLES, title);
    let highest = values.iter().flatten().copied().reduce(f64::max);
    let highest = highest.map_or_else(
        || "nothing yet".to_owned(),
        |highest| format!("at most {}", shown(highest)),
    );
    html.markup("<p class=\"dim small\">")
        .text(highest)
        .markup(" in half an hour</p></div>");
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
            self.0.text(cell).markup("</td>");
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

/// How authentik is kept up with.
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
        let state = match (&load.failure, load.age) {
            (Some(failure), _) => failure.clone(),
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
