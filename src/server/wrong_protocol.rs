//! Recognises, by its first octets, a protocol that is not the one a port speaks, and says in plain words what to
//! change. Must not know sockets.

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// LDAP without TLS.
    Ldap,
    /// TLS at once.
    Ldaps,
    /// TLS after StartTLS.
    StartTls,
    /// LDAP inside TLS.
    Inside,
}

/// Names what a confused client did; `None` when the octets may well be what was expected, or nothing that is known.
pub(super) fn explain(octets: &[u8], expected: Expected) -> Option<&'static str> {
    let found = FoundProtocol::of(octets)?;
    Some(match (found, expected) {
        (FoundProtocol::Tls, Expected::Ldap) => {
            "TLS was spoken to the LDAP port: use ldap:// with StartTLS there, or the LDAPS port"
        }
        (FoundProtocol::Tls, Expected::Inside) => {
            "TLS was spoken inside TLS: does something on the way encrypt a second time?"
        }
        (FoundProtocol::Ldap, Expected::Ldaps) => {
            "plain LDAP was spoken to the LDAPS port: use ldaps:// in the client, or the LDAP port"
        }
        (FoundProtocol::Ldap, Expected::StartTls) => {
            "the client asked for StartTLS and then went on without \
             TLS"
        }
        (FoundProtocol::Http, Expected::Ldap) => {
            "HTTP was spoken to the LDAP port: check the address in the client"
        }
        (FoundProtocol::Http, _) => "HTTP was spoken to the LDAPS port: check the address in the client",
        (FoundProtocol::Proxy, _) => {
            "a PROXY protocol header came from an address outside AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS \
             (--trusted-proxies): \
             add the load balancer's address there"
        }
        (FoundProtocol::Ssh, _) => "SSH was spoken to an LDAP port: check the address in the client",
        (FoundProtocol::Tls, Expected::Ldaps | Expected::StartTls)
        | (FoundProtocol::Ldap, Expected::Ldap | Expected::Inside) => {
            return None;
        }
    })
}

#[derive(Clone, Copy)]
enum FoundProtocol {
    Tls,
    Ldap,
    Http,
    Proxy,
    Ssh,
}

impl FoundProtocol {
    fn of(octets: &[u8]) -> Option<Self> {
        const HTTP: [&[u8]; 7] = [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI "];
        let begins = |start: &&[u8]| octets.iter().zip(*start).all(|(octet, of)| octet == of);
        match octets {
            // A handshake record of any version; SSL 2 is long gone.
            [0x16, 0x03, ..] | [0x16] => Some(Self::Tls),
            [0x30, ..] => Some(Self::Ldap),
            [] => None,
            _ if begins(&b"PROXY ".as_slice()) && octets.len() > 1 => Some(Self::Proxy),
            _ if begins(&b"\r\n\r\n\0\r\nQUIT\n".as_slice()) => Some(Self::Proxy),
            _ if begins(&b"SSH-".as_slice()) => Some(Self::Ssh),
            _ if HTTP.iter().any(begins) => Some(Self::Http),
            _ => None,
        }
    }
}

/// Whether these first octets can begin a TLS handshake.
pub(super) fn may_be_tls(octets: &[u8]) -> bool {
    octets.first().is_none_or(|first| *first == 0x16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_confusion_is_named_on_each_port() {
        let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];
        let bind = [0x30, 0x0c, 0x02, 0x01, 0x01];
        for (octets, expected, words) in [
            (&hello[..], Expected::Ldap, "TLS was spoken to the LDAP port"),
            (&bind, Expected::Ldaps, "plain LDAP was spoken to the LDAPS port"),
            (&bind, Expected::StartTls, "went on without TLS"),
            (&hello, Expected::Inside, "inside TLS"),
            (
                b"GET / HTTP/1.1\r\n",
                Expected::Ldap,
                "HTTP was spoken to the LDAP port",
            ),
            (b"POST /", Expected::Ldaps, "HTTP was spoken to the LDAPS port"),
            (b"PROXY TCP4 ", Expected::Ldap, "PROXY protocol"),
            (b"\r\n\r\n\0\r\nQUIT\n\x21", Expected::Ldaps, "PROXY protocol"),
            (b"SSH-2.0-OpenSSH", Expected::Ldap, "SSH"),
        ] {
            let found = explain(octets, expected).unwrap_or_default();
            assert!(found.contains(words), "{octets:x?} on {expected:?}: {found}");
        }
    }

    #[test]
    fn what_belongs_there_and_noise_are_not_named() {
        for (octets, expected) in [
            (&[0x16, 0x03, 0x01][..], Expected::Ldaps),
            (&[0x16, 0x03, 0x01], Expected::StartTls),
            (&[0x30, 0x0c], Expected::Ldap),
            (&[0x30, 0x0c], Expected::Inside),
            (&[0x99, 0x01, 0x02], Expected::Ldap),
            (&[], Expected::Ldap),
        ] {
            assert_eq!(explain(octets, expected), None, "{octets:x?} on {expected:?}");
        }
        assert!(may_be_tls(&[]) && may_be_tls(&[0x16]) && !may_be_tls(b"GET"));
    }
}
