//! All users read one after the other, and what to do about those that cannot be shown.
//!
//! Must not know what changed meanwhile.

use std::collections::BTreeSet;

use super::changes::{KnownUsers, Oddity, UserRows};
use super::error::{ReadError, ScanError};
use super::options::PageRequest;
use super::scan::Scan;
use super::source::{ListSource, Lists};
use super::split::{UnreadableRow, is_row_fault, retry};
use crate::error::ApiError;
use crate::page::Listed as _;
use crate::user::User;

/// How many users are asked for one by one to learn which of them breaks a page, or whether they still do.
const MAX_SUSPECTS: usize = 64;

/// The list of users, read so far. Reading it again continues where it broke off.
#[derive(Debug)]
pub(super) struct Whole<R> {
    pub(super) scan: Scan<User>,
    pub(super) rows: R,
    /// Whether authentik dates its users.
    pub(super) dated: bool,
    /// Users whose rows were taken one by one, since their pages could not be shown whole.
    single: BTreeSet<i64>,
}

/// Users that cannot be shown.
#[derive(Debug, Default)]
pub(super) struct Unshown {
    /// Those who are known from before.
    pub(super) kept: BTreeSet<i64>,
    /// Those who could not be shown when their page was read, and have since been read one by one.
    pub(super) read: BTreeSet<i64>,
    /// How many others there are.
    pub(super) nameless: u64,
}

impl<R: UserRows> Whole<R> {
    pub(super) fn new(page_size: u32, rows: R) -> Self {
        Self {
            scan: Scan::new(page_size),
            rows,
            dated: true,
            single: BTreeSet::new(),
        }
    }

    /// Reads what is left to be read.
    pub(super) async fn read<S: ListSource>(
        &mut self,
        lists: &Lists<'_, S>,
        oddities: &mut Vec<Oddity>,
    ) -> Result<(), ScanError> {
        let Self {
            scan, rows, dated, ..
        } = self;
        scan.run_giving_way(
            &lists.options,
            |request: PageRequest| lists.users(request),
            || lists.source.is_wanted_elsewhere(),
            |page| {
                oddities.extend(Oddity::rows(page.skipped));
                for user in &page.rows {
                    *dated &= user.last_updated.micros().is_some();
                    rows.add(user);
                }
            },
        )
        .await?;
        Ok(())
    }

    /// Finds out which of the users known before are those that cannot be shown. Takes the rows of those that can now be shown,
    /// known before or not: a temporary error is not the row's fault, and no look shows users who did not change.
    pub(super) async fn identify<S: ListSource>(
        &mut self,
        lists: &Lists<'_, S>,
        known: Option<&impl KnownUsers>,
        oddities: &mut Vec<Oddity>,
    ) -> Result<Unshown, ReadError> {
        let Self {
            scan,
            rows,
            dated,
            single,
        } = self;
        oddities.extend(Oddity::unreadable(User::KIND, scan.unreadable()));
        let mut unshown = Unshown {
            kept: BTreeSet::new(),
            read: BTreeSet::new(),
            nameless: scan.nameless(),
        };
        let mut asked = 0;
        for gap in scan.unreadable() {
            let (after, before) = neighbours(scan, gap);
            let mut suspects = known.map(KnownUsers::pks).unwrap_or_default();
            suspects.retain(|pk| {
                after.is_none_or(|after| after < *pk)
                    && before.is_none_or(|before| *pk < before)
                    && !scan.seen().contains_key(pk)
                    && !unshown.kept.contains(pk)
                    && !unshown.read.contains(pk)
            });
            let mut found = false;
            for pk in suspects {
                asked += 1;
                if asked > MAX_SUSPECTS {
                    return Err(ReadError::Unexplained(
                        "authentik cannot show too many of its users".to_owned(),
                    ));
                }
                match retry(&lists.options, User::KIND, 1, || lists.source.user(pk)).await {
                    Err(ScanError::Page { source: fault, .. }) if is_row_fault(&fault) => {
                        unshown.kept.insert(pk);
                        found = true;
                        break;
                    }
                    Err(error) => return Err(error.into()),
                    Ok(Some((user, skipped))) => {
                        oddities.extend(Oddity::rows(skipped));
                        *dated &= user.last_updated.micros().is_some();
                        // Once, however often the load is continued.
                        if single.insert(pk) {
                            rows.add(&user);
                        }
                        unshown.read.insert(pk);
                        found = true;
                        break;
                    }
                    // Deleted.
                    Ok(None) => {}
                }
            }
            // Nobody known is there: whoever is there is asked for by position.
            if !found && asked < MAX_SUSPECTS {
                asked += 1;
                if let Some(user) = at_position(lists, position(scan, gap)).await?
                    && after.is_none_or(|after| after < user.pk)
                    && before.is_none_or(|before| user.pk < before)
                    && !scan.seen().contains_key(&user.pk)
                    && !unshown.read.contains(&user.pk)
                {
                    *dated &= user.last_updated.micros().is_some();
                    if single.insert(user.pk) {
                        rows.add(&user);
                    }
                    unshown.read.insert(user.pk);
                    found = true;
                }
            }
            if !found {
                unshown.nameless += 1;
            }
        }
        Ok(unshown)
    }
}

/// The users between whom one stands that could not be shown. Where a neighbour is on another page, it is the nearest one seen.
fn neighbours(scan: &Scan<User>, gap: &UnreadableRow<i64>) -> (Option<i64>, Option<i64>) {
    let seen = || scan.seen().keys().copied();
    let after = gap.after.or_else(|| {
        let before = gap.before?;
        seen().filter(|pk| *pk < before).max()
    });
    let before = gap.before.or_else(|| {
        let after = after?;
        seen().filter(|pk| *pk > after).min()
    });
    (after, before)
}

/// How many users come before one that could not be shown, while the list stands still.
fn position(scan: &Scan<User>, gap: &UnreadableRow<i64>) -> usize {
    let shown = |gap| match neighbours(scan, gap) {
        (Some(after), _) => scan.seen().keys().filter(|pk| **pk <= after).count(),
        (None, Some(before)) => scan.seen().keys().filter(|pk| **pk < before).count(),
        (None, None) => 0,
    };
    let own = shown(gap);
    let others = scan.unreadable().iter();
    let unshown = others.filter(|other| (shown(other), other.position) < (own, gap.position));
    own + unshown.count()
}

/// Who comes after this many others in the list, if they can now be shown.
async fn at_position<S: ListSource>(
    lists: &Lists<'_, S>,
    position: usize,
) -> Result<Option<User>, ReadError> {
    let Some(page) = u32::try_from(position)
        .ok()
        .and_then(|position| position.checked_add(1))
    else {
        return Ok(None);
    };
    let request = PageRequest {
        page,
        size: 1,
        descending: false,
        lean: false,
    };
    let ask = || lists.users(request);
    match retry(&lists.options, User::KIND, page, ask).await {
        Ok(shown) => Ok(shown.rows.into_iter().next()),
        Err(ScanError::Page { source: fault, .. })
            if is_row_fault(&fault) || matches!(*fault, ApiError::InvalidPage { .. }) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
