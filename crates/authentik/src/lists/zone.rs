//! How a list is divided among several readers, and where rows can slip from one part into another.
//!
//! Must not know rows or how pages are read.

/// Below this many pages one reader is enough.
const PAGES_FOR_TWO_ZONES: u32 = 4;
/// From this many pages on the list is read in four zones, each seam of which may cost another page.
const PAGES_FOR_FOUR_ZONES: u32 = 16;
/// From this many pages on the list is read in as many zones as there can be readers: the seams are few among
/// them.
const PAGES_FOR_ALL_ZONES: u32 = 400;
/// Consecutive pages read by one reader, from the last to the first.
#[derive(Debug)]
pub(super) struct Zone<K> {
    pub(super) last: u32,
    /// The page to read next; 0 when all are read.
    pub(super) next: u32,
    pub(super) first: u32,
    pub(super) busy: bool,
    pub(super) begun: Option<u64>,
    pub(super) finished: u64,
    /// The highest key of its uppermost page.
    pub(super) top: Option<K>,
}

/// Where rows may have slipped out of an upper zone into pages already read.
#[derive(Debug)]
pub(super) struct Seam<K> {
    /// The page to read next.
    pub(super) page: u32,
    /// What the lower zone had seen at its top: rows that slipped are above it.
    pub(super) seen: Option<K>,
}

/// Cuts the pages `1..=pages` into zones, the uppermost first.
pub(super) fn zones<K>(pages: u32, parallel: usize) -> Vec<Zone<K>> {
    let count = match pages {
        0 => return Vec::new(),
        1..PAGES_FOR_TWO_ZONES => 1,
        PAGES_FOR_TWO_ZONES..PAGES_FOR_FOUR_ZONES => 2.min(parallel),
        PAGES_FOR_FOUR_ZONES..PAGES_FOR_ALL_ZONES => 4.min(parallel),
        _ => parallel,
    };
    let count = u32::try_from(count.max(1)).unwrap_or(1).min(pages);
    (0..count)
        .rev()
        .map(|zone| {
            let first = pages / count * zone + (pages % count).min(zone) + 1;
            let last = pages / count * (zone + 1) + (pages % count).min(zone + 1);
            Zone {
                last,
                next: last,
                first,
                busy: false,
                begun: None,
                finished: 0,
                top: None,
            }
        })
        .collect()
}

/// The seams below zones that were still being read when the one below was begun, the lowest last.
pub(super) fn seams<K: Clone>(zones: &[Zone<K>]) -> Vec<Seam<K>> {
    zones
        .windows(2)
        .filter_map(|pair| match pair {
            [above, below] if below.begun.is_some_and(|begun| begun < above.finished) => Some(Seam {
                page: below.last,
                seen: below.top.clone(),
            }),
            _ => None,
        })
        .rev()
        .collect()
}
