//! The text that Prometheus reads.

use super::*;

fn metrics() -> Metrics {
    Metrics::new(OutpostLabels::new("7d1c", "0.1.0", "abc"))
}

/// The value of the one sample that starts with `series` followed by a space.
fn sample(text: &str, series: &str) -> Option<f64> {
    let mut found = text
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = found.next()?.parse().expect("samples are numbers");
    assert_eq!(found.next(), None, "{series} appears twice");
    Some(value)
}

#[test]
fn a_name_of_authentik_is_a_label_of_bounded_length() {
    let metrics = metrics();
    let long = "x".repeat(10_000);
    metrics.set_outpost_name(&long);
    metrics.set_certificates(&[(long, 1)]);
    let text = metrics.encode().expect("text");
    let longest = text.lines().map(str::len).max();
    assert!(longest < Some(500), "{longest:?}");
    assert!(text.contains("certificate=\"xxx"), "{text}");
}

#[test]
fn of_certificates_whose_names_are_cut_alike_the_first_to_expire_is_shown() {
    let metrics = metrics();
    let long = "x".repeat(1000);
    let certificates = [("a", 1_900_000_000), ("b", 1_700_000_000), ("c", 1_800_000_000)];
    metrics.set_certificates(&certificates.map(|(end, expires)| (format!("{long}{end}"), expires)));
    let text = metrics.encode().expect("text");
    let series: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("akldap_certificate_expiry"))
        .collect();
    assert_eq!(series.len(), 1, "{series:?}");
    assert!(series[0].ends_with(" 1700000000"), "{series:?}");
}

/// Whoever may name something in authentik must not decide what a terminal or a collector makes of the page.
#[test]
fn a_hostile_name_is_one_label_of_one_line() {
    let metrics = metrics();
    let hostile = "a\r\n# EOF\u{1b}[2J\u{9b}1m\0\u{85}\u{202e}\u{2028}\\\"} 1\nb";
    metrics.set_outpost_name(hostile);
    metrics.set_connected(true);
    metrics.refreshed(UNIX_EPOCH);
    metrics.set_certificates(&[(hostile.to_owned(), 1)]);
    metrics.flow_get(hostile, hostile, Duration::from_millis(1));
    let app = metrics.application(hostile);
    app.observe(RequestType::Bind, Duration::from_millis(1));
    app.rejected(RequestType::Bind, RejectReason::Busy);
    let label = "a \\n# EOF [2J 1m  \u{fffd}\u{fffd}\\\\\\\"} 1\\nb";
    let text = metrics.encode().expect("text");
    for name in ["outpost_name", "certificate", "stage", "flow", "app"] {
        let labelled = format!("{name}=\"{label}\"");
        assert!(text.contains(&labelled), "{labelled}: {text:?}");
    }
    for text in [exposition::plain(&text), text] {
        let broken = text.lines().find(|line| line.contains(crate::terminal::disturbs));
        assert_eq!(broken, None);
        let bare = text
            .lines()
            .find(|line| line.starts_with('b') || line.starts_with("# EOF["));
        assert_eq!(bare, None);
    }
}

#[test]
fn official_families_have_their_names_and_labels() {
    let metrics = metrics();
    metrics.set_outpost_name("main");
    metrics.set_connected(true);
    metrics.refreshed(UNIX_EPOCH + Duration::from_millis(1_700_000_000_500));
    metrics.flow_get("ak-stage-identification", "login", Duration::from_millis(7));
    metrics.flow_post("xak-flow-redirect", "login", Duration::from_secs(20));
    let wiki = metrics.application("wiki");
    wiki.observe(RequestType::Search, Duration::from_micros(80));
    wiki.observe(RequestType::Search, Duration::from_millis(30));
    wiki.rejected(RequestType::Bind, RejectReason::InvalidCredentials);
    metrics
        .application("")
        .rejected(RequestType::Search, RejectReason::EmptyBindDn);

    let text = metrics.encode().expect("text");
    let five = r#"outpost_name="main",outpost_type="ldap",uuid="7d1c",version="0.1.0",build="abc""#;
    assert_eq!(
        sample(&text, &format!("authentik_outpost_info{{{five}}}")),
        Some(1.0)
    );
    assert_eq!(
        sample(&text, &format!("authentik_outpost_last_update{{{five}}}")),
        Some(1_700_000_000.5)
    );
    let three = r#"outpost_name="main",outpost_type="ldap",uuid="7d1c""#;
    assert_eq!(
        sample(&text, &format!("authentik_outpost_connection{{{three}}}")),
        Some(1.0)
    );

    let duration = "authentik_outpost_ldap_request_duration_seconds";
    let search = r#"outpost_name="main",type="search",app="wiki""#;
    assert_eq!(sample(&text, &format!("{duration}_count{{{search}}}")), Some(2.0));
    assert_eq!(
        sample(&text, &format!("{duration}_sum{{{search}}}")),
        Some(0.030_08)
    );
    for (bound, count) in [
        ("0.005", 1.0),
        ("0.025", 1.0),
        ("0.05", 2.0),
        ("10.0", 2.0),
        ("+Inf", 2.0),
    ] {
        let bucket = format!(r#"{duration}_bucket{{le="{bound}",{search}}}"#);
        assert_eq!(sample(&text, &bucket), Some(count), "{bucket}\n{text}");
    }
    let bounds = text
        .lines()
        .filter(|line| line.starts_with(&format!("{duration}_bucket")) && line.contains(search));
    assert_eq!(bounds.count(), BUCKETS.len() + 1);

    let rejected = "authentik_outpost_ldap_requests_rejected_total";
    let bind = r#"outpost_name="main",type="bind",reason="invalid_credentials",app="wiki""#;
    assert_eq!(sample(&text, &format!("{rejected}{{{bind}}}")), Some(1.0));
    let unbound = r#"outpost_name="main",type="search",reason="empty_bind_dn",app="""#;
    assert_eq!(sample(&text, &format!("{rejected}{{{unbound}}}")), Some(1.0));

    let stage = r#"{stage="ak-stage-identification",flow="login"}"#;
    assert_eq!(
        sample(
            &text,
            &format!("authentik_outpost_flow_timing_get_seconds_count{stage}")
        ),
        Some(1.0)
    );
    let stage = r#"{le="10.0",stage="xak-flow-redirect",flow="login"}"#;
    assert_eq!(
        sample(
            &text,
            &format!("authentik_outpost_flow_timing_post_seconds_bucket{stage}")
        ),
        Some(0.0)
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_new_outpost_name_replaces_the_old_one() {
    let metrics = metrics();
    metrics.set_connected(true);
    metrics.refreshed(UNIX_EPOCH + Duration::from_secs(5));
    for name in ["first", "second", "second"] {
        metrics.set_outpost_name(name);
    }
    let text = metrics.encode().expect("text");
    for family in [
        "authentik_outpost_info{",
        "authentik_outpost_connection{",
        "authentik_outpost_last_update{",
    ] {
        let samples: Vec<&str> = text.lines().filter(|line| line.starts_with(family)).collect();
        assert_eq!(samples.len(), 1, "{samples:?}");
        assert!(samples[0].contains(r#"outpost_name="second""#), "{samples:?}");
    }
    assert!(
        text.contains(r#"uuid="7d1c"} 1"#),
        "the connection state survives a new name: {text}"
    );
    metrics.set_connected(false);
    assert!(metrics.encode().expect("text").contains(r#"uuid="7d1c"} 0"#));
}

#[test]
fn own_gauges_follow_the_server() {
    let metrics = metrics();
    assert!(
        !metrics.encode().expect("text").contains("akldap_snapshot"),
        "nothing is loaded yet"
    );
    metrics.snapshot_installed(200, 25);
    let minute = Duration::from_secs(60);
    metrics.snapshot_read(SystemTime::now() - minute, minute / 2);
    let stale = || sample(&metrics.encode().expect("text"), "akldap_snapshot_stale");
    assert_eq!(stale(), Some(1.0), "by its age");
    metrics.snapshot_read(SystemTime::now() - minute, minute * 2);
    assert_eq!(stale(), Some(0.0));
    metrics.snapshot_restored(200, 25, SystemTime::now());
    assert_eq!(stale(), Some(1.0), "from the snapshot file");
    metrics.snapshot_read(SystemTime::now() - minute, minute * 2);
    metrics.binds().looked_up(CacheLookup::Hit);
    metrics.binds().looked_up(CacheLookup::Hit);
    metrics.binds().looked_up(CacheLookup::Miss);
    let first = metrics.clients().accepted(Port::Ldap);
    let second = metrics.clients().accepted(Port::Ldaps);
    drop(first);
    let text = metrics.encode().expect("text");
    assert_eq!(sample(&text, "akldap_snapshot_users"), Some(200.0));
    assert_eq!(sample(&text, "akldap_snapshot_groups"), Some(25.0));
    let age = sample(&text, "akldap_snapshot_age_seconds").expect("an age");
    assert!((60.0..90.0).contains(&age), "{age}");
    let lookups = |outcome| {
        let series = format!("akldap_bind_cache_lookups_total{{outcome=\"{outcome}\"}}");
        sample(&text, &series)
    };
    assert_eq!(lookups("hit"), Some(2.0));
    assert_eq!(lookups("miss"), Some(1.0));
    assert_eq!(
        lookups("doubtful"),
        Some(0.0),
        "all words are there from the start"
    );
    assert_eq!(sample(&text, "akldap_open_connections"), Some(1.0));
    drop(second);
    assert_eq!(
        sample(&metrics.encode().expect("text"), "akldap_open_connections"),
        Some(0.0)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn process_metrics_are_plausible() {
    let text = metrics().encode().expect("text");
    let resident = sample(&text, "process_resident_memory_bytes").expect("memory");
    assert!((1e6..1e11).contains(&resident), "{resident}");
    let now = unix_seconds(SystemTime::now());
    let started = sample(&text, "process_start_time_seconds").expect("start");
    assert!((now - 86_400.0..now + 5.0).contains(&started), "{started} {now}");
    let descriptors = sample(&text, "process_open_fds").expect("descriptors");
    assert!((3.0..100_000.0).contains(&descriptors), "{descriptors}");
    assert!(sample(&text, "process_cpu_seconds_total").expect("cpu") >= 0.0);
    assert!(sample(&text, "process_max_fds").expect("limit") >= descriptors);
}

#[test]
fn label_values_are_escaped() {
    let metrics = metrics();
    metrics.set_outpost_name("a\"b\\c\nd");
    let text = metrics.encode().expect("text");
    assert!(text.contains(r#"outpost_name="a\"b\\c\nd""#), "{text}");
}
