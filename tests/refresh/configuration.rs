//! A configuration file that is read again: what applies to providers from then on, and what does not
//! change.

use akldap::config::{Config, StringMap};
use akldap_simulator::Directory;

use akldap_testing::stage::{SUFFIX, Stage, settings};

const STRICT: i32 = 50;

#[tokio::test]
async fn a_file_read_again_applies_to_providers_and_a_bad_one_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("akldap.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("[common]\nstrict_bind_dn = true\n");
    let stage = Stage::with(Directory::sample(0, 0), |map: &mut StringMap| {
        map.set("AUTHENTIK_LDAP__CONFIG_FILE", path.to_str().unwrap());
    })
    .await;
    let read = || {
        let mut map = settings(&stage.simulator, &stage.temporary);
        map.set("AUTHENTIK_LDAP__CONFIG_FILE", path.to_str().unwrap());
        Config::read(&map)
    };
    let lax = format!("cn=alice,{SUFFIX}");
    let bind = async || stage.bind(&lax, "demo-alice").await.code;
    assert_eq!(bind().await, STRICT);
    let mut held = stage.bound("ldapservice").await;

    // The provider's section applies, because the flag and the variable are not set.
    write(&format!(
        "[common]\nstrict_bind_dn = true\n[provider.\"{SUFFIX}\"]\nstrict_bind_dn = false\n"
    ));
    let outpost = stage.server.outpost();
    assert!(outpost.reconfigure(&read().unwrap().providers).await);
    assert_eq!(bind().await, 0);
    assert!(
        !outpost.reconfigure(&read().unwrap().providers).await,
        "nothing differs"
    );

    write("[common]\nstrict_bind_dn = perhaps\n");
    assert!(read().is_err());
    assert_eq!(bind().await, 0);

    // Who was bound still is.
    let found = held.subtree(SUFFIX, "(&(objectClass=user)(cn=alice))", &[]).await;
    assert_eq!((found.outcome.code, found.entries.len()), (0, 1));
}
