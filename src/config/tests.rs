//! Reading configurations, good and bad, from maps.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;

use secrecy::ExposeSecret as _;

use super::*;
use std::path::Path;

const TOKEN: &str = "correct-horse-battery-staple";
/// Without it there is a warning.
const TRUST: (&str, &str) = ("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", "none");

fn strings(pairs: &[(&str, &str)]) -> StringMap {
    let mut strings: StringMap = [
        ("AUTHENTIK_HOST", "https://authentik.example.org"),
        ("AUTHENTIK_TOKEN", TOKEN),
    ]
    .into_iter()
    .collect();
    for (name, text) in pairs {
        strings.set(*name, *text);
    }
    strings
}

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(&strings(pairs))
}

fn refused(name: &str, text: &str) -> String {
    let message = read(&[(name, text)])
        .expect_err(&format!("{name}={text:?} must be refused"))
        .to_string();
    assert!(
        message.starts_with(name),
        "the message must name the variable: {message}"
    );
    assert!(!message.contains('\n'), "the message must be one line: {message}");
    message
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts
        .iter()
        .map(|text| text.parse().expect("a test address"))
        .collect()
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = read(&[]).expect("the two required values are enough");
    assert_eq!(config.authentik.host.as_str(), "https://authentik.example.org/");
    assert_eq!(config.authentik.token.expose_secret(), TOKEN);
    assert!(!config.authentik.insecure);
    assert_eq!(config.authentik.ca_file, None);
    assert_eq!(config.authentik.page_size, 100);
    assert_eq!(config.listen.ldap, addresses(&["[::]:3389"]));
    assert_eq!(config.listen.ldaps, addresses(&["[::]:6636"]));
    assert_eq!(config.listen.metrics, addresses(&["[::]:9300"]));
    let proxies: Vec<String> = config
        .listen
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        proxies,
        [
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "fe80::/10",
            "::1/128"
        ]
    );
    assert_eq!(config.limits.max_message_size, 1 << 20);
    assert_eq!(config.limits.max_message_size_unbound, 64 << 10);
    assert_eq!(config.limits.idle_timeout, Some(Duration::from_secs(900)));
    assert_eq!(config.bind.timeout, Duration::from_secs(30));
    assert_eq!(config.bind.failed.limit, 20);
    assert!(!config.listen.trusted_proxies_set);
    assert_eq!(config.bind.failed.window, Duration::from_secs(300));
    assert_eq!(config.bind.cache_max_age, Duration::from_secs(3_600));
    // The age of any cached bind, but only for one address.
    assert_eq!(config.bind.cache_code_max_age, config.bind.cache_max_age);
    assert!(config.bind.cache_code_same_address);
    assert_eq!(config.bind.users_unread_limit, Duration::from_secs(300));
    assert_eq!(config.bind.access_recheck_rate, 10);
    assert_eq!(config.bind.negative_window, Some(Duration::from_secs(10)));
    assert_eq!(
        config.bind.access_recheck_interval,
        Some(Duration::from_secs(300))
    );
    let provider = config.providers.of("dc=io", "ldap");
    assert!(!provider.strict_bind_dn && provider.accept_bare_names);
    assert_eq!(config.refresh_delta_interval, Some(Duration::from_secs(30)));
    assert_eq!(
        config.tls,
        TlsConfig {
            files: None,
            required: false,
            min_version: TlsVersion::V1_2,
            cipher_suites: CIPHER_SUITES.iter().collect(),
        }
    );
    assert_eq!(
        config.log,
        LogConfig {
            level: LogLevel::Info,
            format: None,
            colour: true,
        }
    );
    assert_eq!(config.metrics_socket, Path::new("/tmp/authentik-metrics.sock"));
    assert_eq!(config.limits.max_connections_per_address, Some(4096));
    assert_eq!(config.limits.message_timeout, Duration::from_secs(30));
    let name = "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS".to_owned();
    assert_eq!(config.warnings, [ConfigWarning::WideTrust { name }]);
}

#[test]
fn every_setting_of_the_table_is_read_and_no_other() {
    let strings = strings(&[]);
    let mut reader = SettingReader::new(&strings);
    Config::read_with(&mut reader).expect("defaults");
    let read: BTreeSet<&str> = reader.visited.iter().copied().collect();
    let table: BTreeSet<&str> = options::OFFICIAL
        .iter()
        .chain(options::OPTIONS)
        .map(|setting| setting.variable())
        .collect();
    assert_eq!(read, table);
    assert_eq!(reader.visited.len(), table.len(), "a setting is read twice");
    let flags: BTreeSet<&str> = options::OPTIONS
        .iter()
        .filter_map(|setting| setting.flag())
        .collect();
    assert_eq!(
        flags.len(),
        options::OPTIONS.len(),
        "every option has a flag of its own"
    );
    for setting in options::OPTIONS {
        let flag = setting
            .flag()
            .expect("checked above")
            .replace('-', "_")
            .to_ascii_uppercase();
        assert_eq!(format!("AUTHENTIK_LDAP__{flag}"), setting.variable());
    }
}

#[test]
fn the_default_that_is_shown_is_the_one_in_force() {
    let unset = read(&[]).expect("defaults");
    for setting in options::OFFICIAL.iter().chain(options::OPTIONS) {
        let shown = setting.default();
        if shown.is_empty() {
            continue;
        }
        let mut written = read(&[(setting.variable(), &shown)])
            .unwrap_or_else(|error| panic!("the default is outside its own range: {error}"));
        // These two distinguish the default from a choice.
        written.listen.trusted_proxies_set = unset.listen.trusted_proxies_set;
        written.warnings.clone_from(&unset.warnings);
        assert_eq!(
            format!("{written:?}"),
            format!("{unset:?}"),
            "{}",
            setting.variable()
        );
    }
}

#[test]
fn required_values_are_named_when_missing() {
    for missing in ["AUTHENTIK_HOST", "AUTHENTIK_TOKEN"] {
        for empty in ["", "  "] {
            let message = refused(missing, empty);
            assert!(message.contains("is not set"), "{message}");
        }
    }
}

#[test]
fn host_keeps_its_path_and_gets_one_slash() {
    for (text, expected) in [
        ("https://authentik.example.org", "https://authentik.example.org/"),
        ("https://authentik.example.org/", "https://authentik.example.org/"),
        (
            "https://authentik.example.org//",
            "https://authentik.example.org/",
        ),
        ("https://example.org/auth//", "https://example.org/auth/"),
        ("HTTPS://Authentik.Example.ORG", "https://authentik.example.org/"),
        ("http://10.0.0.1:9000", "http://10.0.0.1:9000/"),
        ("http://[::1]:9000/", "http://[::1]:9000/"),
        ("https://example.org/auth", "https://example.org/auth/"),
        ("https://example.org/auth/", "https://example.org/auth/"),
        (" https://example.org ", "https://example.org/"),
    ] {
        let config = read(&[("AUTHENTIK_HOST", text)]).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(config.authentik.host.as_str(), expected);
    }
}

#[test]
fn host_that_is_no_http_url_is_refused() {
    for text in [
        "authentik.example.org",
        "ftp://example.org/",
        "https://",
        "https:///",
        "not a url",
        "/x",
    ] {
        let message = refused("AUTHENTIK_HOST", text);
        assert!(message.contains("https://"), "{message}");
    }
    assert!(refused("AUTHENTIK_HOST", "unix:///run/authentik.sock").contains("embedded"));
    assert!(refused("AUTHENTIK_HOST", "https://example.org/?a=b").contains("without '?'"));
    for text in [
        "https://admin:hunter2@example.org/",
        "ftp://admin:hunter2@example.org/",
        "//admin:hunter2@x",
    ] {
        let message = refused("AUTHENTIK_HOST", text);
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_token_is_never_shown() {
    for text in ["hunter2 hunter2", "hunter2\u{e9}", "hunter2\u{7}"] {
        let message = refused("AUTHENTIK_TOKEN", text);
        assert!(!message.contains("hunter2"), "{message}");
    }
    let config = read(&[("AUTHENTIK_TOKEN", " hunter2\n")]).expect("surrounding space is cut");
    assert_eq!(config.authentik.token.expose_secret(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn no_url_is_shown_with_its_credentials() {
    let urls = [
        "http://me:geheim@host:4318/x",
        "https://geheim@host",
        "http:me:geheim@host",
        "http:\\\\me:geheim@host",
        "http://me:geh/geheim@host",
        "ftp://me:geheim@host",
    ];
    let shown = options::OFFICIAL
        .iter()
        .chain(options::OPTIONS)
        // A file is named as it is: it is no URL.
        .filter(|setting| !setting.is_secret() && setting.placeholder() != "FILE");
    for setting in shown {
        for url in urls {
            let mut strings = strings(&[]);
            strings.set(setting.variable(), url);
            let texts = [
                effective(&strings).unwrap_or_else(|error| error.to_string()),
                Config::read(&strings).map_or_else(
                    |error| error.to_string(),
                    |config| format!("{:?}", config.warnings),
                ),
            ];
            for text in texts {
                assert!(!text.contains("geheim"), "{} = {url}: {text}", setting.variable());
            }
        }
    }
    let text = effective(&strings(&[(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://me:geheim@host:4318/x",
    )]))
    .unwrap();
    assert!(text.contains("\"http://…@host:4318/x\""), "{text}");
}

#[test]
fn switches_take_go_and_python_spellings() {
    for text in ["1", "t", "T", "TRUE", "true", "True"] {
        let config = read(&[("AUTHENTIK_INSECURE", text), TRUST]).expect(text);
        assert!(config.authentik.insecure, "{text}");
        assert_eq!(
            config.warnings,
            [ConfigWarning::Insecure {
                name: "AUTHENTIK_INSECURE".to_owned()
            }]
        );
    }
    for text in ["0", "f", "F", "FALSE", "false", "False", ""] {
        assert!(
            !read(&[("AUTHENTIK_INSECURE", text)])
                .expect(text)
                .authentik
                .insecure,
            "{text}"
        );
    }
    for text in ["yes", "no", "on", "tRUE", "2"] {
        assert!(refused("AUTHENTIK_INSECURE", text).contains("true or false"));
    }
}

#[test]
fn listen_lists() {
    for (text, expected) in [
        ("0.0.0.0:389", vec!["0.0.0.0:389"]),
        (":389", vec!["[::]:389"]),
        ("127.0.0.1:389, [::1]:389", vec!["127.0.0.1:389", "[::1]:389"]),
        ("127.0.0.1:389,,127.0.0.1:389,", vec!["127.0.0.1:389"]),
        ("127.0.0.1:0", vec!["127.0.0.1:0"]),
    ] {
        let config = read(&[("AUTHENTIK_LISTEN__LDAP", text)]).expect(text);
        assert_eq!(config.listen.ldap, addresses(&expected), "{text}");
    }
    for text in ["localhost:389", "ldap.example.org:389", "localhost"] {
        assert!(
            refused("AUTHENTIK_LISTEN__LDAP", text).contains("not a host name"),
            "{text}"
        );
    }
    for text in ["127.0.0.1", "::1"] {
        assert!(
            refused("AUTHENTIK_LISTEN__LDAPS", text).contains("with a port"),
            "{text}"
        );
    }
    for text in [
        ",",
        "389",
        "127.0.0.1:70000",
        ":x",
        ":",
        "[::1:389",
        "127.0.0.1:389;[::1]:389",
    ] {
        refused("AUTHENTIK_LISTEN__METRICS", text);
    }
}

#[test]
fn networks_skip_what_is_none() {
    let name = "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS";
    let config = read(&[(name, "10.0.0.0/8,garbage, 192.0.2.7 ,10.0.0.0/99,fe80::1/10")]).expect("skips");
    let networks: Vec<String> = config
        .listen
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32", "fe80::/10"]);
    let skipped = |entry: &str| ConfigWarning::SkippedNetwork {
        name: name.to_owned(),
        entry: entry.to_owned(),
    };
    assert_eq!(config.warnings, [skipped("garbage"), skipped("10.0.0.0/99")]);
    let none = read(&[(name, "none")]).expect("none").listen;
    assert!(none.trusted_proxies.is_empty() && none.trusted_proxies_set);
    let message = refused(name, "garbage, 10.0.0.0/99");
    assert!(
        message.contains("garbage,10.0.0.0/99"),
        "nothing is left: {message}"
    );
}

#[test]
fn host_names_are_read_as_requests_write_them() {
    let name = "AUTHENTIK_LDAP__STATUS_HOSTS";
    let hosts = |text: &str| read(&[(name, text)]).expect(text).status.hosts;
    assert_eq!(hosts(""), [""; 0]);
    assert_eq!(
        hosts("LDAP.Example.org, status, zoë.example., "),
        ["ldap.example.org", "status", "xn--zo-ija.example"]
    );
    for text in [
        "ldap.example.org:9300",
        "http://ldap.example.org",
        "*.example.org",
        "a b",
    ] {
        refused(name, text);
    }
}

#[test]
fn an_empty_token_file_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a name");
    let message = refused("AUTHENTIK_TOKEN", &format!("file://{path}"));
    assert!(
        message.contains(path) && message.contains("is empty"),
        "{message}"
    );
}

#[test]
fn durations_sizes_and_counts() {
    let name = "AUTHENTIK_LDAP__IDLE_TIMEOUT";
    for (text, seconds) in [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5_400),
        ("2d", 172_800),
    ] {
        let config = read(&[(name, text)]).expect(text);
        assert_eq!(
            config.limits.idle_timeout,
            Some(Duration::from_secs(seconds)),
            "{text}"
        );
    }
    assert_eq!(read(&[(name, "0")]).expect("off").limits.idle_timeout, None);
    let milliseconds = read(&[("AUTHENTIK_LDAP__CONNECT_TIMEOUT", "1500ms")]).expect("ms");
    assert_eq!(
        milliseconds.authentik.connect_timeout,
        Duration::from_millis(1_500)
    );
    for text in [
        "-1",
        "1w",
        "s",
        "5 m",
        "1.5h",
        "1h-5m",
        "500ms",
        "99999999999999999999",
        "500000000000000d",
        "366d",
    ] {
        refused(name, text);
    }
    assert!(refused("AUTHENTIK_LDAP__REQUEST_TIMEOUT", "0").contains("from 1s to 10m"));

    for (text, bytes) in [
        ("2048", 2_048),
        ("64KiB", 65_536),
        ("2m", 2 << 20),
        ("3 MiB", 3 << 20),
    ] {
        let config = read(&[
            ("AUTHENTIK_LDAP__MAX_MESSAGE_SIZE", text),
            ("AUTHENTIK_LDAP__MAX_MESSAGE_SIZE_UNBOUND", "1024"),
        ]);
        assert_eq!(config.expect(text).limits.max_message_size, bytes);
    }
    for text in ["1023", "257MiB", "1GiB", "64KB", "KiB", "18446744073709551615MiB"] {
        refused("AUTHENTIK_LDAP__MAX_MESSAGE_SIZE", text);
    }
    for text in ["0", "10001", "ten", "+5", "1e3", "99999999999999999999999"] {
        refused("AUTHENTIK_LDAP__PAGE_SIZE", text);
    }
    assert_eq!(
        read(&[("AUTHENTIK_LDAP__PAGE_SIZE", "10000")])
            .expect("limit")
            .authentik
            .page_size,
        10_000
    );
}

#[test]
fn contradictions_are_refused() {
    let message = refused("AUTHENTIK_LDAP__MAX_MESSAGE_SIZE_UNBOUND", "2MiB");
    assert!(message.contains("AUTHENTIK_LDAP__MAX_MESSAGE_SIZE "), "{message}");
    let lonely = read(&[("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE", "/c.pem")])
        .expect_err("no key")
        .to_string();
    assert!(
        lonely.starts_with("AUTHENTIK_LDAP__TLS_KEY_FILE and AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE"),
        "{lonely}"
    );
    let lonely = read(&[("AUTHENTIK_LDAP__TLS_KEY_FILE", "/k.pem")])
        .expect_err("no chain")
        .to_string();
    assert!(
        lonely.starts_with("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE and"),
        "{lonely}"
    );
}

#[test]
fn values_may_point_to_files_and_variables() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(file, "  secret-from-file  ").expect("write");
    let reference = format!("file://{}", file.path().display());
    let config = read(&[("AUTHENTIK_TOKEN", &reference)]).expect("file");
    assert_eq!(config.authentik.token.expose_secret(), "secret-from-file");

    let config = read(&[("AUTHENTIK_TOKEN", "env://OTHER"), ("OTHER", "secret-from-env")]).expect("env");
    assert_eq!(config.authentik.token.expose_secret(), "secret-from-env");

    let config = read(&[("AUTHENTIK_TOKEN", "file:///nonexistent?fallback")]).expect("file fallback");
    assert_eq!(config.authentik.token.expose_secret(), "fallback");
    let config = read(&[("AUTHENTIK_TOKEN", "env://NONEXISTENT?fallback")]).expect("env fallback");
    assert_eq!(config.authentik.token.expose_secret(), "fallback");

    assert!(refused("AUTHENTIK_TOKEN", "file:///nonexistent").contains("/nonexistent"));
    assert!(refused("AUTHENTIK_TOKEN", "env://NONEXISTENT").contains("NONEXISTENT"));
    assert!(refused("AUTHENTIK_TOKEN", "file:///nonexistent?").contains("is not set"));

    let message = refused("AUTHENTIK_HOST", &reference);
    assert!(
        !message.contains("secret-from-file"),
        "a misdirected secret must not be shown: {message}"
    );
}

#[test]
fn unknown_options_get_a_warning_with_the_nearest_name() {
    let config = read(&[
        ("AUTHENTIK_LDAP__PAGESIZE", "50"),
        ("AUTHENTIK_LDAP__IDLE_TIMOUT", "5m"),
        ("AUTHENTIK_LDAP__COLOUR_OF_THE_SHED", "green"),
        ("AUTHENTIK_ERROR_REPORTING__ENABLED", "true"),
        ("AUTHENTIK_HOST_BROWSER", "x"),
        ("AUTHENTIK_LISTEN__DEBUG", "0.0.0.0:9900"),
        ("AUTHENTIK_POSTGRESQL__HOST", "db"),
        TRUST,
    ])
    .expect("unknown names are no errors");
    assert_eq!(
        config.warnings,
        [
            ConfigWarning::UnlikeAnyOption {
                name: "AUTHENTIK_LDAP__COLOUR_OF_THE_SHED".to_owned()
            },
            ConfigWarning::UnknownOption {
                name: "AUTHENTIK_LDAP__IDLE_TIMOUT".to_owned(),
                nearest: "AUTHENTIK_LDAP__IDLE_TIMEOUT"
            },
            ConfigWarning::UnknownOption {
                name: "AUTHENTIK_LDAP__PAGESIZE".to_owned(),
                nearest: "AUTHENTIK_LDAP__PAGE_SIZE"
            },
        ]
    );
}

#[test]
fn log_settings() {
    for (text, level) in [
        ("trace", LogLevel::Trace),
        ("WARN", LogLevel::Warning),
        ("warning", LogLevel::Warning),
        ("fatal", LogLevel::Error),
    ] {
        assert_eq!(
            read(&[("AUTHENTIK_LOG_LEVEL", text)]).expect(text).log.level,
            level
        );
    }
    refused("AUTHENTIK_LOG_LEVEL", "loud");
    assert_eq!(
        read(&[("AUTHENTIK_DEBUG", "true")]).expect("debug").log.format,
        Some(LogFormat::Text)
    );
    let both = read(&[
        ("AUTHENTIK_DEBUG", "true"),
        ("AUTHENTIK_LDAP__LOG_FORMAT", "json"),
    ])
    .expect("both");
    assert_eq!(both.log.format, Some(LogFormat::Json));
    assert!(!read(&[("NO_COLOR", "1")]).expect("no colour").log.colour);
    assert!(read(&[("NO_COLOR", "")]).expect("unset").log.colour);
    refused("AUTHENTIK_LDAP__LOG_FORMAT", "xml");
    assert_eq!(LogLevel::from_outpost(None), LogLevel::Info);
    assert_eq!(LogLevel::from_outpost(Some("error")), LogLevel::Error);
    assert_eq!(LogLevel::from_outpost(Some("loud")), LogLevel::Debug);
}

#[test]
fn the_upper_layer_wins_unless_empty() {
    let lower = strings(&[
        ("AUTHENTIK_LDAP__PAGE_SIZE", "20"),
        ("AUTHENTIK_LDAP__LOG_FORMAT", "text"),
    ]);
    let upper: StringMap = [
        ("AUTHENTIK_LDAP__PAGE_SIZE", "30"),
        ("AUTHENTIK_LDAP__LOG_FORMAT", ""),
    ]
    .into_iter()
    .collect();
    let config = Config::read(&Layered {
        upper: &upper,
        lower: &lower,
    })
    .expect("layered");
    assert_eq!(config.authentik.page_size, 30);
    assert_eq!(config.log.format, Some(LogFormat::Text));
}

#[test]
fn the_socket_needs_no_other_variable() {
    let socket = |pairs: &[(&str, &str)]| metrics_socket(&pairs.iter().copied().collect::<StringMap>());
    assert_eq!(socket(&[]), Ok(PathBuf::from("/tmp/authentik-metrics.sock")));
    assert_eq!(
        socket(&[("TMPDIR", "/dev/shm/")]),
        Ok(PathBuf::from("/dev/shm/authentik-metrics.sock"))
    );
}

#[test]
fn options_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    let page = options_page();
    if std::env::var_os("AKLDAP_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("docs")).expect("create docs");
        std::fs::write(&path, &page).expect("write the page");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        stored, page,
        "run `AKLDAP_WRITE_DOCS=1 cargo test --lib options_page` and commit docs/options.md"
    );
}

#[test]
fn proxies_are_read_in_either_case_and_others_are_named() {
    let proxies = |values: &[(&str, &str)]| {
        let config = read(values).unwrap();
        let odd: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        (config.authentik.proxies, odd.join("\n"))
    };
    assert_eq!(proxies(&[]).0, ProxyConfig::default());
    let (found, _) = proxies(&[
        ("HTTP_PROXY", "proxy.example:3128"),
        ("https_proxy", "https://proxy.example"),
        ("HTTPS_PROXY", ""),
        ("no_proxy", "a.example, 10.0.0.0/8"),
    ]);
    assert_eq!(found.http.unwrap().as_str(), "http://proxy.example:3128/");
    assert_eq!(found.https.unwrap().as_str(), "https://proxy.example/");
    assert_eq!(found.except, "a.example, 10.0.0.0/8");
    let (found, _) = proxies(&[("HTTP_PROXY", "http://upper:1"), ("http_proxy", "http://lower:1")]);
    assert_eq!(found.http.unwrap().host_str(), Some("upper"));
    for bad in ["socks5://user:hunter2@proxy:1080", "http://", "http://[hunter2"] {
        let (found, odd) = proxies(&[("HTTPS_PROXY", bad)]);
        assert_eq!(found.https, None, "{bad}");
        assert!(
            odd.contains("HTTPS_PROXY is ignored") && !odd.contains("hunter2"),
            "{odd}"
        );
    }
}

#[test]
fn the_file_of_a_token_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from-file\n").unwrap();
    let file = |value: String| read(&[("AUTHENTIK_TOKEN", &value)]).unwrap().authentik.token_file;
    assert_eq!(file(format!("file://{}", path.display())), Some(path.clone()));
    assert_eq!(
        file("file:///no/such/file?fallback".to_owned()),
        Some("/no/such/file".into())
    );
    assert_eq!(file("plain".to_owned()), None);
}

#[test]
fn a_client_of_authentik_calls_itself_an_outpost_and_keeps_the_limits() {
    let config = read(&[
        ("AUTHENTIK_LDAP__BIND_TIMEOUT", "7"),
        ("AUTHENTIK_LDAP__REQUEST_TIMEOUT", "9"),
    ]);
    let settings = config.expect("it is sound").client_settings();
    let agent = format!("goauthentik.io/outpost/{}+akldap", env!("CARGO_PKG_VERSION"));
    assert_eq!(settings.user_agent, agent);
    assert_eq!(settings.flow_timeout, Duration::from_secs(7));
    assert_eq!(settings.request_timeout, Duration::from_secs(9));
    assert_eq!(settings.list_timeout, Duration::from_secs(9));
}
