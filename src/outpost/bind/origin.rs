//! Who asks and whom a bind is about, as far as turns and limits have to distinguish them: the client's address, the
//! proxy that named it, and the person, however their name was written. Must not know what follows from it.

use std::net::{IpAddr, Ipv6Addr};

use akldap_directory::{Snapshot, WrongNumber, login_key};

/// Where a bind comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub client: IpAddr,
    /// The peer that named this address in a PROXY header, if that peer is trusted only because nobody set whom to trust:
    /// it may have invented the address.
    pub proxy: Option<IpAddr>,
}

impl From<IpAddr> for Origin {
    fn from(client: IpAddr) -> Self {
        Self { client, proxy: None }
    }
}

/// How many addresses the addresses count as that one peer names while it is believed by default. Somebody who invents
/// addresses then holds up a newcomer elsewhere by this many turns, and one client behind an honest proxy is still held
/// up only by its share of the others there.
pub const NAMED_SOURCES: u8 = 16;

/// The address a client counts under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CountedAddress {
    /// Its own; an IPv6 client owns a whole /64.
    Address(IpAddr),
    /// One of the few for the addresses that a peer names.
    Named {
        /// The peer.
        by: IpAddr,
        /// Below [`NAMED_SOURCES`].
        number: u8,
    },
}

impl CountedAddress {
    /// The source of an address that may have been invented.
    pub(super) fn named_by(proxy: IpAddr, client: IpAddr) -> Self {
        let Self::Address(client) = Self::from(client) else {
            return Self::Address(proxy);
        };
        let hash = blake3::hash(client.to_string().as_bytes());
        let [first, ..] = *hash.as_bytes();
        Self::Named {
            by: proxy.to_canonical(),
            number: first % NAMED_SOURCES,
        }
    }
}

impl From<IpAddr> for CountedAddress {
    fn from(client: IpAddr) -> Self {
        Self::Address(match client.to_canonical() {
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
    /// The person authentik's identification stage would find: by user name or e-mail address, otherwise by UUID.
    ///
    /// # Errors
    /// When a number in the directory points nowhere, so that it is unknown whose attempts to count.
    pub(super) fn new(snapshot: Option<&Snapshot>, name: &str) -> Result<Self, WrongNumber> {
        if let Some(snapshot) = snapshot
            && let Some(user) = snapshot.user_by_login(name)?
        {
            return Ok(Self::User(snapshot.user(user)?.pk));
        }
        let name = blake3::hash(login_key(name).as_bytes());
        Ok(Self::Name(*name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_directory::{Builder, UserRecord};

    #[test]
    fn an_address_has_one_source_however_it_is_written_and_a_64_is_one() {
        let source = |text: &str| CountedAddress::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1:2:3"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn one_peer_names_few_sources() {
        let proxy = "10.0.0.1".parse::<IpAddr>().unwrap();
        let sources: std::collections::HashSet<CountedAddress> = (0..10_000_u32)
            .map(|number| CountedAddress::named_by(proxy, IpAddr::V4(number.into())))
            .collect();
        assert_eq!(sources.len(), usize::from(NAMED_SOURCES));
        let other = "10.0.0.2".parse::<IpAddr>().unwrap();
        assert!(!sources.contains(&CountedAddress::named_by(other, proxy)));
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
                ..UserRecord::default()
            });
        }
        let snapshot = builder.finish().unwrap().0;
        let person = |name: &str| Person::new(Some(&snapshot), name).unwrap();
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
        // Whoever guesses gains no attempts from letters that authentik treats as the same.
        for name in ["alıce", "ALıCE", "ALICE@example.com", "alıce@example.com"] {
            assert_eq!(person(name), Person::User(7), "{name}");
        }
        assert_eq!(person("ſidney"), person("SıDNEY"));
        assert_ne!(person("\u{212a}en"), person("ken"));
        assert_ne!(person(""), Person::User(7), "an unset address is nobody's");
        assert_eq!(Person::new(None, "Carol"), Ok(person("carol")));
    }
}
