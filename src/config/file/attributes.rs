//! What a section says about attributes, in its tables `user.attributes` and `group.attributes`: a template, several, a table
//! with a template and its type, `false` to hide and `true` to show to all. Finds what is wrong with each, with its position. Must
//! not know what the templates make.

use toml::de::{DeTable, DeValue};

use akldap_directory::shape::{EntryShape, Made, RecordKind, SYNTAXES, Show, Template};

use crate::config::file_position::FilePosition;

/// What a section says about the attributes of users and of groups.
#[derive(Debug, Default)]
pub(in crate::config) struct AttributeRules {
    pub(in crate::config) users: Vec<AttributeRule>,
    pub(in crate::config) groups: Vec<AttributeRule>,
}

/// What is said about one attribute.
#[derive(Debug)]
pub(in crate::config) struct AttributeRule {
    pub(in crate::config) name: String,
    pub(in crate::config) show: Show,
    pub(in crate::config) position: FilePosition,
}

/// Something that is wrong, and how many octets into the file.
pub(super) type Problem = (usize, String);

/// The kinds of entries, by the table of a section for them.
pub(super) const KINDS: [(&str, RecordKind); 2] = [("user", RecordKind::User), ("group", RecordKind::Group)];

const EXPECTED: &str = "a template in quotes, a list of templates, false to hide the attribute, true to show it to all, or a table with \
                        value, syntax and operational";

/// Reads the table of a kind of entry. `position` finds positions, `text` is the file.
pub(super) fn read(
    kind: RecordKind,
    table: &DeTable<'_>,
    text: &str,
    position: &impl Fn(usize) -> FilePosition,
    problems: &mut Vec<Problem>,
) -> Vec<AttributeRule> {
    let (mut rules, mut shape) = (Vec::new(), EntryShape::default());
    for (key, value) in table {
        let (name, start) = (key.get_ref().as_ref(), key.span().start);
        let DeValue::Table(attributes) = value.get_ref() else {
            problems.push((
                start,
                format!("{name} is not a table; expected attributes = {{ … }}"),
            ));
            continue;
        };
        if name != "attributes" {
            problems.push((
                start,
                format!("{name:?} is not a kind of entry; expected attributes"),
            ));
            continue;
        }
        for (key, value) in attributes {
            let (name, start) = (key.get_ref().as_ref(), key.span().start);
            let reading = RuleValues { kind, text };
            let show = match reading.show(value.get_ref(), value.span().start) {
                Ok(show) => show,
                Err((at, problem)) => {
                    problems.push((at, format!("{name}: {problem}")));
                    continue;
                }
            };
            match shape.set(name, show.clone()) {
                Ok(()) => rules.push(AttributeRule {
                    name: name.to_owned(),
                    show,
                    position: position(start),
                }),
                Err(error) => problems.push((start, format!("{name}: {error}"))),
            }
        }
    }
    rules
}

struct RuleValues<'t> {
    kind: RecordKind,
    text: &'t str,
}

impl RuleValues<'_> {
    fn show(&self, value: &DeValue<'_>, start: usize) -> Result<Show, Problem> {
        match value {
            DeValue::Boolean(true) => Ok(Show::Always),
            DeValue::Boolean(false) => Ok(Show::Nothing),
            DeValue::Table(table) => self.table(table, start),
            value => Ok(Show::Made(Made {
                templates: self.templates(value, start)?,
                syntax: None,
                operational: false,
            })),
        }
    }

    fn table(&self, table: &DeTable<'_>, start: usize) -> Result<Show, Problem> {
        let mut made = Made {
            templates: Vec::new(),
            syntax: None,
            operational: false,
        };
        for (key, value) in table {
            let at = value.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("value", value) => made.templates = self.templates(value, at)?,
                ("operational", DeValue::Boolean(operational)) => made.operational = *operational,
                ("operational", _) => return Err((at, "expected operational = true or false".to_owned())),
                ("syntax", DeValue::String(name)) if SYNTAXES.iter().any(|(known, _)| known == name) => {
                    let mut syntaxes = SYNTAXES.iter();
                    made.syntax = syntaxes
                        .find(|(known, _)| known == name)
                        .map(|(_, syntax)| *syntax);
                }
                ("syntax", _) => {
                    let names: Vec<&str> = SYNTAXES.iter().map(|(name, _)| *name).collect();
                    return Err((at, format!("expected a syntax: {}", names.join(", "))));
                }
                (other, _) => {
                    let problem = format!("{other:?} is unknown; expected value, syntax or operational");
                    return Err((key.span().start, problem));
                }
            }
        }
        match made.templates.is_empty() {
            true => Err((start, "value is missing; expected a template".to_owned())),
            false => Ok(Show::Made(made)),
        }
    }

    fn templates(&self, value: &DeValue<'_>, start: usize) -> Result<Vec<Template>, Problem> {
        match value {
            DeValue::String(source) => Ok(vec![self.template(source, start)?]),
            DeValue::Array(items) if !items.is_empty() => {
                let templates = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(source) => self.template(source, item.span().start),
                    _ => Err((item.span().start, "expected a template in quotes".to_owned())),
                });
                templates.collect()
            }
            _ => Err((start, format!("expected {EXPECTED}"))),
        }
    }

    /// What an error says about a position in the template is applied to the file; escapes in a template may shift it.
    fn template(&self, source: &str, start: usize) -> Result<Template, Problem> {
        let written = self.text.get(start..).unwrap_or_default();
        let quotes = match written.starts_with("\"\"\"") || written.starts_with("'''") {
            true => 3,
            false => 1,
        };
        Template::new(source, self.kind).map_err(|error| (start + quotes + error.offset, error.problem))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::config::file::ConfigFile;
    use crate::config::strings::StringMap;

    fn read(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::read(PathBuf::from("f"), text.as_bytes(), &StringMap::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_to_speak_of_an_attribute_is_read() {
        let file = read(
            r#"
[common.user.attributes]
uid = "{{ username }}"
name = false
[provider."dc=x".user.attributes]
sshPublicKey = { value = "{{ attributes.keys }}", syntax = "case-exact-string", operational = true }
objectClass = ["top", "inetOrgPerson"]
[provider."dc=x".group]
attributes = { memberUid = true }
"#,
        )
        .unwrap();
        let names = |rules: &[super::AttributeRule]| -> Vec<String> {
            rules.iter().map(|rule| rule.name.clone()).collect()
        };
        assert_eq!(names(&file.common.attributes().users), ["name", "uid"]);
        let (_, section) = &file.providers[0];
        assert_eq!(
            names(&section.attributes().users),
            ["objectClass", "sshPublicKey"]
        );
        assert_eq!(names(&section.attributes().groups), ["memberUid"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_column() {
        for (line, column, problem) in [
            ("uid = \"{{ usrname }}\"", 11, "uid: unknown variable \"usrname\""),
            ("uid = \"{{ username | }}\"", 20, "uid: syntax error"),
            ("memberOf = \"x\"", 1, "memberOf: only the server sets it"),
            ("userPassword = \"x\"", 1, "userPassword: it holds passwords"),
            ("cn = false", 1, "cn: it cannot be hidden"),
            ("\"a b\" = \"x\"", 1, "a b: it is not an attribute name"),
            ("uid = 7", 7, "uid: expected a template in quotes"),
            ("uid = []", 7, "uid: expected a template in quotes"),
            (
                "uid = { value = \"x\", syntax = \"int\" }",
                31,
                "uid: expected a syntax: directory-string",
            ),
            (
                "mail = { value = \"x\", syntax = \"integer\" }",
                1,
                "mail: the schema defines it",
            ),
            ("uid = { syntax = \"integer\" }", 7, "uid: value is missing"),
            (
                "uid = { value = \"x\", kind = 1 }",
                22,
                "uid: \"kind\" is unknown",
            ),
            (
                "uid = { value = \"x\", operational = 1 }",
                36,
                "uid: expected operational = true or false",
            ),
        ] {
            let error = read(&format!("[common.user.attributes]\n{line}\n"))
                .err()
                .unwrap();
            let position = error.strip_prefix("f:2:").and_then(|rest| rest.split_once(": "));
            let (at, told) = position.unwrap_or_else(|| panic!("{line}: {error}"));
            assert!(told.starts_with(problem), "{line}: {told}");
            assert!(at.parse::<usize>().unwrap() >= column, "{line}: {error}");
        }
        for text in [
            "[common]\nuser = 1\n",
            "[common.user]\nattributes = 1\n",
            "[common.user.attribute]\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
