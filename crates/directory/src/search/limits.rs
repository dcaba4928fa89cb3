//! What limits an answer: size limit, pages and their cookies, virtual list views.
//!
//! Must not know filters.

use crate::plan::sorting::Sorter;
use crate::search::paging::{EntryKey, OrderDigest, PagePosition};
use crate::search::request::SearchControls;
use akldap_ldap::control::{VlvRequest, VlvTarget};
use akldap_ldap::message::SearchRequest;
use akldap_ldap::response::{LdapResult, ResultCode};

#[derive(Debug)]
pub(crate) struct AnswerLimits {
    /// Entries of all pages together (RFC 4511 section 4.5.1.4); 0 for no limit.
    size: u64,
    /// Entries on earlier pages.
    given: u64,
    /// Entries per page; 0 for no paging.
    page: u64,
    /// Whether the client wants no more pages.
    pub(crate) ended: bool,
    /// Boxed like the next one: most searches have neither, and would copy the space for them.
    pub(crate) vlv: Option<Box<VlvRequest>>,
    /// What cookies are made from, if the client wants pages.
    cookies: Option<Box<Cookies>>,
}

#[derive(Debug)]
struct Cookies {
    /// The order that was asked for.
    asked: OrderDigest,
    key: [u8; 32],
}

impl AnswerLimits {
    /// What limits the answer, and the position it starts from.
    #[inline(always)] // It has one caller, which would otherwise copy what it returns.
    pub(crate) fn new(
        request: &SearchRequest<'_>,
        controls: &SearchControls,
    ) -> Result<(Self, Option<PagePosition>), LdapResult> {
        if controls.vlv.is_some() && controls.sort.is_none() {
            let message = "a virtual list view needs a sort control (RFC 2891)";
            return Err(LdapResult::new(ResultCode::SortControlMissing, message));
        }
        let mut limits = Self {
            size: u64::from(request.size_limit),
            given: 0,
            page: 0,
            ended: false,
            vlv: controls.vlv.clone().map(Box::new),
            cookies: None,
        };
        let Some(paged) = &controls.paged else {
            return Ok((limits, None));
        };
        let asked = OrderDigest::new(controls.sort.as_deref());
        limits.cookies = Some(Box::new(Cookies {
            asked,
            key: controls.cookie_key,
        }));
        if limits.vlv.is_some() {
            // A view is not a page: its window is all there is.
            return Ok((limits, None));
        }
        limits.page = u64::from(paged.size);
        // Nothing is kept for the client, so an empty page is all there is to do.
        limits.ended = paged.size == 0;
        if limits.ended || paged.cookie.is_empty() {
            return Ok((limits, None));
        }
        let position = PagePosition::read(&paged.cookie, &controls.cookie_key)
            .filter(|position| position.asked == asked)
            .ok_or_else(foreign_cookie)?;
        limits.given = position.given;
        Ok((limits, Some(position)))
    }

    /// Whether the client wants pages.
    pub(crate) fn paged(&self) -> bool {
        self.cookies.is_some()
    }

    /// Whether no more entries may be given, of the many that this page has.
    #[inline]
    pub(crate) fn size_is_reached(&self, entries: u64) -> bool {
        self.size > 0 && self.given.saturating_add(entries) >= self.size
    }

    /// Whether a page with this many entries is full.
    #[inline]
    pub(crate) fn page_is_full(&self, entries: u64) -> bool {
        self.page > 0 && entries >= self.page
    }

    /// The result when more match than the client wants.
    pub(crate) fn size_exceeded(&self) -> LdapResult {
        let message = match self.paged() {
            true => format!(
                "more than {} entries match: the size limit applies to all pages together",
                self.size
            ),
            false => format!("more than {} entries match; ask for pages (RFC 2696)", self.size),
        };
        LdapResult::new(ResultCode::SizeLimitExceeded, message)
    }

    /// The cookie of a page that ends after an entry; the page had this many. Empty if the client wants no
    /// pages.
    pub(crate) fn cookie(&self, after: EntryKey, sort_key: Option<Vec<u8>>, entries: u64) -> Vec<u8> {
        let Some(cookies) = &self.cookies else {
            return Vec::new();
        };
        let position = PagePosition {
            after,
            sort_key,
            asked: cookies.asked,
            given: self.given.saturating_add(entries),
        };
        position.cookie(&cookies.key)
    }
}

pub(crate) fn foreign_cookie() -> LdapResult {
    let message = "the cookie of the paged results control is not from this server, or belongs to another \
         order; start from the first page";
    LdapResult::new(ResultCode::UnwillingToPerform, message)
}

/// The rank, from 0, of the target of a virtual list view; `None` if its offset is out of range.
pub(crate) fn vlv_target(sorter: &Sorter, request: &VlvRequest) -> Option<usize> {
    let count = sorter.len();
    Some(match &request.target {
        VlvTarget::GreaterOrEqual(value) => sorter.rank_of(&sorter.order.first_key(value)),
        VlvTarget::ByOffset {
            offset,
            content_count,
        } => {
            let index = (*offset as usize).checked_sub(1)?;
            match *content_count as usize {
                // The last of a list stays the last, whatever became of the list; everything in between is
                // scaled.
                believed if believed != 0 && *offset as usize >= believed => count.saturating_sub(1),
                believed if believed != 0 && index > 0 => {
                    let scaled = index as u128 * count as u128 / believed as u128;
                    // Less than the count, as the index is less than what the client believes.
                    usize::try_from(scaled).unwrap_or(count)
                }
                _ => index.min(count),
            }
        }
    })
}

pub(crate) fn max_int(number: usize) -> u32 {
    u32::try_from(number)
        .unwrap_or(u32::MAX)
        .min(akldap_ldap::ber::MAX_INT)
}
