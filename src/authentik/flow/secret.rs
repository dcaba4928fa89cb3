//! Taking `password;code` apart, exactly as authentik's own outpost does, so that nobody's login changes meaning.

/// Between password and code.
const SEPARATOR: char = ';';
/// Bytes of a TOTP code as it is typed.
const TOTP_BYTES: usize = 6;
/// Bytes of a static token.
const STATIC_BYTES: usize = 8;

/// What there is to answer challenges with.
#[derive(Clone)]
pub(super) struct Attempt<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    /// What a code challenge is answered with.
    pub(super) code: Option<&'a str>,
    /// Whether that code was given as such (and not just the whole input of a provider without MFA support).
    pub(super) code_given: bool,
    /// The whole input, when it was taken apart and has not been tried as the password.
    whole: Option<&'a str>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(username: &'a str, input: &'a str, mfa_support: bool) -> Self {
        let plain = Self {
            username,
            password: input,
            code: None,
            code_given: false,
            whole: None,
        };
        if !mfa_support {
            // Both the password and a code are the whole input.
            return Self {
                code: Some(input),
                ..plain
            };
        }
        match split(input) {
            Some((password, code)) => Self {
                password,
                code: Some(code),
                code_given: true,
                whole: Some(input),
                ..plain
            },
            None => plain,
        }
    }

    /// Turns to the whole input as password, once: a password may end in what looks like a code.
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

/// Splits at the last separator if what follows could be a code.
fn split(input: &str) -> Option<(&str, &str)> {
    let (password, code) = input.rsplit_once(SEPARATOR)?;
    (is_totp(code) || is_static(code)).then_some((password, code))
}

/// Six bytes that Go's `Atoi` takes: decimal digits, perhaps after a sign.
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
        for (input, expected) in table {
            assert_eq!(split(input), expected, "{input:?}");
            let attempt = Attempt::new("u", input, true);
            assert_eq!(
                (attempt.password, attempt.code),
                expected.map_or((input, None), |(p, c)| (p, Some(c)))
            );
            assert_eq!(attempt.code_given, expected.is_some());
            let whole = Attempt::new("u", input, false);
            assert_eq!(
                (whole.password, whole.code, whole.code_given),
                (input, Some(input), false)
            );
        }
    }

    #[test]
    fn the_whole_is_tried_once() {
        let mut attempt = Attempt::new("u", "pw;123456", true);
        assert!(attempt.take_whole());
        assert_eq!((attempt.password, attempt.code), ("pw;123456", None));
        assert!(!attempt.take_whole());
        assert!(!Attempt::new("u", "pw", true).take_whole());
        assert!(!Attempt::new("u", "pw;123456", false).take_whole());
    }
}
