//! The same directory in every search mode gives the same octets: cached, fresh and live, in every profile and many views, for whoever asks.
//!
//! Virtual groups, in which authentik's own modes differ, do not appear as recorded.

use bytes::{Buf as _, BytesMut};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{LdapMsg, LdapOp, LdapSearchRequest, LdapSearchScope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::codec::Encoder as _;

use akldap_simulator::{Directory, UserType};
use akldap_testing::client::{Stream, search};
use akldap_testing::stage::{BASE, Stage};

use crate::direct_search::LIVE;
use crate::scenery::stage;

/// How many searches are compared; the variable `AKLDAP_CASES` names another number.
const CASES: usize = 400;
const PROFILES: [&str; 7] = [
    "authentik",
    "nextcloud",
    "rfc2307bis",
    "openldap",
    "vsphere",
    "nas",
    "phonebook",
];
/// What else an admin might set; which of the values, and whether any, is drawn for each directory.
const CHOICES: [(&str, &[&str]); 8] = [
    ("MEMBERSHIP", &["inherited"]),
    ("USER_RDN", &["uid"]),
    ("USERS_BY_PATH", &["true"]),
    ("USERS_OU", &["Menschen+Größe"]),
    ("ROLES_AS_GROUPS", &["true"]),
    ("SHARED_UID_NUMBERS", &["300000-300100"]),
    (
        "HIDDEN_USERS",
        &[
            "path:users/staff",
            "type:external, inactive",
            "group:group0001",
            "(|(uidNumber=2003)(mail=*@elsewhere.example))",
            "attribute:list=a",
        ],
    ),
    ("HIDDEN_GROUPS", &["group:group0002", "(cn=everyone)"]),
];
const VIEWERS: [&str; 2] = ["ldapservice", "alice"];
/// The tag of the end of a search's answer (RFC 4511 section 4.5.2).
const SEARCH_RESULT_DONE: u8 = 0x65;

/// Some directory: always the same one of a seed.
fn directory(seed: u64, mode: &str) -> Directory {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut directory = Directory::sample(random.usize(20..80), random.usize(6..16));
    for provider in directory.providers.values_mut() {
        mode.clone_into(&mut provider.search_mode);
    }
    let pks: Vec<i32> = directory.users().iter().map(|user| user.pk).collect();
    let groups: Vec<_> = directory.groups().map(|group| group.pk).collect();
    for pk in pks.into_iter().filter(|pk| *pk > 4) {
        let (kind, attributes) = (random.u8(..10), random.u8(..4));
        directory.change_user(pk, |user| {
            match kind {
                0 if *user.username != *"alice" => user.is_active = false,
                1 => user.email = format!("{pk}@elsewhere.example").into(),
                2 => user.kind = UserType::External,
                3 => user.path = "users/staff".into(),
                _ => {}
            }
            if attributes == 0 {
                let own = serde_json::json!({
                    "uidNumber": 2000 + i64::from(pk) % 7, "loginShell": "/bin/zsh", "list": ["a", format!("b{pk}")],
                });
                user.set_attributes(own.as_object().expect("an object"));
            }
        });
        if kind == 4 {
            directory.join(pk, groups[random.usize(..groups.len())]);
        }
    }
    directory
}

/// A filter of this depth at most, as a client of any kind might ask for.
fn filter(random: &mut fastrand::Rng, depth: usize) -> String {
    if depth > 0 && random.bool() {
        let mut part = || filter(random, depth - 1);
        let (one, other) = (part(), part());
        return match random.u8(..3) {
            0 => format!("(&{one}{other})"),
            1 => format!("(|{one}{other})"),
            _ => format!("(!{one})"),
        };
    }
    let terms = [
        "(objectClass=*)",
        "(objectClass=user)",
        "(objectClass=group)",
        "(objectClass=groupOfNames)",
        "(objectClass=posixAccount)",
        "(cn=alice)",
        "(uid=bob)",
        "(cn=user00*)",
        "(cn=*1)",
        "(mail=*)",
        "(mail=*@elsewhere.example)",
        "(uidNumber>=2010)",
        "(uidNumber=2003)",
        "(gidNumber<=4005)",
        "(memberOf=cn=group0001,ou=groups,dc=ldap,dc=goauthentik,dc=io)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=everyone,ou=groups,dc=ldap,dc=goauthentik,dc=io)",
        "(member=cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=io)",
        "(member=*)",
        "(memberUid=alice)",
        "(sAMAccountName=*a*)",
        "(displayName~=alice)",
        "(ak-active=TRUE)",
        "(loginShell=/bin/zsh)",
        "(list=a)",
        "(ou=*)",
        "(nobody=x)",
    ];
    terms[random.usize(..terms.len())].to_owned()
}

/// The settings of a directory: a profile, and what else is drawn.
fn settings(random: &mut fastrand::Rng, profile: &'static str) -> Vec<(&'static str, &'static str)> {
    let kinds = ["as-cached", "on", "off", "below-ou"];
    let mut settings = vec![
        ("PROFILE", profile),
        ("VIRTUAL_GROUPS", kinds[random.usize(..kinds.len())]),
    ];
    for (name, values) in CHOICES {
        if random.u8(..3) == 0 {
            settings.push((name, values[random.usize(..values.len())]));
        }
    }
    settings
}

fn random_search(random: &mut fastrand::Rng) -> LdapSearchRequest {
    let base = match random.u8(..9) {
        0..=2 => BASE.to_owned(),
        3 => format!("ou=users,{}", BASE.to_uppercase()),
        4 => format!("ou=groups,{BASE}"),
        5 => format!("cn=alice,ou=users,{BASE}"),
        6 => format!("ou=staff,ou=users,{BASE}"),
        7 => format!("cn=user0007,ou=staff,ou=users,{BASE}"),
        _ => format!("ou=virtual-groups,{BASE}"),
    };
    let scope = match random.u8(..5) {
        0 => LdapSearchScope::Base,
        1 => LdapSearchScope::OneLevel,
        2 => LdapSearchScope::Children,
        _ => LdapSearchScope::Subtree,
    };
    let attributes: [&[&str]; 6] = [
        &[],
        &["*", "+"],
        &["cn", "memberOf"],
        &["1.1"],
        &["member", "uid"],
        &["mail", "entryUUID", "modifyTimestamp"],
    ];
    let filter = filter(random, 3);
    let mut request = search(
        &base,
        scope,
        &filter,
        attributes[random.usize(..attributes.len())],
    );
    if random.u8(..8) == 0 {
        request.sizelimit = random.i32(1..30);
    }
    request
}

/// A connection of which nothing is decoded but where an answer ends.
struct Wire(Box<dyn Stream>);

impl Wire {
    async fn bound(stage: &Stage, viewer: &str) -> Self {
        Self(stage.bound(viewer).await.into_stream())
    }

    /// All that is answered to a search.
    async fn answer(&mut self, msgid: i32, request: LdapSearchRequest) -> Vec<u8> {
        let mut out = BytesMut::new();
        let op = LdapOp::SearchRequest(request);
        let ctrl = Vec::new();
        let mut codec = LdapCodec::new(None, None);
        codec.encode(LdapMsg { msgid, op, ctrl }, &mut out).unwrap();
        self.0.write_all(&out).await.unwrap();
        let (mut all, mut held) = (Vec::new(), BytesMut::new());
        loop {
            while let Some(length) = message_length(&held) {
                let message = held.split_to(length);
                all.extend_from_slice(&message);
                if op_tag(&message) == SEARCH_RESULT_DONE {
                    assert!(!held.has_remaining(), "more than the answer");
                    return all;
                }
            }
            assert_ne!(
                self.0.read_buf(&mut held).await.unwrap(),
                0,
                "the connection ended"
            );
        }
    }
}

/// The octets of the head of an element and of its contents; `None` if the head is not there whole.
fn lengths(octets: &[u8]) -> Option<(usize, usize)> {
    match *octets.get(1)? {
        short @ ..0x80 => Some((2, short.into())),
        long => {
            let head = 2 + usize::from(long & 0x7f);
            let length = octets.get(2..head)?.iter();
            Some((
                head,
                length.fold(0, |length, octet| length << 8 | usize::from(*octet)),
            ))
        }
    }
}

/// How long the first message is, if it is there whole.
fn message_length(octets: &[u8]) -> Option<usize> {
    let (head, contents) = lengths(octets)?;
    (head + contents <= octets.len()).then_some(head + contents)
}

/// The tag of what follows the message id.
fn op_tag(message: &[u8]) -> u8 {
    let (head, _) = lengths(message).unwrap();
    let (id_head, id) = lengths(&message[head..]).unwrap();
    message[head + id_head + id]
}

#[tokio::test]
async fn answers_of_all_modes_are_the_same_octets() {
    let cases = std::env::var("AKLDAP_CASES").map_or(CASES, |text| text.parse().expect("a number of cases"));
    // A directory for so many searches.
    let rounds = PROFILES.len() * (cases / 2000 + 1);
    let mut answered = 0;
    for round in 0..rounds {
        let seed = 19 + round as u64;
        let mut random = fastrand::Rng::with_seed(seed);
        let settings = settings(&mut random, PROFILES[round % PROFILES.len()]);
        let cached = stage(directory(seed, "cached"), 100, &settings).await;
        let fresh = stage(directory(seed, "direct"), 100, &settings).await;
        let live = [settings.as_slice(), &[LIVE]].concat();
        let live = stage(directory(seed, "direct"), 100, &live).await;
        for viewer in VIEWERS {
            let mut wires = Vec::new();
            for stage in [&cached, &fresh, &live] {
                stage.settled().await;
                wires.push(Wire::bound(stage, viewer).await);
            }
            for msgid in 0..cases.div_ceil(rounds * VIEWERS.len()) {
                let request = random_search(&mut random);
                let msgid = 100 + i32::try_from(msgid).unwrap();
                let mut answers = Vec::new();
                for wire in &mut wires {
                    answers.push(wire.answer(msgid, request.clone()).await);
                }
                let told = || format!("{settings:?} {viewer} {request:?}");
                assert!(answers[0] == answers[1], "fresh: {}", told());
                assert!(answers[0] == answers[2], "live: {}", told());
                // The end alone has 14 octets and a few more.
                answered += usize::from(answers[0].len() > 100);
            }
        }
    }
    assert!(answered > cases / 5, "{answered} of {cases} had entries");
}
