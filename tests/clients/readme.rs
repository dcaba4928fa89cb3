//! The README and the pages it sends a newcomer to are true: their commands do what they say, and every option, variable,
//! command, path and metric that they name exists.

use std::collections::BTreeSet;
use std::path::Path;

use akldap::cli::args::CommandLine;
use akldap::config::options;

use crate::setting::demo;
use akldap_testing::client_test::client_test;
use akldap_testing::exercise::{Need, exercise};
use akldap_testing::program::{command, run};

/// What a newcomer reads first. The book has more pages, which name variables of other programs too.
const PAGES: &[&str] = &[
    "README.md",
    "docs/try.md",
    "docs/swap.md",
    SETTINGS,
    "docs/running.md",
    "docs/outages.md",
    "docs/what-differs.md",
];

/// Where the most needed options are, with their defaults.
const SETTINGS: &str = "docs/settings.md";

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All of these pages, one after the other.
fn readme() -> String {
    PAGES.iter().map(|name| page(name)).collect::<Vec<_>>().join("\n")
}

/// The lines of all code blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut inside = false;
    let mut lines = Vec::new();
    for line in readme().lines() {
        match (inside, line) {
            (false, line) if line == fence => inside = true,
            (true, "```") => inside = false,
            (true, line) => lines.push(line.to_owned()),
            _ => {}
        }
    }
    lines
}

/// Words of a text made of the characters that names of variables, options, metrics and paths are made of.
fn words(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_-/.".contains(letter)))
        .map(|word| word.trim_end_matches(['.', '/']).to_owned())
        .collect()
}

/// The exit code a command of the quick start is said to end with: the number in brackets in the comment above it.
fn announced(comment: &str) -> i32 {
    let inside = comment
        .rsplit_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    inside.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

#[client_test]
async fn the_commands_of_the_quick_start_do_what_is_said() {
    let Some(_exercise) = exercise(&[Need::Program("ldapsearch"), Need::Program("ldapwhoami")]) else {
        return;
    };
    let stage = demo().await;
    let place = |line: &str| {
        line.replace(":3389", &format!(":{}", stage.ldap().port()))
            .replace(":6636", &format!(":{}", stage.ldaps().port()))
    };
    let (mut preparation, mut comment, mut commands) = (String::new(), String::new(), 0);
    for line in blocks("sh") {
        if line.starts_with('#') {
            comment = line;
        } else if line.starts_with("base=") || line.starts_with("export ") {
            preparation += &format!("{line}\n");
        } else if line.starts_with("ldap") {
            let output = run(command("bash").args(["-c", &format!("{preparation}{}", place(&line))])).await;
            // ldapcompare says true with 6.
            let wanted = if line.starts_with("ldapcompare") {
                6
            } else {
                announced(&comment)
            };
            assert_eq!(output.code, wanted, "{line}\n{output:?}");
            if wanted == 0 && line.starts_with("ldapsearch") {
                assert!(output.entries() > 0, "{line} shows nothing");
            }
            commands += 1;
        }
    }
    assert!(commands >= 8, "only {commands} commands were found");
}

#[client_test]
fn every_variable_and_option_exists() {
    let known: BTreeSet<&str> = options::OFFICIAL
        .iter()
        .chain(options::OPTIONS)
        .map(|setting| setting.variable())
        .collect();
    let flags: BTreeSet<String> = options::OPTIONS
        .iter()
        .filter_map(|setting| setting.flag())
        .map(|flag| format!("--{flag}"))
        .collect();
    let help = CommandLine::help();
    let text = readme();
    let mut variables = 0;
    for word in words(&text) {
        if word.starts_with("AUTHENTIK_") && !word.ends_with("__") {
            assert!(known.contains(&*word), "{word} is no variable");
            variables += 1;
        }
    }
    assert!(variables >= 8, "only {variables} variables were found");
    // Options in inline code and in command lines of our own program; docker and cargo have their own.
    for line in text.lines().filter(|line| line.contains("akldap ")) {
        for word in words(line).iter().filter(|word| word.starts_with("--")) {
            let own = [
                "--help",
                "--ready",
                "--users",
                "--groups",
                "--shape",
                "--latency-ms",
                "--ldap",
                "--ldaps",
                "--http",
            ];
            let foreign = line.starts_with("docker ") || line.starts_with("cargo ");
            assert!(
                foreign || own.contains(&&**word) || flags.contains(word) || help.contains(&**word),
                "{line}: {word}"
            );
        }
    }
    // The shortened names of the table: `AUTHENTIK_LISTEN__LDAP`, `…__LDAPS`.
    for line in page(SETTINGS)
        .lines()
        .filter(|line| line.starts_with("| `AUTHENTIK_"))
    {
        let Some((prefix, _)) = line.trim_start_matches("| `").split_once("__") else {
            continue;
        };
        for short in line.split('`').filter_map(|part| part.strip_prefix("…__")) {
            assert!(known.contains(&*format!("{prefix}__{short}")), "{line}: {short}");
        }
    }
}

#[client_test]
fn the_table_of_variables_tells_their_defaults() {
    for line in page(SETTINGS)
        .lines()
        .filter(|line| line.starts_with("| `AUTHENTIK_"))
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [names, default, _] = cells[..] else {
            panic!("{line}")
        };
        let Some(variable) = names.split('`').nth(1) else {
            panic!("{line}")
        };
        let setting = options::OFFICIAL
            .iter()
            .chain(options::OPTIONS)
            .find(|setting| setting.variable() == variable);
        let setting = setting.unwrap_or_else(|| panic!("{variable} is no variable"));
        match default.split('`').nth(1) {
            Some(told) => assert_eq!(told, setting.default(), "{variable}"),
            None => assert!(
                // In words where there is no fixed one.
                setting.default().is_empty() || default == "required" || default == "private networks",
                "{line}"
            ),
        }
    }
}

#[client_test]
fn every_command_exists() {
    let help = CommandLine::help();
    let text = readme();
    let mut found = 0;
    for part in text.split('`').filter_map(|part| part.strip_prefix("akldap ")) {
        let Some(name) = part
            .split_whitespace()
            .next()
            .filter(|name| !name.starts_with('-') && *name != "COMMAND")
        else {
            continue;
        };
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(&format!("{name} ")) || line.trim() == name),
            "{name} is no command"
        );
        found += 1;
    }
    assert!(found >= 3, "only {found} commands were found");
}

#[client_test]
async fn every_path_and_metric_is_served() {
    let stage = demo().await;
    // The client takes the process's provider; it does no harm that an earlier test set it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().build().expect("a client");
    let get = async |path: &str| {
        client
            .get(format!("http://{}{path}", stage.http()))
            .send()
            .await
            .expect("an answer")
    };
    // A search and a bind first: a metric with labels is shown once it has been counted.
    let mut alice = stage.bound("alice").await;
    alice.read("", &[]).await;
    assert_ne!(
        stage
            .bind(&akldap_testing::stage::user_dn("alice"), "wrong")
            .await
            .code,
        0
    );
    let text = readme();
    let mut paths = 0;
    for line in text.lines().filter(|line| line.starts_with("| `/")) {
        let path = line.split('`').nth(1).expect("a path");
        let status = get(path).await.status();
        assert_eq!(
            status.as_u16(),
            if path.ends_with("/ping") { 204 } else { 200 },
            "{path}"
        );
        paths += 1;
    }
    assert!(paths >= 3, "only {paths} paths were found");
    // A separate test compares the page of metrics with those that are served.
    let listed = words(&page("docs/metrics.md"));
    for word in words(&text) {
        if word.starts_with("authentik_outpost_") || (word.starts_with("akldap_") && word != "akldap_") {
            assert!(listed.contains(&word), "{word} is not in docs/metrics.md");
        }
    }
}

#[client_test]
fn the_examples_say_whose_proxy_headers_are_believed() {
    let variable = "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS";
    let set = blocks("yaml")
        .iter()
        .filter(|line| line.contains(variable))
        .count();
    assert_eq!(set, 2, "one for Docker Compose, one for Kubernetes");
    for page in ["docs/haproxy.cfg", "docs/haproxy.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        assert!(text.contains(variable), "{page}");
    }
}
