//! Configuration files, good and bad, and which source wins.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::{Config, StringMap};

const REQUIRED: &str = "[common]\nhost = \"https://authentik.example.org\"\ntoken = \"t\"\n";

/// What a server reads with this file, these flags and these variables.
fn read_with(file: &str, flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("akldap.toml");
    std::fs::write(&path, file).unwrap();
    let flags: StringMap = flags.iter().copied().collect();
    let mut variables: StringMap = variables.iter().copied().collect();
    variables.set(CONFIG_FILE.variable, path.to_str().unwrap());
    Config::read(&Layered {
        upper: &flags,
        lower: &variables,
    })
}

fn read(file: &str) -> Config {
    read_with(file, &[], &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// The lines that are said about a file, without its name.
fn problems(file: &str) -> Vec<String> {
    let strings = StringMap::default();
    match ConfigFile::read("f".into(), file.as_bytes(), &strings) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn every_option_may_stand_in_the_file() {
    let file = r#"
        [common]
        host = "https://authentik.example.org/auth"
        token = "correct-horse"
        insecure = true
        log_level = "warning"
        listen_ldap = ["127.0.0.1:3389", "[::1]:3389"]
        listen_ldaps = "127.0.0.1:6636"
        listen_trusted_proxy_cidrs = []
        tmpdir = "/run/akldap"
        http_proxy = "http://proxy:3128"
        page_size = 50
        max_message_size = "2MiB"
        idle_timeout = 0x20
        search_time_limit = "10s"
        tls_min_version = 1.3
        audit_searches = true
    "#;
    let config = read(file);
    assert_eq!(
        config.authentik.host.as_str(),
        "https://authentik.example.org/auth/"
    );
    assert!(config.authentik.insecure && config.audit_searches);
    assert_eq!(config.authentik.page_size, 50);
    assert_eq!(config.authentik.proxies.http.unwrap().host_str(), Some("proxy"));
    assert_eq!(config.listen.ldap.len(), 2);
    assert_eq!(config.limits.max_message_size, 2 << 20);
    assert_eq!(
        config.limits.idle_timeout,
        Some(std::time::Duration::from_secs(32))
    );
    assert_eq!(
        config.metrics_socket,
        Path::new("/run/akldap/authentik-metrics.sock")
    );
    for setting in settings().filter(|setting| setting.variable() != CONFIG_FILE.variable) {
        let default = setting.default();
        if !default.is_empty() {
            assert_eq!(
                problems(&format!("[common]\n{} = {default:?}", setting.key())),
                [""; 0]
            );
        }
        let key = setting.key();
        let file = format!("[common]\n{key} = 2026-11-29");
        assert_eq!(
            problems(&file),
            [format!(
                "f:2:{}: {key} is a date; expected {}",
                key.len() + 4,
                setting.expected()
            )]
        );
    }
}

#[test]
fn no_two_options_have_one_key() {
    let mut keys: Vec<String> = settings().map(AnySetting::key).collect();
    keys.sort();
    let all = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), all);
}

#[test]
fn the_name_of_a_flag_leads_to_the_option_of_the_flag() {
    assert_eq!(
        problems("[common]\nlisten_http = \":9300\"\n"),
        ["f:2:1: \"listen_http\" is not an option; did you mean listen_metrics?"]
    );
    assert_eq!(
        problems("[common]\nlisten-http = \":9300\"\n"),
        ["f:2:1: \"listen-http\" is not an option; did you mean listen_metrics?"]
    );
}

#[test]
fn every_error_is_told_at_once_with_its_place_and_the_nearest_name() {
    let file = "page_size = 5\n\
        [common]\n\
        pagesize = 50\n\
        page_size = \"many\"\n\
        AUTHENTIK_LDAP__IDLE_TIMEOUT = 5\n\
        shed = \"green\"\n\
        config_file = \"x\"\n\
        message_timeout = [1, 2]\n\
        [provider.ldap]\n\
        idle_timeout = \"5m\"\n\
        strict_bind_dn = \"perhaps\"\n\
        [provider.\"dc=a, DC=B\"]\n\
        [provider.\"DC=a,dc=b\"]\n\
        [provider.\"a b\"]\n\
        [comon]\n\
        [provider.\"dc=\\\"\"]\n";
    let expected = [
        "f:1:1: page_size is in no section; expected it below [common] or a provider's section",
        "f:3:1: \"pagesize\" is not an option; did you mean page_size?",
        "f:4:13: page_size is \"many\"; expected a number from 1 to 10000",
        "f:5:1: \"AUTHENTIK_LDAP__IDLE_TIMEOUT\" is not an option; did you mean idle_timeout?",
        "f:6:1: \"shed\" is not an option; docs/options.md and `akldap config show` list them",
        "f:7:1: config_file names this file, and cannot be in it",
        "f:8:19: message_timeout is a list; expected a duration from 1s to 1h, such as 30s, 5m or 1h",
        "f:10:1: idle_timeout applies to the whole process, not to one provider; expected it below [common]",
        "f:11:18: strict_bind_dn is \"perhaps\"; expected true or false",
        "f:13:11: a second section of the provider \"DC=a,dc=b\"",
        "f:14:11: \"a b\" names no provider; expected its base DN in quotes, such as \
         [provider.\"dc=ldap,dc=goauthentik,dc=io\"], or the slug of its application",
        "f:15:2: \"comon\" is not a section; expected [common], [provider.\"BASE DN\"] or [provider.SLUG]; did you mean common?",
        "f:16:11: \"dc=\\\"\" names no provider; expected its base DN in quotes, such as \
         [provider.\"dc=ldap,dc=goauthentik,dc=io\"], or the slug of its application",
    ];
    assert_eq!(problems(file), expected);
}

#[test]
fn errors_of_toml_are_told_with_the_others_and_what_a_broken_line_might_mean_is_not() {
    let found = problems(
        "[common]\nä = \"x\npage_size = \"no\"\nhost = \"https://a.example\"\nhost = \"https://b.example\"\n",
    );
    let starts = |start: &str| found.iter().any(|line| line.starts_with(start));
    assert!(
        starts("f:2:") && starts("f:3:13: page_size is \"no\"") && starts("f:5:1: duplicate key"),
        "{found:#?}"
    );
    assert!(
        !found.iter().any(|line| line.contains("not an option")),
        "{found:#?}"
    );
    let strings = StringMap::default();
    let error = |octets: &[u8]| {
        ConfigFile::read("f".into(), octets, &strings)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error(b"[common]\n\"\xc3\xa4\xff").starts_with("f:2:3: an octet that is not UTF-8"));
    let many = (0..60)
        .map(|number| format!("x{number} = 1\n"))
        .collect::<String>();
    let said = error(format!("[common]\n{many}").as_bytes());
    assert_eq!(said.lines().count(), MOST_PROBLEMS);
    assert!(said.ends_with(" and 10 more"), "{said}");
}

#[test]
fn a_file_that_is_too_large_or_not_there_is_refused() {
    let large = "#".repeat(MOST_OCTETS);
    let refused = |file: &str| read_with(file, &[], &[]).unwrap_err().to_string();
    assert!(refused(&format!("{large}#")).contains("larger than 1 MiB"));
    assert!(refused(&large).starts_with("AUTHENTIK_HOST is not set"));
    let missing = [(CONFIG_FILE.variable, "/nowhere/akldap.toml")];
    let said = Config::read(&missing.into_iter().collect::<StringMap>())
        .unwrap_err()
        .to_string();
    assert!(
        said.starts_with(
            "AUTHENTIK_LDAP__CONFIG_FILE names the file \"/nowhere/akldap.toml\", which cannot be read"
        ),
        "{said}"
    );
}

#[test]
fn a_secret_in_the_file_is_not_shown() {
    for file in [
        "[common]\ntoken = \"two words\"",
        "[common]\nhttp_proxy = \"ftp://a:two words@b\"",
    ] {
        let said = problems(file);
        assert!(said.len() == 1 && !said[0].contains("words"), "{said:?}");
    }
}

#[test]
fn a_providers_section_is_found_by_base_dn_before_slug() {
    let file = format!(
        "{REQUIRED}[provider.\"DC=Example, dc=org\"]\nstrict_bind_dn = true\n[provider.mail]\naccept_bare_names = false\n"
    );
    let config = read(&file);
    let set = |base: &str, slug: &str| {
        let config = config.providers.of(base, slug);
        (config.strict_bind_dn, config.accept_bare_names)
    };
    assert_eq!(set("dc=example,DC=org", "mail"), (true, false));
    assert_eq!(set("dc=example,DC=net", "mail"), (false, false));
    assert_eq!(set("dc=example,DC=net", "web"), (false, true));
    let idle = |providers: &[(&str, &str)]| config.providers.idle(providers.iter().copied()).len();
    assert_eq!(idle(&[("dc=example,dc=org", "a"), ("dc=b", "mail")]), 0);
    assert_eq!(idle(&[("dc=example,dc=org", "mail")]), 1);
    assert_eq!(idle(&[]), 2);
}

#[test]
fn a_proxy_in_lower_case_is_a_variable_and_wins_over_the_file() {
    let file = format!("{REQUIRED}http_proxy = \"http://file:1\"");
    let proxy = |variables: &[(&str, &str)]| {
        let config = read_with(&file, &[], variables).unwrap();
        config
            .authentik
            .proxies
            .http
            .unwrap()
            .host_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(proxy(&[]), "file");
    assert_eq!(proxy(&[("http_proxy", "http://lower:1")]), "lower");
    assert_eq!(
        proxy(&[("HTTP_PROXY", "http://upper:1"), ("http_proxy", "http://lower:1")]),
        "upper"
    );
}

/// A provider-scoped switch and a process-wide number, each maybe in every source.
#[derive(Debug, Clone)]
struct Sources {
    flag: [Option<u8>; 2],
    variable: [Option<u8>; 2],
    section: Option<u8>,
    common: [Option<u8>; 2],
}

fn sources() -> impl Strategy<Value = Sources> {
    // 0 is an empty text, which counts as unset.
    let value = || prop::option::of(0..=2_u8);
    let two = move || [value(), value()];
    (two(), two(), value(), two()).prop_map(|(flag, variable, section, common)| Sources {
        flag,
        variable,
        section,
        common,
    })
}

fn switch(value: u8) -> &'static str {
    ["", "true", "false"][usize::from(value)]
}

fn number(value: u8) -> &'static str {
    ["", "7", "8"][usize::from(value)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_mix_of_sources_resolves_in_the_stated_order(sources in sources()) {
        let pairs = |values: [Option<u8>; 2]| {
            let switch = values[0].map(|value| ("AUTHENTIK_LDAP__STRICT_BIND_DN", switch(value)));
            let number = values[1].map(|value| ("AUTHENTIK_LDAP__PAGE_SIZE", number(value)));
            switch.into_iter().chain(number).collect::<Vec<_>>()
        };
        let line = |key: &str, value: Option<&str>| value.map_or_else(String::new, |value| format!("{key} = {value:?}\n"));
        let file = format!(
            "{REQUIRED}{}{}[provider.ldap]\n{}",
            line("strict_bind_dn", sources.common[0].map(switch)),
            line("page_size", sources.common[1].map(number)),
            line("strict_bind_dn", sources.section.map(switch)),
        );
        let config = read_with(&file, &pairs(sources.flag), &pairs(sources.variable)).unwrap();
        let first = |values: &[Option<u8>]| values.iter().flatten().copied().find(|value| *value > 0);
        let common = [sources.flag[0], sources.variable[0], sources.common[0]];
        let own = [sources.flag[0], sources.variable[0], sources.section, sources.common[0]];
        let strict = |slug: &str| config.providers.of("dc=io", slug).strict_bind_dn;
        prop_assert_eq!(strict("ldap"), first(&own) == Some(1));
        prop_assert_eq!(strict("other"), first(&common) == Some(1));
        let size = match first(&[sources.flag[1], sources.variable[1], sources.common[1]]) {
            Some(value) => number(value).parse().unwrap(),
            None => 100,
        };
        prop_assert_eq!(config.authentik.page_size, size);
    }

    /// Whatever the octets, the result is a file or errors, each with a position.
    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = ConfigFile::read("f".into(), &octets, &StringMap::default()) {
            prop_assert!(error.to_string().starts_with("f:"));
        }
    }

    /// The same for what resembles a file.
    #[test]
    fn any_pieces_of_a_file_are_read_or_refused(pieces in prop::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        if let Err(error) = ConfigFile::read("f".into(), text.as_bytes(), &StringMap::default()) {
            prop_assert!(error.to_string().lines().all(|line| line.starts_with("f:")), "{error}");
        }
    }
}

const PIECES: &[&str] = &[
    "[common]\n",
    "[provider.ldap]\n",
    "[provider.\"dc=a\"]\n",
    "[[provider]]\n",
    "page_size",
    "strict_bind_dn",
    " = ",
    "7",
    "true",
    "\"ä\"",
    "\"",
    "'''",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\r",
    ".",
    "-1",
    "0x",
    "1e400",
    "\0",
    "#",
    "\\u",
    "2026-11-29",
    "file://",
    "env://X",
];

/// A server can read the example on the page.
#[test]
fn the_example_of_the_page_is_read_as_it_says() {
    let page = include_str!("../../../docs/configuration.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let named = example.replace("/run/secrets/outpost-token", token.to_str().unwrap());
    assert_ne!(named, example);
    let config = read(&named);
    assert_eq!(config.authentik.token_file, Some(token));
    assert_eq!((config.authentik.page_size, config.listen.ldap.len()), (50, 2));
    let strict = |base: &str, slug: &str| config.providers.of(base, slug).strict_bind_dn;
    assert!(!strict("DC=ldap,DC=goauthentik,DC=io", "ldap") && strict("dc=phone", "phonebook"));
    assert_eq!(config.providers.idle([].into_iter()).len(), 2);
}

#[test]
fn what_holds_is_shown_with_its_source_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("akldap.toml");
    let file = "[common]\nhost = \"https://a.example\"\ntoken = \"hush\"\npage_size = 50\nstrict_bind_dn = true\n\
        snapshot_file = \"file:///nowhere?hush\"\nidle_timeout = \"5m\"\n\
        [provider.mail]\nstrict_bind_dn = false\naccept_bare_names = true\n";
    std::fs::write(&path, file).unwrap();
    let flags = StringMap::from_iter([("AUTHENTIK_LDAP__IDLE_TIMEOUT", "7m")]);
    let variables = StringMap::from_iter([
        (CONFIG_FILE.variable, path.to_str().unwrap()),
        ("HTTPS_PROXY", "http://a:hush@b"),
        ("AUTHENTIK_LDAP__MAX_CONNECTIONS", "64"),
    ]);
    let strings = Layered {
        upper: &flags,
        lower: &variables,
    };
    let shown = crate::config::effective(&strings).unwrap();
    let position = |line: usize, column: usize| format!("{}:{line}:{column}", path.display());
    for line in [
        format!("page_size = 50 # {}; needs a restart", position(4, 13)),
        format!("strict_bind_dn = true # {}", position(5, 18)),
        "idle_timeout = \"7m\" # AUTHENTIK_LDAP__IDLE_TIMEOUT; needs a restart".to_owned(),
        "max_connections = 64 # AUTHENTIK_LDAP__MAX_CONNECTIONS; needs a restart".to_owned(),
        "accept_bare_names = true # default".to_owned(),
        "# ca_file is not set; needs a restart".to_owned(),
        format!(
            "# token is set by {} and not shown; needs a restart",
            position(3, 9)
        ),
        format!("[provider.\"mail\"] # {}", position(8, 11)),
        format!("strict_bind_dn = false # {}", position(9, 18)),
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is not in\n{shown}"
        );
    }
    assert!(!shown.contains("hush"), "{shown}");
    // It says the same as the file that it is made from.
    let (_, own) = shown.split_once("[provider").unwrap();
    assert_eq!(own.matches('=').count(), 2, "{own}");
    // Except for what applies if there is no such file, which may be a secret.
    let shown = shown.replace("file:///nowhere", "/nowhere");
    assert_eq!(problems(&shown), [""; 0]);
}
