//! A server that was used in every way that is counted, for the tests of what is counted.

use akldap_simulator::Directory;

use crate::certificates::{connector, ldaps, pair, serving};
use crate::client::Client;
use crate::scenery;
use crate::stage::{BASE, Stage, user_dn};

/// A server in cached mode with a certificate that was used in every way that is counted.
pub async fn used() -> Stage {
    let mut directory = serving(Directory::sample(60, 12), pair("p256"));
    scenery::change(&mut directory, |provider| provider.bind_mode = "cached".into());
    let stage = Stage::with(directory, |settings| {
        settings.set("AUTHENTIK_LDAP__FAILED_BIND_LIMIT", "1");
        settings.set("AUTHENTIK_LDAP__SEARCH_WORK_LIMIT_OWN", "1000");
    })
    .await;
    let mut service = stage.bound("ldapservice").await;
    assert_eq!(
        service
            .subtree(BASE, "(mail=alice@example.com)", &["cn"])
            .await
            .entries
            .len(),
        1
    );
    service.subtree(BASE, "(mail=*lic*)", &["cn"]).await;
    service.subtree(BASE, "(objectClass=user)", &[]).await;
    service.read("", &["+"]).await;
    service.compare(&user_dn("alice"), "cn", b"alice").await;
    service.who_am_i().await;
    // Again, from the cache.
    drop(stage.bound("ldapservice").await);
    let mut alice = stage.bound("alice").await;
    let parts: String = (0..3000).map(|number| format!("(mail=*x{number}*)")).collect();
    let laborious = alice.subtree(BASE, &format!("(|{parts})"), &["cn"]).await;
    assert_eq!(laborious.outcome.code, 11, "{:?}", laborious.outcome);
    for password in ["wrong", "another"] {
        assert_ne!(stage.bind(&user_dn("bob"), password).await.code, 0);
    }
    let mut large = stage.client().await;
    large.send_raw(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]).await;
    scenery::assert_disconnected(&mut large).await;
    let mut secure = ldaps(&connector(), stage.ldaps()).await.unwrap();
    secure.read("", &["+"]).await;
    let mut plain = Client::connect(stage.ldaps()).await;
    plain.send_raw(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(plain.receive().await.is_none(), "no TLS, no notice");
    stage
}
