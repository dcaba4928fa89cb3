//! Sealed octets open whole or not at all, whatever is done to them.

use proptest::prelude::*;

use super::*;

fn secret() -> FileSecret {
    FileSecret::new(&SecretString::from("token"), "https://authentik.example.org/")
}

fn seal(plain: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::new(&secret(), &[7; SALT], Vec::new()).unwrap();
    // In pieces of odd sizes.
    for piece in plain.chunks(9_973) {
        sealer.push(piece).unwrap();
    }
    sealer.finish().unwrap()
}

fn open_with(secret: &FileSecret, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut opener = Opener::new(secret, sealed)?;
    let mut plain = Vec::new();
    while let Some(octets) = opener.next()? {
        plain.extend_from_slice(octets);
    }
    Ok(plain)
}

fn open(sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    open_with(&secret(), sealed)
}

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position * 31 % 251) as u8).collect()
}

#[test]
fn what_is_sealed_opens_whatever_its_length() {
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17] {
        let plain = sample(length);
        let sealed = seal(&plain);
        assert_eq!(open(&sealed).unwrap(), plain, "{length}");
        let chunks = length.div_ceil(CHUNK).max(1);
        assert_eq!(sealed.len(), HEAD + length + chunks * TAG, "{length}");
        assert!(
            length == 0 || !sealed.windows(16).any(|window| plain.starts_with(window)),
            "it is encrypted"
        );
    }
}

#[test]
fn another_token_host_or_version_does_not_open_it() {
    let sealed = seal(b"users");
    for other in [
        FileSecret::new(&SecretString::from("other"), "https://authentik.example.org/"),
        FileSecret::new(&SecretString::from("token"), "https://authentik.example.com/"),
        FileSecret::new(&SecretString::from("tokenh"), "ttps://authentik.example.org/"),
    ] {
        assert!(matches!(open_with(&other, &sealed), Err(SealError::Broken)));
    }
    let same = FileSecret::new(&SecretString::from(" token\n"), "https://authentik.example.org/");
    assert!(
        open_with(&same, &sealed).is_ok(),
        "as everywhere else the token is trimmed"
    );
    let mut newer = sealed.clone();
    newer[MAGIC.len()] = 2;
    assert!(matches!(open(&newer), Err(SealError::Version(2))));
    assert!(matches!(open(b"{\"json\":1}"), Err(SealError::Foreign)));
    assert!(matches!(open(&[b'x'; 500]), Err(SealError::Foreign)));
    assert!(matches!(open(b""), Err(SealError::Foreign)));
}

#[test]
fn two_files_of_the_same_octets_have_nothing_in_common() {
    let first = seal(b"users");
    let mut sealer = Sealer::new(&secret(), &[8; SALT], Vec::new()).unwrap();
    sealer.push(b"users").unwrap();
    let second = sealer.finish().unwrap();
    assert_ne!(first[HEAD..], second[HEAD..]);
}

/// The sealed chunks of three and a bit.
fn chunks() -> (Vec<u8>, Vec<Vec<u8>>) {
    let sealed = seal(&sample(3 * CHUNK + 100));
    let (head, body) = sealed.split_at(HEAD);
    (
        head.to_vec(),
        body.chunks(CHUNK + TAG).map(<[u8]>::to_vec).collect(),
    )
}

#[test]
fn chunks_cannot_be_left_out_swapped_repeated_or_added() {
    let (head, chunks) = chunks();
    let whole: Vec<usize> = (0..chunks.len()).collect();
    let arrangements: &[&[usize]] = &[
        &[],
        &[0],
        &[0, 1, 2],
        &[3],
        &[0, 1, 3],
        &[0, 2, 1, 3],
        &[1, 0, 2, 3],
        &[0, 0, 1, 2, 3],
        &[0, 1, 2, 3, 3],
        &[0, 1, 2, 3, 0],
    ];
    let arrange = |order: &[usize]| {
        let mut sealed = head.clone();
        order
            .iter()
            .for_each(|&number| sealed.extend_from_slice(&chunks[number]));
        sealed
    };
    assert!(open(&arrange(&whole)).is_ok());
    for order in arrangements {
        assert!(open(&arrange(order)).is_err(), "{order:?}");
    }
    // A chunk of another file of the same outpost does not fit either.
    let mut sealer = Sealer::new(&secret(), &[9; SALT], Vec::new()).unwrap();
    sealer.push(&sample(3 * CHUNK + 100)).unwrap();
    let other = sealer.finish().unwrap();
    let mut mixed = arrange(&[0, 1]);
    mixed.extend_from_slice(&other[mixed.len()..]);
    assert!(open(&mixed).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_octet_can_be_changed(length in 0usize..200, position: prop::sample::Index, bits in 1u8..) {
        let mut sealed = seal(&sample(length));
        let position = position.index(sealed.len());
        sealed[position] ^= bits;
        prop_assert!(open(&sealed).is_err());
    }

    #[test]
    fn no_octet_can_be_cut_off_or_added(length in 0usize..200, cut: prop::sample::Index, more in 1usize..50) {
        let mut sealed = seal(&sample(length));
        let end = cut.index(sealed.len());
        prop_assert!(open(&sealed[..end]).is_err());
        sealed.extend(sample(more));
        prop_assert!(open(&sealed).is_err());
    }
}

#[test]
fn cuts_near_the_ends_of_chunks_are_noticed() {
    let sealed = seal(&sample(2 * CHUNK + 5));
    for boundary in [
        HEAD,
        HEAD + CHUNK + TAG,
        HEAD + 2 * (CHUNK + TAG),
        sealed.len() - 1,
    ] {
        for end in boundary.saturating_sub(20)..(boundary + 20).min(sealed.len()) {
            assert!(open(&sealed[..end]).is_err(), "{end}");
        }
    }
}
