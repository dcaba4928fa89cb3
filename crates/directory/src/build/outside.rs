//! Whose number is outside the range where an admin expects it. Nobody gets another one for that: files belong to numbers.
//!
//! Must not know who shares a number, nor who is shown.

use crate::build::moved::stated;
use crate::build::record::{RecordName, Warning, Warnings};
use crate::index::snapshot::{Snapshot, text};
use crate::model::built_in::AttributeId;
use crate::model::number::{RecordIx, WrongNumber};
use crate::shape::Shape;
use crate::shape::location::Location;
use crate::shape::numbers::NumberRanges;

impl Snapshot {
    /// Who has a number outside the range in this directory, which is in the shape. Of very many some are named.
    pub(super) fn numbers_outside(&self, shape: &Shape) -> Result<Vec<Warning>, WrongNumber> {
        let mut warnings = Warnings::default();
        let Some(tree) = shape.location.as_ref().map(Location::tree) else {
            return Ok(Vec::new());
        };
        if shape.numbers.uids.expected.is_some() {
            for user in self.users() {
                let computed = tree.user_number(*self.records.users.pks.get(user)?).ok();
                self.tell_if_outside(
                    (self.records.user_record(user)?, RecordName::User),
                    (AttributeId::UID_NUMBER, computed),
                    &shape.numbers.uids,
                    &mut warnings,
                )?;
            }
        }
        if shape.numbers.gids.expected.is_some() {
            for group in self.groups() {
                let own = *self.records.groups.numbers.get(group)?;
                self.tell_if_outside(
                    (self.records.layout.group_record(group), RecordName::Group),
                    (AttributeId::GID_NUMBER, tree.group_number(own).ok()),
                    &shape.numbers.gids,
                    &mut warnings,
                )?;
            }
        }
        Ok(warnings.finish())
    }

    fn tell_if_outside(
        &self,
        (record, named): (RecordIx, fn(String) -> RecordName),
        (id, computed): (AttributeId, Option<i64>),
        ranges: &NumberRanges,
        warnings: &mut Warnings,
    ) -> Result<(), WrongNumber> {
        // An entry whose override is not a number has none, and nobody has one that would be too large.
        let number = match self.records.get(record)?.overrides(id) {
            true => stated(self, record, id)?,
            false => computed,
        };
        let Some((number, range)) = number.and_then(|number| Some((number, ranges.missed_by(number)?)))
        else {
            return Ok(());
        };
        let name = text(self.records.name(record)?)?;
        warnings.push(|| Warning::NumberOutside {
            attribute: id.name(),
            whose: named(name.to_owned()),
            number,
            range: range.clone(),
        });
        Ok(())
    }
}
