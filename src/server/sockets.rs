//! Listening sockets: opened at the configured addresses, or inherited from systemd.
//!
//! Must not know what is spoken over them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::TcpListener;

/// Connections the kernel may hold for us until they are accepted.
const BACKLOG: i32 = 4096;
/// The first descriptor that systemd passes (`sd_listen_fds(3)`).
const FIRST_INHERITED: RawFd = 3;
/// More sockets than any unit has; a larger number is a mistake.
const MOST_INHERITED: usize = 64;

/// Sockets that were open before this process began, by what is spoken over them.
#[derive(Debug, Default)]
pub struct Inherited {
    /// For LDAP; none: those of the configuration are opened.
    pub ldap: Vec<std::net::TcpListener>,
    /// For LDAPS; likewise.
    pub ldaps: Vec<std::net::TcpListener>,
    /// For HTTP; likewise.
    pub http: Vec<std::net::TcpListener>,
}

/// Why inherited sockets cannot be used.
#[derive(Debug, Error)]
pub enum InheritError {
    /// The variables of socket activation are malformed.
    #[error("LISTEN_FDS is {0:?}; expected a number from 0 to {MOST_INHERITED}")]
    Count(String),
    /// A socket has no name that says what it is for.
    #[error(
        "socket number {number} of the socket unit is named {name:?}; set FileDescriptorName=ldap, ldaps or \
         metrics, with a unit for each"
    )]
    Name {
        /// Which one, from 1.
        number: usize,
        /// What it is called.
        name: String,
    },
    /// A descriptor is not a listening TCP socket.
    #[error("the socket {name:?} of the socket unit cannot be used: {source}")]
    Socket {
        /// What it is called.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

/// The sockets systemd opened for this process, as `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` tell; none if it
/// opened none.
///
/// # Errors
/// When there are sockets that have no known name or cannot be listened on.
pub fn inherited() -> Result<Inherited, InheritError> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let mut inherited = Inherited::default();
    if variable("LISTEN_PID").parse() != Ok(std::process::id()) {
        return Ok(inherited);
    }
    let count = variable("LISTEN_FDS");
    let count = count
        .parse()
        .ok()
        .filter(|number| *number <= MOST_INHERITED)
        .ok_or(InheritError::Count(count))?;
    let names = variable("LISTEN_FDNAMES");
    let mut names = names.split(':');
    for (number, descriptor) in (1..=count).zip(FIRST_INHERITED..) {
        let name = names.next().unwrap_or_default().to_owned();
        let list = match name.as_str() {
            "ldap" => &mut inherited.ldap,
            "ldaps" => &mut inherited.ldaps,
            "metrics" => &mut inherited.http,
            _ => return Err(InheritError::Name { number, name }),
        };
        list.push(listener_of(descriptor).map_err(|source| InheritError::Socket { name, source })?);
    }
    Ok(inherited)
}

/// A listener from a descriptor known by its number only. Taking it over as it is would need `unsafe`; the kernel makes
/// a second one of it instead. The first stays open as long as the process, which it does in systemd anyway.
fn listener_of(descriptor: RawFd) -> io::Result<std::net::TcpListener> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let second: OwnedFd = pidfd_getfd(own, descriptor, PidfdGetfdFlags::empty())?;
    let socket = Socket::from(second);
    let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return refuse("it is not a listening stream socket");
    }
    if socket.local_addr()?.as_socket().is_none() {
        return refuse("it is not a TCP socket");
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Makes an inherited socket usable here.
pub(super) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

/// Opens a port. An IPv6 wildcard takes IPv4 clients too, as Go's listeners do, unless `others` has the IPv4 wildcard
/// with the same port. Without IPv6 on the machine it is the IPv4 wildcard.
pub(super) fn open(address: SocketAddr, others: &[SocketAddr]) -> io::Result<TcpListener> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    let wildcard = address.is_ipv6() && address.ip().is_unspecified();
    let only_v6 = !wildcard || others.contains(&v4);
    match open_one(address, only_v6) {
        Err(error) if wildcard && !others.contains(&v4) && lacks_ipv6(&error) => {
            tracing::info!(%address, "no IPv6 on this machine; listening on IPv4 only");
            open_one(v4, false)
        }
        opened => opened,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

fn open_one(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wildcards_of_both_families_share_a_port() {
        let Ok(first) = open("[::]:0".parse().unwrap(), &[]) else {
            panic!("a wildcard can always be opened");
        };
        let address = first.local_addr().unwrap();
        assert!(
            std::net::TcpStream::connect(("127.0.0.1", address.port())).is_ok(),
            "IPv4 reaches it"
        );
        if address.is_ipv4() {
            println!("skipped the rest: no IPv6 here");
            return;
        }
        drop(first);
        let (v4, v6): (SocketAddr, SocketAddr) =
            (SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), address);
        let _v4 = open(v4, &[v4, v6]).unwrap();
        let _v6 = open(v6, &[v4, v6]).unwrap();
    }

    #[test]
    fn a_descriptor_becomes_a_listener_only_if_it_is_one() {
        use std::os::fd::AsRawFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let second = listener_of(listener.as_raw_fd()).unwrap();
        assert_eq!(second.local_addr().unwrap(), address);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(listener_of(file.as_raw_fd()).is_err());
        let stream = std::net::TcpStream::connect(address).unwrap();
        assert!(listener_of(stream.as_raw_fd()).is_err());
        assert!(listener_of(RawFd::MAX).is_err());
    }
}
