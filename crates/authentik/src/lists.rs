//! authentik's lists of users and groups, read while they change: everything once, then what changed since.
//!
//! Knows paging, how many pages to ask for at once, what to do about a page that cannot be read whole, how deleted users
//! are found, and when looks at a changing list agree. Must not know when to read, what a directory is made of, or what is
//! served.
//!
//! A [`ListReader`] returns [`Changes`]. Whoever shows them says so, and the next look begins there:
//!
//! ```
//! use std::collections::{BTreeMap, HashMap};
//!
//! use akldap_authentik::lists::{KnownUsers, ListReader, Lists, Looked, ScanOptions, UserRows};
//! use akldap_authentik::{Client, Settings, User};
//! use akldap_simulator::{Directory, Options, Simulator};
//!
//! /// A directory of names by pk.
//! #[derive(Clone, Default)]
//! struct Names(BTreeMap<i64, String>);
//!
//! impl UserRows for Names {
//!     fn add(&mut self, user: &User) {
//!         self.0.insert(user.pk, user.username.clone());
//!     }
//!     fn namesakes(&self, others: &HashMap<&str, i64>) -> Vec<i64> {
//!         let is_namesake = |(pk, name): (&i64, &String)| {
//!             others.get(name.as_str()).filter(|other| *other != pk).map(|_| *pk)
//!         };
//!         self.0.iter().filter_map(is_namesake).collect()
//!     }
//! }
//!
//! impl KnownUsers for Names {
//!     type Error = std::convert::Infallible;
//!
//!     fn pks(&self) -> Vec<i64> {
//!         self.0.keys().copied().collect()
//!     }
//!     fn has(&self, pk: i64) -> bool {
//!         self.0.contains_key(&pk)
//!     }
//!     fn namesakes(&self, user: &User) -> Result<Vec<i64>, Self::Error> {
//!         Ok(UserRows::namesakes(self, &HashMap::from([(user.username.as_str(), user.pk)])))
//!     }
//!     fn is_as_read(&self) -> bool {
//!         true
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let authentik = Simulator::start(Directory::sample(60, 12), Options::default()).await?;
//! let client = Client::new(Settings::new(authentik.url().parse()?, authentik.token().into()))?;
//! let lists = Lists { source: &client, options: ScanOptions::default(), page_size: 25 };
//! let mut reader = ListReader::default();
//!
//! let first = reader.whole(&lists, || None::<Names>, Names::default).await?;
//! let mut names = first.ground;
//! first.changes.changed.iter().for_each(|user| names.add(user));
//! assert!(names.0.values().any(|name| name == "alice"));
//! reader.shown(first.progress, |pk| names.has(pk));
//!
//! let carol = i64::from(authentik.create_user("carol", "Carol", ""));
//! let Looked::Changed(second) = reader.changes(&lists, Some(names)).await? else {
//!     panic!("carol is new");
//! };
//! let new: Vec<i64> = second.changes.changed.iter().map(|user| user.pk).collect();
//! assert_eq!(new, [carol]);
//! # Ok(())
//! # }
//! ```

mod changes;
mod deletions;
mod error;
mod groups;
mod look;
mod names;
mod options;
mod parallel;
mod reader;
mod scan;
mod settling;
mod source;
mod split;
mod whole;
mod zone;

pub use changes::{Changes, KnownUsers, LookTimes, Oddity, UserRows};
pub use error::{ChangesError, ReadError, ScanError};
pub use groups::GroupRows;
pub use look::sort_by_date;
pub use options::{PageRequest, ScanOptions};
pub use reader::{ListReader, Looked, Reading, ReadingProgress};
pub use scan::{Opening, Scan, ScanSummary};
pub use source::{ListSource, Lists, ReadingPhase, ReceivedPage};
pub use split::UnreadableRow;
