//! LDIF (RFC 2849) without folded lines.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use akldap_testing::client::Entry;

/// The entries in their order, attributes and values in theirs.
pub fn write(entries: &[Entry]) -> String {
    let mut out = String::from("version: 1\n");
    for entry in entries {
        out.push('\n');
        line(&mut out, "dn", entry.dn.as_bytes());
        for (name, values) in &entry.attributes {
            // LDIF cannot say that an attribute was sent without values.
            if values.is_empty() {
                let _ = writeln!(out, "# {name} has no values");
            }
            for value in values {
                line(&mut out, name, value);
            }
        }
    }
    out
}

fn line(out: &mut String, name: &str, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok("") => out.push_str(&format!("{name}:\n")),
        Ok(text) if is_safe(text) => out.push_str(&format!("{name}: {text}\n")),
        _ => {
            // The reader of the file is told what was encoded.
            if let Ok(text) = std::str::from_utf8(value) {
                let _ = writeln!(out, "# {name}: {}", text.escape_debug());
            }
            out.push_str(&format!("{name}:: {}\n", STANDARD.encode(value)));
        }
    }
}

/// `SAFE-STRING` of RFC 2849 without control characters, and no space at the end.
fn is_safe(text: &str) -> bool {
    !text.starts_with([' ', ':', '<'])
        && !text.ends_with(' ')
        && text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

#[test]
fn values_are_encoded_where_they_must_be() {
    let encoded = |value: &str| {
        let mut out = String::new();
        line(&mut out, "a", value.as_bytes());
        out
    };
    assert_eq!(encoded("plain: <value>"), "a: plain: <value>\n");
    assert_eq!(encoded(""), "a:\n");
    for value in [" x", ":x", "<x", "x ", "x\ny", "ü", "\0"] {
        assert!(
            encoded(value).contains(&format!("a:: {}\n", STANDARD.encode(value))),
            "{value:?}"
        );
    }
}
