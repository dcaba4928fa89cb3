//! The filters and tests that a template calls, with their positions: the engine looks for them only when it reaches one, so a misspelt
//! name in a branch that is seldom taken would be found only by the entry it fails for.
//!
//! Knows the marks of Jinja; must not know which filters and tests there are.

/// What a template calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalledWord<'s> {
    /// `value | NAME`, or `{% filter NAME %}`.
    Filter(&'s str),
    /// `value is NAME`, or `value is not NAME`.
    Test(&'s str),
}

/// Everything that a template calls, each with its position in octets, in order.
pub(super) fn in_template(source: &str) -> Vec<(usize, CalledWord<'_>)> {
    let (mut found, mut at, mut is_raw) = (Vec::new(), 0, false);
    while let Some((start, mark)) = next_mark(source, at) {
        // A sign right after a mark trims the blanks before it.
        let sign = source
            .get(start + 2..)
            .is_some_and(|rest| rest.starts_with(['-', '+']));
        let inner = start + 2 + usize::from(sign);
        if mark == "{#" {
            at = end_of(source, inner, "#}");
            continue;
        }
        let (words, end) = block(source, inner, if mark == "{{" { "}}" } else { "%}" });
        at = end;
        let first = words.first().map(|word| word.text);
        match (mark, first) {
            ("{%", Some("raw")) => is_raw = true,
            ("{%", Some("endraw")) => is_raw = false,
            _ if is_raw => at = inner,
            _ => called(&words, mark == "{%", &mut found),
        }
    }
    found
}

/// The next beginning of an expression, a statement or a comment.
fn next_mark(source: &str, from: usize) -> Option<(usize, &str)> {
    let rest = source.get(from..)?;
    let marks = ["{{", "{%", "{#"].iter();
    let start = from + marks.filter_map(|mark| rest.find(mark)).min()?;
    Some((start, source.get(start..start + 2)?))
}

fn end_of(source: &str, from: usize, mark: &str) -> usize {
    let rest = source.get(from..).unwrap_or_default();
    rest.find(mark)
        .map_or(source.len(), |end| from + end + mark.len())
}

/// A name or a sign inside an expression or a statement.
struct BlockWord<'s> {
    at: usize,
    text: &'s str,
    is_name: bool,
}

/// The words up to the end of an expression or statement, without what is in quotation marks; and where that end is.
fn block<'s>(source: &'s str, from: usize, end: &str) -> (Vec<BlockWord<'s>>, usize) {
    let (mut words, mut at) = (Vec::new(), from);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(end) {
            return (words, at + end.len());
        }
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        let Some(first) = rest.chars().next() else { break };
        let length = match first {
            '"' | '\'' => quoted(rest, first),
            first if is_part(first) => rest.find(|character| !is_part(character)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let text = rest.get(..length).unwrap_or(rest);
        if !first.is_whitespace() && !matches!(first, '"' | '\'') {
            let is_name = is_part(first);
            words.push(BlockWord { at, text, is_name });
        }
        at += text.len();
    }
    (words, source.len())
}

/// How long a text in quotation marks is, including them.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            character if character == mark => return at + character.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn called<'s>(words: &[BlockWord<'s>], is_statement: bool, found: &mut Vec<(usize, CalledWord<'s>)>) {
    let name = |index: usize| words.get(index).filter(|word| word.is_name);
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| words.get(before));
        let begins_filter = word.text == "|" || (is_statement && index == 0 && word.text == "filter");
        if let (true, Some(filter)) = (begins_filter, name(index + 1)) {
            found.push((filter.at, CalledWord::Filter(filter.text)));
        }
        if word.text == "is" && before.is_some_and(|before| before.text != ".") {
            let test = match name(index + 1) {
                Some(not) if not.text == "not" => name(index + 2),
                test => test,
            };
            found.extend(test.map(|test| (test.at, CalledWord::Test(test.text))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CalledWord::{Filter, Test};
    use super::*;

    #[test]
    fn filters_and_tests_are_found_wherever_they_are_called() {
        let called = |source| -> Vec<CalledWord<'_>> {
            in_template(source).into_iter().map(|(_, word)| word).collect()
        };
        assert_eq!(
            called("{{ a | lower|first }}"),
            [Filter("lower"), Filter("first")]
        );
        assert_eq!(
            called("{% if a is not defined and b is string %}{{ b|x('|y') }}{% else %}{{ a-}} | no"),
            [Test("defined"), Test("string"), Filter("x")]
        );
        assert_eq!(
            called("{%- filter upper -%}a | b{% endfilter %}"),
            [Filter("upper")]
        );
        assert_eq!(
            called("{# a | b #}{% raw %}{{ a | b }}{% endraw %}{{ c | d }}"),
            [Filter("d")]
        );
        assert_eq!(called("{{ attributes.is }}{{ 'is odd' }}{{ a['x|y'] }}"), []);
        assert_eq!(in_template("ä{{ a | b }}"), [(9, Filter("b"))]);
        // What is not closed is not a template, and is reported as such.
        for source in ["{{", "{% if", "{{ 'a", "{{ a |", "{#", "{{ a is", "{{ \"\\"] {
            in_template(source);
        }
    }
}
