//! The status page at `/`: the state of the server, for an admin who looks. It is rendered here, has no script, loads nothing,
//! and reloads every few seconds.
//!
//! The port has no login, so the page is for this machine and the networks that an option names. What matters is the address
//! that the TCP connection comes from: headers can be invented. A browser there may be led by a page from elsewhere, so the name
//! that it asks for matters too. Must not know LDAP.

mod advice;
mod asked_name;
mod chart;
mod facts;
mod html;
mod sections;
#[cfg(test)]
mod tests;
mod units;

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use ipnet::IpNet;

use crate::outpost::Outpost;

use super::connections::HttpPeer;

use facts::StatusFacts;
use html::Html;

const STYLE: &str = include_str!("status_page/style.css");

/// Who may see the page, and what every answer says to browsers.
#[derive(Debug)]
pub(in crate::server) struct StatusPage {
    networks: Vec<IpNet>,
    hosts: Vec<String>,
    policy: String,
}

impl StatusPage {
    /// For this machine and these networks, under these host names besides addresses and localhost.
    pub(in crate::server) fn new(networks: Vec<IpNet>, hosts: Vec<String>) -> Self {
        let hash = digest::digest(&digest::SHA256, STYLE.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        Self {
            networks,
            hosts,
            policy: format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    }

    fn is_for(&self, peer: HttpPeer) -> bool {
        let Some(address) = peer.0 else {
            return true;
        };
        let address = address.to_canonical();
        address.is_loopback() || self.networks.iter().any(|network| network.contains(&address))
    }

    fn answer(
        &self,
        peer: HttpPeer,
        (uri, headers): (&Uri, &HeaderMap),
        facts: impl FnOnce() -> StatusFacts,
    ) -> Response {
        if !self.is_for(peer) {
            let text = "The status page is for this machine. AUTHENTIK_LDAP__STATUS_NETWORKS opens it to further networks, \
                        such as 10.1.2.0/24.\n";
            return (StatusCode::FORBIDDEN, text).into_response();
        }
        if !asked_name::all_lead_here(uri, headers, &self.hosts) {
            let text = "The status page is not shown under this host name: a web page elsewhere could have let its own name lead here. \
                        Open it by an IP address or as localhost, or add the name to AUTHENTIK_LDAP__STATUS_HOSTS.\n";
            return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
        }
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, self.policy.as_str()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        (headers, render(&facts())).into_response()
    }
}

/// Answers a request for the page.
pub(super) async fn show(
    State(outpost): State<Arc<Outpost>>,
    Extension(page): Extension<Arc<StatusPage>>,
    Extension(peer): Extension<HttpPeer>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    page.answer(peer, (&uri, &headers), || StatusFacts::of(&outpost))
}

fn render(facts: &StatusFacts) -> String {
    let mut html = Html::default();
    html.markup(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"10\"><meta name=\"robots\" content=\"noindex\"><title>",
    );
    html.markup(match (facts.searches, facts.binds) {
        (true, true) => "✔ akldap",
        (true, false) => "! akldap",
        (false, true) if facts.progress.is_some() => "! akldap",
        (false, _) => "✘ akldap",
    });
    html.markup("</title><style>")
        .markup(STYLE)
        .markup("</style></head><body><header><h1>akldap</h1>");
    html.markup("<p class=\"dim small\">version ")
        .text(facts.version)
        .markup(", up for ");
    html.text(units::span(facts.uptime)).markup("</p></header><main>");
    sections::banner(&mut html, facts);
    sections::tiles(&mut html, facts);
    sections::charts(&mut html, facts);
    sections::refusals(&mut html, facts);
    sections::slow_searches(&mut html, facts);
    sections::providers(&mut html, facts);
    sections::refreshes(&mut html, facts);
    sections::certificates(&mut html, facts);
    html.markup("</main></body></html>\n");
    html.finish()
}
