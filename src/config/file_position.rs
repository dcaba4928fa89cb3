//! Where something is in a configuration file. Knows nothing about what is there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A position in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// The file, as it was named.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl fmt::Display for FilePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// The lines of a file.
pub(super) struct FileLines<'t> {
    file: Arc<Path>,
    text: &'t str,
    /// Where each line begins, in octets.
    lines: Vec<usize>,
}

impl<'t> FileLines<'t> {
    pub(super) fn new(file: PathBuf, text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        Self {
            file: file.into(),
            text,
            lines: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// The whole file.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// The position after this many octets.
    pub(super) fn at(&self, octets: usize) -> FilePosition {
        let line = self.lines.partition_point(|start| *start <= octets);
        let start = line
            .checked_sub(1)
            .and_then(|line| self.lines.get(line))
            .copied()
            .unwrap_or(0);
        let before = self.text.get(start..octets.min(self.text.len())).unwrap_or("");
        FilePosition {
            file: Arc::clone(&self.file),
            line,
            column: before.chars().count() + 1,
        }
    }
}
