//! Whatever admins give to entries, the schema declares it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::fixture::*;
use crate::schema::attribute_type;
use crate::{Builder, CustomPolicy};

/// Custom attributes: names that mean something, odd ones, and any.
fn custom() -> impl Strategy<Value = String> {
    let known = vec![
        "objectClass",
        "mail",
        "mobile",
        "department",
        "sshPublicKey",
        "manager",
        "pager",
    ];
    let odd = vec![
        "nextcloud_quota",
        "2fa",
        "/x",
        "with space",
        "straße",
        "a;binary",
        "ключ",
    ];
    let name = prop_oneof![
        select(known).prop_map(str::to_owned),
        select(odd).prop_map(str::to_owned),
        "[a-zA-Z_][a-zA-Z0-9_./; -]{0,8}",
    ];
    let class = select(vec![
        "ldapPublicKey",
        "my.class/x",
        "My.Class/X",
        "it's",
        "2.5.6.6",
    ]);
    let value = prop_oneof![class.prop_map(str::to_owned), "[a-zA-Z0-9./'\\\\-]{1,8}"];
    btree_map(name, vec(value, 0..3), 0..8)
        .prop_map(|attributes: BTreeMap<String, Vec<String>>| serde_json::to_string(&attributes).unwrap())
}

/// What follows each NAME in a definition, in lower case: this is how a client reads it that splits definitions at
/// spaces.
fn names(definition: &str) -> Vec<String> {
    let quoted = |text: &str| text.split('\'').find(|part| !part.is_empty()).map(str::to_owned);
    definition
        .split(" NAME ")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix("( ") {
            Some(list) => {
                let list = list.split(" )").next().unwrap_or_default();
                list.split(' ').filter_map(quoted).collect()
            }
            None => quoted(rest).into_iter().collect::<Vec<_>>(),
        })
        .map(|name| name.replace("\\27", "'").replace("\\5c", "\\").to_lowercase())
        .collect()
}

fn by_name<'a>(schema: &'a EntryAttributes, attribute: &str) -> HashMap<String, &'a str> {
    let values = schema.iter().find(|(name, _)| *name == attribute);
    values
        .into_iter()
        .flat_map(|(_, definitions)| definitions)
        .flat_map(|definition| {
            names(definition)
                .into_iter()
                .map(move |name| (name, definition.as_str()))
        })
        .collect()
}

/// Whether a word occurs in a definition.
fn mentions(definition: &str, word: &str) -> bool {
    definition.split(' ').any(|own| own.eq_ignore_ascii_case(word))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_served_is_declared(alice in custom(), bob in custom(), staff in custom(), legal in any::<bool>()) {
        let mut builder = Builder::with_policy(CustomPolicy::default().with_legal_names(legal));
        add_user(&mut builder, 1, "alice", &alice);
        add_user(&mut builder, 2, "bob", &bob);
        add_group(&mut builder, STAFF, "staff", &[], &[1, 2], &staff);
        let snapshot = Arc::new(builder.finish().unwrap().0);
        let schema = attributes(&snapshot.beyond_schema().unwrap(), None);
        let (types, classes) = (by_name(&schema, "attributeTypes"), by_name(&schema, "objectClasses"));
        let contents = by_name(&schema, "dITContentRules");
        let mut everything = query("(objectClass=*)").attributes(&["*", "+"]);
        everything.snapshot = snapshot;
        let entries = everything.entries();
        prop_assert_eq!(entries.len(), 9);
        for entry in entries {
            let served = entry.get("objectClass");
            // Groups do not have the class above all others.
            let own: Vec<String> = served.iter().map(|class| class.to_lowercase()).chain(["top".to_owned()]).collect();
            for class in &own {
                let known = object_class(class.as_bytes()).is_some() || classes.contains_key(class);
                prop_assert!(known, "{} is not declared", class);
            }
            for (name, values) in &entry.attributes {
                let lower = name.to_lowercase();
                let legal = legal_name(name).to_lowercase();
                let Some(definition) = types.get(&lower).or_else(|| types.get(&legal)) else {
                    return Err(TestCaseError::fail(format!("{name} is not declared")));
                };
                prop_assert!(values.len() == 1 || !mentions(definition, "SINGLE-VALUE"), "{} {:?}", name, values);
                let known = attribute_type(name.as_bytes());
                if known.is_some_and(|known| known.usage != Usage::UserApplications) {
                    continue;
                }
                let word = known.map_or(legal.as_str(), |known| known.name);
                let oid = definition.split(' ').nth(1).unwrap_or_default();
                let allowed = own.iter().any(|class| {
                    classes.get(class).is_some_and(|class| mentions(class, word))
                        || contents
                            .get(class)
                            .is_some_and(|rule| mentions(rule, word) || mentions(rule, oid))
                });
                prop_assert!(allowed, "{} is not allowed in {:?}", name, own);
            }
        }
    }
}
