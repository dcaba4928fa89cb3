//! Contents come out as they went in, and damaged ones are refused and never a panic.

use proptest::prelude::*;

use super::*;
use akldap_directory::{GroupRecord, UserRecord};

fn about() -> ContentsHeader {
    let provider = serde_json::json!({
        "pk": 7, "name": "ldap", "base_dn": "DC=ldap,DC=goauthentik,DC=io", "bind_flow_slug": "login",
        "unbind_flow_slug": null, "application_slug": "app", "certificate": "c", "tls_server_name": "ldap.example.org",
        "uid_start_number": 5000, "gid_start_number": 9000, "search_mode": "cached", "bind_mode": "direct-ish",
        "mfa_support": false,
    });
    ContentsHeader {
        read: 1_800_000_000,
        providers: vec![serde_json::from_value(provider).unwrap()],
    }
}

fn snapshot(users: i64) -> Snapshot {
    let mut builder = Builder::new();
    for pk in 1..=users {
        builder.add_user(&UserRecord {
            pk,
            uuid: &uuid::Uuid::from_u128(pk as u128).to_string(),
            uid: &format!("{pk:064x}"),
            username: &format!("user, {pk}"),
            name: "Some Body",
            email: "some@example.com",
            is_active: pk % 7 != 0,
            is_superuser: pk == 1,
            path: "users/staff",
            kind: "internal",
            roles: &[],
            attributes: Some(r#"{"uidNumber": "70", "shoe": [41, "42"], "mail": "other@example.com"}"#),
            // 2026-01-02T03:04:05.678901Z, 2025-01-02T03:04:05+01:00 and 2026-03-04T05:06:07Z.
            password_change_date: Some(1_767_323_045_678_901),
            date_joined: Some(1_735_783_445_000_000),
            last_updated: Some(1_772_600_767_000_000),
        });
    }
    let members: Vec<i64> = (1..=users).collect();
    for number in 1..=3_u128 {
        builder.add_group(&GroupRecord {
            uuid: &uuid::Uuid::from_u128(number << 64).to_string(),
            num_pk: Some(10_000 + number as i64),
            name: &format!("group {number}"),
            is_superuser: number == 2,
            parents: &[uuid::Uuid::from_u128(1 << 64).to_string()],
            users: &members,
            roles: &[],
            attributes: None,
        });
    }
    builder.finish().unwrap().0
}

fn written(users: i64) -> Vec<u8> {
    let mut octets = Vec::new();
    let snapshot = snapshot(users);
    write(&about(), &snapshot, |piece| {
        octets.extend_from_slice(piece);
        Ok::<_, Box<dyn std::error::Error>>(())
    })
    .unwrap();
    octets
}

fn read(octets: &[u8], piece: usize) -> Result<(ContentsHeader, Snapshot), ContentsError> {
    let mut reading = ContentsReader::default();
    octets.chunks(piece).try_for_each(|piece| reading.push(piece))?;
    reading.finish()
}

#[test]
fn what_is_written_is_read_whatever_the_pieces() {
    for users in [0, 1, 400] {
        let octets = written(users);
        for piece in [1, 7, 64 * 1024, octets.len()] {
            let (found, restored) = read(&octets, piece).unwrap();
            assert_eq!(found, about());
            assert_eq!(restored.fingerprint(), snapshot(users).fingerprint(), "{users}");
            assert_eq!(restored.user_count(), users as usize);
        }
    }
}

#[test]
fn parts_that_are_missing_repeated_or_out_of_place_are_refused() {
    let octets = written(2);
    let mut parts = Vec::new();
    let mut rest = octets.as_slice();
    while let Some((_, _, after)) = next_part(rest) {
        parts.push(&rest[..rest.len() - after.len()]);
        rest = after;
    }
    // The description, two users, three groups, the end.
    assert_eq!(parts.len(), 7);
    let arrange =
        |order: &[usize]| -> Vec<u8> { order.iter().flat_map(|&number| parts[number]).copied().collect() };
    assert!(read(&arrange(&[0, 1, 2, 3, 4, 5, 6]), 100).is_ok());
    for order in [
        &[][..],
        &[0],
        &[6],
        &[0, 6],
        &[1, 2, 3, 4, 5, 6],
        &[0, 1, 2, 3, 4, 5],
        &[0, 1, 3, 4, 5, 6],
        &[0, 1, 1, 2, 3, 4, 5, 6],
        &[0, 1, 2, 3, 4, 6],
        &[0, 0, 1, 2, 3, 4, 5, 6],
        &[0, 1, 2, 3, 4, 5, 6, 6],
        &[0, 1, 2, 3, 4, 5, 6, 1],
    ] {
        assert!(read(&arrange(order), 100).is_err(), "{order:?}");
    }
    let mut unknown = arrange(&[0, 1, 2, 3, 4, 5, 6]);
    unknown[0] = 9;
    assert!(read(&unknown, 100).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn damage_is_noticed_or_harmless(position: prop::sample::Index, bits in 1u8.., piece in 1usize..500) {
        let mut octets = written(3);
        let position = position.index(octets.len());
        octets[position] ^= bits;
        // Only what is outside the directory (in texts of the description) can change unnoticed here: the seal is
        // responsible for the octets being authentic.
        if let Ok((_, restored)) = read(&octets, piece) {
            prop_assert_eq!(restored.fingerprint(), snapshot(3).fingerprint());
        }
    }

    #[test]
    fn cuts_are_noticed(cut: prop::sample::Index, piece in 1usize..500) {
        let octets = written(3);
        prop_assert!(read(&octets[..cut.index(octets.len())], piece).is_err());
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300), piece in 1usize..50) {
        prop_assert!(read(&noise, piece).is_err());
    }
}
