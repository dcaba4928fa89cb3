//! HTML that is put together from fixed markup and escaped text: there is no way to add text that is not escaped. Must not
//! know what the page says.

use std::fmt::{self, Display, Write as _};

use crate::terminal::disturbs;

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup that is in the source.
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, whatever is in it.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing into memory does not fail.
        let _ = write!(MarkupEscaped(&mut self.0), "{text}");
        self
    }

    /// Adds an element that holds text; `start` and `end` are its tags.
    pub(super) fn element(
        &mut self,
        start: &'static str,
        text: impl Display,
        end: &'static str,
    ) -> &mut Self {
        self.markup(start).text(text).markup(end)
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Escapes what is written through it.
struct MarkupEscaped<'a>(&'a mut String);

impl fmt::Write for MarkupEscaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\t' | '\n' => self.0.push(character),
                // Neither can be part of a page, and directions could make it read otherwise.
                character if disturbs(character) => self.0.push('\u{fffd}'),
                character => self.0.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_becomes_markup() {
        let mut html = Html::default();
        html.element("<b>", "<script>alert(\"1\")</script>'&\u{202e}\u{9b}\0", "</b>");
        assert_eq!(
            html.finish(),
            "<b>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;\u{fffd}\u{fffd}\u{fffd}</b>"
        );
    }
}
