//! The types that a source declares. Must not know what they are looked for.

use crate::modules::name_length;

/// Macros that declare a type and have its name first.
const TYPE_MACROS: [&str; 2] = ["number! {", "words! {"];

/// The types that a source declares, its tests aside: those within a function or a macro too, and those that a macro makes.
pub(crate) fn types_of(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next();
    let mut in_macro = false;
    code.unwrap_or_default().lines().filter_map(move |line| {
        let declaration = line.trim_start();
        if declaration.starts_with("//") || declaration.starts_with("#[") {
            return None;
        }
        let rest = match declaration.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
            Some(rest) => rest.trim_start(),
            None => declaration,
        };
        let named = if std::mem::replace(&mut in_macro, TYPE_MACROS.contains(&line)) {
            rest
        } else {
            let kinds = ["struct ", "enum ", "trait ", "union ", "type "];
            let (kind, named) = kinds
                .iter()
                .find_map(|kind| Some((*kind, rest.strip_prefix(kind)?)))?;
            // Further in, it is the associated type of a trait, which has many.
            if kind == "type " && declaration.len() < line.len() {
                return None;
            }
            named
        };
        // The definition of a macro has a variable in place of the name.
        Some(&named[..name_length(named)]).filter(|name| !name.is_empty())
    })
}

#[test]
fn the_types_of_a_source_are_found() {
    let text = "pub(crate) struct A<T>(T);\nenum B { C }\npub trait D: E {\n    type F;\n}\ntype G = H;\n\
                pub(in crate::x) struct I;\nuse x::{struct_y, Z};\nimpl A {}\n\
                fn f() {\n    struct K<'a>(&'a str);\n    enum $name {}\n    /// struct L\n}\n\
                number! {\n    /// About it.\n    pub(crate) M, N\n}\nwords! {\n    O as \"p\" {\n        Q = \"q\",\n    }\n}\n\
                #[cfg(test)]\nmod tests {\nstruct J;\n}";
    assert_eq!(
        types_of(text).collect::<Vec<_>>(),
        ["A", "B", "D", "G", "I", "K", "M", "O"]
    );
}
