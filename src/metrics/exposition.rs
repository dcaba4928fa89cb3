//! The two texts that collectors read: OpenMetrics, and the older text format of Prometheus for whoever does not ask for it.
//! Must not know what is counted.

/// The content type of OpenMetrics text.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the older format.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether an Accept header asks for OpenMetrics. Whoever does not gets what the official outpost gives everybody.
#[must_use]
pub fn wants_openmetrics(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
        // Of all weights only zero forbids it.
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// OpenMetrics text in the older format: there a counter has its suffix in its name everywhere, and the text has no end mark.
#[must_use]
pub fn plain(openmetrics: &str) -> String {
    let mut plain = String::with_capacity(openmetrics.len() + openmetrics.len() / 16);
    let mut counter = None;
    // The help of a family comes before its type, and needs to know it.
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        let written = match line.split_once(' ') {
            Some(("#", about)) => match about.split_once(' ') {
                Some(("HELP", about)) => {
                    counter = lines
                        .peek()
                        .and_then(|next| next.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
                    about.split_once(' ').map(|(name, help)| {
                        let suffix = suffix(counter, name);
                        format!("# HELP {name}{suffix} {help}\n")
                    })
                }
                Some(("TYPE", about)) => about.split_once(' ').map(|(name, kind)| {
                    let suffix = suffix(counter, name);
                    let kind = match kind {
                        "unknown" => "untyped",
                        kind => kind,
                    };
                    format!("# TYPE {name}{suffix} {kind}\n")
                }),
                _ => None,
            },
            _ => Some(format!("{line}\n")),
        };
        plain.extend(written);
    }
    plain
}

fn suffix(counter: Option<&str>, name: &str) -> &'static str {
    if counter == Some(name) { "_total" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_get_what_they_ask_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [
            prometheus,
            "Application/OpenMetrics-Text",
            "text/plain, application/openmetrics-text;q=0.1",
        ] {
            assert!(wants_openmetrics(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-textile",
        ] {
            assert!(!wants_openmetrics(accept), "{accept}");
        }
    }

    #[test]
    fn counters_are_named_in_full_in_the_older_format() {
        let openmetrics = "# HELP a Help of a.\n# TYPE a counter\na_total{l=\"# HELP\"} 1\n# HELP b Help.\n# TYPE b gauge\n\
                           # UNIT b seconds\nb 2\n# EOF\n";
        assert_eq!(
            plain(openmetrics),
            "# HELP a_total Help of a.\n# TYPE a_total counter\na_total{l=\"# HELP\"} 1\n# HELP b Help.\n# TYPE b gauge\nb 2\n"
        );
    }
}
