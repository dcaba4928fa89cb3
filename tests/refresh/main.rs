//! How the directory keeps up with authentik: whole, soon, cheaply, and whatever fails; what an outage changes, and what the event
//! stream brings.

#![allow(unreachable_pub, reason = "modules that share are written as libraries")]

mod changes;
mod configuration;
mod continuous;
mod direct_search;
mod events;
mod faults;
mod live_search;
mod load;
mod miss;
mod modes;
mod names;
mod outage;
mod poison;
mod releases;
mod scenery;
mod stream;
