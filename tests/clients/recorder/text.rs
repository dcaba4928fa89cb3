//! Requests as one line of text for a reader: what the client asks for, in the words of RFC 4511 and RFC 4515. Octets
//! that are not plain text are shown as `\` and two hexadecimal digits. Passwords are not shown.

use super::message::{ABANDON, BIND, Control, EXTENDED, Element, Message, PAGED, SEARCH, UNBIND, read};

/// The request in words, without its message id. A cookie is shown as `cookie` says.
pub fn request(message: &Message<'_>, cookie: impl Fn(&[u8]) -> String) -> String {
    let operation = message.operation;
    let parts = operation.parts();
    let mut text = match operation.tag {
        BIND => bind(&parts),
        UNBIND => "unbind".to_owned(),
        SEARCH => search(&parts),
        0x66 => modify(&parts),
        0x68 => format!("add {}", first(&parts)),
        0x4a => format!("delete {}", quoted(operation.contents)),
        0x6c => format!("rename {}", first(&parts)),
        0x6e => compare(&parts),
        ABANDON => format!("abandon {}", operation.integer()),
        EXTENDED => extended(&parts),
        other => format!("operation 0x{other:02x}"),
    };
    for control in &message.controls {
        text.push(' ');
        text.push_str(&self::control(control, message, &cookie));
    }
    text
}

fn first(parts: &[Element<'_>]) -> String {
    parts
        .first()
        .map_or_else(String::new, |part| quoted(part.contents))
}

fn bind(parts: &[Element<'_>]) -> String {
    let [version, name, proof, ..] = parts else {
        return "bind, malformed".to_owned();
    };
    let how = match proof.tag {
        0x80 if proof.contents.is_empty() => "without password".to_owned(),
        0x80 => "simple".to_owned(),
        0xa3 => format!("sasl {}", first(&proof.parts())),
        other => format!("choice 0x{other:02x}"),
    };
    format!(
        "bind {} version {} {how}",
        quoted(name.contents),
        version.integer()
    )
}

fn search(parts: &[Element<'_>]) -> String {
    let [
        base,
        scope,
        dereference,
        size,
        time,
        types,
        sought,
        attributes,
        ..,
    ] = parts
    else {
        return "search, malformed".to_owned();
    };
    let name = |names: &[&'static str], value: i64| {
        usize::try_from(value)
            .ok()
            .and_then(|value| names.get(value).copied())
            .unwrap_or("unknown")
    };
    let mut text = format!(
        "search {} {} {} deref {}",
        quoted(base.contents),
        name(&["base", "one", "sub", "below"], scope.integer()),
        filter(*sought),
        name(
            &["never", "searching", "finding", "always"],
            dereference.integer()
        ),
    );
    for (what, value) in [("size", size), ("time", time)] {
        if value.integer() != 0 {
            text.push_str(&format!(" {what} {}", value.integer()));
        }
    }
    if types.contents != [0] {
        text.push_str(" types only");
    }
    let wanted: Vec<String> = attributes
        .parts()
        .iter()
        .map(|attribute| match attribute.contents {
            [] => "\"\"".to_owned(),
            name => escaped(name, b" ,"),
        })
        .collect();
    text.push_str(&format!(" attributes [{}]", wanted.join(" ")));
    text
}

/// A filter as RFC 4515 writes it.
pub fn filter(element: Element<'_>) -> String {
    let parts = element.parts();
    let pair = |sign: &str| match parts.as_slice() {
        [attribute, value, ..] => format!("({}{sign}{})", attribute.text(), assertion(value.contents)),
        _ => "(malformed)".to_owned(),
    };
    match element.tag {
        0xa0 => format!("(&{})", parts.iter().copied().map(filter).collect::<String>()),
        0xa1 => format!("(|{})", parts.iter().copied().map(filter).collect::<String>()),
        0xa2 => format!("(!{})", parts.iter().copied().map(filter).collect::<String>()),
        0xa3 => pair("="),
        0xa4 => substrings(&parts),
        0xa5 => pair(">="),
        0xa6 => pair("<="),
        0x87 => format!("({}=*)", element.text()),
        0xa8 => pair("~="),
        0xa9 => extensible(&parts),
        other => format!("(0x{other:02x})"),
    }
}

fn substrings(parts: &[Element<'_>]) -> String {
    let [attribute, pieces, ..] = parts else {
        return "(malformed)".to_owned();
    };
    let mut text = format!("({}=", attribute.text());
    let pieces = pieces.parts();
    for piece in &pieces {
        if piece.tag != 0x80 {
            text.push('*');
        }
        text.push_str(&assertion(piece.contents));
    }
    if pieces.last().is_none_or(|last| last.tag != 0x82) {
        text.push('*');
    }
    text.push(')');
    text
}

fn extensible(parts: &[Element<'_>]) -> String {
    let find = |tag: u8| parts.iter().find(|part| part.tag == tag);
    let mut text = "(".to_owned();
    text.push_str(&find(0x82).map(|part| part.text()).unwrap_or_default());
    if find(0x84).is_some_and(|part| part.contents != [0]) {
        text.push_str(":dn");
    }
    if let Some(rule) = find(0x81) {
        text.push(':');
        text.push_str(&rule.text());
    }
    text.push_str(":=");
    text.push_str(
        &find(0x83)
            .map(|part| assertion(part.contents))
            .unwrap_or_default(),
    );
    text.push(')');
    text
}

fn compare(parts: &[Element<'_>]) -> String {
    let [entry, assertion, ..] = parts else {
        return "compare, malformed".to_owned();
    };
    match assertion.parts().as_slice() {
        [attribute, value, ..] => format!(
            "compare {} {}={}",
            quoted(entry.contents),
            attribute.text(),
            quoted(value.contents)
        ),
        _ => "compare, malformed".to_owned(),
    }
}

fn modify(parts: &[Element<'_>]) -> String {
    let changes: Vec<String> = parts
        .get(1)
        .map(|changes| changes.parts())
        .unwrap_or_default()
        .iter()
        .map(|change| match change.parts().as_slice() {
            [kind, attribute, ..] => {
                let kind = match kind.integer() {
                    0 => "add",
                    1 => "delete",
                    2 => "replace",
                    _ => "change",
                };
                let name = attribute.parts().first().map(|name| name.text());
                format!("{kind} {}", name.unwrap_or_default())
            }
            _ => "malformed".to_owned(),
        })
        .collect();
    format!("modify {} {}", first(parts), changes.join(", "))
}

fn extended(parts: &[Element<'_>]) -> String {
    let oid = parts.first().map(|part| part.text()).unwrap_or_default();
    let word = match oid.as_str() {
        "1.3.6.1.4.1.1466.20037" => " StartTLS",
        "1.3.6.1.4.1.4203.1.11.1" => " password modify",
        "1.3.6.1.4.1.4203.1.11.3" => " who am I",
        "1.3.6.1.1.8" => " cancel",
        _ => "",
    };
    match parts.get(1) {
        Some(value) => format!("extended {oid}{word}, value of {} octets", value.contents.len()),
        None => format!("extended {oid}{word}"),
    }
}

fn control(control: &Control<'_>, message: &Message<'_>, cookie: impl Fn(&[u8]) -> String) -> String {
    let oid = String::from_utf8_lossy(control.oid);
    let critical = if control.critical { "critical " } else { "" };
    if oid == PAGED
        && let Some((size, value)) = message.page()
    {
        let cookie = match value {
            [] => String::new(),
            value => format!(" after {}", cookie(value)),
        };
        return format!("{critical}page of {size}{cookie}");
    }
    let word = match &*oid {
        "1.3.6.1.4.1.42.2.27.8.5.1" => " password policy",
        "2.16.840.1.113730.3.4.2" => " manageDsaIT",
        "1.3.6.1.4.1.4203.666.5.16" => " dereference",
        "1.2.840.113556.1.4.473" => " sort",
        "2.16.840.1.113730.3.4.9" => " virtual list",
        _ => "",
    };
    let value = match control.value {
        None => String::new(),
        Some(value) => match (word, read(value)) {
            (" sort" | " dereference", Some((list, _))) => format!(" {}", names(list)),
            _ => format!(", value of {} octets", value.len()),
        },
    };
    format!("{critical}control {oid}{word}{value}")
}

/// The attribute names a sort or dereference control begins its keys with.
fn names(list: Element<'_>) -> String {
    let keys: Vec<String> = list.parts().iter().map(|key| first(&key.parts())).collect();
    keys.join(" ")
}

/// In quotation marks.
pub fn quoted(octets: &[u8]) -> String {
    format!("\"{}\"", escaped(octets, b"\""))
}

/// An assertion value as RFC 4515 section 3 escapes it.
fn assertion(octets: &[u8]) -> String {
    escaped(octets, b"()*")
}

fn escaped(octets: &[u8], special: &[u8]) -> String {
    let mut text = String::new();
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            let special =
                u8::try_from(character).is_ok_and(|octet| special.contains(&octet) || octet == b'\\');
            if special || character.is_control() {
                text.push_str(&format!("\\{:02x}", u32::from(character)));
            } else {
                text.push(character);
            }
        }
        for octet in chunk.invalid() {
            text.push_str(&format!("\\{octet:02x}"));
        }
    }
    text
}

/// A DN on a line of its own.
pub fn line(dn: &str) -> String {
    if dn.is_empty() {
        return "\"\"".to_owned();
    }
    dn.chars()
        .map(|character| match character {
            character if character.is_control() => format!("\\{:02x}", u32::from(character)),
            character => character.to_string(),
        })
        .collect()
}
