//! What a snapshot file holds: the outpost's providers, and every user and group as the directory keeps them.
//! No password, no session, no private key, no token.
//!
//! Knows the order of the parts and that they are all there. Must not know how they are encrypted or where they are.

use serde::{Deserialize, Serialize};

use akldap_authentik::LdapProvider;
use akldap_directory::{Builder, CarriedGroup, CarriedUser, CustomPolicy, Snapshot, WrongNumber};

/// What comes before users and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContentsHeader {
    /// When the directory was read from authentik, in seconds since 1970.
    pub(super) read: u64,
    /// What the outpost serves.
    pub(super) providers: Vec<LdapProvider>,
}

/// Why contents cannot be used although they are authentic: a defect in akldap, or in the memory it ran in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its contents are not consistent ({0})")]
pub(super) struct ContentsError(&'static str);

const ABOUT: u8 = 1;
const USER: u8 = 2;
const GROUP: u8 = 3;
const END: u8 = 4;
/// Octets of a part's kind and length.
const PART_HEAD: usize = 5;
/// Octets handed over at once while writing.
const BATCH: usize = 64 * 1024;

/// Writes everything in pieces to `push`. Fails if a number in the snapshot points nowhere: what is written is whole.
pub(super) fn write<E: From<WrongNumber> + From<ContentsError>>(
    about: &ContentsHeader,
    snapshot: &Snapshot,
    mut push: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut out = Vec::with_capacity(BATCH * 2);
    let about = serde_json::to_vec(about).map_err(|_| ContentsError("the description cannot be written"))?;
    part(&mut out, ABOUT, |out| out.extend(about))?;
    for user in snapshot.users() {
        let user = snapshot.carried_user(user)?;
        part(&mut out, USER, |out| user.encode(out))?;
        flush(&mut out, BATCH, &mut push)?;
    }
    for group in snapshot.groups() {
        let group = snapshot.carried_group(group)?;
        part(&mut out, GROUP, |out| group.encode(out))?;
        flush(&mut out, BATCH, &mut push)?;
    }
    part(&mut out, END, |out| out.extend(snapshot.fingerprint()))?;
    flush(&mut out, 0, &mut push)
}

fn flush<E>(out: &mut Vec<u8>, above: usize, push: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    if out.len() > above {
        push(out)?;
        out.clear();
    }
    Ok(())
}

/// Appends a part: its kind, its length, and what `write` appends.
fn part(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ContentsError> {
    const TOO_LONG: ContentsError = ContentsError("a part is too long");
    out.push(kind);
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let begin = out.len();
    write(out);
    let length = out.len().checked_sub(begin).ok_or(TOO_LONG)?;
    let length = u32::try_from(length).map_err(|_| TOO_LONG)?.to_le_bytes();
    let slot = out.get_mut(length_at..begin).ok_or(TOO_LONG)?;
    slot.copy_from_slice(&length);
    Ok(())
}

/// Reads contents piece by piece, as they were written.
pub(super) struct ContentsReader {
    /// Octets that are not yet a whole part.
    pending: Vec<u8>,
    about: Option<ContentsHeader>,
    builder: Builder,
    users: usize,
    groups: usize,
    fingerprint: Option<[u8; 32]>,
}

impl Default for ContentsReader {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            about: None,
            builder: Builder::with_policy(CustomPolicy::serving_all()),
            users: 0,
            groups: 0,
            fingerprint: None,
        }
    }
}

impl ContentsReader {
    /// Takes the next piece.
    pub(super) fn push(&mut self, octets: &[u8]) -> Result<(), ContentsError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(octets);
        let mut rest = pending.as_slice();
        while let Some((kind, part, after)) = next_part(rest) {
            self.take(kind, part)?;
            rest = after;
        }
        let done = pending.len() - rest.len();
        pending.drain(..done);
        self.pending = pending;
        Ok(())
    }

    /// What precedes the directory, as soon as it was read.
    pub(super) fn about(&self) -> Option<&ContentsHeader> {
        self.about.as_ref()
    }

    fn take(&mut self, kind: u8, part: &[u8]) -> Result<(), ContentsError> {
        if self.fingerprint.is_some() {
            return Err(ContentsError("there is data after the end"));
        }
        match (kind, self.about.is_some()) {
            (ABOUT, false) => {
                let about = serde_json::from_slice(part);
                self.about = Some(about.map_err(|_| ContentsError("the description is malformed"))?);
            }
            (USER, true) => {
                let user = CarriedUser::decode(part).ok_or(ContentsError("a user is malformed"))?;
                self.builder.carry_user(&user);
                self.users += 1;
            }
            (GROUP, true) => {
                let group = CarriedGroup::decode(part).ok_or(ContentsError("a group is malformed"))?;
                self.builder.carry_group(&group);
                self.groups += 1;
            }
            (END, true) => {
                let fingerprint = part.try_into();
                self.fingerprint = Some(fingerprint.map_err(|_| ContentsError("the end is malformed"))?);
            }
            _ => return Err(ContentsError("a part is out of place")),
        }
        Ok(())
    }

    /// The directory, if it is the one that was written.
    pub(super) fn finish(self) -> Result<(ContentsHeader, Snapshot), ContentsError> {
        let missing = ContentsError("it ends too early");
        let (about, fingerprint) = (self.about.ok_or(missing)?, self.fingerprint.ok_or(missing)?);
        if !self.pending.is_empty() {
            return Err(ContentsError("there is data after the end"));
        }
        let damaged = |_| ContentsError("one of its numbers points to nothing");
        let (snapshot, _told_when_it_was_loaded) = self.builder.finish().map_err(damaged)?;
        let whole = snapshot.user_count() == self.users && snapshot.group_count() == self.groups;
        if !whole || snapshot.fingerprint() != fingerprint {
            return Err(ContentsError("the directory is not the one that was written"));
        }
        Ok((about, snapshot))
    }
}

/// The first part with its kind, if it is there whole, and what follows it.
fn next_part(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = octets.split_first_chunk::<PART_HEAD>()?;
    let [kind, length @ ..] = *head;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    let (part, after) = rest.split_at_checked(length)?;
    Some((kind, part, after))
}

#[cfg(test)]
mod tests;
