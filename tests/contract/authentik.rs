//! authentik's API as we ask it: queries, faults and flows against a scripted server, and what a real one answered.

mod api;
mod flow;
mod passwords;
mod recordings;
