//! What is recorded, written down or promised, compared with what is served: the answers of a real authentik and of its own LDAP
//! outpost, the attributes of every entry, the directory built the slow way, and the pages that name tests. The simulator, which
//! the other tests use as authentik, is compared with the same recordings.

#![allow(unreachable_pub, reason = "modules that share are written as libraries")]

mod authentik;
mod golden;
mod logs_page;
mod metrics;
mod official;
mod readiness_page;
mod search_oracle;
mod security_page;
mod simulator;
