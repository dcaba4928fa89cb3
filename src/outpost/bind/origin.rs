//! Who asks and whom a bind is about, as far as turns and limits have to tell them apart: the client's address, the proxy
//! that named it, and the person, however their name was written. Must not know what follows from it.

use std::net::{IpAddr, Ipv6Addr};

use crate::directory::{Snapshot, without_white_space_around};

/// Where a bind comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub client: IpAddr,
    /// The peer that named this address in a PROXY header, if that peer is believed only because nobody set whom to
    /// believe: it may have invented the address.
    pub proxy: Option<IpAddr>,
}

impl From<IpAddr> for Origin {
    fn from(client: IpAddr) -> Self {
        Self { client, proxy: None }
    }
}

/// The address a client counts under: an IPv6 client owns a whole /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(client: IpAddr) -> Self {
        Self(match client.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Whom a bind names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Person {
    /// A user of the directory, by primary key.
    User(i64),
    /// A name that nobody in the directory has, as a hash: names of any length take the same room.
    Name([u8; 32]),
}

impl Person {
    /// The person authentik's identification stage would find: by user name, else by e-mail address, else by UUID.
    pub(super) fn new(snapshot: Option<&Snapshot>, name: &str) -> Self {
        // authentik takes spaces around a name away.
        let name = without_white_space_around(name);
        let known = snapshot.and_then(|snapshot| {
            let user = snapshot.user_by_login(name)?;
            Some(snapshot.user(user).pk)
        });
        known.map_or_else(
            || Self::Name(*blake3::hash(name.to_lowercase().as_bytes()).as_bytes()),
            Self::User,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Builder, UserRecord};

    #[test]
    fn an_address_has_one_source_however_it_is_written_and_a_64_is_one() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1:2:3"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn user_name_address_and_uuid_are_one_person() {
        let mut builder = Builder::new();
        for (pk, username, email) in [(7, "alice", "Alice@Example.com"), (8, "bob", "bob@example.com")] {
            builder.add_user(&UserRecord {
                pk,
                uuid: &format!("00000000-0000-4000-8000-00000000000{pk}"),
                uid: username,
                username,
                name: username,
                email,
                is_active: true,
                is_superuser: false,
                attributes: None,
                password_change_date: "",
                date_joined: "",
                last_updated: "",
            });
        }
        let snapshot = builder.finish().0;
        let person = |name: &str| Person::new(Some(&snapshot), name);
        for name in [
            "alice",
            "ALICE",
            " alice ",
            "\u{1c}alice\u{1f}\u{a0}",
            "alice@example.com",
            "ALICE@example.com",
            "00000000-0000-4000-8000-000000000007",
        ] {
            assert_eq!(person(name), Person::User(7), "{name}");
        }
        assert_eq!(person("bob@example.com"), Person::User(8));
        assert_eq!(person("Carol"), person(" carol\u{1f}"));
        assert_ne!(person("carol"), person("dave"));
        assert_ne!(person(""), Person::User(7), "an unset address is nobody's");
        assert_eq!(Person::new(None, "Carol"), person("carol"));
    }
}
