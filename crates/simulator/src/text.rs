//! Text as authentik treats it, that is, as Python and PostgreSQL do.

/// What Python's `str.strip` leaves: besides Unicode's white space it removes the four separators U+001C to U+001F.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(|character: char| {
        character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
    })
}

/// A form that two names share exactly if PostgreSQL's `UPPER` makes them the same, which Django's `iexact` compares:
/// each character becomes at most one other.
pub(crate) fn upper(name: &str) -> String {
    fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
        mapped.next().filter(|_| mapped.next().is_none())
    }
    name.chars()
        .map(|character| {
            single(character.to_uppercase())
                // Where Rust has several characters, the few that also have a single one share their lower case.
                .or_else(|| single(character.to_lowercase()))
                .unwrap_or(character)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_pythons() {
        assert_eq!(strip("\u{1f} a\u{200b}b\u{85}\u{a0}\u{1c}"), "a\u{200b}b");
        assert_eq!(strip("\u{200b}"), "\u{200b}");
    }

    #[test]
    fn case_is_folded_one_character_for_one() {
        for (one, other) in [
            ("alıce", "ALICE"),
            ("ſaß", "SAß"),
            ("ΣΑΣ", "σας"),
            ("ǅ", "ǆ"),
            ("ᾳ", "ᾼ"),
            ("ÿ", "Ÿ"),
            ("µ", "μ"),
        ] {
            assert_eq!(upper(one), upper(other), "{one} {other}");
        }
        for (one, other) in [
            ("\u{212a}", "k"),
            ("ß", "ss"),
            ("ẞ", "ß"),
            ("İ", "i"),
            ("ﬁ", "fi"),
            ("é", "e\u{301}"),
        ] {
            assert_ne!(upper(one), upper(other), "{one} {other}");
        }
    }
}
