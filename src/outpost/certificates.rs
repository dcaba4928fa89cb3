//! The certificates of our own TLS ports: the providers' from authentik, or a pair of files, or a self-signed one.
//!
//! Knows how one is chosen and when a new one may replace an old one. Must not know sockets; a certificate that
//! cannot be used never replaces one that can.

mod files;
mod key;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::TlsFiles;
use akldap_authentik::Client;

use super::providers::table::ProviderTable;

use files::FileWatch;
pub(crate) use files::read_pair;
pub use key::CertificateError;
use key::self_signed;
pub(crate) use key::{certified_chain, certified_key};

/// Which certificate serves which name.
#[derive(Debug)]
struct Choice {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

/// The certificates in use. Replacing them never disturbs open connections.
#[derive(Debug)]
pub struct CertificateTable {
    /// The files that replace the providers' certificates.
    files: Option<FileWatch>,
    self_signed: Arc<CertifiedKey>,
    choice: ArcSwap<Choice>,
    loaded: std::sync::Mutex<HashMap<String, Loaded>>,
    /// TLS server names of providers that were warned about, so that each is logged once.
    told: std::sync::Mutex<HashSet<String>>,
    /// What was last logged about who gets the self-signed certificate.
    fallback: std::sync::Mutex<Option<Fallback>>,
}

/// Who is shown the self-signed certificate although authentik could name a better one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fallback {
    /// Everybody: no provider has a certificate that can be used.
    Everybody,
    /// Whoever names none of the server names: the providers have different certificates.
    Unnamed,
    /// The clients of these providers get the certificate of the others.
    Others(Vec<String>),
}

/// A certificate from authentik that is in use.
#[derive(Clone, Debug)]
struct Loaded {
    /// Its name in authentik.
    name: String,
    fingerprint: Option<String>,
    key: Arc<CertifiedKey>,
}

impl CertificateTable {
    /// Starts with the certificate from files if there is one, otherwise with a self-signed one.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn new(files: Option<&TlsFiles>) -> Result<Self, CertificateError> {
        let self_signed = Arc::new(self_signed()?);
        let (files, default) = match files {
            Some(files) => {
                let (watch, key) = FileWatch::start(files.clone())?;
                (Some(watch), Arc::new(key))
            }
            None => (None, Arc::clone(&self_signed)),
        };
        let choice = ArcSwap::from_pointee(Choice {
            by_name: HashMap::new(),
            default,
        });
        Ok(Self {
            files,
            self_signed,
            choice,
            loaded: std::sync::Mutex::default(),
            told: std::sync::Mutex::default(),
            fallback: std::sync::Mutex::default(),
        })
    }

    /// The certificate for a client that asked for `server_name`: the provider's whose TLS server name it is, otherwise the
    /// one all providers share, otherwise the self-signed one.
    pub fn choose(&self, server_name: Option<&str>) -> Arc<CertifiedKey> {
        let choice = self.choice.load();
        let named = server_name.and_then(|name| {
            choice
                .by_name
                .get(&name.trim_end_matches('.').to_ascii_lowercase())
        });
        Arc::clone(named.unwrap_or(&choice.default))
    }

    /// When those in use, or their issuers' that are sent with them, expire, in seconds since 1970, by their names in authentik; one of our own or from files by a word.
    pub fn expiries(&self) -> Vec<(String, i64)> {
        let default = Arc::clone(&self.choice.load().default);
        let loaded = self.lock();
        let mut expiries: Vec<_> = loaded
            .values()
            .filter_map(|loaded| Some((loaded.name.clone(), expiry(&loaded.key)?)))
            .collect();
        let is_loaded = loaded.values().any(|loaded| Arc::ptr_eq(&loaded.key, &default));
        drop(loaded);
        if !is_loaded && let Some(expires) = expiry(&default) {
            let name = match self.files {
                Some(_) => "files",
                None => "self-signed",
            };
            expiries.push((name.to_owned(), expires));
        }
        expiries.sort();
        expiries
    }

    /// Fetches what changed and puts it in place. If a certificate cannot be fetched or used, its predecessor stays.
    pub(super) async fn refresh(&self, client: &Client, providers: &ProviderTable) {
        if self.files.is_some() {
            return self.look_at_files();
        }
        let mut in_use = HashMap::new();
        for provider in providers.iter() {
            let Some(uuid) = &provider.settings().certificate else {
                continue;
            };
            if in_use.contains_key(uuid) {
                continue;
            }
            let known = self.lock().get(uuid).cloned();
            match load(client, uuid, known.as_ref()).await {
                Ok(loaded) => {
                    in_use.insert(uuid.clone(), loaded);
                }
                Err(error) => {
                    let kept = if known.is_some() {
                        "the one in use stays"
                    } else {
                        "TLS is served without it"
                    };
                    tracing::warn!(
                        provider = provider.name(), certificate = uuid, %error,
                        "the certificate cannot be used; {kept}"
                    );
                    if let Some(known) = known {
                        in_use.insert(uuid.clone(), known);
                    }
                }
            }
        }
        self.choice.store(Arc::new(self.choose_among(&in_use, providers)));
        *self.lock() = in_use;
    }

    /// Starts to follow the files.
    pub(super) fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let (certificates, shutdown) = (Arc::clone(self), shutdown.clone());
        tasks.spawn(async move { certificates.follow_files(shutdown).await });
    }

    /// Follows the files, if there are any, until `shutdown`.
    async fn follow_files(&self, shutdown: CancellationToken) {
        if self.files.is_none() {
            return;
        }
        while shutdown
            .run_until_cancelled(tokio::time::sleep(files::LOOK_EVERY))
            .await
            .is_some()
        {
            self.look_at_files();
        }
    }

    /// Takes what is in the files now, if there are any and it can be used.
    pub(super) fn look_at_files(&self) {
        if let Some(key) = self.files.as_ref().and_then(FileWatch::renewed) {
            let default = Arc::new(key);
            let by_name = HashMap::new();
            self.choice.store(Arc::new(Choice { by_name, default }));
        }
    }

    fn choose_among(&self, in_use: &HashMap<String, Loaded>, providers: &ProviderTable) -> Choice {
        let mut by_name = HashMap::new();
        let mut uuids = Vec::new();
        let mut without = Vec::new();
        for provider in providers.iter() {
            let settings = provider.settings();
            let found = settings
                .certificate
                .as_ref()
                .and_then(|uuid| Some((uuid, in_use.get(uuid)?)));
            let Some((uuid, loaded)) = found else {
                without.push(provider.name().to_owned());
                continue;
            };
            match server_name(&settings.tls_server_name) {
                Ok(Some(name)) => {
                    by_name.insert(name, Arc::clone(&loaded.key));
                }
                Ok(None) => {}
                Err(problem)
                    if self
                        .told
                        .lock()
                        .is_ok_and(|mut told| told.insert(settings.tls_server_name.clone())) =>
                {
                    tracing::warn!(
                        provider = provider.name(),
                        tls_server_name = settings.tls_server_name,
                        "the provider's TLS server name {problem}: no client can ask for it"
                    );
                }
                Err(_) => {}
            }
            if !uuids.contains(uuid) {
                uuids.push(uuid.clone());
            }
        }
        let common = match uuids.as_slice() {
            [only] => in_use.get(only).map(|loaded| Arc::clone(&loaded.key)),
            _ => None,
        };
        let fallback = match uuids.as_slice() {
            [] if without.is_empty() => None,
            [] => Some(Fallback::Everybody),
            [_] if without.is_empty() => None,
            [_] => Some(Fallback::Others(without)),
            _ => Some(Fallback::Unnamed),
        };
        self.tell(fallback);
        Choice {
            by_name,
            default: common.unwrap_or_else(|| Arc::clone(&self.self_signed)),
        }
    }

    /// Logs who is shown a certificate other than the one an admin would expect, when that has changed.
    fn tell(&self, now: Option<Fallback>) {
        let mut said = self
            .fallback
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if *said == now {
            return;
        }
        match &now {
            None => {}
            Some(Fallback::Everybody) => tracing::warn!(
                "no provider has a usable certificate, so TLS clients get a self-signed one, a new one at \
                 each start: choose a certificate in the provider in authentik, or set \
                 AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE \
                 (--tls-certificate-file)"
            ),
            Some(Fallback::Unnamed) => tracing::info!(
                "the providers have different certificates: TLS clients that ask for none of the providers' \
                 TLS server names get a self-signed one"
            ),
            Some(Fallback::Others(providers)) => tracing::warn!(
                providers = %providers.join(", "),
                "these providers have no usable certificate, so their TLS clients get another provider's: \
                 choose a certificate in each of them in authentik"
            ),
        }
        *said = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Loaded>> {
        self.loaded
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// When the first certificate of a chain expires, in seconds since 1970. A root's date means nothing: clients have their own.
fn expiry(key: &CertifiedKey) -> Option<i64> {
    let certificates = key.cert.iter().enumerate();
    let ends = certificates.filter_map(|(index, octets)| {
        let (_, certificate) = X509Certificate::from_der(octets).ok()?;
        let is_root = index > 0 && certificate.issuer() == certificate.subject();
        (!is_root).then(|| certificate.validity().not_after.timestamp())
    });
    ends.min()
}

/// A provider's TLS server name as clients send it (RFC 6066 section 3): a DNS name in its ASCII form, without a
/// trailing dot. `None`: there is none. `Err`: it cannot be one, and why.
pub(crate) fn server_name(text: &str) -> Result<Option<String>, &'static str> {
    let name = text.trim().trim_end_matches('.');
    if name.is_empty() {
        return Ok(None);
    }
    match url::Host::parse(name) {
        Ok(url::Host::Domain(name)) if rustls_pki_types::DnsName::try_from(name.as_str()).is_ok() => {
            Ok(Some(name))
        }
        Ok(url::Host::Domain(_)) | Err(_) => Err("is not a DNS name"),
        Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Err("is an address, and clients ask only for host \
             names"),
    }
}

async fn load(client: &Client, uuid: &str, known: Option<&Loaded>) -> Result<Loaded, CertificateError> {
    let pair = client.certificate(uuid).await?;
    let fingerprint = pair.fingerprint_sha256;
    if let Some(known) = known
        && known.fingerprint.is_some()
        && known.fingerprint == fingerprint
    {
        return Ok(known.clone());
    }
    let chain = client.view_certificate(uuid).await?;
    let key = client.view_private_key(uuid).await?;
    let key = certified_key(chain.as_bytes(), key.expose_secret().as_bytes())?;
    tracing::info!(
        certificate = pair.name,
        fingerprint = fingerprint.as_deref().unwrap_or(""),
        "certificate loaded"
    );
    Ok(Loaded {
        name: pair.name,
        fingerprint,
        key: Arc::new(key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_are_brought_into_the_form_that_clients_send() {
        for (text, expected) in [
            ("ldap.example.org", "ldap.example.org"),
            (" LDAP.Example.org. ", "ldap.example.org"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example.", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("ldap", "ldap"),
            ("ldap_1.example", "ldap_1.example"),
        ] {
            assert_eq!(server_name(text), Ok(Some(expected.to_owned())), "{text}");
        }
        for nothing in ["", "  ", ".", " . "] {
            assert_eq!(server_name(nothing), Ok(None), "{nothing:?}");
        }
        for bad in [
            "a b.example",
            "a.example, b.example",
            "https://a.example",
            "10.0.0.1",
            "[::1]",
            "*.example",
            "a..b",
        ] {
            assert!(server_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_chain_expires_with_the_first_of_its_certificates() {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let authority = |name: &str, year| {
            let mut parameters = CertificateParams::default();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            (parameters, KeyPair::generate().unwrap())
        };
        let chain = |leaf_until, intermediate_until| {
            // Clients have their own copy, or a newer one.
            let (root, root_key) = authority("root", 2001);
            let root_pem = root.self_signed(&root_key).unwrap().pem();
            let root = Issuer::new(root, root_key);
            let (intermediate, key) = authority("intermediate", intermediate_until);
            let intermediate_pem = intermediate.signed_by(&key, &root).unwrap().pem();
            let intermediate = Issuer::new(intermediate, key);
            let (leaf, key) = authority("leaf", leaf_until);
            let leaf = leaf.signed_by(&key, &intermediate).unwrap().pem();
            let chain = format!("{leaf}{intermediate_pem}{root_pem}");
            let key = certified_key(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
            expiry(&key).unwrap()
        };
        let year = |year| rcgen::date_time_ymd(year, 1, 1).unix_timestamp();
        assert_eq!(chain(2031, 2030), year(2030));
        assert_eq!(chain(2031, 2040), year(2031));
    }

    #[test]
    fn without_anything_better_the_self_signed_certificate_serves_every_name() {
        let table = CertificateTable::new(None).unwrap();
        assert!(Arc::ptr_eq(
            &table.choose(None),
            &table.choose(Some("ldap.example.org"))
        ));
        let expiries = table.expiries();
        let [(name, expires)] = expiries.as_slice() else {
            panic!("{expiries:?}");
        };
        assert_eq!(name, "self-signed");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(*expires > i64::try_from(now).unwrap(), "{expires}");
    }
}
