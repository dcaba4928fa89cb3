//! Text that others chose, such as names and answers, on its way to a person: without what moves a terminal's cursor or turns the
//! direction of writing, and of a length that can be read. Knows characters; must not know what the text is about.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

/// Whether a character ends a line, moves the cursor (C0 and C1 controls), or makes what follows read in another direction
/// (Unicode Standard Annex 9).
#[must_use]
pub fn disturbs(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// The text in one line that disturbs nothing: blanks stand for what ends or moves, U+FFFD for what turns.
#[must_use]
pub fn calm(text: &str) -> Cow<'_, str> {
    if !text.contains(disturbs) {
        return Cow::Borrowed(text);
    }
    let replaced = |character: char| match character {
        character if character.is_control() => ' ',
        character if disturbs(character) => '\u{fffd}',
        character => character,
    };
    text.chars().map(replaced).collect()
}

/// At most so many characters, and a sign that there were more.
#[must_use]
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// JSON on one line, with escapes for what disturbs: it says the same to programs.
#[must_use]
pub fn json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(disturbs) {
        return text;
    }
    // Beyond ASCII there are characters only within strings.
    text.chars().fold(String::new(), |mut out, character| {
        if disturbs(character) {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.push(character);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{9b}2J\u{202e}b\u{2028}\nc\u{7f}";

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_text() {
        assert_eq!(calm(HOSTILE), "a [2J 2J\u{fffd}b\u{fffd} c ");
        assert!(matches!(calm("Zoë, 東京"), Cow::Borrowed(_)));
        let value = serde_json::json!({ "name": HOSTILE });
        let text = json(&value);
        assert!(!text.contains(disturbs), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö…");
    }
}
