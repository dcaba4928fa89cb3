//! Which addresses count as one client. Must not know what is counted.

use std::net::{IpAddr, Ipv6Addr};

/// The address a client counts under: an IPv6 client owns a whole /64.
pub(super) fn counted_address(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}
