//! How calls to authentik get counted. Must not know what for.

use std::sync::Arc;

use crate::metrics::Metrics;
use akldap_authentik::flow::{FlowMethod, FlowObserver, FlowStep};
use akldap_authentik::{Call, CallObserver};

/// What the names of authentik's components begin with.
const COMPONENTS: [&str; 2] = ["ak-", "xak-"];
/// Octets of the longest of them here; authentik's have 47 at most.
const MAX_COMPONENT: usize = 64;
/// What stands for any other.
const OTHER: &str = "other";

/// Counts calls to authentik, and under the official names the steps of flows.
pub(super) struct CallTimings(pub(super) Arc<Metrics>);

impl FlowObserver for CallTimings {
    fn step(&self, step: &FlowStep<'_>) {
        let stage = stage_label(step.component);
        match step.method {
            FlowMethod::Get => self.0.flow_get(stage, step.flow, step.duration),
            FlowMethod::Post => self.0.flow_post(stage, step.flow, step.duration),
        }
    }
}

/// The component of a stage if it is named as authentik names them: an answer may come from something else, and repeat what was sent.
fn stage_label(component: &str) -> &str {
    let is_name = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    let is_stage = component.is_empty()
        || (COMPONENTS.iter().any(|prefix| component.starts_with(prefix))
            && component.len() <= MAX_COMPONENT
            && component.bytes().all(is_name));
    if is_stage { component } else { OTHER }
}

impl CallObserver for CallTimings {
    fn called(&self, call: &Call) {
        let status = call.outcome.to_string();
        self.0.authentik().called(call.endpoint, status, call.duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_but_a_stages_name_becomes_a_label() {
        for name in [
            "",
            "ak-stage-password",
            "xak-flow-redirect",
            "ak-provider-oauth2-device-code",
        ] {
            assert_eq!(stage_label(name), name);
        }
        let long = format!("ak-stage-{}", "x".repeat(MAX_COMPONENT));
        for text in ["Sesame", "sesame", "ak-stage-Sesame", "ak-stage sesame", &long] {
            assert_eq!(stage_label(text), OTHER, "{text}");
        }
    }
}
