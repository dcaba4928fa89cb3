//! What entries have beyond the schema, for the subschema to declare.
//!
//! Must not know how it is declared.

use crate::index::snapshot::Snapshot;
use crate::index::table::EqualityIndex;
use crate::model::built_in::AttributeId;
use crate::model::encoded;
use crate::model::number::WrongNumber;
use crate::schema::{Syntax, Usage, object_class};
use crate::view::subschema::{AddedClass, Beyond, is_declarable};

impl Snapshot {
    /// What entries have beyond the schema. Names are sorted, in lower case, and in their legal spelling where the served
    /// one has other characters than ASCII letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// When a number points to nothing.
    pub fn beyond_schema(&self) -> Result<Beyond, WrongNumber> {
        let mut custom: Vec<String> = self
            .records
            .attributes
            .unknown_to_schema()
            .chain(self.records.attributes.aliases())
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| is_declarable(name))
            .map(str::to_owned)
            .collect();
        custom.sort_unstable();
        custom.dedup();
        let syntaxes = custom.iter().filter_map(|name| {
            let id = self.records.attributes.find(name.as_bytes())?;
            let syntax = self.records.attributes.syntax(id).ok()?;
            (syntax != Syntax::DirectoryString).then(|| (name.clone(), syntax))
        });
        let syntaxes = syntaxes.collect();
        let (mut several, mut known) = (Vec::new(), Vec::new());
        for (id, attribute) in self.records.attributes.known_to_schema() {
            let index = self.indexes.get(id)?;
            if attribute.single_value && index.count.several {
                several.push(attribute.key);
            }
            if attribute.usage == Usage::UserApplications && index.records() > 0 {
                known.push(attribute.name);
            }
        }
        several.sort_unstable();
        several.dedup();
        known.sort_unstable();
        known.dedup();
        Ok(Beyond {
            custom,
            several,
            classes: self.added_classes()?,
            known,
            syntaxes,
        })
    }

    /// The object classes that the schema does not know, sorted.
    fn added_classes(&self) -> Result<Vec<AddedClass>, WrongNumber> {
        let id = AttributeId::OBJECT_CLASS;
        let mut classes = Vec::new();
        let index = self.equality(id)?;
        for record in index.into_iter().flat_map(EqualityIndex::representatives) {
            for class in encoded::values(self.records.stored_set(record?, id)?.unwrap_or_default()) {
                let class = class?;
                if object_class(class).is_none()
                    && let Ok(class) = std::str::from_utf8(class)
                {
                    classes.push(AddedClass::new(class));
                }
            }
        }
        AddedClass::sort(&mut classes);
        Ok(classes)
    }
}
