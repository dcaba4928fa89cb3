//! Sets of words for labels, and counters for each word of a set. All of a set are there from the start, as zero, so that the
//! first event is an increase. No word comes from a client.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// A word of a fixed set.
pub trait Word: Copy + fmt::Debug + Send + Sync + 'static {
    /// The label that these words are the values of.
    const LABEL: &'static str;
    /// All of them.
    const ALL: &'static [Self];

    /// The word.
    fn as_str(self) -> &'static str;
}

/// Defines a set of words as an enum.
macro_rules! words {
    ($(#[$about:meta])* $name:ident as $label:literal { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $crate::metrics::words::Word for $name {
            const LABEL: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl prometheus_client::encoding::EncodeLabelValue for $name {
            fn encode(
                &self,
                encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
            ) -> Result<(), std::fmt::Error> {
                prometheus_client::encoding::EncodeLabelValue::encode(
                    &$crate::metrics::words::Word::as_str(*self),
                    encoder,
                )
            }
        }
    };
}
pub(super) use words;

/// A counter for each word of a set. Clones share their counts.
#[derive(Debug, Clone)]
pub(super) struct WordCounts<W> {
    counts: Arc<[AtomicU64]>,
    words: PhantomData<W>,
}

impl<W: Word> Default for WordCounts<W> {
    fn default() -> Self {
        Self {
            counts: W::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            words: PhantomData,
        }
    }
}

impl<W: Word + PartialEq> WordCounts<W> {
    /// Counts one more.
    pub(super) fn inc(&self, word: W) {
        self.add(word, 1);
    }

    /// Counts this many more.
    pub(super) fn add(&self, word: W, more: u64) {
        if let Some(count) = self.count(word) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// How many were counted.
    pub(super) fn get(&self, word: W) -> u64 {
        self.count(word).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How many were counted for all words together.
    pub(super) fn total(&self) -> u64 {
        self.counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    fn count(&self, word: W) -> Option<&AtomicU64> {
        let position = W::ALL.iter().position(|known| *known == word)?;
        self.counts.get(position)
    }
}

impl<W: Word> EncodeMetric for WordCounts<W> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (word, count) in W::ALL.iter().zip(&*self.counts) {
            let labels = [(W::LABEL, word.as_str())];
            let count = count.load(Ordering::Relaxed);
            encoder
                .encode_family(&labels)?
                .encode_counter::<prometheus_client::encoding::NoLabelSet, u64, u64>(&count, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}
