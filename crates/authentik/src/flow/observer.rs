//! How long flows take, reported to whoever counts it.

use std::time::Duration;

/// Whether a step began by fetching a challenge or by answering one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowMethod {
    /// `authentik_outpost_flow_timing_get_seconds`.
    Get,
    /// `authentik_outpost_flow_timing_post_seconds`.
    Post,
}

/// One step: a challenge fetched or answered, redirects followed, until the next challenge.
#[derive(Clone, Copy, Debug)]
pub struct FlowStep<'a> {
    /// The flow's slug.
    pub flow: &'a str,
    /// How the step began.
    pub method: FlowMethod,
    /// The component that came, the label `stage` of the metrics; empty when the step failed.
    pub component: &'a str,
    /// How long it took.
    pub duration: Duration,
    /// HTTP requests made in it, redirects included.
    pub requests: u32,
}

/// Somebody who counts steps. Called from within the flow: must not block.
pub trait FlowObserver: Send + Sync {
    /// A step ended.
    fn step(&self, step: &FlowStep<'_>);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl FlowObserver for NoObserver {
    fn step(&self, _step: &FlowStep<'_>) {}
}
