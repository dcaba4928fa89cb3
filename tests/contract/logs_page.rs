//! docs/logs.md has every message that an admin may see in the log, with its level, and no other; and whoever is told of an option is
//! told its variable and its flag.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use akldap::config::options;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/logs.md")).expect("the page")
}

/// The first cells of all rows, with the second ones.
fn rows(page: &str) -> Vec<(String, String)> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| {
            let mut cells = line.trim_end_matches(" |").split(" | ");
            let mut cell = || cells.next().unwrap_or_default().to_owned();
            (cell(), cell())
        })
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("text");
        if path.is_dir() {
            // Separate commands, which print and do not log.
            if !["tests", "check", "diff"].contains(&name) {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && !name.contains("tests") {
            found.push(path);
        }
    }
}

/// A source without the tests in it.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source");
    match text.split_once("#[cfg(test)]\nmod tests {") {
        Some((code, _)) => code.to_owned(),
        None => text,
    }
}

/// The string literal that begins at the start of `text`, and what follows it.
fn literal(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut rest = text.strip_prefix('"').expect("a literal");
    loop {
        let mut characters = rest.chars();
        match characters.next().expect("the end of a literal") {
            '"' => return (out, characters.as_str()),
            '\\' => match characters.next().expect("an escape") {
                '\n' => rest = characters.as_str().trim_start(),
                other => {
                    out.push(other);
                    rest = characters.as_str();
                }
            },
            other => {
                out.push(other);
                rest = characters.as_str();
            }
        }
    }
}

/// The message of a log macro whose arguments begin `text`: the literal at their own depth that is not the name of a field.
fn message(text: &str) -> Option<String> {
    let (mut rest, mut depth, mut before) = (text, 1_u32, '(');
    while depth > 0 {
        let character = rest.chars().next()?;
        if character == '"' {
            let (text, after) = literal(rest);
            if depth == 1 && matches!(before, '(' | ',') && !after.trim_start().starts_with('=') {
                return Some(text);
            }
            (rest, before) = (after, '"');
            continue;
        }
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if !character.is_whitespace() {
            before = character;
        }
        rest = &rest[character.len_utf8()..];
    }
    None
}

/// A message with `…` in place of what is put into it.
fn shown(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((text, inside)) = rest.split_once('{') {
        out.push_str(text);
        out.push('…');
        rest = inside.split_once('}').map_or("", |(_, after)| after);
    }
    out + rest
}

/// Every message from info up, with its level.
fn messages() -> BTreeMap<String, &'static str> {
    let mut files = Vec::new();
    for folder in ["src", "crates/authentik/src"] {
        sources(&root().join(folder), &mut files);
    }
    let mut found = BTreeMap::new();
    for code in files.iter().map(|path| code(path)) {
        for (call, level) in [
            ("tracing::info!(", "info"),
            ("tracing::warn!(", "warning"),
            ("tracing::error!(", "error"),
            // Records that differ in nothing else.
            ("record!(info, ", "info"),
            ("record!(warn, ", "warning"),
        ] {
            for arguments in code.split(call).skip(1) {
                let text = shown(&message(arguments).expect("a message"));
                // What is made elsewhere is looked for there.
                if text.chars().any(|character| character != '…') {
                    found.insert(text, level);
                }
            }
        }
    }
    found
}

/// The literals between two marks in a source.
fn literals_between(file: &str, begin: &str, end: &str) -> Vec<String> {
    let code = fs::read_to_string(root().join(file)).expect("a source");
    let (_, rest) = code.split_once(begin).expect("the beginning");
    let (mut rest, _) = rest.split_once(end).expect("the end");
    let mut found = Vec::new();
    while let Some(place) = rest.find('"') {
        let (text, after) = literal(&rest[place..]);
        found.push(shown(&text));
        rest = after;
    }
    found
}

#[test]
fn every_message_is_on_the_page_with_its_level_and_no_other() {
    let page = page();
    let messages = messages();
    assert!(messages.len() > 80, "{}", messages.len());
    let rows = rows(&page);
    let levels: BTreeMap<String, &str> = rows
        .iter()
        .filter(|(_, level)| ["info", "warning", "error"].contains(&level.as_str()))
        .map(|(message, level)| (message.clone(), level.as_str()))
        .collect();
    let missing: Vec<_> = messages
        .iter()
        .filter(|(message, level)| levels.get(*message) != Some(*level))
        .collect();
    assert!(
        missing.is_empty(),
        "give these a row in docs/logs.md: {missing:#?}"
    );
    let gone: Vec<_> = levels
        .keys()
        .filter(|message| !messages.contains_key(*message))
        .collect();
    assert!(
        gone.is_empty(),
        "docs/logs.md has messages that are not in the sources: {gone:#?}"
    );
}

#[test]
fn warnings_of_the_configuration_wrong_protocols_and_repetitions_are_on_the_page() {
    let page = page();
    let on_page: BTreeSet<String> = rows(&page).into_iter().map(|(message, _)| message).collect();
    let mut expected = literals_between("src/config/error.rs", "pub enum ConfigWarning {", "\n}\n");
    expected.extend(literals_between(
        "src/server/wrong_protocol.rs",
        "Some(match (found, expected) {",
        "\n    })\n",
    ));
    expected.extend(literals_between(
        "src/server/log_limit.rs",
        "fn again(self)",
        "\n    }\n",
    ));
    // Up to those that are reported in another way.
    expected.extend(literals_between(
        "crates/directory/src/build/record.rs",
        "fn write_number(&self",
        "Self::PasswordsWithheld {",
    ));
    expected.extend(literals_between(
        "crates/authentik/src/lists/changes.rs",
        "impl fmt::Display for Oddity {",
        "\n}\n",
    ));
    assert!(expected.len() > 30, "{expected:?}");
    let missing: Vec<&String> = expected
        .iter()
        .filter(|message| !on_page.contains(*message))
        .collect();
    assert!(
        missing.is_empty(),
        "give these a row in docs/logs.md: {missing:#?}"
    );
}

#[test]
fn whoever_is_told_of_an_option_is_told_its_flag() {
    let flags: BTreeMap<&str, &str> = options::OFFICIAL
        .iter()
        .chain(options::OPTIONS)
        .filter_map(|setting| Some((setting.variable(), setting.flag()?)))
        .collect();
    let mut texts: Vec<String> = messages().into_keys().collect();
    for (file, begin, end) in [
        ("crates/authentik/src/hint.rs", "pub fn hint(&self)", "\n    }\n"),
        ("crates/authentik/src/hint.rs", "fn of_unreachable(", "\n}\n"),
        ("crates/authentik/src/hint.rs", "fn of_interrupted(", "\n}\n"),
        ("crates/authentik/src/hint.rs", "fn of_page(", "\n}\n"),
        ("crates/authentik/src/hint.rs", "fn of_status(", "\n}\n"),
        ("src/server/handshake_error.rs", "pub(super) fn hint(", "\n}\n"),
        (
            "src/server/wrong_protocol.rs",
            "Some(match (found, expected) {",
            "\n    })\n",
        ),
    ] {
        texts.extend(literals_between(file, begin, end));
    }
    let mut told = 0;
    for text in &texts {
        let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        for variable in words
            .filter(|word| word.starts_with("AUTHENTIK_LDAP__") || word.starts_with("AUTHENTIK_LISTEN__"))
        {
            let flag = flags
                .get(variable)
                .unwrap_or_else(|| panic!("{variable} is no option: {text}"));
            assert!(text.contains(&format!("--{flag}")), "{text}");
            told += 1;
        }
    }
    assert!(told >= 12, "only {told}");
}
