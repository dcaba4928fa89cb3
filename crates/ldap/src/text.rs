//! Prepares text for comparison: RFC 4518 as it works in practice.
//!
//! ASCII takes a fast path; everything else is mapped, put in NFKC and fully case-folded with current Unicode tables
//! (RFC 4518 names Unicode 3.2, which would refuse today's names). Never an error: octets that are not UTF-8 are
//! compared as they are, their ASCII letters folded. Names of accounts and of entries are folded in case and in nothing
//! else ([`fold_case`]): authentik distinguishes users whose names differ in normalisation, width, invisible characters
//! or spaces. Must not know attributes or syntaxes.

use std::borrow::Cow;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::steps;

/// Where a piece of text is in what it is compared with; decides which of its outer spaces matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The whole value: outer spaces are insignificant.
    Whole,
    /// The start of a value (`initial` of a substring filter).
    Initial,
    /// Anywhere inside (`any`).
    Any,
    /// The end of a value (`final`).
    Final,
}

/// The form of a whole value in which two values are equal exactly if caseIgnoreMatch (RFC 4517 4.2.11) says so:
/// lower case, inner runs of space as one space, no outer space.
#[must_use]
pub fn fold(value: &[u8]) -> Cow<'_, [u8]> {
    steps::add(value.len());
    if is_folded(value) {
        return Cow::Borrowed(value);
    }
    let mut folded = Vec::with_capacity(value.len());
    fold_into(&mut folded, value, Position::Whole);
    Cow::Owned(folded)
}

/// Appends the folded form of `value`, a whole value or a part of one, to `out`.
pub fn fold_into(out: &mut Vec<u8>, value: &[u8], position: Position) {
    let start = out.len();
    steps::add(value.len());
    if value.is_ascii() {
        squeeze_ascii(out, value, position);
        return;
    }
    match std::str::from_utf8(value) {
        Ok(text) => {
            let folded = fold_unicode(text);
            squeeze(out, &folded, position);
        }
        Err(_) => {
            out.extend_from_slice(value);
            if let Some(tail) = out.get_mut(start..) {
                tail.make_ascii_lowercase();
            }
        }
    }
}

/// The form of a name in which two names are equal exactly if they differ only in case: simple case folding as Unicode
/// defines it (`CaseFolding.txt`, status C and S), character by character, which is also how authentik's own outpost
/// compares (Go's `strings.EqualFold`). Nothing else is folded.
#[must_use]
pub fn fold_case(value: &[u8]) -> Cow<'_, [u8]> {
    steps::add(value.len());
    // With no early exit the compiler looks at many octets at once.
    let changes = value.iter().fold(false, |changes, octet| {
        changes | !octet.is_ascii() | octet.is_ascii_uppercase()
    });
    if !changes {
        return Cow::Borrowed(value);
    }
    let mut folded = Vec::with_capacity(value.len());
    fold_case_into(&mut folded, value);
    Cow::Owned(folded)
}

/// Appends the form of [`fold_case`] of a name, or of a part of one, to `out`.
pub fn fold_case_into(out: &mut Vec<u8>, value: &[u8]) {
    steps::add(value.len());
    if value.is_ascii() {
        out.extend(value.iter().map(u8::to_ascii_lowercase));
        return;
    }
    let mut buffer = [0; 4];
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            out.extend_from_slice(fold_character(character).encode_utf8(&mut buffer).as_bytes());
        }
        out.extend_from_slice(chunk.invalid());
    }
}

/// The simple case folding of a character: the lower case of its upper case, where each is one character.
fn fold_character(character: char) -> char {
    fn single(mut characters: impl Iterator<Item = char>) -> Option<char> {
        characters.next().filter(|_| characters.next().is_none())
    }
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    // Only Turkish folds this letter to an i (status T); Unicode's default leaves it alone.
    if character == 'ı' {
        return character;
    }
    let upper = single(character.to_uppercase()).unwrap_or(character);
    single(upper.to_lowercase()).unwrap_or(upper)
}

/// Like [`fold`], but upper and lower case stay different (caseExactMatch, RFC 4517 4.2.4).
#[must_use]
pub fn prepare_exact(value: &[u8]) -> Cow<'_, [u8]> {
    let mut prepared = Vec::with_capacity(value.len());
    prepare_exact_into(&mut prepared, value, Position::Whole);
    if prepared == value {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(prepared)
    }
}

/// Like [`fold_into`], but upper and lower case stay different.
pub fn prepare_exact_into(out: &mut Vec<u8>, value: &[u8], position: Position) {
    match std::str::from_utf8(value) {
        Ok(text) => {
            steps::add(value.len());
            let prepared: String = text.chars().filter_map(map).nfkc().filter_map(map).collect();
            squeeze(out, &prepared, position);
        }
        Err(_) => out.extend_from_slice(value),
    }
}

/// True when folding would change nothing, judged for ASCII only.
fn is_folded(value: &[u8]) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_graphic() & !octet.is_ascii_uppercase();
    if value.first().is_some_and(|&first| !is_plain(first)) {
        return false;
    }
    // With no early exit the compiler looks at eight octets at once.
    let all_plain = |octets: &&[u8; 8]| octets.iter().fold(true, |all, &octet| all & is_plain(octet));
    let eights = value.as_chunks().0.iter().take_while(all_plain).count();
    let mut previous = b'.';
    for &octet in value.get(8 * eights..).unwrap_or_default() {
        if !is_plain(octet) && (octet != b' ' || previous == b' ') {
            return false;
        }
        previous = octet;
    }
    previous != b' '
}

fn squeeze_ascii(out: &mut Vec<u8>, value: &[u8], position: Position) {
    let mut spaces = Spaces::new(position);
    let mut rest = value;
    while let Some(&first) = rest.first() {
        let size = rest.iter().take_while(|octet| octet.is_ascii_graphic()).count();
        let (word, behind) = rest.split_at_checked(size.max(1)).unwrap_or_default();
        rest = behind;
        match first {
            _ if size > 0 => {
                if spaces.before_text() {
                    out.push(b' ');
                }
                out.extend(word.iter().map(u8::to_ascii_lowercase));
            }
            b' ' | b'\t'..=b'\r' => spaces.space(),
            // Other control characters vanish.
            _ => {}
        }
    }
    if spaces.at_end() {
        out.push(b' ');
    }
}

fn squeeze(out: &mut Vec<u8>, text: &str, position: Position) {
    let mut spaces = Spaces::new(position);
    let mut buffer = [0; 4];
    for character in text.chars() {
        if character == ' ' {
            spaces.space();
        } else {
            if spaces.before_text() {
                out.push(b' ');
            }
            out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        }
    }
    if spaces.at_end() {
        out.push(b' ');
    }
}

/// Which spaces survive (RFC 4518 section 2.6.1).
struct Spaces {
    position: Position,
    pending: bool,
    text_seen: bool,
}

impl Spaces {
    fn new(position: Position) -> Self {
        Self {
            position,
            pending: false,
            text_seen: false,
        }
    }

    fn space(&mut self) {
        self.pending = true;
    }

    fn before_text(&mut self) -> bool {
        let inner = self.text_seen || matches!(self.position, Position::Any | Position::Final);
        let keep = self.pending && inner;
        self.pending = false;
        self.text_seen = true;
        keep
    }

    fn at_end(&self) -> bool {
        self.pending
            && match self.position {
                Position::Whole | Position::Final => false,
                Position::Initial => self.text_seen,
                Position::Any => true,
            }
    }
}

/// Folding and normalisation are repeated until nothing changes: a fold can leave characters that compose once more.
const MAX_FOLD_ROUNDS: usize = 4;

fn fold_unicode(text: &str) -> String {
    let mut folded: String = text.chars().filter_map(map).nfkc().collect();
    for _ in 0..MAX_FOLD_ROUNDS {
        let next: String = folded
            .chars()
            .default_case_fold()
            .nfd()
            .nfkc()
            .filter_map(map)
            .collect();
        steps::add(folded.len() + next.len());
        if next == folded {
            break;
        }
        folded = next;
    }
    folded
}

/// The mapping step (RFC 4518 section 2.2): some characters become a space, some vanish.
fn map(character: char) -> Option<char> {
    match character {
        '\u{9}'..='\u{d}' | '\u{85}' => Some(' '),
        '\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{3000}' => Some(' '),
        '\u{ad}'
        | '\u{34f}'
        | '\u{1806}'
        | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2063}'
        | '\u{206a}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0001}'
        | '\u{e0020}'..='\u{e007f}' => None,
        control if control.is_control() => None,
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        String::from_utf8(fold(text.as_bytes()).into_owned()).unwrap()
    }

    fn part(text: &str, position: Position) -> String {
        let mut out = Vec::new();
        fold_into(&mut out, text.as_bytes(), position);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn case_and_insignificant_spaces_vanish() {
        assert_eq!(folded("  Alice   Example "), "alice example");
        assert_eq!(folded("a\tb\r\nc\u{7f}\u{1}"), "a b c");
        assert_eq!(folded(""), "");
        assert_eq!(folded("   "), "");
        assert!(matches!(fold(b"alice example"), Cow::Borrowed(_)));
    }

    #[test]
    fn text_beyond_ascii_is_compared_as_people_read_it() {
        assert_eq!(folded("JÜRGEN"), folded("ju\u{308}rgen"));
        assert_eq!(folded("STRASSE"), folded("straße"));
        assert_eq!(folded("ΓΙΏΡΓΟΣ"), folded("γιώργος"));
        assert_eq!(folded("ﬁne"), "fine");
        assert_eq!(folded("\u{212a}elvin"), "kelvin");
        assert_eq!(folded("a\u{ad}b\u{200b}c\u{a0}\u{a0}d"), "abc d");
        assert_eq!(folded("🦀 ẞ"), "🦀 ss");
    }

    #[test]
    fn octets_that_are_not_utf8_stay_comparable() {
        assert_eq!(&*fold(b"A\xff\xfe"), b"a\xff\xfe");
        assert_ne!(fold(b"A\xff"), fold(b"A\xfe"));
    }

    #[test]
    fn parts_keep_the_spaces_that_count() {
        assert_eq!(part(" a ", Position::Initial), "a ");
        assert_eq!(part(" a ", Position::Any), " a ");
        assert_eq!(part(" a ", Position::Final), " a");
        assert_eq!(part("  ", Position::Any), " ");
        assert_eq!(part("É ", Position::Initial), "é ");
    }

    #[test]
    fn exact_preparation_keeps_case_only() {
        assert_eq!(&*prepare_exact(b"  Alice   Example "), b"Alice Example");
        assert_eq!(
            prepare_exact("u\u{308}".as_bytes()),
            prepare_exact("ü".as_bytes())
        );
        assert_ne!(prepare_exact("Ü".as_bytes()), prepare_exact("ü".as_bytes()));
        assert_eq!(&*prepare_exact(b"A\xff"), b"A\xff");
    }

    #[test]
    fn names_are_folded_in_case_and_nothing_else() {
        let folded = |text: &str| String::from_utf8(fold_case(text.as_bytes()).into_owned()).unwrap();
        for (one, other) in [
            ("Alice", "ALICE"),
            ("ZOË", "zoë"),
            ("ΓΙΏΡΓΟΣ", "γιώργος"),
            ("\u{212a}elvin", "kelvin"),
            ("ẞ", "ß"),
            ("a\u{308}", "A\u{308}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [
            ("ａlice", "alice"),
            ("al\u{200b}ice", "alice"),
            ("al\u{ad}ice", "alice"),
            ("al\u{0}ice", "alice"),
            ("zoë", "zoe\u{308}"),
            ("straße", "strasse"),
            ("ﬁne", "fine"),
            ("a  b", "a b"),
            (" a", "a"),
            ("a\u{a0}b", "a b"),
            ("а", "a"),
            ("İ", "i"),
            ("ı", "i"),
        ] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
        assert!(matches!(fold_case(b"alice  example"), Cow::Borrowed(_)));
        assert_eq!(&*fold_case(b"A\xffB\xc3"), b"a\xffb\xc3");
    }

    /// Compared with the full folding of another library, for every character: they differ only where that gives several
    /// characters.
    #[test]
    fn case_is_folded_as_unicode_has_it() {
        for character in '\0'..=char::MAX {
            let folded = fold_character(character);
            assert_eq!(fold_character(folded), folded, "{character:?}");
            let mut full = std::iter::once(character).default_case_fold();
            if let (Some(full), None) = (full.next(), full.next()) {
                assert_eq!(fold_character(full), folded, "{character:?}");
            }
            let mut of_folded = std::iter::once(folded).default_case_fold();
            if let (Some(full), None) = (of_folded.next(), of_folded.next())
                && folded != character
            {
                assert_eq!(
                    fold_character(full),
                    folded,
                    "{character:?} and {folded:?} differ in more than case"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn names_fold_piece_by_piece(one in "\\PC{0,8}", other in "\\PC{0,8}") {
            let whole = format!("{one}{other}");
            let mut pieces = Vec::new();
            fold_case_into(&mut pieces, one.as_bytes());
            fold_case_into(&mut pieces, other.as_bytes());
            prop_assert_eq!(&*fold_case(whole.as_bytes()), pieces.as_slice());
            prop_assert_eq!(&*fold_case(&pieces), pieces.as_slice());
        }

        #[test]
        fn folding_is_idempotent(text in "\\PC{0,12}") {
            let once = fold(text.as_bytes()).into_owned();
            let twice = fold(&once).into_owned();
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn the_ascii_path_agrees_with_the_unicode_path(text in "[ -~\t]{0,16}") {
            let mut unicode = Vec::new();
            squeeze(&mut unicode, &fold_unicode(&text), Position::Whole);
            let ascii = fold(text.as_bytes());
            prop_assert_eq!(&*ascii, unicode.as_slice());
        }
    }
}
