//! Where spans of requests are sent: the standard variables of OpenTelemetry. Knows these settings and what they are read into; must
//! not know what the values are used for.
//!
//! They are often set for everything on a host, so one that cannot be used is ignored with a warning.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::error::{ConfigError, ConfigWarning};
use super::kind::{Optional, Path, SecretText, Switch, Text, Unset};
use super::reader::SettingReader;
use super::setting::{Setting, official};

pub(super) static ENDPOINT: Setting<Optional<Text>> = official(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    Optional(Text),
    Unset,
    "URL of an OpenTelemetry collector that takes OTLP over HTTP, such as http://collector:4318. A span for each request is sent to \
     /v1/traces below it. Unset: none.",
);

pub(super) static TRACES_ENDPOINT: Setting<Optional<Text>> = official(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    Optional(Text),
    Unset,
    "The whole URL for spans, in place of the one made from OTEL_EXPORTER_OTLP_ENDPOINT.",
);

pub(super) static PROTOCOL: Setting<Optional<Text>> = official(
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    Optional(Text),
    Unset,
    "The protocol of the collector. Spans are sent by `http/protobuf` only, to the port for OTLP over HTTP; any other protocol causes a warning. Unset: `http/protobuf`.",
);

pub(super) static TRACES_PROTOCOL: Setting<Optional<Text>> = official(
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    Optional(Text),
    Unset,
    "The protocol of the collector for spans; it takes precedence over OTEL_EXPORTER_OTLP_PROTOCOL.",
);

pub(super) static HEADERS: Setting<Optional<SecretText>> = official(
    "OTEL_EXPORTER_OTLP_HEADERS",
    Optional(SecretText),
    Unset,
    "Headers for the collector: `name=value,name=value`, values percent-encoded.",
);

pub(super) static CERTIFICATE: Setting<Optional<Path>> = official(
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    Optional(Path),
    Unset,
    "PEM file of additional certificate authorities to trust for the collector.",
);

pub(super) static SERVICE_NAME: Setting<Optional<Text>> = official(
    "OTEL_SERVICE_NAME",
    Optional(Text),
    Unset,
    "The service's name in spans. Unset: that in OTEL_RESOURCE_ATTRIBUTES, or akldap.",
);

pub(super) static SAMPLER: Setting<Optional<Text>> = official(
    "OTEL_TRACES_SAMPLER",
    Optional(Text),
    Unset,
    "Which requests have a span: `always_on`, `always_off` or `traceidratio`, each also with the prefix `parentbased_`. Unset: all.",
);

pub(super) static SAMPLER_ARGUMENT: Setting<Optional<Text>> = official(
    "OTEL_TRACES_SAMPLER_ARG",
    Optional(Text),
    Unset,
    "The share of requests that `traceidratio` takes, from 0 to 1. Unset: 1.",
);

pub(super) static EXPORTER: Setting<Optional<Text>> = official(
    "OTEL_TRACES_EXPORTER",
    Optional(Text),
    Unset,
    "Where spans go: `otlp`, or `none` to send none. Unset: `otlp`, if a collector is named.",
);

pub(super) static DISABLED: Setting<Switch> = official(
    "OTEL_SDK_DISABLED",
    Switch,
    false,
    "Send no spans, whatever the other variables say.",
);

/// Where spans are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceConfig {
    /// The URL they are posted to, without user name and password: those are in a header. `None`: none are made.
    pub endpoint: Option<Url>,
    /// Headers for it.
    pub headers: Vec<(String, String)>,
    /// More certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// The service's name.
    pub service_name: Option<String>,
    /// Which requests have one.
    pub sampler: TraceSampler,
}

/// Which requests have a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TraceSampler {
    /// All.
    Always,
    /// None.
    Never,
    /// This part of them.
    Ratio(f64),
}

impl TraceConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let common = reader.value(&ENDPOINT)?;
        let own = reader.value(&TRACES_ENDPOINT)?;
        let protocol = reader.value(&PROTOCOL)?;
        let own_protocol = reader.value(&TRACES_PROTOCOL)?;
        let headers = reader.value(&HEADERS)?;
        let ca_file = reader.value(&CERTIFICATE)?;
        let service_name = reader.value(&SERVICE_NAME)?;
        let sampler = reader.value(&SAMPLER)?;
        let argument = reader.value(&SAMPLER_ARGUMENT)?;
        let exporter = reader.value(&EXPORTER)?;
        let disabled =
            reader.value(&DISABLED)? || exporter.as_deref().is_some_and(|name| name.trim() == "none");
        let endpoint = match (own, common) {
            (Some(own), _) => endpoint(reader, TRACES_ENDPOINT.variable, &own, ""),
            (None, Some(common)) => endpoint(reader, ENDPOINT.variable, &common, "v1/traces"),
            (None, None) => None,
        };
        let mut endpoint = endpoint.filter(|_| !disabled);
        if endpoint.is_some() {
            if let Some(exporters) = exporter
                && !exporters.split(',').any(|name| name.trim() == "otlp")
            {
                unusable(reader, EXPORTER.variable, "otlp or none");
            }
            let protocols = [(&TRACES_PROTOCOL, own_protocol), (&PROTOCOL, protocol)];
            let chosen = protocols
                .into_iter()
                .find_map(|(setting, text)| Some((setting, text?)));
            if let Some((setting, text)) = chosen
                && text.trim() != SPOKEN
            {
                unusable(reader, setting.variable, SPOKEN_WORDS);
            }
        }
        let mut headers = headers.map(|text| pairs(&text)).unwrap_or_default();
        if let Some(credentials) = endpoint.as_mut().and_then(take_credentials)
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION))
        {
            headers.push((AUTHORIZATION.to_owned(), credentials));
        }
        Ok(Self {
            endpoint,
            headers,
            ca_file,
            service_name,
            sampler: sampler_of(reader, sampler.as_deref(), argument.as_deref()),
        })
    }
}

/// The protocol that spans are sent by.
const SPOKEN: &str = "http/protobuf";
const SPOKEN_WORDS: &str = "http/protobuf, the only protocol in which spans are sent: name the collector's \
     port for OTLP over HTTP, usually 4318";
const AUTHORIZATION: &str = "authorization";

fn unusable(reader: &mut SettingReader<'_>, variable: &str, expected: &str) {
    let name = reader.strings.spelling(variable);
    let expected = expected.to_owned();
    reader
        .warnings
        .push(ConfigWarning::UnusableForTraces { name, expected });
}

/// The URL in `text` with `path` below it.
fn endpoint(reader: &mut SettingReader<'_>, variable: &str, text: &str, path: &str) -> Option<Url> {
    let url = Url::parse(text.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut url) = url else {
        unusable(
            reader,
            variable,
            "an http:// or https:// URL such as http://collector:4318",
        );
        return None;
    };
    if !path.is_empty() {
        let below = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&below);
    }
    Some(url)
}

/// Takes user name and password out of a URL, which is logged, and turns them into the value of a header.
fn take_credentials(url: &mut Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let plain = format!(
        "{}:{}",
        decoded(url.username()),
        decoded(url.password().unwrap_or_default())
    );
    // Neither fails for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(format!("Basic {}", STANDARD.encode(plain)))
}

/// `name=value,name=value`, values percent-encoded, as W3C Baggage has them.
fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), decoded(value.trim())))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// What is written with percent signs.
pub(crate) fn decoded(value: &str) -> String {
    // A plus is a plus here, not a blank.
    let query = format!("v={}", value.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn sampler_of(reader: &mut SettingReader<'_>, name: Option<&str>, argument: Option<&str>) -> TraceSampler {
    let name = name.unwrap_or("always_on").trim();
    // There are no parents: LDAP carries none.
    match name.strip_prefix("parentbased_").unwrap_or(name) {
        "always_on" => TraceSampler::Always,
        "always_off" => TraceSampler::Never,
        "traceidratio" => match argument.map(|text| text.trim().parse::<f64>()) {
            None => TraceSampler::Always,
            Some(Ok(ratio)) if (0.0..=1.0).contains(&ratio) => TraceSampler::Ratio(ratio),
            Some(_) => {
                unusable(
                    reader,
                    SAMPLER_ARGUMENT.variable,
                    "a number from 0 to 1, such as 0.1",
                );
                TraceSampler::Always
            }
        },
        _ => {
            unusable(reader, SAMPLER.variable, "always_on, always_off or traceidratio");
            TraceSampler::Always
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, StringMap};

    fn read(pairs: &[(&str, &str)]) -> Config {
        let required = [("AUTHENTIK_HOST", "http://a"), ("AUTHENTIK_TOKEN", "t")];
        let strings: StringMap = required.iter().chain(pairs).copied().collect();
        Config::read(&strings).expect("nothing here prevents the start")
    }

    fn warned(config: &Config) -> bool {
        let is_of_traces =
            |warning: &ConfigWarning| matches!(warning, ConfigWarning::UnusableForTraces { .. });
        config.warnings.iter().any(is_of_traces)
    }

    #[test]
    fn no_spans_are_sent_unless_a_collector_is_named() {
        let endpoint = |pairs: &[(&str, &str)]| read(pairs).traces.endpoint.map(String::from);
        let common = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/x");
        assert_eq!(endpoint(&[]), None);
        assert_eq!(
            endpoint(&[common]).as_deref(),
            Some("http://collector:4318/v1/traces")
        );
        let below = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/otlp/");
        assert_eq!(
            endpoint(&[below]).as_deref(),
            Some("http://collector/otlp/v1/traces")
        );
        assert_eq!(endpoint(&[common, own]).as_deref(), Some("https://other/x"));
        assert_eq!(endpoint(&[common, ("OTEL_SDK_DISABLED", "true")]), None);
        let exporter = |name| ("OTEL_TRACES_EXPORTER", name);
        assert_eq!(endpoint(&[common, own, exporter("none")]), None);
        for usual in ["otlp", "console,otlp", ""] {
            assert!(endpoint(&[common, exporter(usual)]).is_some(), "{usual}");
            assert!(!warned(&read(&[common, exporter(usual)])), "{usual}");
        }
        let unknown = read(&[common, exporter("zipkin")]);
        assert!(unknown.traces.endpoint.is_some() && warned(&unknown));
        let bad = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]);
        assert!(bad.traces.endpoint.is_none() && warned(&bad));
    }

    #[test]
    fn another_protocol_is_warned_of_by_the_variable_that_names_it() {
        let warnings = |pairs: &[(&str, &str)]| -> Vec<String> {
            let collector = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")];
            let config = read(&[&collector, pairs].concat());
            assert!(config.traces.endpoint.is_some());
            let warnings = config.warnings.iter().map(ToString::to_string);
            warnings.filter(|warning| warning.starts_with("OTEL_")).collect()
        };
        let (all, own) = (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        );
        for pairs in [
            &[][..],
            &[(all, "http/protobuf")],
            &[(all, "grpc"), (own, "http/protobuf")],
        ] {
            assert_eq!(warnings(pairs), [""; 0], "{pairs:?}");
        }
        for (pairs, named) in [
            (&[(all, "grpc")][..], all),
            (&[(all, "http/json")], all),
            (&[(all, "http/protobuf"), (own, "grpc")], own),
        ] {
            let told = warnings(pairs);
            assert!(
                matches!(told.as_slice(), [one] if one.starts_with(&format!("{named} is ignored: it is not http/protobuf"))),
                "{told:?}"
            );
        }
        let off = read(&[(all, "grpc")]);
        assert!(!warned(&off), "no spans are made anyway");
    }

    #[test]
    fn credentials_in_a_url_become_a_header_and_leave_the_url() {
        let traces = |pairs: &[(&str, &str)]| read(pairs).traces;
        let url = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:p%40ss@collector:4318");
        let found = traces(&[url]);
        let shown = found.endpoint.map(String::from);
        assert_eq!(shown.as_deref(), Some("http://collector:4318/v1/traces"));
        let header = |value: &str| vec![("authorization".to_owned(), value.to_owned())];
        assert_eq!(found.headers, header("Basic bWU6cEBzcw=="));
        let own = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer x");
        assert_eq!(
            traces(&[url, own]).headers,
            [("Authorization".to_owned(), "Bearer x".to_owned())]
        );
    }

    #[test]
    fn samplers_and_headers_are_those_of_the_standard() {
        let sampler = |name, argument| {
            let config = read(&[
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ]);
            (config.traces.sampler, warned(&config))
        };
        assert_eq!(sampler("", ""), (TraceSampler::Always, false));
        assert_eq!(sampler("always_off", ""), (TraceSampler::Never, false));
        assert_eq!(
            sampler("parentbased_always_on", ""),
            (TraceSampler::Always, false)
        );
        assert_eq!(
            sampler("traceidratio", "0.25"),
            (TraceSampler::Ratio(0.25), false)
        );
        assert_eq!(sampler("traceidratio", "7"), (TraceSampler::Always, true));
        assert_eq!(sampler("xray", ""), (TraceSampler::Always, true));
        let headers = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c+d, x-y = 1&2 ,broken")])
            .traces
            .headers;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers, [pair("a", "b c+d"), pair("x-y", "1&2")]);
    }
}
