//! Which known name somebody probably meant. Knows nothing about what the names are for.

/// The known name nearest to another, if any resembles it.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// If a third of a name is wrong, it is a different name, not a slip.
    const RESEMBLING_PART: usize = 3;
    /// Longer than any name there is. Anything longer is compared with none: the work grows with the
    /// length.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    known
        .map(|known| (strsim::levenshtein(name, known), known.len(), known))
        .min()
        .filter(|(distance, length, _)| *distance <= (*length / RESEMBLING_PART).max(1))
        .map(|(_, _, known)| known)
}
