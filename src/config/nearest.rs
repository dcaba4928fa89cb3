//! The option somebody probably meant.

use super::options::{OPTION_PREFIX, OPTIONS};

/// The known option nearest to a name that nothing reads, if any resembles it.
pub(crate) fn nearest_option(name: &str) -> Option<&'static str> {
    /// A third of a name wrong is a different name, not a slip.
    const RESEMBLING_PART: usize = 3;
    let tail = name
        .strip_prefix(OPTION_PREFIX)
        .unwrap_or(name)
        .to_ascii_uppercase();
    OPTIONS
        .iter()
        .map(|setting| {
            let known = setting
                .variable
                .strip_prefix(OPTION_PREFIX)
                .unwrap_or(setting.variable);
            (edit_distance(&tail, known), known.len(), setting.variable)
        })
        .min()
        .filter(|(distance, length, _)| *distance <= (*length / RESEMBLING_PART).max(1))
        .map(|(_, _, variable)| variable)
}

/// The Levenshtein distance: how many letters must be added, dropped or changed.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut before = line + 1;
        next.push(before);
        for ((other, diagonal), above) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(letter != *other))
                .min(above + 1)
                .min(before + 1);
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
