//! Directories in the shapes an admin may choose, against the naive directory brought into that shape by hand; and that a
//! hidden user cannot be distinguished from one who never existed.

use std::collections::BTreeSet;

use akldap_directory::shape::location::Location;
use akldap_directory::shape::visibility::{About, Visibility, conditions};
use akldap_directory::shape::{Membership, Shape};
use akldap_directory::{DnStyle, SearchOutcome, UserRdn, VirtualGroups, compare, subschema};
use akldap_ldap::control::{VlvRequest, VlvTarget};
use akldap_ldap::dn::Name;
use akldap_testing::contract::{Group, User};

use super::views::{HeldRoles, ShapeChoice, knows_base};
use super::*;

/// Groups in circles, too, and in a chain of twelve.
pub(super) fn nest(random: &mut Random, directory: &mut Directory) {
    let uuids: Vec<String> = directory.groups.iter().map(|group| group.uuid.clone()).collect();
    for group in &mut directory.groups {
        if random.chance(30) {
            let parent = random.pick(&uuids);
            if !group.parents.contains(parent) {
                group.parents.push(parent.clone());
            }
        }
    }
    if random.chance(30) {
        for number in 0..12_u32 {
            let uuid = |number: u32| format!("00000000-0000-4000-8000-{number:012}");
            directory.groups.push(Group {
                uuid: uuid(number),
                num_pk: 20_000 + i64::from(number),
                name: format!("link {number}"),
                is_superuser: false,
                parents: if number == 0 {
                    Vec::new()
                } else {
                    vec![uuid(number - 1)]
                },
                users: directory
                    .users
                    .iter()
                    .filter(|user| user.pk % 12 == i64::from(number))
                    .map(|user| user.pk)
                    .collect(),
                attributes: Vec::new(),
            });
        }
    }
}

/// The same directory with every implied membership listed, too, until nothing more is added.
pub(super) fn inherit(directory: &Directory) -> Directory {
    let mut all = directory.clone();
    loop {
        let before = all.clone();
        for group in &mut all.groups {
            for parent in &before.groups {
                if group.parents.contains(&parent.uuid) {
                    let new = parent.parents.iter().filter(|uuid| !group.parents.contains(uuid));
                    let new: Vec<String> = new.cloned().collect();
                    group.parents.extend(new);
                }
                if parent.parents.contains(&group.uuid) {
                    let new = parent.users.iter().filter(|pk| !group.users.contains(pk));
                    let new: Vec<i64> = new.copied().collect();
                    group.users.extend(new);
                }
            }
        }
        let size = |directory: &Directory| {
            let groups = directory.groups.iter();
            groups
                .map(|group| group.users.len() + group.parents.len())
                .sum::<usize>()
        };
        if size(&all) == size(&before) {
            break;
        }
    }
    for group in &mut all.groups {
        let own = group.uuid.clone();
        group.parents.retain(|uuid| *uuid != own);
    }
    all
}

/// The directory of those who are left when the others are removed.
pub(super) fn without(
    directory: &Directory,
    hidden: impl Fn(&User) -> bool,
    hidden_group: impl Fn(&Group) -> bool,
) -> Directory {
    let mut left = directory.clone();
    left.users.retain(|user| !hidden(user));
    left.groups.retain(|group| !hidden_group(group));
    let pks: BTreeSet<i64> = left.users.iter().map(|user| user.pk).collect();
    let uuids: BTreeSet<String> = left.groups.iter().map(|group| group.uuid.clone()).collect();
    for group in &mut left.groups {
        group.users.retain(|pk| pks.contains(pk));
        group.parents.retain(|uuid| uuids.contains(uuid));
    }
    left
}

/// A condition as an admin writes it, and who satisfies it, worked out by hand.
pub(super) type Told<T> = (String, Box<dyn Fn(&Directory, &T) -> bool>);

pub(super) fn user_condition(random: &mut Random, pair: &Pair) -> Told<User> {
    let entries = pair.entries(None);
    match random.below(6) {
        0 => {
            let path = *random.pick(&[
                "users",
                "users/staff",
                "/users/staff/emea/",
                "goauthentik.io",
                "other",
            ]);
            let levels: Vec<String> = path
                .split('/')
                .filter(|level| !level.is_empty())
                .map(str::to_owned)
                .collect();
            let below = move |_: &Directory, user: &User| user.path.split('/').take(levels.len()).eq(&levels);
            (format!("path:{path}"), Box::new(below))
        }
        1 => {
            let kind = *random.pick(&[
                "internal",
                "external",
                "service_account",
                "internal_service_account",
            ]);
            (format!("type:{kind}"), Box::new(move |_, user| user.kind == kind))
        }
        2 => {
            let active = random.chance(50);
            let text = if active { "active" } else { "inactive" };
            (text.to_owned(), Box::new(move |_, user| user.is_active == active))
        }
        3 | 4 if !pair.directory.groups.is_empty() => {
            let group = random.pick(&pair.directory.groups);
            // What a list of conditions cannot say is asked for by a filter.
            if group.name.contains(['(', ')', ',']) || group.name.trim() != group.name {
                return ("path:nobody/is/here".to_owned(), Box::new(|_, _| false));
            }
            let (uuid, name) = (group.uuid.clone(), group.name.clone());
            let within = move |directory: &Directory, user: &User| {
                let all = inherit(directory);
                let group = all.groups.iter().find(|group| group.uuid == uuid).unwrap();
                group.users.contains(&user.pk)
            };
            (format!("group:{name}"), Box::new(within))
        }
        _ => {
            let query = random::query(random, &entries, 1);
            let text = query.filter().to_string();
            if akldap_ldap::filter::parser::octets(&text).is_err() {
                return ("path:nobody/is/here".to_owned(), Box::new(|_, _| false));
            }
            let matching: BTreeSet<Vec<u8>> = entries
                .iter()
                .filter(|entry| entry.kind == EntryKind::User && query.matches(entry, &entries) == Some(true))
                .flat_map(|entry| entry.values("sAMAccountName").cloned().collect::<Vec<_>>())
                .collect();
            let matches = move |_: &Directory, user: &User| matching.contains(user.username.as_bytes());
            (text, Box::new(matches))
        }
    }
}

pub(super) fn visibility(shown: &str, hidden: &str, about: About) -> Visibility {
    Visibility {
        shown: conditions(shown, about).unwrap(),
        hidden: conditions(hidden, about).unwrap(),
    }
}

/// Another view of the same directory.
fn reshaped(pair: &Pair, shape: &Shape, directory: Directory) -> Pair {
    let (shaped, _) = pair.snapshot.shaped(shape).unwrap();
    Pair {
        directory,
        place: pair.place.clone(),
        view: NaiveView::default(),
        snapshot: Arc::new(shaped),
        tree: Arc::clone(&pair.tree),
    }
}

/// Names of organizational units, some of which have to be escaped.
const UNITS: &[[&str; 3]] = &[
    ["People", "Groups", "virtual-groups"],
    ["people", "teams, all", "private groups"],
    ["Menschen+Größe", "#groups", "VG"],
    ["users", "groups", "own"],
];

/// How names are spelled, as an admin and as the naive directory has it.
pub(super) fn style(random: &mut Random) -> (DnStyle, Names) {
    let units = *random.pick(UNITS);
    let user = *random.pick(&["cn", "uid"]);
    let by_path = random.chance(50);
    let [users, groups, virtual_groups] = units.map(str::to_owned);
    let style = DnStyle {
        user_rdn: if user == "uid" { UserRdn::Uid } else { UserRdn::Cn },
        by_path,
        users,
        groups,
        virtual_groups,
    };
    style.check().unwrap();
    (style, Names { user, units, by_path })
}

/// A pair whose names are spelled in another style.
fn styled(random: &mut Random, pair: Pair, virtual_groups: VirtualGroups) -> Pair {
    let (style, names) = style(random);
    let shape = Shape {
        user_rdn: style.user_rdn,
        users_by_path: style.by_path,
        ..Shape::default()
    };
    let (snapshot, _) = pair.snapshot.shaped(&shape).unwrap();
    let tree = Tree::clone(&pair.tree).in_style(style, virtual_groups);
    Pair {
        place: ContractTree {
            names,
            virtual_groups: virtual_groups != VirtualGroups::Off,
            ..pair.place
        },
        view: NaiveView::default(),
        snapshot: Arc::new(snapshot),
        tree: Arc::new(tree),
        directory: pair.directory,
    }
}

/// Whether custom attributes decide what a name or filter finds of users: then what is worked out by hand is too simple.
pub(super) fn is_plain(directory: &Directory) -> bool {
    let names_user = |key: &str| {
        ["sAMAccountName"]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(key))
    };
    let mut keys = directory.users.iter().flat_map(|user| &user.attributes);
    !keys.any(|(key, _)| names_user(key))
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn inherited_memberships_are_those_that_follow((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::new(&mut random, |random| {
            let mut directory = random::directory(random, users, groups, false);
            nest(random, &mut directory);
            directory
        });
        let shape = Shape { membership: Membership::Inherited, ..Shape::default() };
        let pair = reshaped(&pair, &shape, inherit(&pair.directory));
        for _ in 0..10 {
            let asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 2));
            check(&pair, &asked);
            let asked = ask(&mut random, &pair, random::in_chain);
            check(&pair, &asked);
        }
    }

    #[test]
    fn what_is_shown_is_what_the_conditions_say((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::new(&mut random, |random| {
            let mut directory = random::directory(random, users, groups, false);
            nest(random, &mut directory);
            directory
        });
        prop_assume!(is_plain(&pair.directory));
        let mut told = || (0..random.below(3)).map(|_| user_condition(&mut random, &pair)).collect::<Vec<_>>();
        let (shown, hidden) = (told(), told());
        let text = |told: &[Told<User>]| told.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", ");
        let hidden_group = random.chance(50).then(|| pair.directory.groups.first().cloned()).flatten();
        let hidden_groups = hidden_group.as_ref().map(|group| format!("(entryUUID={})", group.uuid));
        let shape = Shape {
            visible_users: visibility(&text(&shown), &text(&hidden), About::Users),
            visible_groups: visibility("", &hidden_groups.unwrap_or_default(), About::Groups),
            location: Some(Location::of(Arc::clone(&pair.tree))),
            ..Shape::default()
        };
        let holds = |told: &[Told<User>], user: &User| told.iter().any(|(_, holds)| holds(&pair.directory, user));
        let directory = without(
            &pair.directory,
            |user| !(shown.is_empty() || holds(&shown, user)) || holds(&hidden, user),
            |group| hidden_group.as_ref().is_some_and(|hidden| hidden.uuid == group.uuid),
        );
        let pair = reshaped(&pair, &shape, directory);
        for _ in 0..10 {
            let asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 2));
            check(&pair, &asked);
        }
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn names_in_another_style_are_those_of_the_naive_directory((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::without_twins(&mut random, users, groups);
        let kinds = [VirtualGroups::AsRecorded, VirtualGroups::AsCached, VirtualGroups::Off];
        let virtual_groups = *random.pick(&kinds);
        let pair = styled(&mut random, pair, virtual_groups);
        for _ in 0..10 {
            let asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 2));
            if knows_base(&pair, &asked) {
                check(&pair, &asked);
            }
            let asked = Asked { base: pair.place.base_dn.clone(), ..ask(&mut random, &pair, random::in_chain) };
            check(&pair, &asked);
        }
    }

    /// The name that authentik's outpost gives an entry is understood wherever a name may be.
    #[test]
    fn both_spellings_of_a_name_mean_one_entry((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let pair = Pair::without_twins(&mut random, users + 1, groups);
        let usual = pair.entries(None);
        let pair = styled(&mut random, pair, VirtualGroups::On);
        let own = pair.entries(None);
        // Those of paths have a name in authentik's outpost only with what they are called there.
        let names = Names { by_path: pair.place.names.by_path, ..Names::default() };
        let place = ContractTree { names, ..pair.place.clone() };
        let with_paths = pair.directory.entries(&place, None);
        prop_assert_eq!(with_paths.len(), own.len());
        let mut usual = usual.into_iter();
        for (with_path, own) in with_paths.iter().zip(&own) {
            let usual = match own.kind {
                EntryKind::Branch => with_path.dn.clone(),
                _ => usual.next().unwrap().dn,
            };
            let spaced = own.dn.replace(",ou=", " , OU = ");
            for name in [&usual, &usual.to_ascii_uppercase(), &with_path.dn, &spaced] {
                let based = |base: &str| {
                    let asked = Asked {
                        base: base.to_owned(),
                        scope: Scope::WholeSubtree,
                        query: Query::Present("objectClass".to_owned()),
                        selection: vec!["*".to_owned(), "entryDN".to_owned()],
                        own: None,
                    };
                    seen(&pair, &asked, &SearchControls::default(), 0)
                };
                prop_assert!(based(name) == based(&own.dn), "{} {}", name, own.dn);
                for attribute in ["entryDN", "memberOf", "member", "uniqueMember"] {
                    let equal = |name: &str, rule: Option<&str>| {
                        let asked = Asked {
                            base: pair.place.base_dn.clone(),
                            scope: Scope::WholeSubtree,
                            query: Query::Extensible {
                                rule: rule.map(str::to_owned),
                                attribute: Some(attribute.to_owned()),
                                value: name.as_bytes().to_vec(),
                                dn_attributes: false,
                            },
                            selection: vec!["entryDN".to_owned()],
                            own: None,
                        };
                        seen(&pair, &asked, &SearchControls::default(), 0)
                    };
                    for rule in [None, Some("1.2.840.113556.1.4.1941")] {
                        prop_assert!(equal(name, rule) == equal(&own.dn, rule), "{} {}", attribute, name);
                    }
                    let compared = |name: &str, value: &str| {
                        let (name, value) = (Name::new(name.as_bytes()), value.as_bytes());
                        compare(&pair.snapshot, &pair.tree, Viewer::Full, &name, attribute.as_bytes(), value)
                    };
                    prop_assert_eq!(compared(name, name), compared(&own.dn, &own.dn));
                }
            }
        }
    }
}

/// Which searches look at virtual groups, by the choice and by where they begin.
#[test]
fn virtual_groups_are_seen_where_the_choice_says() {
    let mut random = Random(3);
    let directory = random::directory(&mut random, 4, 3, false);
    let (all, base) = (directory.users.len(), "dc=x");
    let place = ContractTree {
        base_dn: base.to_owned(),
        uid_start: 2000,
        gid_start: 4000,
        names: Names::default(),
        virtual_groups: true,
    };
    let snapshot = Arc::new(snapshot(&directory));
    let found = |choice, direct, from: &str, filter: &str| {
        let tree = Tree::new(base, 2000, 4000).unwrap().in_direct_mode(direct);
        let tree = tree.in_style(DnStyle::default(), choice);
        let member = directory.users[0].username.as_bytes();
        let query = match filter {
            "member" => Query::Equality(oracle::evaluation::Assertion {
                attribute: "memberUid".to_owned(),
                value: member.to_vec(),
            }),
            class => Query::Equality(oracle::evaluation::Assertion {
                attribute: "objectClass".to_owned(),
                value: class.as_bytes().to_vec(),
            }),
        };
        let pair = Pair {
            directory: directory.clone(),
            place: place.clone(),
            view: NaiveView::default(),
            snapshot: Arc::clone(&snapshot),
            tree: Arc::new(tree),
        };
        let asked = Asked {
            base: from.to_owned(),
            scope: Scope::WholeSubtree,
            query,
            selection: Vec::new(),
            own: None,
        };
        let outcome = search(&pair, &asked, &SearchControls::default(), 10);
        let theirs =
            |answer: &&Answer| answer.dn.starts_with("cn=") && answer.dn.contains(",ou=virtual-groups,");
        match outcome.result.code {
            ResultCode::Success => Some(outcome.answers.iter().filter(theirs).count()),
            _ => None,
        }
    };
    use VirtualGroups::{AsCached, AsRecorded, BelowOu, Off, On};
    let ou = "ou=virtual-groups,dc=x";
    for direct in [false, true] {
        let one = if direct { 0 } else { 1 };
        for (choice, from, expected) in [
            // By `posixGroup`, by `group`, and by a member.
            (AsRecorded, base, [Some(0), Some(all), Some(one)]),
            (AsCached, base, [Some(0), Some(all), Some(1)]),
            (On, base, [Some(all), Some(all), Some(1)]),
            (Off, base, [Some(0), Some(0), Some(0)]),
            (BelowOu, base, [Some(0), Some(0), Some(0)]),
            (AsRecorded, ou, [Some(0), Some(all), Some(one)]),
            (On, ou, [Some(all), Some(all), Some(1)]),
            (Off, ou, [None, None, None]),
            (BelowOu, ou, [Some(all), Some(all), Some(1)]),
        ] {
            let got = ["posixGroup", "group", "member"].map(|filter| found(choice, direct, from, filter));
            assert_eq!(got, expected, "{choice:?} {direct} {from}");
        }
    }
}

/// Everything that a client can see of an answer.
type Seen = Result<(Vec<u8>, SearchOutcome), LdapResult>;

/// The octets of an answer, in one go or page by page, and how it ended.
fn seen(pair: &Pair, asked: &Asked, controls: &SearchControls, size_limit: u32) -> Seen {
    let mut search = asked.begin(pair, controls, size_limit)?;
    let mut out = Vec::new();
    loop {
        if let Progress::Done(outcome) = search.advance(&mut out, 5, 1 << 16, 1000) {
            return Ok((out, outcome));
        }
    }
}

/// Controls of every kind, for partial and sorted answers.
fn controls(random: &mut Random) -> SearchControls {
    let key = |random: &mut Random| SortKey {
        attribute: random
            .pick(&[
                "cn",
                "uidNumber",
                "gidNumber",
                "memberOf",
                "createTimestamp",
                "title",
            ])
            .as_bytes()
            .to_vec(),
        ordering_rule: None,
        reverse_order: random.chance(50),
    };
    let sort = random.chance(60).then(|| vec![key(random)]);
    let vlv = (sort.is_some() && random.chance(40)).then(|| VlvRequest {
        before_count: random.below(3) as u32,
        after_count: random.below(3) as u32,
        target: match random.chance(50) {
            true => VlvTarget::ByOffset {
                offset: 1 + random.below(6) as u32,
                content_count: random.below(9) as u32,
            },
            false => VlvTarget::GreaterOrEqual(b"m".to_vec()),
        },
        context_id: None,
    });
    let paged = (vlv.is_none() && random.chance(60)).then(|| PagedResults {
        size: 1 + random.below(4) as u32,
        cookie: Vec::new(),
    });
    SearchControls {
        paged,
        sort,
        vlv,
        ..SearchControls::default()
    }
}

/// All pages of an answer; one answer if it is not paged.
fn pages(pair: &Pair, asked: &Asked, mut controls: SearchControls, size_limit: u32) -> Vec<Seen> {
    let mut all = Vec::new();
    for _ in 0..60 {
        let answer = seen(pair, asked, &controls, size_limit);
        let cookie = answer.as_ref().ok().and_then(|(_, outcome)| {
            let (_, value) = outcome
                .controls
                .iter()
                .find(|(oid, _)| *oid == control::PAGED_RESULTS)?;
            Some(PagedResults::read(value).unwrap().cookie)
        });
        all.push(answer);
        match (&mut controls.paged, cookie) {
            (Some(paged), Some(cookie)) if !cookie.is_empty() => paged.cookie = cookie,
            _ => return all,
        }
    }
    panic!("the pages do not end");
}

/// What hides a user, and nobody else.
fn hiding(random: &mut Random, directory: &mut Directory, place: usize) -> (String, Membership) {
    let (pk, uuid) = (directory.users[place].pk, directory.users[place].uuid.clone());
    let membership = match random.chance(50) {
        true => Membership::Direct,
        false => Membership::Inherited,
    };
    let text = match random.below(4) {
        0 => {
            directory.users[place].path = "hidden/away".to_owned();
            "path:hidden".to_owned()
        }
        1 => {
            directory.users[place].kind = "internal_service_account".to_owned();
            "type:internal_service_account".to_owned()
        }
        2 => {
            // Like the service accounts in one group; numbers may be somebody else's.
            directory.groups.push(Group {
                uuid: "ffffffff-0000-4000-8000-000000000000".to_owned(),
                num_pk: 77_000,
                name: "robots".to_owned(),
                is_superuser: false,
                parents: directory
                    .groups
                    .iter()
                    .take(1)
                    .map(|group| group.uuid.clone())
                    .collect(),
                users: vec![pk],
                attributes: Vec::new(),
            });
            "group:robots".to_owned()
        }
        _ => format!("(entryUUID={uuid})"),
    };
    (text, membership)
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_hidden_user_changes_no_answer((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let mut directory = random::directory(&mut random, users + 1, groups, false);
        nest(&mut random, &mut directory);
        let place = random.below(directory.users.len());
        let (text, membership) = hiding(&mut random, &mut directory, place);
        let hidden = directory.users[place].clone();
        let state = random.0;
        let mut with = Pair::new(&mut Random(state), |_| directory.clone());
        let mut never = Pair::new(&mut Random(state), |_| {
            without(&directory, |user| user.pk == hidden.pk, |_| false)
        });
        let mut choice = ShapeChoice::random(&mut random);
        choice.draw_numbers(&mut random);
        choice.config.entries.visible_users = visibility("", &text, About::Users);
        choice.config.entries.membership = membership;
        let (roles, names) = (HeldRoles::random(&mut random, &directory), choice.names.clone());
        for pair in [&mut with, &mut never] {
            let snapshot = snapshot_with(&pair.directory, &roles);
            *pair = choice.seen(&pair.directory, &pair.place, &snapshot);
        }
        let schema = |pair: &Pair| subschema::attributes(&pair.snapshot.beyond_schema().unwrap(), None);
        prop_assert_eq!(schema(&with), schema(&never));
        for _ in 0..12 {
            // The questions know about the hidden one.
            let place = ContractTree { names: names.clone(), ..with.place.clone() };
            let entries = directory.entries(&place, None);
            let chain = random.chance(20);
            let mut asked = ask(&mut random, &with, |random, entries| match chain {
                true => random::in_chain(random, entries),
                false => random::query(random, entries, 2),
            });
            if asked.own == Some(hidden.pk) {
                asked.own = None;
            }
            match random.below(10) {
                0 => asked.base = format!("cn={},ou=users,{}", contract::escape(&hidden.username), with.place.base_dn),
                // Their place, or a unit that only they may be in.
                1 => asked.base = directory.user_dn(&place, &hidden),
                2 => {
                    let dn = directory.user_dn(&place, &hidden);
                    let levels = Dn::parse(dn.as_bytes()).unwrap();
                    let above = random.below(levels.rdns.len());
                    asked.base = Dn { rdns: levels.rdns[above..].to_vec() }.to_string();
                }
                3 => asked.base.clone_from(&random.pick(&entries).dn),
                _ => {}
            }
            if random.chance(5) {
                asked.base.clear();
            }
            let (controls, limit) = (controls(&mut random), random.below(4) as u32);
            let (ours, theirs) = (pages(&with, &asked, controls.clone(), limit), pages(&never, &asked, controls, limit));
            prop_assert!(ours == theirs, "{} of {}: {} {:?}\n{:?}\n{:?}", text, hidden.username, asked.query.filter(), asked.base, ours, theirs);
            let entry = random.pick(&entries);
            let values: Vec<(&str, &Vec<u8>)> = entries
                .iter()
                .flat_map(|entry| &entry.attributes)
                .flat_map(|attribute| attribute.values.iter().map(|value| (attribute.name.as_str(), value)))
                .collect();
            let (attribute, value) = *random.pick(&values);
            let viewer = asked.own.map_or(Viewer::Full, |user_pk| Viewer::Own { user_pk });
            let compared = |pair: &Pair| {
                let name = Name::new(entry.dn.as_bytes());
                compare(&pair.snapshot, &pair.tree, viewer, &name, attribute.as_bytes(), value)
            };
            prop_assert_eq!(compared(&with), compared(&never), "{} {}", entry.dn, attribute);
        }
    }
}

proptest! {
    #![proptest_config(cases(60))]

    /// A hidden user sees what they would see of a directory that hides nobody.
    #[test]
    fn a_hidden_user_sees_their_own_entry((seed, users, groups) in directories()) {
        let mut random = Random(seed);
        let mut directory = random::directory(&mut random, users + 1, groups, false);
        nest(&mut random, &mut directory);
        let place = random.below(directory.users.len());
        let (text, membership) = hiding(&mut random, &mut directory, place);
        let pk = directory.users[place].pk;
        let pair = Pair::new(&mut random, |_| directory);
        let shape = |hidden: &str| Shape {
            visible_users: visibility("", hidden, About::Users),
            membership,
            location: Some(Location::of(Arc::clone(&pair.tree))),
            ..Shape::default()
        };
        let (shaped, _) = pair.snapshot.shaped(&shape(&text)).unwrap();
        prop_assert!(shaped.user_by_pk(pk).is_none());
        let own = pair.snapshot.own_view(&shaped, &shape(&text), pk).unwrap().unwrap();
        prop_assert!(Arc::ptr_eq(own.part_of().unwrap(), &pair.snapshot));
        prop_assert!(pair.snapshot.own_view(&shaped, &shape(&text), -1).unwrap().is_none());
        let naive = match membership {
            Membership::Direct => pair.directory.clone(),
            Membership::Inherited => inherit(&pair.directory),
        };
        let pair = Pair { directory: naive, snapshot: Arc::new(own), tree: Arc::clone(&pair.tree), view: NaiveView::default(), place: pair.place.clone() };
        for _ in 0..10 {
            let mut asked = ask(&mut random, &pair, |random, entries| random::query(random, entries, 2));
            asked.own = Some(pk);
            check(&pair, &asked);
        }
    }
}
