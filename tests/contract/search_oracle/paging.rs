//! Pages of a directory that changes between them, against a naive list: sorted again for every page, and cut after the
//! last entry of the previous page.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use akldap_directory::syntax;
use akldap_ldap::control::{VlvRequest, VlvTarget};

use super::*;
use akldap_testing::contract::{Attribute, Group, Json, User};

/// What never changes about an entry, in the order that decides between equal sort keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u8, i64, String);

const ROOT_DSE: u8 = 9;

/// An entry as the naive list has it.
#[derive(Clone, Debug)]
struct Item {
    id: Id,
    dn: String,
    /// Its least value by each sort key.
    keys: Vec<Option<Vec<u8>>>,
}

#[derive(Clone, Debug)]
struct Order(Vec<SortKey>);

fn ordering_key(attribute: &[u8], value: &[u8]) -> Vec<u8> {
    let of = schema::syntax_of(attribute);
    syntax::ordering_key(of, value)
        .unwrap_or_else(|| syntax::equality_key(of, value))
        .into_owned()
}

impl Order {
    fn random(random: &mut Random) -> Self {
        const ATTRIBUTES: &[&str] = &[
            "cn",
            "displayName",
            "mail",
            "title",
            "uidNumber",
            "gidNumber",
            "sn",
            "uid",
            "objectClass",
            "memberOf",
            "employeeNumber",
            "createTimestamp",
            "2.5.4.42",
        ];
        let count = [0, 1, 1, 1, 2, 3][random.below(6)];
        let key = |random: &mut Random| SortKey {
            attribute: random.pick(ATTRIBUTES).as_bytes().to_vec(),
            ordering_rule: None,
            reverse_order: random.chance(50),
        };
        Self((0..count).map(|_| key(random)).collect())
    }

    fn compare_keys(&self, one: &[Option<Vec<u8>>], other: &[Option<Vec<u8>>]) -> Ordering {
        for (key, (one, other)) in self.0.iter().zip(one.iter().zip(other)) {
            let found = match (one, other) {
                (Some(one), Some(other)) => one.cmp(other),
                // A missing value is larger than all others (RFC 2891 section 2.2).
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (None, None) => Ordering::Equal,
            };
            let found = if key.reverse_order { found.reverse() } else { found };
            if found != Ordering::Equal {
                return found;
            }
        }
        Ordering::Equal
    }

    fn compare(&self, one: &Item, other: &Item) -> Ordering {
        // If nothing is sorted the root DSE is first.
        let id = |item: &Item| match item.id.0 {
            ROOT_DSE if self.0.is_empty() => Id(0, -1, String::new()),
            _ => item.id.clone(),
        };
        self.compare_keys(&one.keys, &other.keys)
            .then_with(|| id(one).cmp(&id(other)))
    }

    /// Every match in its order.
    fn items(&self, pair: &Pair, asked: &Asked) -> Vec<Item> {
        let entries = pair.entries(asked.own);
        let root = root_dse().into_iter().map(|(name, values)| Attribute {
            name: name.to_owned(),
            values: values.into_iter().map(String::into_bytes).collect(),
            by_default: true,
            operational: false,
        });
        let root = ContractEntry {
            dn: String::new(),
            kind: EntryKind::Base,
            attributes: root.collect(),
            name_parts: Vec::new(),
        };
        let matches = |entry: &ContractEntry| asked.query.matches(entry, &entries) == Some(true);
        let hidden = |entry: &ContractEntry| {
            entry.kind == EntryKind::VirtualGroup && asked.query.hides_virtual_groups()
        };
        let mut found: Vec<ContractEntry> = entries
            .iter()
            .filter(|entry| !hidden(entry) && matches(entry))
            .cloned()
            .collect();
        if asked.base.is_empty() && matches(&root) {
            found.push(root);
        }
        let mut items: Vec<Item> = found.iter().map(|entry| self.item(pair, entry)).collect();
        items.sort_by(|one, other| self.compare(one, other));
        items
    }

    fn item(&self, pair: &Pair, entry: &ContractEntry) -> Item {
        let name = entry.name_parts.first().map_or(String::new(), |(_, name)| {
            String::from_utf8(name.clone()).unwrap()
        });
        let pk = || {
            let mut users = pair.directory.users.iter();
            users.find(|user| user.username == name).unwrap().pk
        };
        let uuid = || {
            let mut groups = pair.directory.groups.iter();
            groups.find(|group| group.name == name).unwrap().uuid.clone()
        };
        let id = match entry.kind {
            EntryKind::Base if entry.dn.is_empty() => Id(ROOT_DSE, 0, String::new()),
            EntryKind::Base => Id(0, 0, String::new()),
            EntryKind::Container => match name.as_str() {
                "users" => Id(1, 0, String::new()),
                "groups" => Id(3, 0, String::new()),
                _ => Id(5, 0, String::new()),
            },
            // Nobody is filed by path here.
            EntryKind::Branch => panic!("an organizational unit of a path"),
            EntryKind::User => Id(2, pk(), String::new()),
            EntryKind::Group => Id(4, 0, uuid()),
            EntryKind::VirtualGroup => Id(6, pk(), String::new()),
        };
        let least = |key: &SortKey| {
            let name = String::from_utf8(key.attribute.clone()).unwrap();
            let values = entry.values(&name);
            values.map(|value| ordering_key(&key.attribute, value)).min()
        };
        Item {
            id,
            dn: entry.dn.clone(),
            keys: self.0.iter().map(least).collect(),
        }
    }
}

/// Creates, deletes and changes; never the user whose view it is.
fn change(random: &mut Random, directory: &mut Directory, number: usize, own: Option<i64>) {
    let text = |random: &mut Random| {
        let texts = ["a", "B", "b", "Zoë", "m n", "0", "7", ""];
        (*random.pick(&texts)).to_owned()
    };
    let donor = random::directory(random, 1, 1, false);
    match random.below(8) {
        0 | 1 => {
            let pk = random.below(40) as i64;
            let Some(user) = donor.users.into_iter().next() else {
                return;
            };
            if directory.users.iter().all(|user| user.pk != pk) {
                let username = format!("{}{number}x", text(random));
                directory.users.push(User { pk, username, ..user });
            }
        }
        2 | 3 if !directory.users.is_empty() => {
            let index = random.below(directory.users.len());
            if Some(directory.users[index].pk) != own {
                directory.users.remove(index);
            }
        }
        4 | 5 if !directory.users.is_empty() => {
            let index = random.below(directory.users.len());
            let user = &mut directory.users[index];
            match random.below(4) {
                0 => user.username = format!("{}{number}r", text(random)),
                1 => user.name = text(random),
                2 => user.email = text(random),
                _ => user.attributes = vec![("title".to_owned(), Json::Text(text(random)))],
            }
        }
        6 => {
            let Some(group) = donor.groups.into_iter().next() else {
                return;
            };
            let name = format!("{}{number}g", text(random));
            let users = directory
                .users
                .iter()
                .map(|user| user.pk)
                .filter(|pk| pk % 2 == 0);
            directory.groups.push(Group {
                name,
                users: users.collect(),
                ..group
            });
        }
        _ if !directory.groups.is_empty() => {
            let index = random.below(directory.groups.len());
            if random.chance(50) {
                directory.groups.remove(index);
            } else {
                directory.groups[index].name = format!("{}{number}h", text(random));
            }
        }
        _ => {}
    }
}

/// Kinds of answers with nearly all entries, and random ones.
fn query(random: &mut Random, pair: &Pair) -> Query {
    let entries = pair.entries(None);
    match random.below(3) {
        0 => Query::Present("objectClass".to_owned()),
        1 => Query::Present("cn".to_owned()),
        _ => random::query(random, &entries, 2),
    }
}

fn page(pair: &Pair, asked: &Asked, order: &Order, size: u32, cookie: Vec<u8>, limit: u32) -> Outcome {
    let controls = SearchControls {
        paged: Some(PagedResults { size, cookie }),
        sort: (!order.0.is_empty()).then(|| order.0.clone()),
        ..SearchControls::default()
    };
    search_within(pair, asked, &controls, 3, limit)
}

fn names(answers: &[Answer]) -> Vec<&str> {
    answers.iter().map(|answer| answer.dn.as_str()).collect()
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn who_stays_unchanged_between_pages_comes_exactly_once((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let mut pair = Pair::without_twins(&mut random, users, groups);
        let own = (random.chance(15) && !pair.directory.users.is_empty())
            .then(|| random.pick(&pair.directory.users).pk);
        let asked = Asked {
            base: if random.chance(30) { String::new() } else { pair.place.base_dn.clone() },
            scope: Scope::WholeSubtree,
            query: query(&mut random, &pair),
            selection: vec!["cn".to_owned()],
            own,
        };
        let order = Order::random(&mut random);
        let limit = if random.chance(25) { 1 + random.below(12) } else { 0 };
        // How often each came, and the keys that each had in all directories so far.
        let mut came: BTreeMap<Id, usize> = BTreeMap::new();
        let mut stayed: Option<BTreeMap<Id, Vec<Option<Vec<u8>>>>> = None;
        let mut last: Option<Item> = None;
        let (mut cookie, mut given) = (Vec::new(), 0);
        for round in 0..200 {
            let items = order.items(&pair, &asked);
            let now: BTreeMap<_, _> = items.iter().map(|item| (item.id.clone(), item.keys.clone())).collect();
            stayed = Some(match stayed {
                None => now,
                Some(before) => before.into_iter().filter(|(id, keys)| now.get(id) == Some(keys)).collect(),
            });
            let rest: Vec<&Item> = items
                .iter()
                .filter(|item| last.as_ref().is_none_or(|last| order.compare(item, last) == Ordering::Greater))
                .collect();
            let size = 1 + random.below(6);
            let remaining = if limit == 0 { usize::MAX } else { limit - given };
            let expected = &rest[..rest.len().min(size).min(remaining)];
            let exceeded = rest.len() > remaining && size >= remaining;
            let outcome = page(&pair, &asked, &order, size as u32, cookie, limit as u32);
            let code = if exceeded { ResultCode::SizeLimitExceeded } else { ResultCode::Success };
            prop_assert_eq!(outcome.result.code, code);
            let expected_names: Vec<&str> = expected.iter().map(|item| item.dn.as_str()).collect();
            prop_assert_eq!(names(&outcome.answers), expected_names, "{:?} {}", order, asked.query.filter());
            for item in expected {
                *came.entry(item.id.clone()).or_default() += 1;
            }
            given += expected.len();
            if let Some(item) = expected.last() {
                last = Some((*item).clone());
            }
            let value = &outcome.controls.iter().find(|(oid, _)| oid == control::PAGED_RESULTS).unwrap().1;
            cookie = PagedResults::read(value).unwrap().cookie;
            prop_assert_eq!(cookie.is_empty(), exceeded || rest.len() <= size);
            if cookie.is_empty() {
                if !exceeded {
                    for id in stayed.unwrap_or_default().keys() {
                        prop_assert_eq!(came.get(id), Some(&1), "{:?}", id);
                    }
                }
                break;
            }
            for change_number in 0..random.below(4) {
                change(&mut random, &mut pair.directory, 10 * round + change_number, own);
            }
            let next = snapshot(&pair.directory);
            next.warm_like(&pair.snapshot);
            pair.snapshot = Arc::new(next);
        }
    }

    #[test]
    fn a_view_by_value_is_of_the_directory_of_the_moment((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let mut pair = Pair::without_twins(&mut random, users, groups);
        let mut order = Order::random(&mut random);
        while order.0.is_empty() {
            order = Order::random(&mut random);
        }
        let asked = Asked {
            base: if random.chance(30) { String::new() } else { pair.place.base_dn.clone() },
            scope: Scope::WholeSubtree,
            query: query(&mut random, &pair),
            selection: vec!["cn".to_owned()],
            own: None,
        };
        let first = &order.0[..1];
        for round in 0..6 {
            let value = (*random.pick(&["a", "m", "Zoë", "7", "zz", ""])).to_owned();
            let items = order.items(&pair, &asked);
            let wanted = [Some(ordering_key(&first[0].attribute, value.as_bytes()))];
            let target = items
                .iter()
                .position(|item| order.compare_keys(&item.keys[..1], &wanted) != Ordering::Less)
                .unwrap_or(items.len());
            let (before, after) = (random.below(3), random.below(4));
            let window = &items[target.saturating_sub(before)..(target + after + 1).min(items.len())];
            let controls = SearchControls {
                sort: Some(order.0.clone()),
                vlv: Some(VlvRequest {
                    before_count: before as u32,
                    after_count: after as u32,
                    target: VlvTarget::GreaterOrEqual(value.into_bytes()),
                    context_id: None,
                }),
                ..SearchControls::default()
            };
            let outcome = search(&pair, &asked, &controls, 3);
            let window: Vec<&str> = window.iter().map(|item| item.dn.as_str()).collect();
            prop_assert_eq!(names(&outcome.answers), window, "{:?}", order);
            change(&mut random, &mut pair.directory, round, None);
            pair.snapshot = Arc::new(snapshot(&pair.directory));
        }
    }
}
