//! Certificates and keys in PEM (RFC 7468), as files have it that were written by hand or put together from others.
//!
//! One reader for whatever is given in PEM, so that what `check` says is what the server makes of it. Must not know where it came from,
//! or who is to be trusted.

use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use zeroize::Zeroizing;

use super::given_file::without_mark;

/// How a block begins.
const BEGIN: &[u8] = b"-----BEGIN ";
/// How a line ends with a block and another one begins on it: files were joined of which one has no line break at its end.
const JOINED: &[u8] = b"----------BEGIN ";
/// Octets of [`JOINED`] that belong to the block before.
const DASHES: usize = 5;
/// The most kinds of blocks that an error names.
const MOST_NAMED: usize = 3;

/// Why there is no certificate or key in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PemError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// Every other octet is zero.
    #[error("it is text in UTF-16; save it as ASCII or UTF-8")]
    Utf16,
    /// It is not text.
    #[error(
        "it is in a binary form, DER or PKCS #12; convert it to PEM, as openssl x509, pkey and pkcs12 do"
    )]
    Binary,
    /// A line that begins a block has something before it.
    #[error("something stands before -----BEGIN on its line; each such line must begin with it")]
    Misplaced,
    /// A block is damaged.
    #[error("a block of it cannot be read: {0}")]
    Broken(String),
    /// The key cannot be read without a passphrase.
    #[error("the key is encrypted; remove its passphrase: openssl pkey -in KEY -out NEW")]
    Encrypted,
    /// Other things are in it, or none.
    #[error("it has no {wanted} in PEM form{}", others(found))]
    Lacking {
        /// What was looked for.
        wanted: &'static str,
        /// The labels of what is in it.
        found: Vec<String>,
    },
}

/// Every certificate, in the order in which they stand; at least one.
///
/// # Errors
/// When there is none, or one is damaged.
pub fn certificates(octets: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let lines = lines(octets);
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&lines).collect();
    let found = found.map_err(|error| broken(&error))?;
    if found.is_empty() {
        return Err(lacking("certificate", &lines));
    }
    Ok(found)
}

/// The first private key of PKCS#8, PKCS#1 or SEC1 form.
///
/// # Errors
/// When there is none, or it is encrypted or damaged.
pub fn private_key(octets: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let lines = lines(octets);
    // As OpenSSL wrote keys before PKCS#8: the lines say so, and what follows them is no Base64 of a key.
    let is_encrypted = |line: &[u8]| line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
    if lines
        .split(|octet| *octet == b'\n')
        .any(|line| is_encrypted(line.trim_ascii()))
    {
        return Err(PemError::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(&lines).map_err(|error| match error {
        pem::Error::NoItemsFound => lacking("private key", &lines),
        error => broken(&error),
    })
}

/// The octets as the reader of blocks expects them: `-----BEGIN` at the beginning of a line.
fn lines(octets: &[u8]) -> Zeroizing<Vec<u8>> {
    // Enough for every line break that is added, so that no key is left in memory that was given back.
    let mut lines = Zeroizing::new(Vec::with_capacity(octets.len() * 2));
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let mut rest = without_mark(line);
        while let Some(at) = rest.windows(JOINED.len()).position(|part| part == JOINED) {
            let (before, after) = rest.split_at(at + DASHES);
            lines.extend_from_slice(before);
            lines.push(b'\n');
            rest = after;
        }
        lines.extend_from_slice(rest);
    }
    lines
}

/// Why nothing was found.
fn lacking(wanted: &'static str, lines: &[u8]) -> PemError {
    match lines.trim_ascii() {
        [] => return PemError::Empty,
        // The mark of UTF-16, or one dash of it after the other.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'-', 0, b'-', 0, ..] | [0, b'-', 0, b'-', ..] => {
            return PemError::Utf16;
        }
        // A sequence of more than 127 octets (X.690 section 8.1.3.5).
        [0x30, 0x80..=0xff, ..] => return PemError::Binary,
        _ => {}
    }
    let mut found: Vec<String> = Vec::new();
    let mut is_misplaced = false;
    for line in lines.split(|octet| matches!(octet, b'\n' | b'\r')) {
        match line.strip_prefix(BEGIN) {
            Some(label) => {
                let label = label.trim_ascii().strip_suffix(b"-----").unwrap_or(label);
                let label = String::from_utf8_lossy(label).into_owned();
                if !found.contains(&label) && found.len() < MOST_NAMED {
                    found.push(label);
                }
            }
            None => is_misplaced |= line.windows(BEGIN.len()).any(|part| part == BEGIN),
        }
    }
    if found.iter().any(|label| label == "ENCRYPTED PRIVATE KEY") {
        return PemError::Encrypted;
    }
    if is_misplaced && found.is_empty() {
        return PemError::Misplaced;
    }
    PemError::Lacking { wanted, found }
}

fn others(found: &[String]) -> String {
    match found {
        [] => String::new(),
        found => format!(", but {}", found.join(", ")),
    }
}

fn broken(error: &pem::Error) -> PemError {
    PemError::Broken(match error {
        pem::Error::MissingSectionEnd { .. } => "its -----END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "its -----BEGIN line is malformed".to_owned(),
        pem::Error::Base64Decode(_) => "what it holds is not Base64".to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        let path = format!("{}/../../certs/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    }

    fn with(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn what_editors_and_cat_leave_in_a_file_loses_no_certificate() {
        let (one, other) = (file("p256.pem"), file("ca.pem"));
        let wanted = certificates(&with(&[&one, &other])).unwrap();
        assert_eq!(wanted.len(), 2);
        let mark = "\u{feff}".as_bytes();
        let lines_of_windows = String::from_utf8(with(&[&one, &other]))
            .unwrap()
            .replace('\n', "\r\n")
            .into_bytes();
        for (what, given) in [
            ("a mark", with(&[mark, &one, &other])),
            ("two marks", with(&[mark, &one, mark, &other])),
            ("CRLF", lines_of_windows.clone()),
            ("a mark and CRLF", with(&[mark, &lines_of_windows])),
            (
                "text",
                with(&[
                    "subject=/CN=ldap é\nissuer=…\n".as_bytes(),
                    &one,
                    b"\n# and\n",
                    &other,
                    b"end",
                ]),
            ),
            ("no line break", with(&[one.trim_ascii_end(), &other])),
            (
                "no line break, a key",
                with(&[file("p256.key").trim_ascii_end(), one.trim_ascii_end(), &other]),
            ),
        ] {
            assert_eq!(certificates(&given).unwrap(), wanted, "{what}");
        }
    }

    #[test]
    fn keys_are_read_alike() {
        let key = file("p256.key");
        let wanted = private_key(&key).unwrap();
        let certificate = file("p256.pem");
        for given in [
            with(&["\u{feff}".as_bytes(), &key]),
            with(&[b"Bag Attributes\n", &key]),
            with(&[certificate.trim_ascii_end(), &key]),
            String::from_utf8(key.clone())
                .unwrap()
                .replace('\n', "\r\n")
                .into_bytes(),
        ] {
            let read = private_key(&given).unwrap();
            assert_eq!(read.secret_der(), wanted.secret_der());
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (certificate, key) = (file("p256.pem"), file("p256.key"));
        let utf16: Vec<u8> = String::from_utf8(certificate.clone())
            .unwrap()
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let der = certificates(&certificate).unwrap().remove(0);
        let indented = String::from_utf8(certificate.clone())
            .unwrap()
            .replace("-----B", "  -----B");
        let cut_off = certificate.get(..certificate.len() - 40).unwrap();
        let damaged = String::from_utf8(certificate.clone())
            .unwrap()
            .replace("\nM", "\n*");
        for (given, wanted) in [
            (&b" \r\n"[..], "it is empty"),
            (&utf16, "it is text in UTF-16"),
            (&with(&[&[0xff, 0xfe], &utf16]), "it is text in UTF-16"),
            (&der, "it is in a binary form"),
            (indented.as_bytes(), "something stands before -----BEGIN"),
            (
                cut_off,
                "a block of it cannot be read: its -----END line is missing",
            ),
            (
                damaged.as_bytes(),
                "a block of it cannot be read: what it holds is not Base64",
            ),
            (b"nonsense", "it has no certificate in PEM form"),
            (&key, "it has no certificate in PEM form, but PRIVATE KEY"),
        ] {
            let told = certificates(given).unwrap_err().to_string();
            assert!(told.starts_with(wanted), "{wanted}: {told}");
        }
        let traditional = b"-----BEGIN EC PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,00\r\n\r\nAAAA\r\n-----END EC PRIVATE KEY-----\r\n";
        for (given, wanted) in [
            (
                &certificate[..],
                "it has no private key in PEM form, but CERTIFICATE",
            ),
            (traditional, "the key is encrypted"),
            (
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "the key is encrypted",
            ),
        ] {
            let told = private_key(given).unwrap_err().to_string();
            assert!(told.starts_with(wanted), "{wanted}: {told}");
        }
    }
}
