//! Pagination: sizes, numbers and the errors of both.

use std::fmt::Write;

use super::query::Query;
use super::reply::Reply;

/// The tenant's two settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) default: usize,
    pub(crate) max: usize,
}

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    current: usize,
    pages: usize,
    count: usize,
    size: usize,
}

impl Page {
    /// Reads `page` and `page_size`.
    pub(crate) fn of(query: &Query, count: usize, sizes: Sizes) -> Result<Self, Reply> {
        let size = query
            .get("page_size")
            .and_then(|text| text.trim().parse::<usize>().ok())
            .filter(|size| *size > 0)
            .unwrap_or(sizes.default)
            .min(sizes.max)
            .max(1);
        let pages = count.div_ceil(size).max(1);
        let current = match query.get("page").filter(|text| !text.is_empty()) {
            None => Some(1),
            Some("last") => Some(pages),
            Some(text) => text.trim().parse::<usize>().ok(),
        };
        match current {
            Some(current) if (1..=pages).contains(&current) => Ok(Self {
                current,
                pages,
                count,
                size,
            }),
            _ => Err(Reply::detail(404, "Invalid page.")),
        }
    }

    /// Positions of the rows.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        let start = (self.current - 1) * self.size;
        start..(start + self.size).min(self.count)
    }

    /// The rows of this page among `all`.
    pub(crate) fn slice<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        all.get(self.range()).unwrap_or_default()
    }

    /// The answer around rows that `write` appends; this function adds commas and everything else.
    pub(crate) fn write<T>(&self, rows: &[T], mut write: impl FnMut(&mut String, &T)) -> String {
        const TYPICAL_ROW: usize = 1800;
        let range = self.range();
        let next = if self.current < self.pages {
            self.current + 1
        } else {
            0
        };
        let (start, end) = if self.count == 0 {
            (0, 0)
        } else {
            (range.start + 1, range.end)
        };
        let mut out = String::with_capacity(256 + rows.len() * TYPICAL_ROW);
        let _ = write!(
            out,
            "{{\"pagination\":{{\"next\":{next},\"previous\":{},\"count\":{},\"current\":{},\"total_pages\":{},\
             \"start_index\":{start},\"end_index\":{end}}},\"results\":[",
            self.current - 1,
            self.count,
            self.current,
            self.pages,
        );
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write(&mut out, row);
        }
        out.push_str("],\"autocomplete\":{}}");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes {
        default: 20,
        max: 100,
    };

    fn page(query: &str, count: usize) -> Option<(usize, std::ops::Range<usize>)> {
        Page::of(&Query::parse(query), count, SIZES)
            .ok()
            .map(|page| (page.pages, page.range()))
    }

    #[test]
    fn sizes_fall_back_and_are_capped() {
        for (query, size) in [
            ("", 20),
            ("page_size=0", 20),
            ("page_size=-1", 20),
            ("page_size=abc", 20),
            ("page_size=", 20),
        ] {
            assert_eq!(page(query, 79), Some((4, 0..size)), "{query}");
        }
        assert_eq!(page("page_size=5000", 250), Some((3, 0..100)));
        assert_eq!(page("page_size=1", 79), Some((79, 0..1)));
    }

    #[test]
    fn pages_outside_are_refused() {
        for query in ["page=0", "page=5", "page=-1", "page=x"] {
            assert_eq!(page(query, 79), None, "{query}");
        }
        assert_eq!(page("page=last", 79), Some((4, 60..79)));
        assert_eq!(page("page=1", 0), Some((1, 0..0)));
    }
}
