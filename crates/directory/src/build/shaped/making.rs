//! Evaluates the templates of one kind of entry, record by record.
//!
//! Knows where a snapshot has what a template mentions. Must not know what happens to the values.

use std::sync::Arc;

use minijinja::value::Value;

use crate::build::carried::{Carried, CarriedGroup, CarriedUser};
use crate::build::record::{RecordName, Warning};
use crate::build::visible::Visible;
use crate::index::snapshot::Snapshot;
use crate::model::attribute::AttributeTable;
use crate::model::built_in::{AttributeId, Shows};
use crate::model::encoded;
use crate::model::number::{GroupIx, Met, UserIx, WrongNumber};
use crate::schema::Syntax;
use crate::shape::source::{Source, Wanted};
use crate::shape::{EntryShape, ShapedAttribute, Show};
use crate::values::syntax;

/// The templates of one kind of entry at work.
pub(super) struct Making<'a> {
    shape: &'a EntryShape,
    syntaxes: Vec<Syntax>,
    wanted: Wanted,
    failures: Vec<Option<Failure>>,
}

/// For whom a template first failed and why, and for how many.
struct Failure {
    whose: RecordName,
    problem: String,
    count: usize,
}

impl<'a> Making<'a> {
    /// Gives the attributes numbers, with the syntaxes that the shape says they have.
    pub(super) fn new(shape: &'a EntryShape, attributes: &mut AttributeTable) -> Self {
        let mut wanted = Wanted::default();
        for attribute in shape.attributes() {
            if let Show::Made(made) = &attribute.show {
                attributes.intern_as(attribute.name.as_bytes(), attribute.syntax());
                made.templates
                    .iter()
                    .for_each(|template| wanted.add(template.variables()));
            }
        }
        Self {
            shape,
            syntaxes: shape.attributes().iter().map(ShapedAttribute::syntax).collect(),
            wanted,
            failures: shape.attributes().iter().map(|_| None).collect(),
        }
    }

    /// Whether it changes any entry.
    pub(super) fn changes(&self) -> bool {
        !self.shape.attributes().is_empty()
    }

    /// Whether the default answer is more or less than what is stored, and the usual computed attributes.
    pub(super) fn is_irregular(&self) -> bool {
        self.shape
            .attributes()
            .iter()
            .any(|attribute| match &attribute.show {
                Show::Nothing => AttributeId::of_built_in(attribute.name.as_bytes())
                    .is_some_and(AttributeId::is_membership),
                Show::Always => true,
                Show::Made(made) => made.operational,
            })
    }

    /// The values of each attribute of the shape for a user.
    pub(super) fn of_user(
        &mut self,
        entries: &Entries<'_>,
        number: UserIx,
        user: &CarriedUser<'_>,
    ) -> Result<Vec<Vec<Vec<u8>>>, WrongNumber> {
        let (wanted, record) = (&self.wanted, &user.record);
        let (mut source, met) = (Source::default(), Met::default());
        let text_of = |id| met.or(text_of(record, id), Value::UNDEFINED);
        let mut set = |name: &str, value: &dyn Fn() -> Value| {
            if wanted.has(name) {
                source.set(name, value());
            }
        };
        set("username", &|| record.name.into());
        set("name", &|| {
            let own = AttributeId::showing(Shows::FullName).find(|id| !record.replaces(*id));
            text_of(own.unwrap_or(AttributeId::NAME))
        });
        set("email", &|| text_of(AttributeId::MAIL));
        set("uid", &|| user.uid.into());
        set("uuid", &|| match user.uuid {
            Some(uuid) => uuid.get().as_hyphenated().to_string().into(),
            None => Value::UNDEFINED,
        });
        set("pk", &|| user.pk.into());
        set("is_active", &|| user.active.into());
        set("is_superuser", &|| record.superuser.into());
        set("path", &|| user.path.into());
        set("type", &|| user.kind.into());
        set("attributes", &|| met.or(attributes_of(record), Value::UNDEFINED));
        set("date_joined", &|| text_of(AttributeId::CREATE_TIMESTAMP));
        set("last_updated", &|| text_of(AttributeId::MODIFY_TIMESTAMP));
        set("password_change_date", &|| text_of(AttributeId::PWD_CHANGED_TIME));
        if wanted.has("groups") || wanted.has("all_groups") {
            let memberships = &entries.snapshot.records.memberships;
            let direct = memberships.user_groups.of(number)?;
            source.set("groups", entries.names(direct)?);
            if wanted.has("all_groups") {
                source.set("all_groups", entries.names(&entries.above(direct)?)?);
            }
        }
        met.answer(())?;
        Ok(self.evaluate(source, || RecordName::User(record.name.to_owned())))
    }

    /// The values of each attribute of the shape for a group.
    pub(super) fn of_group(
        &mut self,
        entries: &Entries<'_>,
        number: GroupIx,
        group: &CarriedGroup<'_>,
    ) -> Result<Vec<Vec<Vec<u8>>>, WrongNumber> {
        let (wanted, record) = (&self.wanted, &group.record);
        let (mut source, met) = (Source::default(), Met::default());
        let mut set = |name: &str, value: &dyn Fn() -> Value| {
            if wanted.has(name) {
                source.set(name, value());
            }
        };
        set("name", &|| record.name.into());
        set("uuid", &|| group.uuid().as_hyphenated().to_string().into());
        set("num_pk", &|| group.number.into());
        set("is_superuser", &|| record.superuser.into());
        set("attributes", &|| met.or(attributes_of(record), Value::UNDEFINED));
        let memberships = &entries.snapshot.records.memberships;
        if wanted.has("parents") || wanted.has("all_parents") {
            let direct = memberships.group_parents.of(number)?;
            source.set("parents", entries.names(direct)?);
            if wanted.has("all_parents") {
                source.set("all_parents", entries.names(&entries.above(direct)?)?);
            }
        }
        if wanted.has("members") {
            source.set("members", entries.members(number)?);
        }
        met.answer(())?;
        Ok(self.evaluate(source, || RecordName::Group(record.name.to_owned())))
    }

    fn evaluate(&mut self, source: Source, whose: impl Fn() -> RecordName) -> Vec<Vec<Vec<u8>>> {
        let source = source.into_value();
        let mut made = Vec::with_capacity(self.failures.len());
        let attributes = self.shape.attributes().iter().zip(&self.syntaxes);
        for ((attribute, syntax), failure) in attributes.zip(&mut self.failures) {
            let mut values = Vec::new();
            if let Show::Made(shown) = &attribute.show {
                let mut templates = shown.templates.iter();
                let evaluated = templates.try_for_each(|template| template.evaluate(&source, &mut values));
                let evaluated = evaluated.and_then(|()| are_values(*syntax, &values));
                if let Err(problem) = evaluated {
                    values.clear();
                    let failure = failure.get_or_insert_with(|| Failure {
                        whose: whose(),
                        problem,
                        count: 0,
                    });
                    failure.count += 1;
                }
            }
            made.push(values);
        }
        made
    }

    /// Which templates failed.
    pub(super) fn warnings(self) -> impl Iterator<Item = Warning> {
        let attributes = self.shape.attributes().iter();
        attributes.zip(self.failures).filter_map(|(attribute, failure)| {
            let Failure {
                whose,
                problem,
                count,
            } = failure?;
            Some(Warning::TemplateFailed {
                attribute: attribute.name.clone(),
                whose,
                count,
                problem,
            })
        })
    }
}

fn are_values(syntax: Syntax, values: &[Vec<u8>]) -> Result<(), String> {
    match values.iter().find(|value| !syntax::is_value(syntax, value)) {
        None => Ok(()),
        Some(wrong) => Err(format!(
            "{:?} is not a value of its syntax",
            String::from_utf8_lossy(wrong)
                .chars()
                .take(80)
                .collect::<String>()
        )),
    }
}

/// The first value of a built-in attribute as it is shown.
fn text_of(record: &Carried<'_>, id: AttributeId) -> Result<Value, WrongNumber> {
    let value = encoded::first_value(&record.attributes, id.name())?;
    Ok(value.map_or(Value::UNDEFINED, text))
}

/// The custom attributes, and whichever replace built-in ones.
fn attributes_of(record: &Carried<'_>) -> Result<Value, WrongNumber> {
    let mut attributes = Source::default();
    for attribute in encoded::attributes(&record.attributes) {
        let (name, set) = attribute?;
        let built_in = AttributeId::of_built_in(name);
        if built_in.is_some_and(|id| !record.replaces(id)) {
            continue;
        }
        let values = encoded::values(set).map(|value| Ok(text(value?)));
        let mut values: Vec<Value> = values.collect::<Result<_, _>>()?;
        let value = match values.len() {
            1 => values.pop().unwrap_or_default(),
            _ => Value::from(values),
        };
        attributes.set(&String::from_utf8_lossy(name), value);
    }
    Ok(attributes.into_value())
}

/// Octets that are not text, such as a photo's.
fn text(octets: &[u8]) -> Value {
    std::str::from_utf8(octets).map_or_else(|_| Value::from_bytes(octets.to_vec()), Value::from)
}

/// The entries that templates look at besides their own: those that are shown.
pub(super) struct Entries<'a> {
    snapshot: &'a Snapshot,
    visible: &'a Visible,
    /// The names of the groups by number, of those that are shown.
    group_names: Vec<Option<Value>>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, visible: &'a Visible) -> Result<Self, WrongNumber> {
        let mut group_names = Vec::with_capacity(snapshot.group_count());
        for group in snapshot.groups() {
            let name = snapshot.group_name(group)?;
            group_names.push(
                visible
                    .shows_group(group)?
                    .then(|| Value::from(Arc::<str>::from(name))),
            );
        }
        Ok(Self {
            snapshot,
            visible,
            group_names,
        })
    }

    /// The names of groups, of those that are shown.
    fn names(&self, groups: &[GroupIx]) -> Result<Vec<Value>, WrongNumber> {
        let name = |group: &GroupIx| match self.group_names.get(group.index()) {
            Some(Some(name)) => Some(Ok(name.clone())),
            Some(None) => None,
            None => Some(Err(WrongNumber::Group)),
        };
        groups.iter().filter_map(name).collect()
    }

    /// The names of the members of a group, of those that are shown.
    fn members(&self, group: GroupIx) -> Result<Vec<String>, WrongNumber> {
        let records = &self.snapshot.records;
        let mut names = Vec::new();
        for &user in records.memberships.group_users.of(group)? {
            if self.visible.shows_user(user)? {
                names.push(String::from_utf8_lossy(records.name(records.user_record(user)?)?).into_owned());
            }
        }
        Ok(names)
    }

    /// These groups and all above them.
    fn above(&self, groups: &[GroupIx]) -> Result<Vec<GroupIx>, WrongNumber> {
        let parents = &self.snapshot.records.memberships.group_parents;
        parents.closure(groups, self.group_names.len())
    }
}
