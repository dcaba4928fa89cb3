//! The modules that a source uses by calling methods. A path leads to the module that declares a type; but other modules may give
//! that type methods, and whoever calls one of these uses a module that no path names.
//!
//! Knows the types of variables and fields where they are written down, and otherwise goes by names. Must not know what the tests
//! that ask allow.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::declarations::types_of;
use crate::modules::{Module, Sources, name_length};

/// What may stand around the type that a method is called on.
const WRAPPERS: [&str; 8] = ["Arc", "Box", "Cow", "Mutex", "Option", "Pin", "Rc", "RefCell"];

/// A method that a module gives to a type of another.
struct Method<'s> {
    of: &'s str,
    module: &'s Module,
    is_public: bool,
}

/// The methods that modules of a crate give to types of others, and what calls of them are recognized by.
#[derive(Default)]
pub(crate) struct Methods<'s> {
    /// By their names.
    distant: BTreeMap<&'s str, Vec<Method<'s>>>,
    /// How many functions have a name.
    functions: BTreeMap<&'s str, usize>,
    /// The types of what has a name, anywhere in the crate.
    types: NamedTypes<'s>,
}

type NamedTypes<'s> = BTreeMap<&'s str, BTreeSet<&'s str>>;

impl<'s> Methods<'s> {
    /// Those of a crate.
    pub(crate) fn of(sources: &'s Sources) -> Self {
        let mut methods = Self::default();
        let mut declared: BTreeMap<&str, BTreeSet<&Module>> = BTreeMap::new();
        for (module, code) in sources {
            for name in types_of(code) {
                declared.entry(name).or_default().insert(module);
            }
            for (name, types) in named_types(code) {
                methods.types.entry(name).or_default().extend(types);
            }
            for (_, name) in functions(code) {
                *methods.functions.entry(name).or_default() += 1;
            }
        }
        for (module, code) in sources {
            let is_distant = |block: &Block<'_>| {
                let places = declared.get(block.of);
                !block.is_of_trait && places.is_some_and(|places| !places.contains(module))
            };
            for block in blocks(code).into_iter().filter(is_distant) {
                for (line, name) in functions(&code[block.range]) {
                    // Deeper functions are not methods.
                    if line.starts_with("    ") && !line.starts_with("     ") {
                        methods.distant.entry(name).or_default().push(Method {
                            of: block.of,
                            module,
                            is_public: line.trim_start().starts_with("pub"),
                        });
                    }
                }
            }
        }
        methods
    }

    /// The modules whose methods a source calls, on types of others.
    pub(crate) fn used_by(&self, module: &Module, code: &str) -> BTreeSet<&'s Module> {
        let blocks = blocks(code);
        let types = named_types(code);
        let mentioned: BTreeSet<&str> = words(code).map(|(_, word)| word).collect();
        let mut used = BTreeSet::new();
        for (at, name) in words(code) {
            let Some(methods) = self.distant.get(name) else {
                continue;
            };
            let Some(receiver) = receiver(&code[..at], &code[at + name.len()..]) else {
                continue;
            };
            let own = blocks.iter().find(|block| block.range.contains(&at));
            let known = match receiver {
                Receiver::Own => own.map(|block| BTreeSet::from([block.of])),
                Receiver::Type(name) => Some(BTreeSet::from([name])),
                Receiver::Variable(name) => types.get(name).cloned(),
                Receiver::Field(name) => self.types.get(name).cloned(),
                Receiver::Unknown => None,
            };
            let is_meant = |method: &&Method<'_>| match &known {
                Some(types) => types.contains(method.of),
                None => self.functions.get(name) == Some(&1) || mentioned.contains(method.of),
            };
            let is_seen = |method: &&Method<'_>| method.is_public || module.starts_with(method.module);
            let meant = methods.iter().filter(is_meant).filter(is_seen);
            used.extend(meant.map(|method| method.module));
        }
        used.remove(module);
        used
    }
}

/// What a method is called on.
#[derive(Debug, PartialEq, Eq)]
enum Receiver<'c> {
    /// `self` and `Self`.
    Own,
    Type(&'c str),
    Variable(&'c str),
    Field(&'c str),
    Unknown,
}

/// What the method is called on that stands between these two pieces of code; `None` if it is no method.
fn receiver<'c>(before: &'c str, after: &str) -> Option<Receiver<'c>> {
    if let Some(before) = before.strip_suffix("::") {
        let word = last_word(before);
        return match word {
            "Self" => Some(Receiver::Own),
            "" => Some(Receiver::Unknown),
            _ => is_type(word).then_some(Receiver::Type(word)),
        };
    }
    let before = before.strip_suffix('.')?.trim_end();
    if !after.starts_with('(') && !after.starts_with("::<") {
        return None;
    }
    let word = last_word(before);
    let is_field = before[..before.len() - word.len()].ends_with('.');
    Some(match word {
        "" => Receiver::Unknown,
        "self" => Receiver::Own,
        _ if is_field => Receiver::Field(word),
        _ => Receiver::Variable(word),
    })
}

/// An `impl`.
struct Block<'c> {
    of: &'c str,
    is_of_trait: bool,
    range: Range<usize>,
}

fn blocks(code: &str) -> Vec<Block<'_>> {
    let starts = std::iter::once(0).chain(code.match_indices('\n').map(|(at, _)| at + 1));
    let block = |start: usize| {
        let from = code[start..].strip_prefix("impl")?;
        let head = from.split_once('{')?.0;
        let head = match head.strip_prefix('<') {
            Some(generic) => &generic[closing(generic)? + 1..],
            None => head.strip_prefix(' ')?,
        };
        let (is_of_trait, of) = match head.split_once(" for ") {
            Some((_, of)) => (true, of),
            None => (false, head),
        };
        Some(Block {
            of: first_type(of)?,
            is_of_trait,
            range: start..start + code[start..].find("\n}")?,
        })
    };
    starts.filter_map(block).collect()
}

/// Where what `<` began ends.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        match character {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = character;
    }
    None
}

/// The functions of a source, each with the line that it is in.
fn functions(code: &str) -> impl Iterator<Item = (&str, &str)> {
    code.lines().filter_map(|line| {
        let (before, after) = line.split_once("fn ")?;
        let is_front = before.is_empty() || before.ends_with(' ');
        let name = &after[..name_length(after)];
        (is_front && !name.is_empty()).then_some((line, name))
    })
}

/// The types of fields, parameters and variables, where they are written down.
fn named_types(code: &str) -> NamedTypes<'_> {
    let mut types = NamedTypes::new();
    for (at, name) in words(code) {
        let Some(annotation) = code[at + name.len()..].strip_prefix(": ") else {
            continue;
        };
        let end = annotation.find([',', ';', '=', ')', '{', '|', '\n']);
        if let Some(of) = first_type(&annotation[..end.unwrap_or(annotation.len())]) {
            types.entry(name).or_default().insert(of);
        }
    }
    types
}

/// The first type in a piece of code, leaving aside what is only around it.
fn first_type(code: &str) -> Option<&str> {
    let mut types = words(code).map(|(_, word)| word).filter(|word| is_type(word));
    types.find(|name| !WRAPPERS.contains(name))
}

/// Whether a word is written like a type and not like a constant.
fn is_type(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && (word.len() == 1 || word.contains(char::is_lowercase))
}

/// The words of a piece of code, each with its position.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &code[at..];
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        let start = at + rest.find(is_part)?;
        let word = &code[start..][..name_length(&code[start..])];
        at = start + word.len();
        Some((start, word))
    })
}

/// The word that a piece of code ends with, empty if it ends with none.
fn last_word(code: &str) -> &str {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    &code[code.trim_end_matches(is_part).len()..]
}

#[test]
fn what_a_method_is_called_on_is_seen() {
    for (before, receiver_seen) in [
        ("self.", Some(Receiver::Own)),
        ("Self::", Some(Receiver::Own)),
        ("super::a::X::", Some(Receiver::Type("X"))),
        ("x.", Some(Receiver::Variable("x"))),
        ("self.x.", Some(Receiver::Field("x"))),
        ("f()\n    .", Some(Receiver::Unknown)),
        ("x\n    .", Some(Receiver::Variable("x"))),
        ("X::<Y>::", Some(Receiver::Unknown)),
        ("a::", None),
        ("fn ", None),
    ] {
        assert_eq!(receiver(before, "()"), receiver_seen, "{before}");
    }
    assert_eq!(receiver("self.", " = 1"), None);
}

#[test]
fn blocks_and_types_are_found() {
    let code = "impl X {\n    fn f() {}\n}\nimpl<'a, T: Fn(A) -> B> Z<T> for &'a super::Y<T>\nwhere\n    T: C,\n{\n}\nimplied!{}\n\
                struct W {\n    a: Arc<Mutex<X>>,\n    b: &'a mut y::Y,\n    c: MAX,\n}";
    let found: Vec<_> = blocks(code)
        .iter()
        .map(|block| (block.of, block.is_of_trait))
        .collect();
    assert_eq!(found, [("X", false), ("Y", true)]);
    let types = named_types(code);
    assert_eq!(types.get("a"), Some(&BTreeSet::from(["X"])));
    assert_eq!(types.get("b"), Some(&BTreeSet::from(["Y"])));
    assert_eq!(types.get("c"), None);
}
