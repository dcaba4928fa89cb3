//! Sends spans over HTTP, with the trust and the time limits of this server. Must not know what is sent.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use akldap_authentik::tls::{AuthoritiesFile, Trust, client_config};
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::error::TraceError;
use crate::logging::WithCauses;

/// How long one batch may take: the default of OTLP.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much is read of an answer, which says how many spans were refused.
const MAX_ANSWER: usize = 1 << 20;

/// The client of the collector.
#[derive(Debug)]
pub(super) struct Sender {
    client: reqwest::Client,
    /// The thread that collects spans is not one of the runtime's.
    runtime: Handle,
    /// Whether the last batch failed.
    failing: Mutex<bool>,
}

impl Sender {
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, TraceError> {
        let tls = client_config(&Trust::Authorities {
            system: true,
            ca_file: ca_file.map(|path| AuthoritiesFile {
                path,
                option: "OTEL_EXPORTER_OTLP_CERTIFICATE",
            }),
        })?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            runtime: Handle::current(),
            failing: Mutex::default(),
        })
    }

    /// Logs once that the collector accepts nothing, and once that it does again.
    fn tell(&self, result: &Result<Response<Bytes>, HttpError>) {
        let problem = match result {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered with status {}", answer.status())),
            Err(error) => Some(WithCauses(error.as_ref()).to_string()),
        };
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match (&problem, *failing) {
            (Some(error), false) => {
                tracing::warn!(
                    error,
                    "spans cannot be sent to the OpenTelemetry collector and are lost"
                );
            }
            (None, true) => tracing::info!("spans are sent to the OpenTelemetry collector again"),
            _ => {}
        }
        *failing = problem.is_some();
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = exchange(self.client.clone(), request);
        let result = match self.runtime.spawn(sent).await {
            Ok(result) => result,
            Err(error) => Err(error.into()),
        };
        self.tell(&result);
        result
    }
}

async fn exchange(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(reqwest::Request::try_from(request)?).await?;
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("the collector's answer is too large".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
