//! The indexed directory against the naive one of `oracle/`: the same entries for the same request.

mod oracle;
mod paging;
mod shapes;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use akldap_authentik::Timestamp;
use akldap_directory::schema;
use akldap_directory::subschema::EntryAttributes;
use akldap_directory::{
    Builder, CarriedGroup, CarriedUser, GroupRecord, Progress, Search, SearchControls, Snapshot, Tree,
    UserRecord, Viewer,
};
use akldap_ldap::control::{self, PagedResults, SortKey};
use akldap_ldap::dn::Dn;
use akldap_ldap::filter::Filter;
use akldap_ldap::message::{Scope, SearchRequest};
use akldap_ldap::response::{LdapResult, ResultCode};
use akldap_ldap::text;
use akldap_testing::contract::{self, ContractEntry, ContractTree, Directory, EntryKind, Names};
use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::LdapOp;
use oracle::Named as _;
use oracle::evaluation::Query;
use oracle::random::{self, Random};
use proptest::prelude::*;
use tokio_util::codec::Decoder;
use views::{HeldRoles, NaiveView};

/// So many random cases, or as many as the variable `PROPTEST_CASES` says.
fn cases(usual: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: wanted.map_or(usual, |text| text.parse().expect("a number of cases")),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A directory in both forms.
struct Pair {
    directory: Directory,
    place: ContractTree,
    /// What else the naive directory is to show.
    view: NaiveView,
    snapshot: Arc<Snapshot>,
    tree: Arc<Tree>,
}

impl Pair {
    /// Every entry that a viewer sees; `own` is the user who sees only what is their own.
    fn entries(&self, own: Option<i64>) -> Vec<ContractEntry> {
        let entries = self.directory.entries(&self.place, own).into_iter();
        entries.map(|entry| self.view.shown(entry)).collect()
    }

    fn random(random: &mut Random, users: usize, groups: usize) -> Self {
        let twins = random.chance(30);
        Self::new(random, |random| random::directory(random, users, groups, twins))
    }

    /// Without names that differ only in spelling, which stand for several entries in a chain.
    fn without_twins(random: &mut Random, users: usize, groups: usize) -> Self {
        Self::new(random, |random| random::directory(random, users, groups, false))
    }

    fn new(random: &mut Random, directory: impl FnOnce(&mut Random) -> Directory) -> Self {
        let directory = directory(random);
        let place = ContractTree {
            base_dn: (*random.pick(&["DC=ldap,DC=Example", "o=Org", "dc=x"])).to_owned(),
            uid_start: 2000,
            gid_start: 4000,
            names: Names::default(),
            virtual_groups: true,
        };
        let tree = Tree::new(&place.base_dn, place.uid_start, place.gid_start).unwrap();
        let mut snapshot = snapshot(&directory);
        if random.chance(20) {
            snapshot = carried(&snapshot);
        }
        Self {
            snapshot: Arc::new(snapshot),
            tree: Arc::new(tree),
            view: NaiveView::default(),
            directory,
            place,
        }
    }
}

fn micros(text: &str) -> Option<i64> {
    Timestamp::parse(text).and_then(Timestamp::micros)
}

fn snapshot(directory: &Directory) -> Snapshot {
    snapshot_with(directory, &HeldRoles::default())
}

fn snapshot_with(directory: &Directory, roles: &HeldRoles) -> Snapshot {
    let mut builder = Builder::new();
    for user in &directory.users {
        let attributes = contract::object(&user.attributes);
        builder.add_user(&UserRecord {
            pk: user.pk,
            uuid: &user.uuid,
            uid: &user.uid,
            username: &user.username,
            name: &user.name,
            email: &user.email,
            is_active: user.is_active,
            is_superuser: user.is_superuser,
            path: &user.path,
            kind: &user.kind,
            roles: &roles.of_user(user.pk),
            attributes: Some(&attributes),
            password_change_date: micros(&user.password_change_date),
            date_joined: micros(&user.date_joined),
            last_updated: micros(&user.last_updated),
        });
    }
    for group in &directory.groups {
        let attributes = contract::object(&group.attributes);
        builder.add_group(&GroupRecord {
            uuid: &group.uuid,
            num_pk: Some(group.num_pk),
            name: &group.name,
            is_superuser: group.is_superuser,
            parents: &group.parents,
            users: &group.users,
            roles: &roles.of_group(&group.uuid),
            attributes: Some(&attributes),
        });
    }
    builder.finish().unwrap().0
}

/// The same snapshot, made from the rows of another one after encoding and decoding.
fn carried(snapshot: &Snapshot) -> Snapshot {
    let mut builder = Builder::new();
    let mut octets = Vec::new();
    for user in snapshot.users() {
        octets.clear();
        snapshot.carried_user(user).unwrap().encode(&mut octets);
        builder.carry_user(&CarriedUser::decode(&octets).expect("what was encoded"));
    }
    for group in snapshot.groups() {
        octets.clear();
        snapshot.carried_group(group).unwrap().encode(&mut octets);
        builder.carry_group(&CarriedGroup::decode(&octets).expect("what was encoded"));
    }
    let (again, _) = builder.finish().unwrap();
    assert_eq!(again.fingerprint(), snapshot.fingerprint());
    again
}

/// An entry as a client reads it: its name, and its attributes by the spelling they came in, values sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    dn: String,
    attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

struct Asked {
    base: String,
    scope: Scope,
    query: Query,
    selection: Vec<String>,
    own: Option<i64>,
}

impl Asked {
    /// The search, with a size limit; of the root DSE and all below if the base is empty.
    fn begin(&self, pair: &Pair, controls: &SearchControls, size_limit: u32) -> Result<Search, LdapResult> {
        let request = SearchRequest {
            base_object: self.base.as_bytes(),
            scope: self.scope,
            deref_aliases: 0,
            size_limit,
            time_limit: 0,
            types_only: false,
            filter: self.query.filter(),
            attributes: self.selection.iter().map(|name| name.as_bytes()).collect(),
        };
        let viewer = self.own.map_or(Viewer::Full, |user_pk| Viewer::Own { user_pk });
        let (snapshot, tree) = (Arc::clone(&pair.snapshot), Arc::clone(&pair.tree));
        match self.base.is_empty() {
            true => Search::from_root(snapshot, tree, viewer, &root_dse(), &request, controls),
            false => Search::new(snapshot, tree, viewer, &request, controls),
        }
    }
}

struct Outcome {
    answers: Vec<Answer>,
    result: LdapResult,
    controls: Vec<(String, Vec<u8>)>,
}

fn decode(mut octets: BytesMut) -> Vec<Answer> {
    let mut codec = LdapCodec::new(Some(1 << 24), Some(64));
    let mut answers = Vec::new();
    while let Some(message) = codec.decode(&mut octets).unwrap() {
        assert_eq!(message.msgid, 5);
        let LdapOp::SearchResultEntry(entry) = message.op else {
            panic!("something else than an entry")
        };
        let mut attributes = BTreeMap::new();
        for attribute in entry.attributes {
            let mut values = attribute.vals;
            values.sort();
            let twice = attributes.insert(attribute.atype.clone(), values);
            assert_eq!(twice, None, "{} came twice", attribute.atype);
        }
        answers.push(Answer {
            dn: entry.dn,
            attributes,
        });
    }
    assert!(octets.is_empty());
    answers
}

fn search(pair: &Pair, asked: &Asked, controls: &SearchControls, work: usize) -> Outcome {
    search_within(pair, asked, controls, work, 0)
}

/// What the root DSE says.
fn root_dse() -> EntryAttributes {
    vec![
        ("objectClass", vec!["top".to_owned()]),
        ("vendorName", vec!["goauthentik.io".to_owned()]),
    ]
}

/// A search with a size limit.
fn search_within(
    pair: &Pair,
    asked: &Asked,
    controls: &SearchControls,
    work: usize,
    size_limit: u32,
) -> Outcome {
    let mut search = match asked.begin(pair, controls, size_limit) {
        Ok(search) => search,
        Err(result) => {
            return Outcome {
                answers: Vec::new(),
                result,
                controls: Vec::new(),
            };
        }
    };
    let mut out = Vec::new();
    // Small steps, so that the places where a search pauses are tested too.
    for _ in 0..100_000 {
        if let Progress::Done(outcome) = search.advance(&mut out, 5, 300, work) {
            let answers = decode(BytesMut::from(out.as_slice()));
            assert_eq!(outcome.entries, answers.len() as u64);
            return Outcome {
                answers,
                result: outcome.result,
                controls: outcome
                    .controls
                    .iter()
                    .map(|(oid, value)| ((*oid).to_string(), value.clone()))
                    .collect(),
            };
        }
    }
    panic!("the search does not end")
}

/// What of an entry is served for a selection (RFC 4511 section 4.5.1.8, with authentik's liberties).
fn select(entry: &ContractEntry, selection: &[String]) -> Answer {
    let names: Vec<&str> = selection
        .iter()
        .flat_map(|name| name.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let all = names.is_empty() || names.contains(&"*");
    let operational = names.contains(&"+");
    let asked: Vec<String> = names
        .iter()
        .map(|name| schema::canonical_name(name.as_bytes()).into_owned())
        .collect();
    let mut attributes = BTreeMap::new();
    for attribute in &entry.attributes {
        let key = schema::canonical_name(attribute.name.as_bytes()).into_owned();
        let is_operational = attribute.operational
            || schema::attribute_type(attribute.name.as_bytes()).is_some_and(|known| known.operational);
        // `cn` of a container is not its `commonName`.
        let is_named = attribute.name != "commonName"
            || names.iter().any(|name| name.eq_ignore_ascii_case("commonName"));
        let wanted = (asked.contains(&key) && is_named)
            || (attribute.by_default && all)
            // authentik's own tests ask for `*` and `+` and expect an exact set of attributes.
            || (operational && is_operational && !(all && entry.kind == EntryKind::User));
        if wanted {
            let mut values = attribute.values.clone();
            values.sort();
            attributes.insert(attribute.name.clone(), values);
        }
    }
    Answer {
        dn: entry.dn.clone(),
        attributes,
    }
}

/// The answer of the naive directory; `None` if the base does not exist.
fn expected(pair: &Pair, asked: &Asked) -> Option<Vec<Answer>> {
    let entries = pair.entries(asked.own);
    let base = Dn::parse(asked.base.as_bytes()).ok()?;
    let depth_below = |entry: &ContractEntry| {
        let name = Dn::parse(entry.dn.as_bytes()).unwrap();
        name.below(&base).map(<[_]>::len)
    };
    if !entries.iter().any(|entry| depth_below(entry) == Some(0)) {
        return None;
    }
    let query = pair.view.asked(&asked.query);
    let mut answers: Vec<Answer> = entries
        .iter()
        .filter(|entry| match (asked.scope, depth_below(entry)) {
            (_, None) => false,
            (Scope::BaseObject, Some(depth)) => depth == 0,
            (Scope::SingleLevel, Some(depth)) => depth == 1,
            (Scope::WholeSubtree, Some(_)) => true,
            (Scope::SubordinateSubtree, Some(depth)) => depth > 0,
        })
        .filter(|entry| {
            entry.kind != EntryKind::VirtualGroup || pair.view.looks_at_virtual_groups(pair, asked)
        })
        .filter(|entry| query.matches(entry, &entries) == Some(true))
        .map(|entry| select(entry, &asked.selection))
        .collect();
    answers.sort();
    Some(answers)
}

fn ask(
    random: &mut Random,
    pair: &Pair,
    query: impl FnOnce(&mut Random, &[ContractEntry]) -> Query,
) -> Asked {
    let own = (random.chance(25) && !pair.directory.users.is_empty())
        .then(|| random.pick(&pair.directory.users).pk);
    let entries = pair.entries(own);
    let scopes = [
        Scope::WholeSubtree,
        Scope::WholeSubtree,
        Scope::SingleLevel,
        Scope::BaseObject,
        Scope::SubordinateSubtree,
    ];
    Asked {
        base: if random.chance(20) {
            pair.place.base_dn.clone()
        } else {
            random::base(random, &entries, &pair.place.base_dn)
        },
        scope: *random.pick(&scopes),
        query: query(random, &entries),
        selection: random::selection(random),
        own,
    }
}

/// The base entry and the containers say more about themselves than the naive directory knows.
fn comparable(pair: &Pair, answers: &[Answer]) -> Vec<Answer> {
    let entries = pair.entries(None);
    let are = |dn: &str, kinds: &[EntryKind]| {
        let mut named = entries.iter().filter(|entry| entry.dn == dn);
        named.any(|entry| kinds.contains(&entry.kind))
    };
    let mut answers = answers.to_vec();
    for answer in &mut answers {
        if are(&answer.dn, &[EntryKind::VirtualGroup, EntryKind::Branch]) {
            // Made up; only its presence is known.
            answer.attributes.remove("entryUUID");
        }
        if are(&answer.dn, &[EntryKind::Base, EntryKind::Container]) {
            answer.attributes.clear();
        }
    }
    answers.sort();
    answers
}

/// The first difference, in words.
fn contrast(ours: &[Answer], naive: &[Answer]) -> String {
    let names = |answers: &[Answer]| answers.iter().map(|answer| answer.dn.clone()).collect::<Vec<_>>();
    if names(ours) != names(naive) {
        return format!("ours  {:?}\nnaive {:?}", names(ours), names(naive));
    }
    let (mine, theirs) = ours
        .iter()
        .zip(naive)
        .find(|(mine, theirs)| mine != theirs)
        .unwrap();
    let show = |answer: &Answer, other: &Answer| {
        let own = |(name, values): &(&String, &Vec<Vec<u8>>)| other.attributes.get(*name) != Some(*values);
        let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
        let parts: Vec<String> = answer
            .attributes
            .iter()
            .filter(own)
            .map(|(name, values)| format!("{name}: {:?}", values.iter().map(text).collect::<Vec<_>>()))
            .collect();
        parts.join(", ")
    };
    format!(
        "{}\nours  {}\nnaive {}",
        mine.dn,
        show(mine, theirs),
        show(theirs, mine)
    )
}

/// Whether the answers are in the order of authentik's outpost: base, users, groups, virtual groups, each container before
/// what it holds, and that by name.
fn is_in_name_order(pair: &Pair, answers: &[Answer]) -> bool {
    let entries = pair.entries(None);
    let levels = |entry: &ContractEntry| {
        let base = 1 + pair.place.base_dn.split(',').count();
        let names = entry.name_parts.iter().rev().skip(base);
        names
            .map(|(_, name)| text::fold_case(name).into_owned())
            .collect()
    };
    let place = |answer: &Answer| {
        let entry = entries
            .iter()
            .find(|entry| entry.dn == answer.dn)
            .expect("an entry");
        let name = entry
            .name_parts
            .first()
            .map(|(_, name)| name.clone())
            .unwrap_or_default();
        let container = |name: &[u8]| {
            let mut units = pair.place.names.units.iter();
            units.position(|known| known.as_bytes() == name)
        };
        match entry.kind {
            EntryKind::Base => (0, Vec::new()),
            EntryKind::Container => (1 + 2 * container(&name).expect("a container"), Vec::new()),
            // Between the container of users and users; each before those below it.
            EntryKind::Branch => (1, levels(entry)),
            EntryKind::User => (2, vec![name]),
            EntryKind::Group => (4, vec![name]),
            EntryKind::VirtualGroup => (6, vec![name]),
        }
    };
    answers.iter().map(place).is_sorted()
}

fn check(pair: &Pair, asked: &Asked) -> Vec<Answer> {
    let outcome = search(pair, asked, &SearchControls::default(), 3);
    let describe = || {
        format!(
            "base {:?} scope {:?} filter {} attributes {:?} own {:?}",
            asked.base,
            asked.scope,
            asked.query.filter(),
            asked.selection,
            asked.own
        )
    };
    match expected(pair, asked) {
        None => {
            assert_eq!(outcome.result.code, ResultCode::NoSuchObject, "{}", describe());
            assert_eq!(outcome.answers, [], "{}", describe());
        }
        Some(expected) => {
            assert_eq!(outcome.result.code, ResultCode::Success, "{}", describe());
            let (ours, naive) = (comparable(pair, &outcome.answers), comparable(pair, &expected));
            assert!(ours == naive, "{}\n{}", describe(), contrast(&ours, &naive));
            assert!(is_in_name_order(pair, &outcome.answers), "{}", describe());
        }
    }
    outcome.answers
}

fn directories() -> impl Strategy<Value = (u64, usize, usize)> {
    (any::<u64>(), 0usize..9, 0usize..7)
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn a_search_finds_what_the_naive_one_finds((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::random(&mut random, users, groups);
        for _ in 0..20 {
            let asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 3));
            check(&pair, &asked);
        }
    }

    #[test]
    fn chains_of_groups_are_followed((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::without_twins(&mut random, users, groups);
        for _ in 0..20 {
            let asked = ask(&mut random, &pair, random::in_chain);
            check(&pair, &asked);
        }
    }

    #[test]
    fn or_commutes_and_a_double_not_changes_nothing((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::random(&mut random, users, groups);
        let mut asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 2));
        let entries = pair.entries(asked.own);
        let one = asked.query.clone();
        let other = random::query(&mut random, &entries, 2);
        asked.query = Query::Or(vec![one.clone(), other.clone()]);
        let forward = check(&pair, &asked);
        asked.query = Query::Or(vec![other, one.clone()]);
        prop_assert_eq!(forward, check(&pair, &asked));
        asked.query = one.clone();
        let plain = check(&pair, &asked);
        asked.query = Query::Not(Box::new(Query::Not(Box::new(one))));
        prop_assert_eq!(plain, check(&pair, &asked));
    }

    #[test]
    fn pages_of_any_size_make_up_the_whole((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::random(&mut random, users, groups);
        let asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 1));
        let whole = search(&pair, &asked, &SearchControls::default(), 1000);
        for size in 1..=whole.answers.len() as u32 + 2 {
            if whole.result.code != ResultCode::Success {
                break;
            }
            let mut pages = Vec::new();
            let mut cookie = Vec::new();
            for _ in 0..100 {
                let paged = Some(PagedResults { size, cookie });
                let controls = SearchControls { paged, ..SearchControls::default() };
                let outcome = search(&pair, &asked, &controls, 2);
                prop_assert_eq!(outcome.result.code, ResultCode::Success);
                prop_assert!(outcome.answers.len() <= size as usize);
                let value = &outcome.controls.iter().find(|(oid, _)| oid == control::PAGED_RESULTS).unwrap().1;
                cookie = PagedResults::read(value).unwrap().cookie;
                prop_assert!(cookie.is_empty() || outcome.answers.len() == size as usize);
                pages.extend(outcome.answers);
                if cookie.is_empty() {
                    break;
                }
            }
            // Pages come by primary key, the whole by name.
            pages.sort();
            let mut entries = whole.answers.clone();
            entries.sort();
            prop_assert!(pages == entries, "page size {}", size);
        }
    }

    #[test]
    fn sorted_answers_are_the_same_entries_in_order((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::random(&mut random, users, groups);
        let mut asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 1));
        asked.selection = vec!["*".to_owned()];
        let whole = search(&pair, &asked, &SearchControls::default(), 1000);
        for attribute in ["cn", "uidNumber", "createTimestamp", "2.5.4.4"] {
            for reverse_order in [false, true] {
                let key = SortKey { attribute: attribute.as_bytes().to_vec(), ordering_rule: None, reverse_order };
                let controls = SearchControls { sort: Some(vec![key]), ..SearchControls::default() };
                let sorted = search(&pair, &asked, &controls, 2);
                prop_assert_eq!(sorted.result.code, whole.result.code);
                let mut same = (sorted.answers.clone(), whole.answers.clone());
                same.0.sort();
                same.1.sort();
                prop_assert_eq!(same.0, same.1);
                prop_assert!(in_order(&sorted.answers, attribute, reverse_order), "{} {} {:?}", attribute, reverse_order, sorted.answers.iter().map(|answer| &answer.dn).collect::<Vec<_>>());
            }
        }
    }
}

/// Whether the answers ascend by their least value of an attribute; entries without one are the largest
/// (RFC 2891 section 2.2), so that the reverse order begins with them.
fn in_order(answers: &[Answer], attribute: &str, reverse: bool) -> bool {
    let wanted = schema::canonical_name(attribute.as_bytes());
    let syntax = schema::syntax_of(attribute.as_bytes());
    let key = |answer: &Answer| {
        answer
            .attributes
            .iter()
            .filter(|(name, _)| schema::canonical_name(name.as_bytes()) == wanted && *name != "commonName")
            .flat_map(|(_, values)| values)
            .filter_map(|value| akldap_directory::syntax::ordering_key(syntax, value))
            .map(std::borrow::Cow::into_owned)
            .min()
    };
    answers.windows(2).all(|pair| {
        let (mut first, mut second) = (key(&pair[0]), key(&pair[1]));
        if reverse {
            std::mem::swap(&mut first, &mut second);
        }
        match (first, second) {
            (Some(first), Some(second)) => first <= second,
            (None, Some(_)) => false,
            _ => true,
        }
    })
}

/// Names that differ only in spelling: the exact spelling names its entry; any other, as a base is one entry, the
/// one with the lower primary key.
#[test]
fn the_exact_spelling_tells_twins_apart() {
    let mut generator = Random(1);
    let mut directory = random::directory(&mut generator, 2, 0, false);
    for (user, username) in directory.users.iter_mut().zip(["zoë", "ZOË"]) {
        user.username = username.to_owned();
        user.attributes.clear();
    }
    let pair = Pair::new(&mut generator, |_| directory);
    let found = |name: &str| {
        let asked = Asked {
            base: format!("cn={name},ou=users,{}", pair.place.base_dn),
            scope: Scope::BaseObject,
            query: Query::Present("objectClass".to_owned()),
            selection: vec!["cn".to_owned()],
            own: None,
        };
        let outcome = search(&pair, &asked, &SearchControls::default(), 10);
        outcome
            .answers
            .iter()
            .map(|answer| String::from_utf8(answer.attributes["cn"][0].clone()).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("zoë"), ["zoë"]);
    assert_eq!(found("ZOË"), ["ZOË"]);
    assert_eq!(found("Zoë"), ["zoë"]);
}

/// The yardstick itself, on a directory small enough to know the answers.
#[test]
fn the_naive_directory_finds_what_a_person_would() {
    use oracle::evaluation::Assertion;
    let mut generator = Random(7);
    let directory = random::directory(&mut generator, 6, 4, true);
    let place = ContractTree {
        base_dn: "DC=Example".to_owned(),
        uid_start: 2000,
        gid_start: 4000,
        names: Names::default(),
        virtual_groups: true,
    };
    let entries = directory.entries(&place, None);
    let count = |class: &str| {
        let query = Query::Equality(Assertion {
            attribute: "objectClass".to_owned(),
            value: class.as_bytes().to_vec(),
        });
        entries
            .iter()
            .filter(|entry| entry.kind != EntryKind::VirtualGroup || !query.hides_virtual_groups())
            .filter(|entry| query.matches(entry, &entries) == Some(true))
            .count()
    };
    let of_kind = |kind| entries.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!(count("nsContainer"), 3);
    assert_eq!(of_kind(EntryKind::User), directory.users.len());
    assert_eq!(of_kind(EntryKind::VirtualGroup), directory.users.len());
    assert_eq!(count("GOAUTHENTIK.IO/ldap/virtual-group"), directory.users.len());
    assert!(count("posixGroup") <= directory.groups.len());
    assert!(matches!(Query::And(Vec::new()).filter(), Filter::And(empty) if empty.is_empty()));
}
