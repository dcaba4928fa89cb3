//! A real Prometheus that scrapes a used server: it accepts everything, and the alerts and dashboards in `deploy/` ask for
//! nothing that does not exist.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use serde_json::Value;
use url::Url;

use tokio::io::AsyncWriteExt as _;

use akldap_simulator::Directory;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::http;
use akldap_testing::program::{command, run};
use akldap_testing::project;
use akldap_testing::stage::Stage;
use akldap_testing::used::used;

/// What Prometheus itself puts on every series.
const TARGET: [&str; 2] = ["instance", "job"];
/// The names of metrics begin with one of these.
const PREFIXES: [&str; 4] = ["akldap_", "authentik_outpost_", "process_", "up"];
const DASHBOARDS: [&str; 2] = ["akldap.json", "outpost.json"];

fn client() -> reqwest::Client {
    // The client takes the process's provider; it does no harm that an earlier test set it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A Prometheus that scrapes one address every second.
struct Prometheus {
    address: SocketAddr,
    http: reqwest::Client,
    _process: tokio::process::Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    async fn scraping(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let rules = project().join("deploy/prometheus/alerts.yaml");
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\n\
             scrape_configs: [{{job_name: akldap, static_configs: [{{targets: ['{target}']}}]}}]\n",
            rules.display()
        );
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let process = command("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            address,
            http: client(),
            _process: process,
            _folder: folder,
        }
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let base = format!("http://{}/api/v1/{path}", self.address);
        let url = Url::parse_with_params(&base, parameters).unwrap();
        let answer = self.http.get(url).send().await.ok()?.text().await.ok()?;
        serde_json::from_str(&answer).ok()
    }

    /// The series that an expression has now.
    async fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self
            .get("query", &[("query", expression)])
            .await
            .unwrap_or_default();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until it has scraped that many times.
    async fn scraped(&self, times: usize) {
        for _ in 0..1200 {
            let counted = format!("count_over_time(up{{job=\"akldap\"}}[1h]) >= {times}");
            let answer = self
                .get("query", &[("query", &counted)])
                .await
                .unwrap_or_default();
            let result = answer["data"]["result"].as_array();
            if result.is_some_and(|result| !result.is_empty()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("Prometheus does not scrape");
    }

    /// The labels that a metric has; empty if there is no such metric.
    async fn labels(&self, metric: &str) -> BTreeSet<String> {
        let answer = self.get("series", &[("match[]", metric)]).await.unwrap();
        let series = answer["data"].as_array().cloned().unwrap_or_default();
        let labels = series
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|labels| labels.keys());
        labels.cloned().collect()
    }

    /// Whether an expression can be evaluated and names only metrics and labels that are there.
    async fn check(&self, expression: &str) {
        self.query(expression).await;
        let mut known: BTreeSet<String> = TARGET.iter().map(|label| (*label).to_owned()).collect();
        let metrics = metrics_of(expression);
        assert!(!metrics.is_empty(), "{expression}");
        for (metric, selected) in metrics {
            let labels = self.labels(metric).await;
            assert!(!labels.is_empty(), "there is no {metric}: {expression}");
            let unknown = selected.iter().filter(|label| !labels.contains(**label));
            assert_eq!(unknown.collect::<Vec<_>>(), [&""; 0], "{metric}: {expression}");
            known.extend(labels);
        }
        let unknown = grouped_by(expression)
            .into_iter()
            .filter(|label| !known.contains(*label));
        assert_eq!(unknown.collect::<Vec<_>>(), [""; 0], "{expression}");
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The metrics that an expression names, each with the labels by which it selects.
fn metrics_of(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_name) {
        let word = &rest[start..];
        let end = word.find(|character| !is_name(character)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        rest = after;
        let is_metric = PREFIXES
            .iter()
            .any(|prefix| name == *prefix || (prefix.ends_with('_') && name.starts_with(prefix)));
        let selector = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        if let Some((inside, behind)) = selector {
            rest = behind;
            let labels = inside
                .split(", ")
                .filter_map(|matcher| matcher.split(['=', '!']).next());
            found.push((name, labels.filter(|label| !label.is_empty()).collect()));
        } else if is_metric {
            found.push((name, Vec::new()));
        }
    }
    found
}

/// The labels by which an expression groups or joins.
fn grouped_by(expression: &str) -> Vec<&str> {
    let lists = [" by (", " on ("].map(|word| expression.split(word).skip(1));
    let labels = lists
        .into_iter()
        .flatten()
        .filter_map(|rest| rest.split_once(')'));
    labels
        .flat_map(|(list, _)| list.split(", "))
        .filter(|label| !label.is_empty())
        .collect()
}

/// The expressions of a dashboard, with its variables filled in.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| {
        let expression = target["expr"].as_str().expect("a target has an expression");
        expression
            .replace("$instance", ".*")
            .replace("$__rate_interval", "1m")
    });
    expressions.collect()
}

fn dashboard(name: &str) -> Value {
    let text = fs::read_to_string(project().join("deploy/grafana").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[client_test]
fn names_are_found_in_expressions() {
    let expression =
        r#"sum by (a, b) (rate(akldap_x_total{c=~"up|1", d!="e"}[5m])) and on (f) up unless process_y > 0"#;
    assert_eq!(
        metrics_of(expression),
        [
            ("akldap_x_total", vec!["c", "d"]),
            ("up", vec![]),
            ("process_y", vec![])
        ]
    );
    assert_eq!(grouped_by(expression), ["a", "b", "f"]);
}

#[client_test]
async fn prometheus_has_what_alerts_and_dashboards_ask_for() {
    let Some(_exercise) = exercise(&[Need::Program("prometheus")]) else {
        return;
    };
    let stage = used().await;
    let prometheus = Prometheus::scraping(stage.http()).await;
    // A rate needs two.
    prometheus.scraped(3).await;
    assert_eq!(prometheus.query("up == 1").await.len(), 1);
    let rules = prometheus.get("rules", &[]).await.unwrap();
    let rules = rules["data"]["groups"][0]["rules"].as_array().cloned().unwrap();
    assert!(rules.len() >= 10, "{rules:?}");
    for rule in &rules {
        assert_ne!(rule["health"], "err", "{rule}");
        assert_eq!(rule["state"], "inactive", "nothing is wrong: {rule}");
        prometheus.check(rule["query"].as_str().unwrap()).await;
    }
    for name in DASHBOARDS {
        let expressions = expressions(&dashboard(name));
        assert!(expressions.len() >= 8, "{name}");
        for expression in &expressions {
            prometheus.check(expression).await;
        }
    }
    // Not only names: there is something to see.
    for expression in [
        r#"histogram_quantile(0.95, sum by (plan, le) (rate(akldap_operation_duration_seconds_bucket{type="search"}[1h])))"#,
        "akldap_certificate_expiry_timestamp_seconds - time() > 0",
    ] {
        assert!(!prometheus.query(expression).await.is_empty(), "{expression}");
    }
}

#[client_test]
async fn every_alert_fires_when_it_should_and_only_then() {
    let Some(_exercise) = exercise(&[Need::Program("promtool")]) else {
        return;
    };
    let folder = project().join("deploy/prometheus");
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "tests.yaml"]] {
        let mut promtool = command("promtool");
        run(promtool.args(arguments).current_dir(&folder)).await.expect(0);
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (alerts, tests) = (read("alerts.yaml"), read("tests.yaml"));
    let names: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let tested = tests
            .lines()
            .filter(|line| line.trim() == format!("alertname: {name}"));
        assert_eq!(
            tested.count(),
            2,
            "{name} has a test in which it fires and one in which it does not"
        );
    }
}

#[client_test]
fn dashboards_have_panels_that_do_not_overlap() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let [x, y, width, height] =
                ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + width <= 24, "{name}: {panel}");
            for column in x..x + width {
                for line in y..y + height {
                    assert!(taken.insert((column, line)), "{name}: {}", panel["title"]);
                }
            }
            assert!(
                panel["title"].as_str().is_some_and(|title| !title.is_empty()),
                "{panel}"
            );
        }
    }
}

/// The linter of Prometheus: names, units, types, help.
#[client_test]
async fn promtool_has_no_complaint() {
    let Some(_exercise) = exercise(&[Need::Program("promtool")]) else {
        return;
    };
    let stage = used().await;
    linted(&http::get(stage.http(), "/metrics").await.1).await;
}

/// Names are what admins of authentik make them.
#[client_test]
async fn promtool_has_no_complaint_about_hostile_names() {
    let Some(_exercise) = exercise(&[Need::Program("promtool")]) else {
        return;
    };
    let hostile = "a\r\n# EOF\u{1b}[2J\0\\\"} 1\nb{x=\"\"} 2";
    let mut directory = Directory::sample(60, 12);
    for outpost in directory.outposts.values_mut() {
        outpost.name = hostile.to_owned();
    }
    let stage = Stage::with(directory, |_| {}).await;
    drop(stage.bound("alice").await);
    let (_, text) = http::get(stage.http(), "/metrics").await;
    assert!(text.contains("outpost_name=\"a \\n# EOF [2J "), "{text}");
    let disturbs = |character: char| character.is_control() && character != '\n';
    assert!(!text.contains(disturbs), "{text:?}");
    linted(&text).await;
}

/// Nothing is wrong with the text by the rules of Prometheus.
async fn linted(text: &str) {
    let mut command = command("promtool");
    let mut promtool = command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    let output = promtool.wait_with_output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}
