//! What an outpost finds outside its process: a way to authentik and the time of day. Must not know what either is used
//! for.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use akldap_authentik::transport::Transport;

/// What is outside.
#[derive(Clone)]
pub struct Outside {
    /// The way to authentik; `None`: HTTP, as the configuration says.
    pub transport: Option<Arc<dyn Transport>>,
    /// The time of day.
    pub time_of_day: fn() -> SystemTime,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            transport: None,
            time_of_day: SystemTime::now,
        }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outside").finish_non_exhaustive()
    }
}
