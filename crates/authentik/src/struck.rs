//! Secrets in texts of others: authentik, or a proxy, may repeat what it was sent.
//!
//! Knows the spellings in which answers repeat a value. Must not know what the texts are about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::excerpt::excerpt;

/// Octets of the shortest value that is looked for by itself: a shorter one is in nearly every text.
const LEAST: usize = 4;
/// What stands for a secret.
const STRUCK: &str = "[struck out]";
/// The mark of a text that was cut off.
const CUT: char = '…';
/// Octets of an answer that are looked at for an excerpt of it, which is much shorter.
const LOOKED_AT: usize = 64 << 10;

/// The values that must not be in a text.
#[derive(Default)]
pub struct Secrets {
    /// In every spelling, longest first.
    spellings: Vec<Zeroizing<String>>,
    /// Those too short to be told from the text around them. A text that has one as a word is not quoted.
    short: Vec<Zeroizing<String>>,
}

impl Secrets {
    /// The spellings of these values; what is not UTF-8 was never sent to authentik.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut spellings, mut short) = (Vec::new(), Vec::new());
        for value in values {
            let Ok(value) = std::str::from_utf8(value) else {
                continue;
            };
            if !value.is_empty() && value.len() < LEAST {
                short.push(Zeroizing::new(value.to_owned()));
            }
            // Most texts are put on one line before they get here.
            let line = Zeroizing::new(value.split_whitespace().collect::<Vec<_>>().join(" "));
            for value in [value, &line] {
                spell(value, &mut spellings);
            }
        }
        spellings.retain(|spelling: &Zeroizing<String>| spelling.len() >= LEAST);
        spellings.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.as_str().cmp(b)));
        spellings.dedup();
        Self { spellings, short }
    }

    /// The beginning of a text on one line, without them.
    pub(crate) fn excerpt(&self, text: &str) -> String {
        let end = (0..=text.len().min(LOOKED_AT))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        let mut text = text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        self.strike(&mut text);
        let mut text = excerpt(&text);
        self.strike(&mut text);
        text
    }

    /// Strikes them out, also where the text ends in the middle of one.
    pub fn strike(&self, text: &mut String) {
        if self.short.iter().any(|secret| is_word(text, secret)) {
            STRUCK.clone_into(text);
            return;
        }
        for secret in &self.spellings {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), STRUCK);
            }
        }
        if !text.contains(CUT) {
            return;
        }
        let mut parts: Vec<&str> = text.split(CUT).collect();
        let last = parts.pop();
        let mut whole = String::with_capacity(text.len());
        for part in parts {
            let begun = self
                .spellings
                .iter()
                .filter_map(|secret| begun(part, secret))
                .max();
            match begun.and_then(|octets| part.get(..part.len() - octets)) {
                Some(before) => whole.extend([before, STRUCK]),
                None => whole.push_str(part),
            }
            whole.push(CUT);
        }
        whole.push_str(last.unwrap_or_default());
        *text = whole;
    }
}

/// Adds the spellings of a value.
fn spell(value: &str, spellings: &mut Vec<Zeroizing<String>>) {
    let json = json(value);
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    spellings.extend([
        Zeroizing::new(form.replace('+', "%20")),
        Zeroizing::new(form),
        Zeroizing::new(STANDARD.encode(value)),
    ]);
    for text in [
        value.to_owned(),
        ascii(&json),
        json.replace('/', "\\/"),
        // Go's spelling.
        json.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
        json.to_string(),
    ] {
        for spelling in [
            html(&text, "&quot;", "&#x27;"),
            html(&text, "&quot;", "&#39;"),
            html(&text, "&#34;", "&#39;"),
            text,
        ] {
            // An excerpt in an error is quoted a second time.
            let quoted = Zeroizing::new(format!("{spelling:?}"));
            let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
            spellings.extend([Zeroizing::new(inner.to_owned()), Zeroizing::new(spelling)]);
        }
    }
}

/// Whether the value is in the text with no letter or digit beside it.
fn is_word(text: &str, value: &str) -> bool {
    text.match_indices(value).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text
            .get(at + value.len()..)
            .and_then(|after| after.chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

/// How many octets of the secret's beginning the text ends with, if they are enough to matter.
fn begun(text: &str, secret: &str) -> Option<usize> {
    let lengths = secret.char_indices().map(|(at, _)| at);
    let ends = |octets: &usize| secret.get(..*octets).is_some_and(|begin| text.ends_with(begin));
    lengths.rev().filter(|octets| *octets >= LEAST).find(ends)
}

/// As in a JSON string.
fn json(value: &str) -> Zeroizing<String> {
    let quoted = Zeroizing::new(serde_json::to_string(value).unwrap_or_default());
    let inner = quoted.get(1..quoted.len().saturating_sub(1));
    Zeroizing::new(inner.unwrap_or_default().to_owned())
}

/// A JSON string as Python writes it by default.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let units = character.encode_utf16(&mut [0; 2]).to_vec();
            out.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

/// As in a page of HTML; spellings of quotes differ.
fn html(value: &str, quote: &str, apostrophe: &str) -> String {
    let mut out = String::new();
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str(quote),
            '\'' => out.push_str(apostrophe),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_struck_out_in_every_spelling_and_where_it_is_cut_off() {
        let secret = "zoë's \"<pass>\" &  co\\";
        let secrets = Secrets::of([secret.as_bytes(), b"xyz"]);
        for repeated in [
            secret,
            "zoë's \"<pass>\" & co\\",
            r#"zoë's \"<pass>\" &  co\\"#,
            r#"zo\u00eb's \"<pass>\" & co\\"#,
            r#"zo\\u00eb's \\\"<pass>\\\" & co\\\\"#,
            "zoë&#x27;s &quot;&lt;pass&gt;&quot; &amp; co\\",
            "zoë&#39;s &quot;&lt;pass&gt;&quot; &amp;  co\\",
            r#"zoë's \"\u003cpass\u003e\" \u0026  co\\"#,
            r"zoë&#39;s \&#34;&lt;pass&gt;\&#34; &amp; co\\",
            "zo%C3%AB%27s+%22%3Cpass%3E%22+%26++co%5C",
            "zo%C3%AB%27s%20%22%3Cpass%3E%22%20%26%20%20co%5C",
            &STANDARD.encode(secret),
        ] {
            let mut text = format!("abc: {repeated}, and {repeated}!");
            secrets.strike(&mut text);
            assert_eq!(text, format!("abc: {STRUCK}, and {STRUCK}!"), "{repeated}");
        }
        let mut text = r#"{"password": ["a\bbcd is not it"]}"#.to_owned();
        Secrets::of([&b"a\x08bcd"[..]]).strike(&mut text);
        assert_eq!(text, format!(r#"{{"password": ["{STRUCK} is not it"]}}"#));
        for (cut, wanted) in [
            (
                "it says zoë's \"<p… (request id 7)",
                "it says [struck out]… (request id 7)",
            ),
            ("it says zo…", "it says zo…"),
            ("it says nothing… at all…", "it says nothing… at all…"),
            ("it says nothing", "it says nothing"),
        ] {
            let mut text = cut.to_owned();
            secrets.strike(&mut text);
            assert_eq!(text, wanted);
        }
    }
    #[test]
    fn a_text_with_a_secret_too_short_to_be_struck_out_is_not_quoted() {
        let secrets = Secrets::of([&b"a1"[..], b""]);
        for (text, wanted) in [
            (r#"{"password":"a1"}"#, STRUCK),
            ("a1", STRUCK),
            ("the page is at a11 or ba1", "the page is at a11 or ba1"),
            ("Invalid password", "Invalid password"),
        ] {
            assert_eq!(secrets.excerpt(text), wanted);
        }
    }

    #[test]
    fn an_excerpt_is_cut_after_secrets_are_struck_out() {
        let secret = "correct-horse";
        let secrets = Secrets::of([secret.as_bytes()]);
        for room in 100..200 {
            let text = format!(
                "{}{secret} and more{}",
                "x".repeat(room),
                " and more".repeat(9000)
            );
            let excerpt = secrets.excerpt(&text);
            assert!(!excerpt.contains("co"), "{excerpt}");
            assert!(excerpt.ends_with(CUT), "{excerpt}");
        }
    }
}
