//! What a reading showed, ready to be made into a directory, and what has to be reported about its rows.
//!
//! Must not know how it was read.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::groups::GroupRows;
use super::split::UnreadableRow;
use crate::page::RowWarning;
use crate::timestamp::Timestamp;
use crate::user::User;

/// The users already known. These questions are all that a reader asks of a directory.
pub trait KnownUsers: Send + Sync {
    /// Why they cannot be given.
    type Error: Send;

    /// The primary keys of all of them, ascending.
    fn pks(&self) -> Vec<i64>;

    /// Whether a user is among them.
    fn has(&self, pk: i64) -> bool;

    /// Others who have the name of this one.
    ///
    /// # Errors
    /// When that cannot be known: "nobody" would be a different answer.
    fn namesakes(&self, user: &User) -> Result<Vec<i64>, Self::Error>;

    /// Whether they are exactly the result of the last reading, with nobody added or removed since.
    fn is_as_read(&self) -> bool;
}

/// Takes the rows of the whole list of users as they come, so that none need be kept.
pub trait UserRows: Send + Sync {
    /// Takes one.
    fn add(&mut self, user: &User);

    /// Of those taken, the ones whose name another user has as well; these are given by name and pk.
    fn namesakes(&self, others: &HashMap<&str, i64>) -> Vec<i64>;
}

/// What to do to what is known, or to the rows just taken.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Users that are gone.
    pub gone: BTreeSet<i64>,
    /// Users changed or new, the one changed last at the end.
    pub changed: Vec<User>,
    /// Users that cannot be shown, and stay as they were known before.
    pub kept: BTreeSet<i64>,
    /// All groups.
    pub groups: GroupRows,
    /// When the rows were last changed that the newest look showed to have changed recently, including those already known
    /// that way.
    pub dates: HashMap<i64, Timestamp>,
    /// What was read about users is not older than this.
    pub read: Instant,
}

/// When the newest look was taken, and how long looks took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookTimes {
    /// Our clock when the newest look began: what is read shows everything that changed before.
    pub made: SystemTime,
    /// How long the longest look took, the search for deleted users before it included.
    pub longest: Duration,
    /// Two looks showed the same, so what is read was there at one moment. Otherwise it is what the newest look showed of a
    /// directory that kept changing.
    pub settled: bool,
}

/// Something odd in the lists. `Display` is a whole sentence for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A row, or a field of one, was left out.
    Row(RowWarning),
    /// authentik cannot show a row.
    Unreadable {
        /// What is listed; may name the order, if not by pk.
        kind: &'static str,
        /// Where in the list it is.
        position: String,
    },
}

impl Oddity {
    pub(super) fn rows(skipped: Vec<RowWarning>) -> impl Iterator<Item = Self> {
        skipped.into_iter().map(Self::Row)
    }

    pub(super) fn unreadable<K: fmt::Display>(
        kind: &'static str,
        rows: &[UnreadableRow<K>],
    ) -> impl Iterator<Item = Self> {
        rows.iter().map(move |row| {
            let position = match (&row.after, &row.before) {
                (Some(after), Some(before)) => format!("between the pks {after} and {before}"),
                (Some(after), None) => format!("after the pk {after}"),
                (None, Some(before)) => format!("before the pk {before}"),
                (None, None) => "at an unknown position".to_owned(),
            };
            Self::Unreadable { kind, position }
        })
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(warning) => warning.fmt(f),
            Self::Unreadable { kind, position } => write!(
                f,
                "authentik answers 500 for a {kind} {position}: the last known version of it is served, if \
                 there is one. A number of more than 64 bits in its attributes causes this; correct it in \
                 authentik"
            ),
        }
    }
}
