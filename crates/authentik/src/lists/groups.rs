//! The whole list of groups, read each time: authentik does not date groups, and memberships change no date at all.
//!
//! Knows how to tell an unchanged list without decoding it, and what pages from different moments say together: a page
//! shows all groups between its first and its last one, so whatever it leaves out is gone, and what no page could show
//! may only have slipped from one to another. Must not know the directory it becomes part of.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::error::ScanError;
use super::options::PageRequest;
use super::source::{ListSource, Lists};
use super::split::{Chunk, UnreadableRow, is_row_fault, read_page, retry};
use crate::api::{GroupsQuery, RawPage};
use crate::error::ApiError;
use crate::group::Group;
use crate::page::{Listed as _, Page, RowWarning};

/// Pages in flight at once: there are few, and authentik has two web workers by default.
const PARALLEL: usize = 2;

/// The list as it came.
pub(super) struct GroupList {
    pages: Vec<GroupPage>,
    digests: Vec<[u8; 32]>,
    decoded: OnceCell<Result<GroupRows, ScanError>>,
}

enum GroupPage {
    Raw(Box<RawPage>),
    /// What can be read of a page that cannot be read whole.
    Pieces(Chunk<Group>),
}

/// The rows of a list of groups.
#[derive(Clone, Debug, Default)]
pub struct GroupRows {
    /// Ascending by pk.
    pub rows: Vec<Group>,
    pub(super) skipped: Vec<RowWarning>,
    pub(super) unreadable: Vec<UnreadableRow<String>>,
    /// If its pages are from moments between which groups came or went: the parts of the list that each page showed
    /// whole. `None` if all pages fit together.
    shown: Option<Vec<ListPart>>,
    /// Equal for two lists exactly if they say the same.
    meaning: [u8; 32],
}

/// From the first pk to the last, both shown; the list's own ends are open.
#[derive(Clone, Debug)]
struct ListPart {
    first: Option<String>,
    last: Option<String>,
}

impl GroupRows {
    /// Whether the pages fit together.
    pub(super) fn is_whole(&self) -> bool {
        self.shown.is_none()
    }

    /// Whether a group that is not among the rows is known to be gone.
    pub fn is_gone(&self, pk: &str) -> bool {
        let within = |part: &ListPart| {
            part.first.as_deref().is_none_or(|first| first <= pk)
                && part.last.as_deref().is_none_or(|last| pk <= last)
        };
        let unreadable = |row: &UnreadableRow<String>| {
            row.after.as_deref().is_none_or(|after| after < pk)
                && row.before.as_deref().is_none_or(|before| pk < before)
        };
        !self.unreadable.iter().any(unreadable)
            && self.shown.as_ref().is_none_or(|parts| parts.iter().any(within))
    }
}

/// What is kept of a list to recognise it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupsSeen {
    digests: Vec<[u8; 32]>,
    meaning: Option<[u8; 32]>,
}

fn request(page_size: u32, page: u32, size: u32, lean: bool) -> GroupsQuery {
    // Members come as keys in any case; as whole objects they would make the row of a large group enormous. Parents and
    // children cost more when left out than as objects.
    GroupsQuery {
        page,
        page_size: Some(size.min(page_size)),
        ordering: Some("pk".to_owned()),
        include_users: Some(false),
        include_children: Some(!lean),
        include_parents: Some(!lean),
        ..GroupsQuery::default()
    }
}

/// Reads the list.
pub(super) async fn read<S: ListSource>(lists: &Lists<'_, S>) -> Result<GroupList, ScanError> {
    let first = read_one(lists, 1).await?.ok_or_else(|| ScanError::Inconsistent {
        kind: Group::KIND,
        problem: "it has no first page".to_owned(),
    })?;
    let total = match &first {
        GroupPage::Raw(page) => page.pagination().total_pages,
        GroupPage::Pieces(chunk) => chunk.page.pagination.count.div_ceil(u64::from(lists.page_size)),
    };
    let total = u32::try_from(total).map_err(|_| ScanError::Inconsistent {
        kind: Group::KIND,
        problem: format!("it claims {total} pages"),
    })?;
    let rest: Vec<Option<GroupPage>> = stream::iter(2..=total)
        .map(|page| read_one(lists, page))
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    let pages: Vec<GroupPage> = std::iter::once(first).chain(rest.into_iter().flatten()).collect();
    let digests = pages.iter().map(GroupPage::digest).collect();
    Ok(GroupList {
        pages,
        digests,
        decoded: OnceCell::new(),
    })
}

async fn read_one<S: ListSource>(lists: &Lists<'_, S>, page: u32) -> Result<Option<GroupPage>, ScanError> {
    let Lists {
        options, page_size, ..
    } = *lists;
    let whole = retry(&options, Group::KIND, page, || async {
        lists
            .raw_groups(&request(page_size, page, page_size, false))
            .await
    });
    match whole.await {
        Ok(raw) => Ok(Some(GroupPage::Raw(Box::new(raw)))),
        Err(ScanError::Page { source, .. })
            if matches!(*source, ApiError::InvalidPage { .. }) && page > 1 =>
        {
            Ok(None)
        }
        Err(ScanError::Page { source: fault, .. }) if is_row_fault(&fault) => {
            let fetch = |asked: PageRequest| async move {
                lists
                    .groups(&request(page_size, asked.page, asked.size, asked.lean))
                    .await
            };
            let request = PageRequest {
                page,
                size: page_size,
                descending: false,
                lean: true,
            };
            Ok(read_page(&options, &fetch, request).await?.map(GroupPage::Pieces))
        }
        Err(error) => Err(error),
    }
}

impl GroupPage {
    fn digest(&self) -> [u8; 32] {
        match self {
            Self::Raw(page) => page.digest(),
            Self::Pieces(chunk) => meaning(&chunk.page.rows, &chunk.unreadable),
        }
    }
}

impl GroupList {
    /// Whether all of it was read in one answer, and so at one moment.
    pub(super) fn is_one_page(&self) -> bool {
        matches!(self.pages.as_slice(), [GroupPage::Raw(_)])
    }

    /// Whether it says what another one said.
    pub(super) fn is(&self, seen: &GroupsSeen) -> bool {
        // The database may give the members of a group in a different order although nothing has changed.
        self.digests == seen.digests
            || seen
                .meaning
                .is_some_and(|meaning| self.groups().is_ok_and(|groups| groups.meaning == meaning))
    }

    /// How to recognise it.
    pub(super) fn seen(&self) -> GroupsSeen {
        GroupsSeen {
            digests: self.digests.clone(),
            meaning: self.groups().ok().map(|groups| groups.meaning),
        }
    }

    /// Its rows.
    ///
    /// # Errors
    /// When a page is not one.
    pub(super) fn into_groups(self) -> Result<GroupRows, ScanError> {
        match self.decoded.into_inner() {
            Some(groups) => groups,
            None => Self {
                decoded: OnceCell::new(),
                ..self
            }
            .decode(),
        }
    }

    /// Its rows, decoded at the first call.
    ///
    /// # Errors
    /// When a page is not one.
    pub(super) fn groups(&self) -> Result<&GroupRows, ScanError> {
        self.decoded
            .get_or_init(|| self.decode())
            .as_ref()
            .map_err(Clone::clone)
    }

    fn decode(&self) -> Result<GroupRows, ScanError> {
        let inconsistent = |problem: String| ScanError::Inconsistent {
            kind: Group::KIND,
            problem,
        };
        let (mut rows, mut skipped, mut unreadable) = (BTreeMap::new(), Vec::new(), Vec::new());
        let (mut parts, mut counts, mut received) = (Vec::new(), HashSet::new(), 0);
        for page in &self.pages {
            let page = match page {
                GroupPage::Raw(raw) => {
                    let page = raw.decode().map_err(|error| inconsistent(error.to_string()))?;
                    parts.extend(part(&page));
                    page
                }
                // Its pieces are themselves from different moments.
                GroupPage::Pieces(chunk) => {
                    unreadable.extend(chunk.unreadable.iter().cloned());
                    chunk.page.clone()
                }
            };
            counts.insert(page.pagination.count);
            received += page.received() as u64;
            // If a group is on two pages, the later one is newer.
            rows.extend(
                page.rows
                    .into_iter()
                    .map(|group: Group| (group.pk.clone(), group)),
            );
            skipped.extend(page.skipped);
        }
        let left_out = skipped
            .iter()
            .filter(|warning: &&RowWarning| warning.row_skipped)
            .count();
        received += unreadable.len() as u64;
        let names: HashSet<&str> = rows.values().map(|group| group.name.as_str()).collect();
        let fits = counts.len() == 1
            && counts.contains(&received)
            && (rows.len() + left_out + unreadable.len()) as u64 == received
            && names.len() == rows.len();
        let rows: Vec<Group> = rows.into_values().collect();
        Ok(GroupRows {
            meaning: meaning(&rows, &unreadable),
            rows,
            skipped,
            unreadable,
            shown: (!fits).then_some(parts),
        })
    }
}

/// The part of the list that a page shows whole; `None` of a page of nothing.
fn part(page: &Page<Group>) -> Option<ListPart> {
    let numbers = page.pagination;
    let mut pks: Vec<&str> = page.rows.iter().map(|group| group.pk.as_str()).collect();
    let left_out = page.skipped.iter().filter(|warning| warning.row_skipped);
    pks.extend(left_out.filter_map(|warning| warning.pk.as_deref()));
    pks.sort_unstable();
    let (&first, &last) = (pks.first()?, pks.last()?);
    Some(ListPart {
        first: (numbers.current != 1).then(|| first.to_owned()),
        last: (numbers.next != 0).then(|| last.to_owned()),
    })
}

fn meaning(rows: &[Group], unreadable: &[UnreadableRow<String>]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    let mut part = |octets: &[u8]| {
        hash.update(&(octets.len() as u64).to_le_bytes());
        hash.update(octets);
    };
    for group in rows {
        let attributes = group
            .attributes
            .as_ref()
            .map_or("", |attributes| attributes.get());
        let mut parents: Vec<&str> = group.parent_keys().collect();
        parents.sort_unstable();
        let mut users = group.users.clone();
        users.sort_unstable();
        for text in [group.pk.as_str(), &group.name, attributes, &parents.join(" ")] {
            part(text.as_bytes());
        }
        part(&[u8::from(group.is_superuser)]);
        // No octets where there is no number: each part has its length before it.
        part(
            group
                .num_pk
                .map(i64::to_le_bytes)
                .as_ref()
                .map_or(&[], |number| number),
        );
        part(
            &users
                .iter()
                .flat_map(|user| user.to_le_bytes())
                .collect::<Vec<_>>(),
        );
    }
    for row in unreadable {
        part(format!("{row:?}").as_bytes());
    }
    *hash.finalize().as_bytes()
}
