//! Templates of attribute values: compiled once, then evaluated for each entry within bounds.
//!
//! Knows what a result means: no value, one, several, octets. Must not know attributes or snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, Expression, UndefinedBehavior};

use crate::shape::called_words::{self, CalledWord};
use crate::shape::filters;
use crate::shape::source::RecordKind;

/// Steps that one template may take for one entry, and octets of 64 that it may write meanwhile: a hundred times what names,
/// addresses and memberships need, and a millisecond at most.
const FUEL: u64 = 20_000;

/// The most octets that the values of one template may have for one entry. A photo has fewer.
const MAX_OCTETS: usize = 256 * 1024;

/// The most values of one template for one entry: nobody has more keys or addresses.
const MAX_VALUES: usize = 1000;

/// Longest template.
const MAX_SOURCE: usize = 4096;

/// A template that makes values of an entry.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    kind: RecordKind,
    variables: Arc<BTreeSet<String>>,
    compiled: Arc<Compiled>,
}

/// One expression gives a value of any kind; text with expressions in it gives text.
enum Compiled {
    /// A variable, which is most of them.
    Variable(String),
    Expression(Expression<'static, 'static>),
    Text(Environment<'static>),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Where in it, in octets.
    pub offset: usize,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problem)
    }
}

/// The name of each text, which is alone in its environment.
const TEXT: &str = "template";

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    // A missing value is written as nothing only if the template says so: `/home/` is nobody's home.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    filters::add(&mut environment);
    environment
}

impl Template {
    /// Reads a template for one kind of entry.
    ///
    /// # Errors
    /// When it cannot be read, or names a variable that entries of this kind do not have.
    pub fn new(source: &str, kind: RecordKind) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE {
            return Err(TemplateError {
                offset: MAX_SOURCE,
                problem: format!("the template is longer than {MAX_SOURCE} octets"),
            });
        }
        let (compiled, variables) = match expression_in(source) {
            Some((start, expression)) => {
                let compiled = ENVIRONMENT.compile_expression_owned(expression.to_owned());
                let compiled = compiled.map_err(|error| problem(&error, start))?;
                let variables = compiled.undeclared_variables(false);
                match variables.iter().next() {
                    Some(variable) if variable == expression => {
                        (Compiled::Variable(variable.clone()), variables)
                    }
                    _ => (Compiled::Expression(compiled), variables),
                }
            }
            None => {
                let mut environment = environment();
                environment
                    .add_template_owned(TEXT, source.to_owned())
                    .map_err(|error| problem(&error, 0))?;
                let variables = match environment.get_template(TEXT) {
                    Ok(template) => template.undeclared_variables(false),
                    Err(error) => return Err(problem(&error, 0)),
                };
                (Compiled::Text(environment), variables)
            }
        };
        let functions: Vec<&str> = ENVIRONMENT.globals().map(|(name, _)| name).collect();
        let known = |name: &str| kind.variables().contains(&name) || functions.contains(&name);
        if let Some(unknown) = variables.iter().filter(|name| !known(name)).min() {
            return Err(TemplateError {
                offset: source.find(unknown.as_str()).unwrap_or_default(),
                problem: format!(
                    "unknown variable {unknown:?}; expected one of {}",
                    kind.variables().join(", ")
                ),
            });
        }
        if let Some(unknown) = unknown_call(source) {
            return Err(unknown);
        }
        Ok(Self {
            source: source.into(),
            kind,
            variables: Arc::new(variables.into_iter().collect()),
            compiled: Arc::new(compiled),
        })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variables it names.
    pub(crate) fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Whether it makes octets, which its last filter decides.
    pub(crate) fn makes_octets(&self) -> bool {
        let last = expression_in(&self.source).and_then(|(_, expression)| expression.rsplit('|').next());
        last.is_some_and(|last| filters::OF_OCTETS.contains(&last.trim()))
    }

    /// Whether what it makes for a user may depend on groups.
    pub(crate) fn reads_groups(&self) -> bool {
        let mut of_groups = ["groups", "all_groups", "is_superuser"].into_iter();
        of_groups.any(|name| self.variables.contains(name))
    }

    /// Appends the values that it makes of an entry, each once. What is empty is no value.
    ///
    /// # Errors
    /// When it fails for this entry: why.
    pub(crate) fn evaluate(&self, entry: &Value, values: &mut Vec<Vec<u8>>) -> Result<(), String> {
        let result = match &*self.compiled {
            Compiled::Variable(name) => entry.get_attr(name),
            Compiled::Expression(expression) => expression.eval(entry),
            Compiled::Text(environment) => environment
                .get_template(TEXT)
                .and_then(|template| template.render(entry))
                .map(Value::from),
        };
        let result = result.map_err(|error| told(&error))?;
        let mut octets = 0;
        add(&result, true, &mut octets, values)
    }
}

/// Adds the values of a result; a list is not a value, but its items are.
fn add(result: &Value, whole: bool, octets: &mut usize, values: &mut Vec<Vec<u8>>) -> Result<(), String> {
    let value = match result.kind() {
        ValueKind::Undefined | ValueKind::None => return Ok(()),
        ValueKind::Seq | ValueKind::Iterable if whole => {
            for item in result.try_iter().map_err(|error| told(&error))? {
                add(&item, false, octets, values)?;
            }
            return Ok(());
        }
        ValueKind::Bytes => result.as_bytes().unwrap_or_default().to_vec(),
        ValueKind::String => result.as_str().unwrap_or_default().as_bytes().to_vec(),
        // RFC 4517 section 3.3.3.
        ValueKind::Bool if result.is_true() => b"TRUE".to_vec(),
        ValueKind::Bool => b"FALSE".to_vec(),
        ValueKind::Number => result.to_string().into_bytes(),
        kind => return Err(format!("its result is a {kind}, which cannot be a value")),
    };
    *octets += value.len();
    if *octets > MAX_OCTETS {
        return Err(format!("its values have more than {MAX_OCTETS} octets"));
    }
    if !value.is_empty() && !values.contains(&value) {
        if values.len() >= MAX_VALUES {
            return Err(format!("it gives more than {MAX_VALUES} values"));
        }
        values.push(value);
    }
    Ok(())
}

/// The expression that makes up a whole source, and where it begins.
fn expression_in(source: &str) -> Option<(usize, &str)> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    if ["{{", "}}", "{%", "{#"].iter().any(|mark| inner.contains(mark)) {
        return None;
    }
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let expression = inner.strip_suffix('-').unwrap_or(inner).trim();
    let start = source.find("{{")? + 2;
    let leading = source.get(start..)?.find(expression)?;
    Some((start + leading, expression))
}

/// The first filter or test that is called and does not exist.
fn unknown_call(source: &str) -> Option<TemplateError> {
    let exists = |word: CalledWord<'_>| {
        let (name, question) = match word {
            CalledWord::Filter(name) => (name, "name is filter"),
            CalledWord::Test(name) => (name, "name is test"),
        };
        let asked = ENVIRONMENT.compile_expression(question);
        asked.and_then(|question| question.eval(BTreeMap::from([("name", name.to_owned())])))
    };
    let mut called = called_words::in_template(source).into_iter();
    let (offset, word) = called.find(|(_, word)| exists(*word).is_ok_and(|exists| !exists.is_true()))?;
    let problem = match word {
        CalledWord::Filter(name) => {
            format!("unknown filter {name:?}; expected one of Jinja's, or base64, guid, octets or ascii")
        }
        CalledWord::Test(name) => format!("unknown test {name:?}; expected one of Jinja's"),
    };
    Some(TemplateError { offset, problem })
}

fn problem(error: &Error, start: usize) -> TemplateError {
    TemplateError {
        offset: start + error.range().map_or(0, |range| range.start),
        problem: told(error),
    }
}

/// What is wrong, without a meaningless name.
fn told(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.kind == other.kind
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Template").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::source::Source;

    fn user() -> Value {
        let mut attributes = Source::default();
        attributes.set("shell", "/bin/zsh");
        attributes.set("keys", vec!["one", "two", "one"]);
        attributes.set("employeeType", "staff");
        let mut user = Source::default();
        user.set("username", "zoë");
        user.set("name", "Zoë Maria Müller");
        user.set("email", "");
        user.set("pk", 7);
        user.set("is_active", true);
        user.set("groups", vec!["staff", "admins"]);
        user.set("attributes", attributes.into_value());
        user.into_value()
    }

    fn evaluated(source: &str) -> Result<Vec<String>, String> {
        let template = Template::new(source, RecordKind::User).unwrap();
        let mut values = Vec::new();
        template.evaluate(&user(), &mut values)?;
        Ok(values
            .into_iter()
            .map(|value| String::from_utf8_lossy(&value).into_owned())
            .collect())
    }

    #[test]
    fn results_are_no_value_one_or_several() {
        for (source, expected) in [
            ("{{ username }}", vec!["zoë"]),
            ("plain", vec!["plain"]),
            ("{{ name | split | first }}", vec!["Zoë"]),
            ("{{ name | split | last }}", vec!["Müller"]),
            ("{{ username }}@example.org", vec!["zoë@example.org"]),
            ("{{ username | ascii }}-{{ pk }}", vec!["zoe-7"]),
            ("{{ email }}", vec![]),
            ("{{ attributes.none }}", vec![]),
            ("{{ attributes.SHELL }}", vec!["/bin/zsh"]),
            ("{{ attributes.none | default('/bin/sh') }}", vec!["/bin/sh"]),
            ("{{ attributes.keys }}", vec!["one", "two"]),
            ("{{ groups }}", vec!["staff", "admins"]),
            ("{% if 'admins' in groups %}admin{% endif %}", vec!["admin"]),
            ("{% if 'others' in groups %}other{% endif %}", vec![]),
            ("{{ 'a' if is_active else 'b' }}", vec!["a"]),
            ("{{ is_active }}", vec!["TRUE"]),
            ("{{ pk + 1 }}", vec!["8"]),
            ("{{ [pk, username] }}", vec!["7", "zoë"]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(evaluated(source), Ok(expected), "{source}");
        }
    }

    #[test]
    fn what_is_missing_is_not_written_as_nothing() {
        let error = evaluated("/home/{{ attributes.none }}").unwrap_err();
        assert!(error.contains("undefined"), "{error}");
        assert!(evaluated("{{ attributes.none | lower }}").is_err());
        assert!(evaluated("{{ {'a': 1} }}").is_err());
    }

    #[test]
    fn neither_time_nor_memory_is_without_bound() {
        for source in [
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "{{ 'x' * 100000000 }}",
            "{{ range(10000) | list }}",
            "{% set a = 'x' * 1000 %}{% for i in range(9000) %}{{ a }}{% endfor %}",
        ] {
            assert!(evaluated(source).is_err(), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (source, offset, problem) in [
            ("{{ usrname }}", 3, "unknown variable \"usrname\""),
            ("a{{ username | }}", 15, "syntax error"),
            ("{{ username", 0, "syntax error"),
            ("{% if username %}x", 0, "syntax error"),
            ("{{ 1 + }}", 0, "syntax error"),
            ("{% include 'x' %}", 0, "syntax error"),
            ("{{ username | lowr }}", 14, "unknown filter \"lowr\""),
            (
                "{% if is_active is odd %}x{% else %}{{ name | fist }}{% endif %}",
                46,
                "unknown filter \"fist\"",
            ),
            (
                "{{ 'a' if name is defyned else 'b' }}",
                18,
                "unknown test \"defyned\"",
            ),
        ] {
            let error = Template::new(source, RecordKind::User).unwrap_err();
            assert!(error.problem.contains(problem), "{source}: {error}");
            assert!(error.offset >= offset, "{source}: {}", error.offset);
        }
        assert!(Template::new("{{ username }}", RecordKind::Group).is_err());
        assert!(Template::new(&"x".repeat(MAX_SOURCE + 1), RecordKind::User).is_err());
    }
}
