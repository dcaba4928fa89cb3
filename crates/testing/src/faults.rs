//! What can go wrong with any request to authentik, whatever it is about.
//!
//! Knows the faults of connections, proxies and workers. Must not know which requests a test makes; faults that affect only some
//! requests only appear in the test that makes them.

use akldap_simulator::Fault;

/// A fault of each kind that every request can meet.
pub fn of_every_request() -> [Fault; 12] {
    [
        Fault::Reset,
        Fault::Answer(500, "text/html", "<html>Server Error</html>"),
        Fault::WorkerLost,
        Fault::Hang,
        Fault::Forbidden,
        Fault::NotFound,
        Fault::EmptyBody,
        Fault::BadGateway,
        Fault::Starting,
        Fault::Truncated,
        Fault::BrokenOff,
        Fault::WrongContentType,
    ]
}
