//! What authentik calls the requests that are made to it on behalf of one of ours, so that its log can be found from ours.
//!
//! Must not know who listens, nor what is asked.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

/// The header of each answer of authentik's own in which the id is.
pub(crate) const REQUEST_ID: &str = "x-authentik-id";
/// The most ids that are kept: a login takes a handful of requests, and one that goes in circles a hundred.
const MAX_IDS: usize = 128;

tokio::task_local! {
    static LISTENING: RequestIds;
}

/// The ids that were heard.
#[derive(Clone, Debug, Default)]
pub struct RequestIds(Arc<Mutex<Vec<String>>>);

impl RequestIds {
    /// Carries out `work` and keeps the ids of all requests in it.
    pub fn of<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        LISTENING.scope(self.clone(), work)
    }

    /// The ids so far.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Notes an id, if anybody is listening. It is looked up only then.
pub(crate) fn note(id: impl FnOnce() -> Option<String>) {
    let _ = LISTENING.try_with(|ids| {
        let mut ids = ids.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < MAX_IDS {
            ids.extend(id());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ids_are_kept_where_somebody_listens_and_not_without_end() {
        note(|| panic!("nobody listens"));
        let ids = RequestIds::default();
        ids.of(async {
            for number in 0..MAX_IDS + 1 {
                note(|| Some(number.to_string()));
            }
        })
        .await;
        assert_eq!(ids.take().len(), MAX_IDS);
        assert!(ids.take().is_empty());
    }
}
