//! One load of the directory: every page of users and groups, built into a snapshot, installed only if it is whole.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::authentik::paging::{ScanError, ScanOptions};
use crate::authentik::{Group, GroupsQuery, RowWarning, User, UsersQuery};
use crate::directory::{Builder, GroupRecord, UserRecord};
use crate::outpost::Outpost;

/// A list that changes while it is read is read again at once, so often.
const CONSISTENCY_ATTEMPTS: u32 = 3;
/// Warnings about rows that are logged one by one; more are only counted.
const MAX_WARNINGS: usize = 20;

/// Why a directory was not loaded.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    /// A list could not be read whole.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Building failed inside akldap.
    #[error("the directory could not be built: {0}")]
    Build(#[from] tokio::task::JoinError),
}

/// What was odd in the last load, so that it is logged once and not at each refresh.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    known: BTreeSet<String>,
    now: BTreeSet<String>,
}

impl Warnings {
    fn add(&mut self, warning: impl ToString) {
        self.now.insert(warning.to_string());
    }

    fn tell(&mut self) {
        let fresh: Vec<&String> = self.now.difference(&self.known).collect();
        for warning in fresh.iter().take(MAX_WARNINGS) {
            tracing::warn!("{warning}");
        }
        if fresh.len() > MAX_WARNINGS {
            tracing::warn!(
                more = fresh.len() - MAX_WARNINGS,
                "further oddities in the directory are not listed"
            );
        }
        self.known = std::mem::take(&mut self.now);
    }

    fn start(&mut self) {
        self.now.clear();
    }
}

/// Loads users and groups and installs them.
pub(super) async fn directory(outpost: &Outpost, warnings: &mut Warnings) -> Result<(), LoadError> {
    let mut attempt = 1;
    let builder = loop {
        warnings.start();
        match read(outpost, warnings).await {
            Ok(builder) => break builder,
            Err(error @ ScanError::Inconsistent { .. }) if attempt < CONSISTENCY_ATTEMPTS => {
                tracing::debug!(%error, "reading the directory again");
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    };
    let previous = outpost.snapshot();
    let (snapshot, odd) = tokio::task::spawn_blocking(move || {
        let (snapshot, odd) = builder.finish();
        // What searches needed of the old directory they will need of the new one, and not have to wait for.
        if let Some(previous) = previous {
            snapshot.warm_like(&previous);
        }
        (snapshot, odd)
    })
    .await?;
    odd.iter().for_each(|warning| warnings.add(warning));
    warnings.tell();
    let (users, groups) = (snapshot.user_count(), snapshot.group_count());
    let first = outpost.snapshot.load().is_none();
    outpost.install(snapshot);
    if first {
        tracing::info!(users, groups, "directory loaded");
    } else {
        tracing::debug!(users, groups, "directory loaded");
    }
    Ok(())
}

async fn read(outpost: &Outpost, warnings: &mut Warnings) -> Result<Builder, ScanError> {
    let options = ScanOptions::default();
    let page_size = Some(outpost.config.authentik.page_size);
    let mut builder = Builder::new();
    // Without its groups and roles the page costs authentik more, not less: it then asks for each user's keys one by one.
    let query = UsersQuery {
        page_size,
        ..UsersQuery::default()
    };
    outpost
        .client
        .all_users(&query, &options, |page| {
            page.skipped
                .iter()
                .for_each(|warning: &RowWarning| warnings.add(warning));
            page.rows
                .iter()
                .for_each(|user| builder.add_user(&user_record(user)));
        })
        .await?;
    // Members come as keys in any case; as whole objects they would make one row of a large group enormous.
    let query = GroupsQuery {
        page_size,
        include_users: Some(false),
        include_children: Some(true),
        include_parents: Some(true),
        ..GroupsQuery::default()
    };
    outpost
        .client
        .all_groups(&query, &options, |page| {
            page.skipped
                .iter()
                .for_each(|warning: &RowWarning| warnings.add(warning));
            page.rows.iter().for_each(|group| {
                let parents: Vec<String> = group.parent_keys().map(str::to_owned).collect();
                builder.add_group(&group_record(group, &parents));
            });
        })
        .await?;
    Ok(builder)
}

fn user_record(user: &User) -> UserRecord<'_> {
    UserRecord {
        pk: user.pk,
        uuid: &user.uuid,
        uid: &user.uid,
        username: &user.username,
        name: &user.name,
        email: &user.email,
        is_active: user.is_active,
        is_superuser: user.is_superuser,
        attributes: user.attributes.as_ref().map(|attributes| attributes.get()),
        password_change_date: &user.password_change_date,
        date_joined: &user.date_joined,
        last_updated: &user.last_updated,
    }
}

fn group_record<'a>(group: &'a Group, parents: &'a [String]) -> GroupRecord<'a> {
    GroupRecord {
        uuid: &group.pk,
        num_pk: group.num_pk.unwrap_or_else(|| num_pk(&group.pk)),
        name: &group.name,
        is_superuser: group.is_superuser,
        parents,
        users: &group.users,
        attributes: group.attributes.as_ref().map(|attributes| attributes.get()),
    }
}

/// What authentik computes as `num_pk`: the first five decimal digits of the UUID as one number.
fn num_pk(uuid: &str) -> i64 {
    let number = uuid::Uuid::parse_str(uuid)
        .map(|uuid| uuid.as_u128())
        .unwrap_or_default();
    number
        .to_string()
        .chars()
        .take(5)
        .collect::<String>()
        .parse()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_num_pk_is_computed_as_authentik_does() {
        assert_eq!(num_pk("6c2728df-d3ae-4db9-95dd-09ee85a2ed8c"), 14375);
        assert_eq!(num_pk("not a uuid"), 0);
    }

    #[test]
    fn a_known_oddity_is_told_once() {
        let mut warnings = Warnings::default();
        warnings.add("a");
        warnings.tell();
        warnings.start();
        warnings.add("a");
        assert!(warnings.now.difference(&warnings.known).next().is_none());
    }
}
