//! The fingerprint of a snapshot, which shows whether it answers like another one.
//!
//! Must not know what it is compared with.

use uuid::{NonNilUuid, Uuid};

use crate::index::snapshot::Snapshot;
use crate::model::account::{Account, Role};
use crate::model::number::WrongNumber;
use crate::values::timestamp::StoredTime;

impl Snapshot {
    /// Equal for two snapshots exactly if they answer every search alike, in every shape. Computed at the first call: about 60
    /// ms for 100,000 users.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        *self.fingerprint.get_or_init(|| self.compute_fingerprint())
    }

    fn compute_fingerprint(&self) -> [u8; 32] {
        let mut hash = blake3::Hasher::new();
        if let Err(wrong) = self.write_parts(&mut |octets| {
            hash.update(&(octets.len() as u64).to_le_bytes());
            hash.update(octets);
        }) {
            // From here on it answers nothing but this, and no other snapshot has such a part.
            hash.update(&u64::MAX.to_le_bytes());
            hash.update(wrong.to_string().as_bytes());
        }
        *hash.finalize().as_bytes()
    }

    fn write_parts(&self, part: &mut impl FnMut(&[u8])) -> Result<(), WrongNumber> {
        let records = &self.records;
        part(&(self.user_count() as u64).to_le_bytes());
        for (number, record) in records.all.numbered() {
            part(&record.flags.to_le_bytes());
            part(records.block(record)?);
            part(records.name(number)?);
        }
        for user in self.users() {
            let users = &records.users;
            part(&users.pks.get(user)?.to_le_bytes());
            // Unknown values have octets that no known value has: no user's UUID is nil.
            part(
                users
                    .uuids
                    .get(user)?
                    .map_or(Uuid::nil(), NonNilUuid::get)
                    .as_bytes(),
            );
            part(records.user_uid(user)?);
            part(&StoredTime::octets(*users.password_changes.get(user)?));
        }
        let accounts = &records.users.accounts;
        if accounts
            .known
            .as_slice()
            .iter()
            .any(|account| *account != Account::default())
        {
            for user in self.users() {
                let account = accounts.of(user)?;
                part(account.path.as_bytes());
                part(account.kind.as_bytes());
            }
        }
        if records.rdns.are_named_by_uid() {
            part(b"uid");
        }
        if records.branches.are_made() {
            part(b"by path");
        }
        // Few have any.
        for user in self.users() {
            let roles = &accounts.of(user)?.roles;
            if !roles.is_empty() {
                part(b"roles of a user");
                part(&records.users.pks.get(user)?.to_le_bytes());
                part(&(roles.len() as u64).to_le_bytes());
                roles.iter().for_each(|role| write_role(part, role));
            }
        }
        for (group, roles) in records.groups.roles.numbered() {
            if !roles.is_empty() {
                part(b"roles of a group");
                part(records.groups.uuids.get(group)?);
                part(&(roles.len() as u64).to_le_bytes());
                roles.iter().for_each(|role| write_role(part, role));
            }
        }
        let memberships = &records.memberships;
        for (group, uuid) in records.groups.uuids.numbered() {
            part(uuid);
            part(&records.groups.numbers.get(group)?.to_le_bytes());
            let users = memberships.group_users.of(group)?;
            let parents = memberships.group_parents.of(group)?;
            part(&octets(users.iter().map(|user| user.get())));
            part(&octets(parents.iter().map(|parent| parent.get())));
        }
        Ok(())
    }
}

fn write_role(part: &mut impl FnMut(&[u8]), role: &Role) {
    part(&role.uuid);
    part(role.name.as_bytes());
}

fn octets(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    numbers.flat_map(u32::to_le_bytes).collect()
}
