//! A span for each request, sent to an OpenTelemetry collector by OTLP over HTTP where that is asked for. When off, a request
//! costs one look at a variable.
//!
//! Knows what a span says and how spans are sent; must not know how requests are carried out. A span says no more about people
//! than the log does: the client's address, and no names, filters or values.

mod error;
mod sender;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Array, Context, Key, KeyValue, StringValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use crate::config::{TraceConfig, TraceSampler, decoded};
use crate::logging::audit::RequestId;

pub use error::TraceError;
use sender::Sender;

/// How long the last spans may take to be sent at the end of the process.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// The service's name unless a variable gives another.
const SERVICE: &str = "akldap";

/// What makes the spans of this process.
#[derive(Debug)]
struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

static TRACES: OnceLock<Traces> = OnceLock::new();

/// Whether spans are made.
pub fn is_on() -> bool {
    TRACES.get().is_some()
}

/// Begins making spans, if the configuration asks for that. Call it within the runtime that sends them.
///
/// # Errors
/// When they cannot be sent.
pub fn start(config: &TraceConfig, version: &'static str) -> Result<(), TraceError> {
    let Some(endpoint) = &config.endpoint else {
        return Ok(());
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint.as_str())
        .with_headers(config.headers.iter().cloned().collect())
        .with_http_client(Sender::new(config.ca_file.as_deref())?)
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(match config.sampler {
            TraceSampler::Always => Sampler::AlwaysOn,
            TraceSampler::Never => Sampler::AlwaysOff,
            TraceSampler::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        })
        .with_resource(resource(config.service_name.as_deref(), version))
        .build();
    let tracer = provider.tracer(SERVICE);
    if TRACES.set(Traces { provider, tracer }).is_ok() {
        tracing::info!(%endpoint, "spans of requests are sent to an OpenTelemetry collector");
    }
    Ok(())
}

/// Who sends them. The library reads `OTEL_RESOURCE_ATTRIBUTES`.
fn resource(name: Option<&str>, version: &'static str) -> Resource {
    let builder = || Resource::builder().with_attribute(KeyValue::new("service.version", version));
    // The library leaves values as they are written, which is percent-encoded as in W3C Baggage.
    let plain: Vec<KeyValue> = builder()
        .build()
        .iter()
        .filter(|(_, value)| value.as_str().contains('%'))
        .map(|(key, value)| KeyValue::new(key.clone(), decoded(&value.as_str())))
        .collect();
    let own = || builder().with_attributes(plain.iter().cloned());
    let found = own().build();
    let is_named = found
        .get(&Key::from_static_str("service.name"))
        .is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    match name {
        Some(name) => own().with_service_name(name.to_owned()).build(),
        None if is_named => found,
        None => own().with_service_name(SERVICE).build(),
    }
}

/// Sends what is left, for a moment at most. Call it at the end of the process, and not from a thread of the runtime.
pub fn finish() {
    if let Some(traces) = TRACES.get() {
        // Whatever is wrong with the collector was logged before.
        let _ = traces.provider.shutdown_with_timeout(LAST_SPANS);
    }
}

/// A request that was answered, or came to no answer.
#[derive(Debug)]
pub struct TracedRequest<'a> {
    /// The operation, such as `search`.
    pub operation: &'static str,
    /// What names it in the log.
    pub id: RequestId,
    /// The client's address.
    pub client: std::net::IpAddr,
    /// The result code; `None`: it did not finish.
    pub code: Option<u8>,
    /// Entries that were returned, by a search.
    pub entries: Option<u64>,
    /// authentik's names for the requests that were made to it for this one.
    pub authentik: &'a [String],
    /// How long it took.
    pub took: Duration,
}

/// Makes the span of a request that has just ended.
pub fn record(request: &TracedRequest<'_>) {
    let Some(Traces { tracer, .. }) = TRACES.get() else {
        return;
    };
    let end = SystemTime::now();
    let begin = end.checked_sub(request.took).unwrap_or(end);
    let mut attributes = vec![
        KeyValue::new("ldap.operation", request.operation),
        KeyValue::new("akldap.request_id", request.id.to_string()),
        KeyValue::new("client.address", request.client.to_string()),
    ];
    if let Some(code) = request.code {
        attributes.push(KeyValue::new("ldap.result_code", i64::from(code)));
    }
    if let Some(entries) = request.entries {
        attributes.push(KeyValue::new(
            "ldap.entries",
            i64::try_from(entries).unwrap_or(i64::MAX),
        ));
    }
    if !request.authentik.is_empty() {
        let ids: Vec<StringValue> = request.authentik.iter().cloned().map(StringValue::from).collect();
        attributes.push(KeyValue::new(
            "authentik.request_ids",
            Value::Array(Array::String(ids)),
        ));
    }
    let mut span = tracer
        .span_builder(format!("LDAP {}", request.operation))
        .with_kind(SpanKind::Server)
        .with_start_time(begin)
        .with_attributes(attributes)
        .start_with_context(tracer, &Context::new());
    if is_fault(request.code) {
        span.set_status(Status::error(""));
    }
    span.end_with_timestamp(end);
}

/// Whether a result is the server's failure, and not an answer that the client may well expect: operationsError, busy, unavailable
/// and other (RFC 4511 appendix A).
fn is_fault(code: Option<u8>) -> bool {
    matches!(code, None | Some(1 | 51 | 52 | 80))
}
