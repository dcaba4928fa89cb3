//! Whether a list holds as many rows as it promises: with each page authentik says how many there are, and whether another page follows.
//! Knows the numbers of pages; must not know what is listed.

use akldap_authentik::Pagination;

/// Rows that may be missing at the end of a list: they can be deleted between two questions that authentik asks its database for a page.
const DELETED_MEANWHILE: u64 = 10;

/// The rows of a list so far.
#[derive(Debug, Default)]
pub(super) struct PromisedRows {
    received: u64,
}

impl PromisedRows {
    /// The rows that came.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Counts the rows of the next page.
    ///
    /// # Errors
    /// In words, when no list has such a page: a reader who waited for what it promises would wait for ever, or miss rows.
    pub(super) fn add(&mut self, pagination: &Pagination, rows: usize) -> Result<(), String> {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(rows);
        let (received, count, goes_on) = (self.received, pagination.count, pagination.next != 0);
        let promised = format!("of the {count} rows that it promises");
        if goes_on && rows == 0 {
            Err(format!("{received} {promised} arrived, then an empty page"))
        } else if goes_on && received >= count {
            Err(format!(
                "{received} {promised} arrived, and it announces another page"
            ))
        } else if !goes_on && (rows == 0 && count > 0 || received.saturating_add(DELETED_MEANWHILE) < count) {
            Err(format!("it ends after {received} {promised}"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pages: &[(u64, u64, usize)]) -> Result<(), String> {
        let mut list = PromisedRows::default();
        pages.iter().try_for_each(|(count, next, rows)| {
            let pagination = Pagination {
                count: *count,
                next: *next,
                ..Pagination::default()
            };
            list.add(&pagination, *rows)
        })
    }

    #[test]
    fn lists_that_change_while_they_are_read_keep_their_promise() {
        for pages in [
            &[(0, 0, 0)][..],
            &[(1, 0, 1)],
            &[(250, 2, 100), (250, 3, 100), (250, 0, 50)],
            &[(250, 2, 100), (251, 3, 100), (251, 0, 51)],
            // Some are deleted: the last page is shorter by those that moved to a page already read.
            &[(250, 2, 100), (190, 0, 90)],
            &[(250, 2, 100), (200, 0, 97)],
        ] {
            assert_eq!(read(pages), Ok(()), "{pages:?}");
        }
    }

    #[test]
    fn what_no_list_does_is_told() {
        let told = |pages: &[(u64, u64, usize)]| read(pages).expect_err("a fault");
        assert_eq!(
            told(&[(100_000, 2, 0)]),
            "0 of the 100000 rows that it promises arrived, then an empty page"
        );
        assert!(told(&[(100_000, 2, 100), (100_000, 3, 0)]).starts_with("100 of the 100000 rows"));
        assert!(told(&[(3, 2, 3)]).ends_with("and it announces another page"));
        assert!(told(&[(3, 2, 1), (3, 3, 1), (3, 4, 1)]).starts_with("3 of the 3"));
        for broken in [
            &[(100_000, 0, 100)][..],
            &[(100_000, 0, 0)],
            &[(5, 0, 0)],
            &[(250, 2, 100), (250, 0, 100)],
        ] {
            assert!(told(broken).starts_with("it ends after"), "{broken:?}");
        }
    }
}
