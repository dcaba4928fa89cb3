//! The documentation page lists every metric with its type, unit and labels, and no others.

use std::collections::{BTreeMap, BTreeSet};

use super::words::Word;
use super::*;

/// A metric's type and the names of its labels.
type Shapes = BTreeMap<String, (String, BTreeSet<String>)>;

/// A process in which everything has happened once.
fn eventful() -> Metrics {
    let metrics = Metrics::new(OutpostLabels::new("7d1c", "0.1.0", "abc"));
    let moment = Duration::from_millis(1);
    metrics.set_connected(true);
    metrics.refreshed(SystemTime::now());
    metrics.flow_get("stage", "flow", moment);
    metrics.flow_post("stage", "flow", moment);
    let application = metrics.application("wiki");
    application.observe(RequestType::Search, moment);
    application.rejected(RequestType::Bind, RejectReason::Busy);
    metrics.operation(RequestType::Search, OperationPlan::Index, 0, moment);
    let authentik = metrics.authentik();
    authentik.called("core/users/", "200", moment);
    authentik.refreshed(RefreshKind::Full, RefreshOutcome::Done, moment);
    metrics.snapshot_installed(200, 25);
    metrics.snapshot_read(SystemTime::now(), moment);
    metrics.direct_search(DirectSearchOutcome::Looked);
    metrics.set_certificates(&[("files".to_owned(), 1)]);
    metrics
}

/// What is written in the older format, where the names of families are those of their samples.
fn written() -> Shapes {
    let text = exposition::plain(&eventful().encode().expect("text"));
    let mut shapes = Shapes::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, kind) = about.split_once(' ').expect("a type");
            name.clone_into(&mut current);
            shapes.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let (_, labels) = shapes.get_mut(&current).expect("a type comes first");
            let Some((_, list)) = line.split_once('{') else {
                continue;
            };
            let (list, _) = list.rsplit_once('}').expect("the end of the labels");
            let names = list
                .split("\",")
                .filter_map(|label| Some(label.split_once('=')?.0));
            labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
        }
    }
    shapes
}

/// What the page lists, with the unit of each.
fn listed() -> (Shapes, BTreeMap<String, String>) {
    let mut shapes = Shapes::new();
    let mut units = BTreeMap::new();
    for line in include_str!("../../docs/metrics.md").lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, meaning] = cells.as_slice() else {
            continue;
        };
        if !["gauge", "counter", "histogram"].contains(kind) {
            continue;
        }
        assert!(!meaning.is_empty(), "{line}");
        let name = name.trim_matches('`').to_owned();
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        let before = shapes.insert(name.clone(), ((*kind).to_owned(), labels));
        assert_eq!(before, None, "{name} is listed twice");
        units.insert(name, (*unit).to_owned());
    }
    (shapes, units)
}

#[cfg(target_os = "linux")]
#[test]
fn the_page_lists_every_metric_and_none_else() {
    let (written, (listed, units)) = (written(), listed());
    for (name, shape) in &written {
        assert_eq!(
            listed.get(name),
            Some(shape),
            "{name}: docs/metrics.md on the left"
        );
    }
    for name in listed.keys() {
        assert!(
            written.contains_key(name),
            "there is no {name}, which docs/metrics.md lists"
        );
    }
    for (name, unit) in units {
        let name = name.strip_suffix("_total").unwrap_or(&name);
        let expected = match name.rsplit_once('_') {
            Some((_, "seconds")) => "s",
            Some((_, "bytes")) => "octets",
            _ => continue,
        };
        assert_eq!(unit, expected, "{name}");
    }
}

/// A word that is in a set but not on the page is one that nobody can look up.
#[test]
fn the_page_names_every_word_of_a_label() {
    fn unnamed<W: Word>(page: &str) -> Vec<&'static str> {
        let words = W::ALL.iter().map(|word| word.as_str());
        words
            .filter(|word| !page.contains(&format!("`{word}`")))
            .collect()
    }
    let page = include_str!("../../docs/metrics.md");
    let unnamed = [
        unnamed::<Port>(page),
        unnamed::<Protection>(page),
        unnamed::<HandshakeFailure>(page),
        unnamed::<CacheLookup>(page),
        unnamed::<CacheEviction>(page),
        unnamed::<RefreshKind>(page),
        unnamed::<RefreshOutcome>(page),
    ];
    assert_eq!(unnamed.concat(), [""; 0]);
}

#[test]
fn limits_have_the_names_of_their_options() {
    let options = include_str!("../../docs/options.md");
    for limit in Limit::ALL {
        let option = format!("`AUTHENTIK_LDAP__{}`", limit.as_str().to_uppercase());
        assert!(options.contains(&option), "{option}");
    }
}

#[test]
fn operations_are_counted_by_kind_plan_and_code() {
    let metrics = Metrics::new(OutpostLabels::new("7d1c", "0.1.0", "abc"));
    let took = Duration::from_micros(20);
    assert!(!metrics.encode().expect("text").contains("akldap_operation"));
    metrics.operation(RequestType::Search, OperationPlan::Scan, 4, took);
    metrics.operation(RequestType::Search, OperationPlan::Scan, 4, took);
    metrics.operation(RequestType::Update, OperationPlan::None, 53, took);
    metrics.operation(RequestType::Unbind, OperationPlan::None, UNANSWERED, took);
    // A code that this server does not send.
    metrics.operation(RequestType::Bind, OperationPlan::AtOnce, 200, took);
    let text = metrics.encode().expect("text");
    for (labels, count) in [
        (r#"type="search",plan="scan",code="4""#, 2),
        (r#"type="update",plan="none",code="53""#, 1),
        (r#"type="unbind",plan="none",code="""#, 1),
        (r#"type="bind",plan="at_once",code="80""#, 1),
    ] {
        let series = format!("akldap_operation_duration_seconds_count{{{labels}}} {count}\n");
        assert!(text.contains(&series), "{series}{text}");
        let bucket = format!(r#"akldap_operation_duration_seconds_bucket{{le="0.000025",{labels}}} {count}"#);
        assert!(text.contains(&bucket), "{bucket}\n{text}");
    }
    assert_eq!(metrics.operations(RequestType::Search).count(), 2);
    assert_eq!(metrics.operations(RequestType::Compare).count(), 0);
}

#[test]
fn each_outcome_of_a_direct_search_is_counted_from_the_start() {
    let text = exposition::plain(
        &Metrics::new(OutpostLabels::new("7d1c", "0.1.0", "abc"))
            .encode()
            .expect("text"),
    );
    let counted = text
        .lines()
        .filter(|line| line.starts_with("akldap_direct_searches_total{"));
    assert_eq!(counted.filter(|line| line.ends_with(" 0")).count(), 6);
}
