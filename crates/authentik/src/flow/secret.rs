//! Splitting `password;code`, by the rule of the authentik that judges it, so that nobody's login changes meaning.

/// Between password and code.
const SEPARATOR: char = ';';
/// Bytes of a TOTP code as it is typed.
const TOTP_BYTES: usize = 6;
/// Bytes of a static token.
const STATIC_BYTES: usize = 8;

/// How `password;code` is split. It follows the release of authentik, like authentik's own outpost of that release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeRule {
    /// Before 2026.5.4, and if the release is unknown: only what looks like a code is one, six digits or eight
    /// letters and digits after the last `;`.
    ByForm {
        /// Whether the whole is tried as the password when authentik refused what comes before the code. A password may look
        /// as if it had a code; a wrong one then counts twice in authentik.
        second_try: bool,
    },
    /// From 2026.5.4 on: whatever follows the last `;` is the code, of any length.
    LastSeparator,
}

impl Default for CodeRule {
    fn default() -> Self {
        Self::ByForm { second_try: true }
    }
}

/// What is available to answer challenges with.
#[derive(Clone)]
pub(super) struct Inputs<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    /// What a code challenge is answered with.
    pub(super) code: Option<&'a str>,
    /// Whether that code was given as such (and not just the whole input of a provider without MFA support).
    pub(super) code_given: bool,
    /// The whole input, if it was split and has not been tried as the password.
    whole: Option<&'a str>,
}

impl CodeRule {
    /// Whether a bind with this as the whole secret is judged by only a part of it, so that it cannot be anybody's password.
    pub fn never_whole(self, input: &str) -> bool {
        self != Self::ByForm { second_try: true } && split(input, self).is_some()
    }
}

impl<'a> Inputs<'a> {
    /// A password and nothing else: no part of it is sent as a code.
    pub(super) fn password_only(username: &'a str, password: &'a str) -> Self {
        Self {
            username,
            password,
            code: None,
            code_given: false,
            whole: None,
        }
    }

    /// `rule`: `None` for a provider without MFA support.
    pub(super) fn new(username: &'a str, input: &'a str, rule: Option<CodeRule>) -> Self {
        let plain = Self::password_only(username, input);
        let Some(rule) = rule else {
            // Both the password and a code are the whole input.
            return Self {
                code: Some(input),
                ..plain
            };
        };
        match split(input, rule) {
            Some((password, code)) => Self {
                password,
                code: Some(code),
                code_given: true,
                whole: Some(input).filter(|_| rule == CodeRule::ByForm { second_try: true }),
                ..plain
            },
            None => plain,
        }
    }

    /// Switches to the whole input as password, once: a password may end in something that looks like a code.
    pub(super) fn take_whole(&mut self) -> bool {
        match self.whole.take() {
            Some(whole) => {
                (self.password, self.code, self.code_given) = (whole, None, false);
                true
            }
            None => false,
        }
    }
}

/// Splits at the last separator if what follows is a code by the rule.
fn split(input: &str, rule: CodeRule) -> Option<(&str, &str)> {
    let (password, code) = input.rsplit_once(SEPARATOR)?;
    let is_code = match rule {
        CodeRule::ByForm { .. } => is_totp(code) || is_static(code),
        CodeRule::LastSeparator => !code.is_empty(),
    };
    is_code.then_some((password, code))
}

/// Six bytes that Go's `Atoi` accepts: decimal digits, perhaps after a sign.
fn is_totp(code: &str) -> bool {
    let digits = code.strip_prefix(['+', '-']).unwrap_or(code);
    code.len() == TOTP_BYTES && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_static(code: &str) -> bool {
    code.len() == STATIC_BYTES && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_split_as_officially() {
        let table: [(&str, Option<(&str, &str)>); 22] = [
            ("pw;123456", Some(("pw", "123456"))),
            ("pw;+12345", Some(("pw", "+12345"))),
            ("pw;-12345", Some(("pw", "-12345"))),
            ("pw;abcd2345", Some(("pw", "abcd2345"))),
            ("pw;ABcd2345", Some(("pw", "ABcd2345"))),
            ("pw;12345678", Some(("pw", "12345678"))),
            ("a;b;123456", Some(("a;b", "123456"))),
            (";123456", Some(("", "123456"))),
            ("pw;;123456", Some(("pw;", "123456"))),
            ("pw", None),
            ("", None),
            (";", None),
            ("pw;", None),
            ("pw;12345", None),
            ("pw;1234567", None),
            ("pw;12345a", None),
            ("pw;1_2345", None),
            ("pw;++1234", None),
            ("pw; 12345", None),
            ("pw;abcd-345", None),
            ("pw;é3456", None),
            ("123456;pw", None),
        ];
        let rule = CodeRule::default();
        for (input, expected) in table {
            assert_eq!(split(input, rule), expected, "{input:?}");
            let inputs = Inputs::new("u", input, Some(rule));
            assert_eq!(
                (inputs.password, inputs.code),
                expected.map_or((input, None), |(p, c)| (p, Some(c)))
            );
            assert_eq!(inputs.code_given, expected.is_some());
            let whole = Inputs::new("u", input, None);
            assert_eq!(
                (whole.password, whole.code, whole.code_given),
                (input, Some(input), false)
            );
        }
    }

    #[test]
    fn from_2026_5_4_on_everything_after_the_last_separator_is_the_code() {
        let table: [(&str, Option<(&str, &str)>); 11] = [
            ("pw;123456", Some(("pw", "123456"))),
            ("pw;abcdefghijkl", Some(("pw", "abcdefghijkl"))),
            ("pw;1", Some(("pw", "1"))),
            ("pw; 12345", Some(("pw", " 12345"))),
            ("pw;é", Some(("pw", "é"))),
            ("a;b;c", Some(("a;b", "c"))),
            (";123456", Some(("", "123456"))),
            ("pw", None),
            ("pw;", None),
            ("a;pw;", None),
            ("", None),
        ];
        for (input, expected) in table {
            let mut inputs = Inputs::new("u", input, Some(CodeRule::LastSeparator));
            let parts = expected.map_or((input, None), |(password, code)| (password, Some(code)));
            assert_eq!((inputs.password, inputs.code), parts, "{input:?}");
            assert!(!inputs.take_whole(), "{input:?}");
        }
    }

    #[test]
    fn the_whole_is_tried_once() {
        let by_form = |second_try| Some(CodeRule::ByForm { second_try });
        let mut inputs = Inputs::new("u", "pw;123456", by_form(true));
        assert!(inputs.take_whole());
        assert_eq!((inputs.password, inputs.code), ("pw;123456", None));
        assert!(!inputs.take_whole());
        assert!(!Inputs::new("u", "pw", by_form(true)).take_whole());
        assert!(!Inputs::new("u", "pw;123456", by_form(false)).take_whole());
        assert!(!Inputs::new("u", "pw;123456", None).take_whole());
    }
}
