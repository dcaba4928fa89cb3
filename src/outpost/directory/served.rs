//! One directory in every shape that providers have: as it was loaded, and what each shape shows, made from that.
//!
//! Must not know providers, nor which directory is the current one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use akldap_directory::{Shape, Snapshot, Warning, WrongNumber};

/// A directory in all its shapes.
#[derive(Debug)]
pub(super) struct Served {
    /// As it was loaded: who is who, and the default shape.
    pub(super) base: Arc<Snapshot>,
    shaped: Vec<Shaped>,
    /// It is known to have been like this in authentik at one moment. A later look can show that.
    settled: AtomicBool,
}

#[derive(Clone, Debug)]
struct Shaped {
    shape: Arc<Shape>,
    snapshot: Arc<Snapshot>,
}

impl Served {
    /// A directory in these shapes, and what could not be shown so. `settled`: it is known to have been like this in authentik
    /// at one moment. Whatever `before` has of this very directory is kept, and what searches needed from another one there they
    /// will need from this one.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub(super) fn new(
        base: Arc<Snapshot>,
        shapes: &[Arc<Shape>],
        before: Option<&Self>,
        settled: bool,
    ) -> Result<(Self, Vec<Warning>), WrongNumber> {
        let (mut shaped, mut warnings) = (Vec::with_capacity(shapes.len()), Vec::new());
        for shape in shapes {
            let same = before.and_then(|before| before.find(shape));
            let snapshot = match (same, before) {
                (Some(same), Some(before)) if Arc::ptr_eq(&before.base, &base) => Arc::clone(same),
                _ if shape.changes_nothing() => {
                    warnings.extend(base.odd_numbers(shape)?);
                    Arc::clone(&base)
                }
                _ => {
                    let (snapshot, odd) = base.shaped(shape)?;
                    warnings.extend(odd);
                    match same {
                        Some(same) => snapshot.warm_like(same),
                        None => snapshot.warm_usual(),
                    }
                    Arc::new(snapshot)
                }
            };
            let shape = Arc::clone(shape);
            shaped.push(Shaped { shape, snapshot });
        }
        let settled = AtomicBool::new(settled);
        Ok((
            Self {
                base,
                shaped,
                settled,
            },
            warnings,
        ))
    }

    /// A directory in the default shape only.
    pub(super) fn unshaped(base: Snapshot) -> Self {
        Self {
            base: Arc::new(base),
            shaped: Vec::new(),
            settled: AtomicBool::new(false),
        }
    }

    /// Whether it is known to have been like this in authentik at one moment.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Two looks showed it.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// In a shape, of which `None` is the default.
    pub(super) fn in_shape(&self, shape: Option<&Arc<Shape>>) -> Option<&Arc<Snapshot>> {
        shape.map_or(Some(&self.base), |shape| self.find(shape))
    }

    /// Whether these are its shapes besides the default one.
    pub(super) fn has_just(&self, shapes: &[Arc<Shape>]) -> bool {
        self.shaped.iter().map(|shaped| &shaped.shape).eq(shapes)
    }

    fn find(&self, shape: &Arc<Shape>) -> Option<&Arc<Snapshot>> {
        let mut shaped = self.shaped.iter();
        let found = shaped.find(|known| Arc::ptr_eq(&known.shape, shape) || known.shape == *shape);
        found.map(|found| &found.snapshot)
    }

    /// The directory in all its shapes, each once that looks like no other.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = &Arc<Snapshot>> {
        let shaped = self.shaped.iter().map(|shaped| &shaped.snapshot);
        std::iter::once(&self.base).chain(shaped.filter(|snapshot| !Arc::ptr_eq(snapshot, &self.base)))
    }

    /// Whether this is the directory in one of its shapes.
    pub(super) fn includes(&self, snapshot: &Arc<Snapshot>) -> bool {
        self.snapshots().any(|served| Arc::ptr_eq(served, snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_directory::Builder;
    use akldap_directory::shape::Show;
    use akldap_directory::shape::numbers::NumberRange;

    fn hiding(name: &str) -> Arc<Shape> {
        let mut shape = Shape::default();
        shape.users.set(name, Show::Nothing).unwrap();
        Arc::new(shape)
    }

    fn base() -> Arc<Snapshot> {
        Arc::new(Builder::new().finish().unwrap().0)
    }

    #[test]
    fn each_shape_is_made_once_of_one_directory_and_again_of_the_next() {
        let (mail, name) = (hiding("mail"), hiding("name"));
        let first = Served::new(base(), &[Arc::clone(&mail)], None, true).unwrap().0;
        assert!(Arc::ptr_eq(first.in_shape(None).unwrap(), &first.base));
        assert!(first.in_shape(Some(&name)).is_none(), "nobody wanted it");
        let of_mail = first.in_shape(Some(&mail)).unwrap();
        assert!(first.includes(of_mail) && !Arc::ptr_eq(of_mail, &first.base));
        // An equal shape is the same one, wherever it was read.
        assert!(Arc::ptr_eq(
            first.in_shape(Some(&hiding("mail"))).unwrap(),
            of_mail
        ));

        let both = [Arc::clone(&mail), Arc::clone(&name)];
        let more = Served::new(Arc::clone(&first.base), &both, Some(&first), true)
            .unwrap()
            .0;
        assert!(Arc::ptr_eq(more.in_shape(Some(&mail)).unwrap(), of_mail));
        assert!(more.in_shape(Some(&name)).is_some());
        assert!(more.has_just(&both) && !first.has_just(&both));
        assert_eq!(more.snapshots().count(), 3);

        // What is expected of numbers makes no other directory.
        let mut expecting = Shape::default();
        expecting.numbers.uids.expected = NumberRange::read("1000-1999");
        let expecting = Arc::new(expecting);
        let told = Served::new(base(), &[Arc::clone(&expecting)], None, true)
            .unwrap()
            .0;
        assert!(Arc::ptr_eq(told.in_shape(Some(&expecting)).unwrap(), &told.base));
        assert_eq!(told.snapshots().count(), 1);

        let next = Served::new(base(), &both, Some(&more), true).unwrap().0;
        assert!(next.snapshots().all(|snapshot| !more.includes(snapshot)));
    }
}
