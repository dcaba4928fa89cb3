//! A certificate and its key in two files, read again when they change: whoever renews them need not tell us.
//!
//! Both are compared by their contents, as times and links mean little on mounted volumes. Must not know who uses the
//! certificate.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use akldap_authentik::given_file;

use crate::config::TlsFiles;

use super::key::{CertificateError, certified_key};

/// How often the files are looked at. They are small, and a renewed certificate is not in a hurry.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Larger than any chain or key; a larger file is a mistake.
const MOST_OCTETS: usize = 1 << 20;

/// The files, and their contents when they were last looked at.
#[derive(Debug)]
pub(super) struct FileWatch {
    files: TlsFiles,
    seen: Mutex<Option<[u8; 32]>>,
}

impl FileWatch {
    /// Reads the files for the first time.
    pub(super) fn start(files: TlsFiles) -> Result<(Self, CertifiedKey), CertificateError> {
        let (contents, hash) = read_both(&files, given_file::patience())?;
        let key = usable(&files, &contents)?;
        let seen = Mutex::new(Some(hash));
        Ok((Self { files, seen }, key))
    }

    /// What is in the files if that changed since the last look and can be used. What cannot is logged, once.
    pub(super) fn renewed(&self) -> Option<CertifiedKey> {
        // A pipe can be read once, and whoever serves does not wait for one.
        let read = read_both(&self.files, Duration::ZERO);
        let hash = read.as_ref().ok().map(|(_, hash)| *hash);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == hash {
            return None;
        }
        *seen = hash;
        drop(seen);
        match read.and_then(|(contents, _)| usable(&self.files, &contents)) {
            Ok(key) => {
                let path = self.files.certificate.display();
                tracing::info!(%path, "certificate read again");
                Some(key)
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the certificate files have changed but cannot be used; the certificate in use stays"
                );
                None
            }
        }
    }
}

/// What is in the files, for whoever judges a set-up: read as the server reads it.
pub(crate) struct FilePair {
    /// The chain, PEM.
    pub chain: Zeroizing<Vec<u8>>,
    /// The private key, PEM.
    pub key: Zeroizing<Vec<u8>>,
    /// Whether the server would serve it, or why not.
    pub usable: Result<(), CertificateError>,
}

/// Reads both files.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn read_pair(files: &TlsFiles) -> Result<FilePair, CertificateError> {
    let (contents, _) = read_both(files, given_file::patience())?;
    let usable = usable(files, &contents).map(|_| ());
    let (chain, key) = contents;
    Ok(FilePair { chain, key, usable })
}

type Contents = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

fn usable(files: &TlsFiles, (chain, key): &Contents) -> Result<CertifiedKey, CertificateError> {
    certified_key(chain, key).map_err(|problem| CertificateError::Pair {
        certificate: files.certificate.display().to_string(),
        key: files.key.display().to_string(),
        problem: Box::new(problem),
    })
}

fn read_both(files: &TlsFiles, patience: Duration) -> Result<(Contents, [u8; 32]), CertificateError> {
    let read = |path: &Path, option| {
        given_file::read(path, MOST_OCTETS, patience).map_err(|source| CertificateError::File {
            option,
            path: path.display().to_string(),
            source,
        })
    };
    let chain = read(&files.certificate, "AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE")?;
    let key = read(&files.key, "AUTHENTIK_LDAP__TLS_KEY_FILE")?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(chain.len() as u64).to_le_bytes());
    hasher.update(&chain).update(&key);
    let hash = *hasher.finalize().as_bytes();
    Ok(((chain, key), hash))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sample(name: &str) -> Vec<u8> {
        fs::read(format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn a_change_is_noticed_once_and_a_bad_one_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("chain.pem"),
            key: folder.path().join("key.pem"),
        };
        let put = |chain: &[u8], key: &[u8]| {
            fs::write(&files.certificate, chain).unwrap();
            fs::write(&files.key, key).unwrap();
        };
        put(&sample("p256.pem"), &sample("p256.key"));
        let (watch, first) = FileWatch::start(files.clone()).unwrap();
        assert!(watch.renewed().is_none(), "nothing changed");
        // The certificate comes first and its key a moment later, as with most tools.
        put(&sample("rsa2048.pem"), &sample("p256.key"));
        assert!(watch.renewed().is_none(), "half a change");
        put(&sample("rsa2048.pem"), &sample("rsa2048.key"));
        let second = watch.renewed().expect("a whole change");
        assert_ne!(first.cert, second.cert);
        assert!(watch.renewed().is_none());
        fs::remove_file(&files.key).unwrap();
        assert!(watch.renewed().is_none(), "no key");
        put(&sample("rsa2048.pem"), b"garbage");
        assert!(watch.renewed().is_none(), "a bad key");
        put(&sample("p256.pem"), &sample("p256.key"));
        assert_eq!(watch.renewed().expect("good again").cert, first.cert);
    }

    #[test]
    fn bad_files_end_the_start() {
        let certs = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("certs").join(name);
        for (certificate, key) in [
            ("p256.pem", "rsa2048.key"),
            ("p256.key", "p256.key"),
            ("p256.pem", "none"),
        ] {
            let files = TlsFiles {
                certificate: certs(certificate),
                key: certs(key),
            };
            let error = FileWatch::start(files).unwrap_err().to_string();
            let wrong = if key == "none" { key } else { certificate };
            assert!(error.contains(&format!("certs/{wrong}")), "{error}");
        }
    }
}
