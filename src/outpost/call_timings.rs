//! How calls to authentik come to be counted. Must not know what for.

use std::sync::Arc;

use crate::metrics::Metrics;
use akldap_authentik::flow::{FlowMethod, FlowObserver, FlowStep};
use akldap_authentik::{Call, CallObserver};

/// Counts calls to authentik, and under the official names the steps of flows.
pub(super) struct CallTimings(pub(super) Arc<Metrics>);

impl FlowObserver for CallTimings {
    fn step(&self, step: &FlowStep<'_>) {
        match step.method {
            FlowMethod::Get => self.0.flow_get(step.component, step.flow, step.duration),
            FlowMethod::Post => self.0.flow_post(step.component, step.flow, step.duration),
        }
    }
}

impl CallObserver for CallTimings {
    fn called(&self, call: &Call) {
        let status = call.outcome.to_string();
        self.0.authentik().called(call.endpoint, status, call.duration);
    }
}
