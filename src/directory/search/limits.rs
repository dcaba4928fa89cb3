//! What limits an answer: size limit, pages and their cookies, virtual list views.
//!
//! Must not know filters.

use super::super::entry::{Context, Layout, Ordinal};
use super::super::paging::Position;
use super::super::sorting::Sorter;
use super::SearchControls;
use crate::ldap::control::{VlvRequest, VlvTarget};
use crate::ldap::message::SearchRequest;
use crate::ldap::response::{LdapResult, ResultCode};

#[derive(Debug)]
pub(super) struct Limits {
    /// 0 for none.
    pub(super) size: u64,
    /// Entries a page; 0 for no paging.
    pub(super) page: u64,
    pub(super) paged: bool,
    /// Entries of a sorted answer to leave out.
    pub(super) skip: u64,
    /// Where to go on in a kept order.
    pub(super) place: Option<usize>,
    pub(super) vlv: Option<VlvRequest>,
    pub(super) cookie_key: [u8; 32],
}

/// What limits the answer, and the place it starts from.
pub(super) fn limits(
    context: &Context<'_>,
    layout: Layout,
    request: &SearchRequest<'_>,
    controls: &SearchControls,
) -> Result<(Limits, Ordinal), LdapResult> {
    let mut limits = Limits {
        size: u64::from(request.size_limit),
        page: 0,
        paged: controls.paged.is_some(),
        skip: 0,
        place: None,
        vlv: controls.vlv.clone(),
        cookie_key: controls.cookie_key,
    };
    if controls.vlv.is_some() && controls.sort.is_none() {
        let message = "a virtual list view needs a sort control (RFC 2891)";
        return Err(LdapResult::new(ResultCode::SortControlMissing, message));
    }
    let mut from = 0;
    let Some(paged) = &controls.paged else {
        return Ok((limits, from));
    };
    if paged.size == 0 {
        // The client wants no more: nothing is kept for it, so an empty page is all there is to do.
        limits.skip = u64::MAX;
        return Ok((limits, Ordinal::MAX));
    }
    // RFC 2696 section 3: a page that is no smaller than the size limit is no page.
    if limits.size == 0 || u64::from(paged.size) < limits.size {
        limits.page = u64::from(paged.size);
    }
    let position = match paged.cookie.as_slice() {
        [] => return Ok((limits, from)),
        cookie => Position::read(cookie, &controls.cookie_key),
    };
    match position {
        Some(Position::After(key)) if controls.sort.is_none() => from = key.next(context.snapshot, layout),
        Some(Position::Rank(rank)) if controls.sort.is_some() => limits.skip = rank,
        Some(Position::Place(place)) if controls.sort.is_some() => {
            limits.place = Some(usize::try_from(place).unwrap_or(usize::MAX));
        }
        _ => return Err(foreign_cookie()),
    }
    Ok((limits, from))
}

pub(super) fn foreign_cookie() -> LdapResult {
    let message =
        "the cookie of the paged results control is not one of this server; start from the first page";
    LdapResult::new(ResultCode::UnwillingToPerform, message)
}

/// The rank, from 0, of the target of a virtual list view; `None` if its offset is out of range.
pub(super) fn vlv_target(sorter: &Sorter, request: &VlvRequest) -> Option<usize> {
    let count = sorter.len();
    Some(match &request.target {
        VlvTarget::GreaterOrEqual(value) => sorter.rank_of(&sorter.order.first_key(value)),
        VlvTarget::ByOffset {
            offset,
            content_count,
        } => {
            let index = (*offset as usize).checked_sub(1)?;
            match *content_count as usize {
                // The last of a list stays the last, whatever became of the list; what lies between is scaled.
                believed if believed != 0 && *offset as usize >= believed => count.saturating_sub(1),
                believed if believed != 0 && index > 0 => {
                    (index as u128 * count as u128 / believed as u128) as usize
                }
                _ => index.min(count),
            }
        }
    })
}

pub(super) fn max_int(number: usize) -> u32 {
    u32::try_from(number)
        .unwrap_or(u32::MAX)
        .min(crate::ldap::ber::MAX_INT)
}
