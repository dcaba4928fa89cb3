//! The server as `akldap demo` shows it, with the test certificate.

use akldap_simulator::{Certificate, Directory};

use crate::transport::Transport;
use akldap_testing::stage::Stage;

/// Users and groups of the demo.
pub const USERS: usize = 200;
const GROUPS: usize = 25;

/// A directory whose providers have the test certificate.
pub fn with_certificate(mut directory: Directory) -> Directory {
    let file =
        |name: &str| std::fs::read_to_string(format!("{}/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let certificate = Certificate {
        pk: uuid::Uuid::from_u128(7),
        name: "p256".to_owned(),
        certificate_pem: file("p256.pem"),
        key_pem: file("p256.key"),
    };
    for provider in directory.providers.values_mut() {
        provider.certificate = Some(certificate.pk);
    }
    directory.certificates.insert(certificate.pk, certificate);
    directory
}

/// The directory of the demo.
pub fn demo_directory() -> Directory {
    Directory::sample(USERS, GROUPS)
}

/// The server of the demo.
pub async fn demo() -> Stage {
    Transport::Clear.demo().await
}

/// The server of the demo, where alice has attributes that try a schema: names that RFC 4512 does not allow, a list of
/// numbers, and her own object classes. With `legal_names`, names are spelt as RFC 4512 allows where possible.
pub async fn odd_attributes(legal_names: bool, transport: Transport) -> Stage {
    let mut directory = Directory::sample(USERS, GROUPS);
    let alice = directory
        .users()
        .iter()
        .find(|user| &*user.username == "alice")
        .expect("alice")
        .pk;
    let attributes = serde_json::json!({
        "nextcloud_quota": "1 GB",
        "2fa": true,
        "/x": "a hyphen in front",
        "with space": "b",
        "mobile": ["+49 1", "+49 2"],
        "objectClass": ["ldapPublicKey", "my.class/x"],
    });
    directory.change_user(alice, |user| {
        user.set_attributes(attributes.as_object().expect("an object"));
    });
    Stage::with(with_certificate(directory), |settings| {
        settings.set("AUTHENTIK_LDAP__LEGAL_ATTRIBUTE_NAMES", legal_names.to_string());
        transport.set(settings);
    })
    .await
}
