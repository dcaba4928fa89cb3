//! What the official outpost answers, replayed: 568 searches recorded in front of an authentik with 48 users and 13
//! groups, in both search modes. Each is answered the same, order included, or a rule of the table of differences says
//! why not.
//!
//! In `tests/recordings/official-2025.10/`, `searches-*.json` has each search and the keys of the entries of its answer, in their order; `entries.json` those
//! entries by key; `directory.json` the users and groups. `AKLDAP_WRITE_DOCS=1` writes the table of differences again.

mod compared;
mod recording;
mod replay;
mod rules;
