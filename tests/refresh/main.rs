//! How the directory keeps up with authentik: whole, soon, cheaply, and whatever fails.

#![allow(unreachable_pub, reason = "the harness is written as a library")]
#![allow(dead_code, reason = "the harness serves other tests too")]

use akldap_testing::{captured_log, certificates, client, stage};

mod changes;
mod continuous;
mod faults;
mod load;
mod miss;
mod names;
mod poison;
mod releases;
mod scenery;
mod stream;
