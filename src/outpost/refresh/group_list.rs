//! The whole list of groups, read each time: authentik dates no group, and memberships move no date at all.
//!
//! Knows how to tell an unchanged list without decoding it. Must not know the directory it becomes part of.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::time::SystemTime;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::authentik::paging::{
    Chunk, PageRequest, ScanError, ScanOptions, Unreadable, is_row_fault, read_page, retry,
};
use crate::authentik::{ApiError, Client, Group, GroupsQuery, RawPage, Row as _, RowWarning};

/// Pages in flight at once: there are few, and authentik has two web workers by default.
const PARALLEL: usize = 2;

/// The list as it came.
pub(super) struct GroupList {
    pages: Vec<Page>,
    digests: Vec<[u8; 32]>,
    decoded: OnceCell<Result<Groups, ScanError>>,
    /// The server's clock when the first page was answered.
    pub(super) served: Option<SystemTime>,
}

enum Page {
    Raw(Box<RawPage>),
    /// What can be had of a page that cannot be had whole.
    Pieces(Chunk<Group>),
}

/// The list's rows.
pub(super) struct Groups {
    /// Ascending by pk.
    pub(super) rows: Vec<Group>,
    pub(super) skipped: Vec<RowWarning>,
    pub(super) unreadable: Vec<Unreadable<String>>,
    /// The same for two lists exactly if they say the same.
    meaning: [u8; 32],
}

/// What is kept of a list to recognise it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupsSeen {
    digests: Vec<[u8; 32]>,
    meaning: Option<[u8; 32]>,
}

fn request(page_size: u32, page: u32, size: u32, lean: bool) -> GroupsQuery {
    // Members come as keys in any case; as whole objects they would make one row of a large group enormous. Parents and
    // children cost more keys left out than as objects.
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
pub(super) async fn read(
    client: &Client,
    options: &ScanOptions,
    page_size: u32,
) -> Result<GroupList, ScanError> {
    let first = read_one(client, options, page_size, 1)
        .await?
        .ok_or_else(|| ScanError::Inconsistent {
            kind: Group::KIND,
            problem: "it has no first page".to_owned(),
        })?;
    let (served, total) = match &first {
        Page::Raw(page) => (page.served(), page.pagination().total_pages),
        Page::Pieces(chunk) => {
            let count = chunk.page.pagination.count;
            (chunk.page.served, count.div_ceil(u64::from(page_size)))
        }
    };
    let total = u32::try_from(total).map_err(|_| ScanError::Inconsistent {
        kind: Group::KIND,
        problem: format!("it claims {total} pages"),
    })?;
    let rest: Vec<Option<Page>> = stream::iter(2..=total)
        .map(|page| read_one(client, options, page_size, page))
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    let pages: Vec<Page> = std::iter::once(first).chain(rest.into_iter().flatten()).collect();
    let digests = pages.iter().map(Page::digest).collect();
    Ok(GroupList {
        pages,
        digests,
        decoded: OnceCell::new(),
        served,
    })
}

async fn read_one(
    client: &Client,
    options: &ScanOptions,
    page_size: u32,
    page: u32,
) -> Result<Option<Page>, ScanError> {
    let whole = retry(options, Group::KIND, page, || async {
        client
            .raw_groups_page(&request(page_size, page, page_size, false))
            .await
    });
    match whole.await {
        Ok(raw) => Ok(Some(Page::Raw(Box::new(raw)))),
        Err(ScanError::Page { source, .. })
            if matches!(*source, ApiError::InvalidPage { .. }) && page > 1 =>
        {
            Ok(None)
        }
        Err(ScanError::Page { source, .. }) if is_row_fault(&source) => {
            let fetch = |asked: PageRequest| async move {
                client
                    .groups_page(&request(page_size, asked.page, asked.size, asked.lean))
                    .await
            };
            let request = PageRequest {
                page,
                size: page_size,
                descending: false,
                lean: true,
            };
            Ok(read_page(options, &fetch, request).await?.map(Page::Pieces))
        }
        Err(error) => Err(error),
    }
}

impl Page {
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
        matches!(self.pages.as_slice(), [Page::Raw(_)])
    }

    /// Whether it says what another one said.
    pub(super) fn is(&self, seen: &GroupsSeen) -> bool {
        // The database may give the members of a group in another order without anything having changed.
        self.digests == seen.digests
            || seen
                .meaning
                .is_some_and(|meaning| self.groups().is_ok_and(|groups| groups.meaning == meaning))
    }

    /// What to recognise it by.
    pub(super) fn seen(&self) -> GroupsSeen {
        GroupsSeen {
            digests: self.digests.clone(),
            meaning: self.groups().ok().map(|groups| groups.meaning),
        }
    }

    /// Its rows, decoded at the first call.
    ///
    /// # Errors
    /// When the pages do not fit together.
    pub(super) fn groups(&self) -> Result<&Groups, ScanError> {
        self.decoded
            .get_or_init(|| self.decode())
            .as_ref()
            .map_err(Clone::clone)
    }

    fn decode(&self) -> Result<Groups, ScanError> {
        let inconsistent = |problem: String| ScanError::Inconsistent {
            kind: Group::KIND,
            problem,
        };
        let (mut rows, mut skipped, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        let mut counts = HashSet::new();
        for page in &self.pages {
            let page = match page {
                Page::Raw(raw) => raw.decode().map_err(|error| inconsistent(error.to_string()))?,
                Page::Pieces(chunk) => {
                    unreadable.extend(chunk.unreadable.iter().cloned());
                    chunk.page.clone()
                }
            };
            counts.insert(page.pagination.count);
            rows.extend(page.rows);
            skipped.extend(page.skipped);
        }
        rows.sort_by(|a: &Group, b: &Group| a.pk.cmp(&b.pk));
        let distinct = rows.windows(2).all(|pair| matches!(pair, [a, b] if a.pk != b.pk));
        let left_out = skipped
            .iter()
            .filter(|warning: &&RowWarning| warning.row_skipped)
            .count();
        let received = (rows.len() + left_out + unreadable.len()) as u64;
        if !distinct || counts.len() > 1 || !counts.contains(&received) {
            return Err(inconsistent(format!(
                "{received} groups came, {counts:?} were announced"
            )));
        }
        Ok(Groups {
            meaning: meaning(&rows, &unreadable),
            rows,
            skipped,
            unreadable,
        })
    }
}

fn meaning(rows: &[Group], unreadable: &[Unreadable<String>]) -> [u8; 32] {
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
        part(&group.num_pk.unwrap_or(i64::MIN).to_le_bytes());
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
