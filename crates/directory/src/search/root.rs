//! The root DSE beside the entries of a tree, for a search of everything below the empty name (RFC 4512 section 5.1).
//!
//! It is sorted and paged with the others, and comes before them where nothing is sorted. Must not know what it says.

use crate::model::number::WrongNumber;
use crate::model::place::{Place, ROOT};
use crate::search::state::{NoMatch, Search};

impl Search {
    /// Whether the root DSE is a match; false also while that is not known, and then it is under way.
    #[cold]
    pub(crate) fn root_matches(&mut self, limit: usize) -> Result<bool, WrongNumber> {
        let Some(root) = &mut self.root else {
            return Ok(false);
        };
        if let Some(matches) = root.matches {
            return Ok(matches);
        }
        root.search.scratch.work = self.scratch.work;
        let found = root.search.next_match(limit);
        self.scratch.work = root.search.scratch.work;
        match found {
            Ok(Some(_)) => root.matches = Some(true),
            Err(NoMatch::Exhausted) => root.matches = Some(false),
            Err(NoMatch::Wrong(wrong)) => return Err(wrong),
            Ok(None) => self.under_way = Some(ROOT),
        }
        Ok(root.matches == Some(true))
    }

    #[cold]
    pub(crate) fn write_root(&mut self, out: &mut Vec<u8>, message_id: u32) -> Result<(), WrongNumber> {
        if let Some(root) = &mut self.root {
            root.search.scratch.work = 0;
            root.search.write(Place::FIRST, out, message_id)?;
            let written = root.search.scratch.work;
            self.scratch.work += written;
            self.bounds.earn(written);
            self.entries += 1;
            self.last = Some(ROOT);
        }
        Ok(())
    }
}
