//! What the two entries say that are not part of any provider's tree: the rootDSE and the subschema. Must not know how
//! they are asked about.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use akldap_directory::Shape;
use akldap_directory::rootdse::RootDseReader;
use akldap_directory::subschema::{self, Beyond};

use super::access::Identity;
use super::capabilities::Capabilities;
use super::directory::CurrentDirectory;
use super::providers::Providers;

/// When the schema changed with the attributes that admins give, as its readers see it. A starting server cannot know
/// since when it has been like this: attributes beyond our own schema count as new.
#[derive(Debug, Default)]
struct SchemaChanges(Mutex<Vec<SeenSchema>>);

/// The schema of one shape, and when it changed.
#[derive(Debug)]
struct SeenSchema {
    shape: Option<Arc<Shape>>,
    beyond: Beyond,
    changed: Option<i64>,
}

impl SchemaChanges {
    /// When the schema took its form of `now`, in seconds since 1970; none if there was never anything beyond our own.
    /// Two changes never share a second, and setting the clock back does no harm. What none of the `shapes` has any more
    /// is forgotten.
    fn seen(
        &self,
        shape: Option<&Arc<Shape>>,
        shapes: &[Arc<Shape>],
        beyond: &Beyond,
        now: i64,
    ) -> Option<i64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_needed = |shape: &Arc<Shape>| shapes.contains(shape);
        all.retain(|seen| seen.shape.as_ref().is_none_or(is_needed));
        let position = all.iter().position(|seen| seen.shape.as_ref() == shape);
        let mut last = position.map_or_else(
            || SeenSchema {
                shape: shape.cloned(),
                beyond: Beyond::default(),
                changed: None,
            },
            |position| all.swap_remove(position),
        );
        if last.beyond != *beyond {
            last.beyond.clone_from(beyond);
            let next = |before: i64| now.max(before.saturating_add(1));
            last.changed = Some(last.changed.map_or(now, next));
        }
        let changed = last.changed;
        all.push(last);
        changed
    }
}

/// The name of the entry above what the server says about itself.
pub const MONITOR_DN: &str = "cn=Monitor";

/// The two entries.
pub struct ServerEntries {
    capabilities: Arc<Capabilities>,
    providers: Arc<Providers>,
    directory: Arc<CurrentDirectory>,
    schema_changes: SchemaChanges,
}

impl ServerEntries {
    /// Those of a server that serves these providers and this directory.
    pub(super) fn new(
        capabilities: Arc<Capabilities>,
        providers: Arc<Providers>,
        directory: Arc<CurrentDirectory>,
    ) -> Self {
        Self {
            capabilities,
            providers,
            directory,
            schema_changes: SchemaChanges::default(),
        }
    }

    /// What the rootDSE says to somebody.
    pub fn root_dse(&self, identity: Option<&Identity>) -> subschema::EntryAttributes {
        let reader = match identity {
            Some(identity) => RootDseReader::Bound {
                naming_context: &identity.provider().settings().base_dn,
            },
            None => RootDseReader::Unbound,
        };
        let providers = self.providers.current();
        let passwords = match identity {
            Some(identity) => providers
                .by_pk(identity.provider().pk())
                .is_some_and(|provider| provider.config().password_change.is_on()),
            None => providers
                .iter()
                .any(|provider| provider.config().password_change.is_on()),
        };
        let naming_contexts = self
            .providers
            .current()
            .iter()
            .map(|provider| provider.settings().base_dn.clone())
            .collect();
        let mut root_dse = self.capabilities.root_dse(naming_contexts, passwords);
        root_dse.monitor_context = identity
            .filter(|identity| identity.may_search_everything())
            .map(|_| MONITOR_DN);
        root_dse.attributes(reader)
    }

    /// What the subschema says to somebody. The names that admins give their attributes are only for those who may log in.
    /// `None` where the directory in memory is damaged.
    pub fn subschema(&self, identity: Option<&Identity>) -> Option<subschema::EntryAttributes> {
        let providers = self.providers.current();
        let shape = identity.and_then(|identity| {
            let bound_to = identity.provider();
            let current = providers.by_pk(bound_to.pk());
            current.as_ref().unwrap_or(bound_to).shape().cloned()
        });
        let Some(snapshot) = identity.and_then(|_| self.directory.in_shape(shape.as_ref())) else {
            return Some(subschema::attributes(&Beyond::default(), None));
        };
        let beyond = self.directory.sound(snapshot.beyond_schema())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let changed = self
            .schema_changes
            .seen(shape.as_ref(), &providers.shapes(), &beyond, now);
        Some(subschema::attributes(&beyond, changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_directory::shape::Show;

    #[test]
    fn each_change_of_the_schema_moves_its_time() {
        let beyond = |names: &[&str]| Beyond {
            custom: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Beyond::default()
        };
        let changes = SchemaChanges::default();
        let seen = |beyond: &Beyond, now| changes.seen(None, &[], beyond, now);
        assert_eq!(seen(&beyond(&[]), 100), None);
        assert_eq!(seen(&beyond(&["a"]), 200), Some(200));
        assert_eq!(seen(&beyond(&["a"]), 300), Some(200));
        assert_eq!(seen(&beyond(&["a", "b"]), 300), Some(300));
        // Within the same second, and after the clock was set back.
        assert_eq!(seen(&beyond(&["b"]), 300), Some(301));
        assert_eq!(seen(&beyond(&[]), 7), Some(302));
        let several = Beyond {
            several: vec!["cn"],
            ..Beyond::default()
        };
        assert_eq!(seen(&several, 400), Some(400));
    }
    #[test]
    fn the_schema_of_one_shape_changes_without_that_of_another() {
        let shape = |name: &str| {
            let mut shape = Shape::default();
            shape.users.set(name, Show::Nothing).unwrap();
            Arc::new(shape)
        };
        let named = |name: &str| Beyond {
            custom: vec![name.to_owned()],
            ..Beyond::default()
        };
        let (one, other, changes) = (shape("a"), shape("b"), SchemaChanges::default());
        let both = [Arc::clone(&one), Arc::clone(&other)];
        assert_eq!(changes.seen(Some(&one), &both, &named("x"), 100), Some(100));
        assert_eq!(changes.seen(Some(&other), &both, &named("y"), 200), Some(200));
        assert_eq!(changes.seen(None, &both, &named("z"), 300), Some(300));
        assert_eq!(changes.seen(Some(&one), &both, &named("x"), 400), Some(100));
        assert_eq!(changes.seen(None, &[], &named("z"), 500), Some(300));
        assert_eq!(
            changes.seen(Some(&one), &both, &named("x"), 600),
            Some(600),
            "it was forgotten"
        );
    }
}
