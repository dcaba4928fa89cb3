//! The certificates that the TLS ports would serve: the providers' from authentik, or the one in files. Finds facts and judges none.

use akldap_authentik::{Client, LdapProvider};
use secrecy::ExposeSecret as _;

use crate::check::certificate::Certificate;
use crate::check::facts::{CertificateFacts, FileFacts};
use crate::config::TlsFiles;
use crate::outpost::certificates::read_pair;

/// What the server would serve of these files.
pub(super) fn in_files(files: &TlsFiles) -> FileFacts {
    let path = files.certificate.display().to_string();
    let certificate = read_pair(files)
        .map_err(|error| error.to_string())
        .and_then(|pair| {
            let found = Certificate::examine(&pair.chain, &pair.key);
            match (&found.broken, &found.key_problem, pair.usable) {
                (Some(problem), ..) => Err(format!("{path}: {problem}")),
                (None, None, Err(error)) => Err(error.to_string()),
                _ => Ok(found),
            }
        });
    FileFacts { path, certificate }
}

/// A provider's certificate, as authentik shows it to the outpost.
pub(super) async fn of(client: &Client, provider: &LdapProvider) -> CertificateFacts {
    let mut facts = CertificateFacts {
        provider: provider.name.clone(),
        server_name: provider.tls_server_name.clone(),
        certificate: None,
        key: None,
    };
    if let Some(uuid) = &provider.certificate {
        let chain = client.view_certificate(uuid).await;
        let key = client.view_private_key(uuid).await;
        let pem = key
            .as_ref()
            .map_or(&b""[..], |key| key.expose_secret().as_bytes());
        facts.certificate = Some(chain.map(|chain| Certificate::examine(chain.as_bytes(), pem)));
        facts.key = key.err();
    }
    facts
}
