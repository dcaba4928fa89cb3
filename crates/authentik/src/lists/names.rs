//! Users whose names others have by now.
//!
//! Must not know how names are compared.

use super::error::{ReadError, ScanError};
use super::look::sort_by_date;
use super::settling::Settled;
use super::source::{ListSource, Lists};
use super::split::{is_row_fault, retry};
use crate::page::Listed as _;
use crate::user::User;

/// How many users are asked for one by one because somebody else now has their name.
const MAX_NAMESAKES: usize = 16;

/// Asks for the users whose names belong to others by now and about whom nothing else was seen yet: their own
/// new names are not known otherwise. `find` finds users with these names among the rows read before.
pub(super) async fn ask_for_namesakes<S: ListSource, E: From<ReadError>>(
    lists: &Lists<'_, S>,
    find: impl Fn(&[User]) -> Result<Vec<i64>, E>,
    settled: &mut Settled,
) -> Result<(), E> {
    for _ in 0..MAX_NAMESAKES {
        let changed = &settled.look.changed;
        let unseen = |pk: &i64| !settled.gone.contains(pk) && changed.iter().all(|user| user.pk != *pk);
        let Some(pk) = find(changed)?.into_iter().find(unseen) else {
            return Ok(());
        };
        match retry(&lists.options, User::KIND, 1, || lists.source.user(pk)).await {
            Ok(Some((user, _))) => {
                settled.look.changed.push(user);
                sort_by_date(&mut settled.look.changed);
            }
            Ok(None) => {
                settled.gone.insert(pk);
            }
            // It gives way until it can be read.
            Err(ScanError::Page { source, .. }) if is_row_fault(&source) => return Ok(()),
            Err(error) => return Err(ReadError::from(error).into()),
        }
    }
    Ok(())
}
