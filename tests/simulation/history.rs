//! What something was over time: values and the moments from which they applied. Questions are about spans, including
//! their ends.

use crate::time::Time;

/// A value over time.
#[derive(Clone, Debug)]
pub struct History<T>(Vec<(Time, T)>);

impl<T> History<T> {
    pub fn new(at: Time, value: T) -> Self {
        Self(vec![(at, value)])
    }

    pub fn set(&mut self, at: Time, value: T) {
        self.0.push((at, value));
    }

    pub fn now(&self) -> &T {
        &self.0.last().expect("there is a first value").1
    }

    /// The value at a moment; `None` before the first.
    pub fn at(&self, moment: Time) -> Option<&T> {
        let mut earlier = self.0.iter().rev();
        earlier
            .find(|(began, _)| *began <= moment)
            .map(|(_, value)| value)
    }

    /// The values that held at some moment of a span.
    pub fn during(&self, from: Time, to: Time) -> impl Iterator<Item = &T> {
        self.spans()
            .filter(move |(began, ended, _)| *began <= to && from <= *ended)
            .map(|(.., value)| value)
    }

    /// Each value with the moments from which and until which it held.
    pub fn spans(&self) -> impl DoubleEndedIterator<Item = (Time, Time, &T)> {
        self.0.iter().enumerate().map(|(index, (began, value))| {
            let ended = self.0.get(index + 1).map_or(Time::MAX, |(next, _)| *next);
            (*began, ended, value)
        })
    }

    /// Whether there has been another value since a moment.
    pub fn changed_since(&self, moment: Time) -> bool {
        self.spans().any(|(began, ..)| began > 0 && began >= moment)
    }

    /// The moments of a span in which another value began.
    pub fn changes(&self, from: Time, to: Time) -> impl Iterator<Item = Time> {
        let began = self.0.iter().map(|(began, _)| *began);
        began.filter(move |began| from < *began && *began <= to)
    }

    /// Since when something has held without a break, looking back from a moment; `None`: it does not hold then.
    pub fn since(&self, moment: Time, holds: impl Fn(&T) -> bool) -> Option<Time> {
        let mut since = None;
        for (began, ended, value) in self.spans().rev() {
            if began > moment {
                continue;
            }
            if !holds(value) {
                // A value that ended at this very moment may still be what was seen.
                if ended == moment && since.is_none() {
                    continue;
                }
                break;
            }
            since = Some(began);
        }
        since
    }
}
