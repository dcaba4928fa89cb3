//! The beginning of a text from somebody else, for a log line or an error.

/// Characters of an answer's body kept for a log line. Enough for a JSON `detail` or a proxy's error title.
const EXCERPT_CHARS: usize = 160;

/// The beginning of a text, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.chars().count() > EXCERPT_CHARS {
            return out.chars().take(EXCERPT_CHARS).chain(['…']).collect();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        let long = "wörd ".repeat(200);
        let short = excerpt(&long);
        assert_eq!(short.chars().count(), EXCERPT_CHARS + 1);
        assert_eq!(excerpt(" a\n\t b "), "a b");
    }
}
