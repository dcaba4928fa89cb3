//! The sample directory: the same each time for the same numbers of users and groups.

use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{Application, Binding, Outpost, Provider, Role};
use super::attributes::Attributes;
use super::devices::{Device, base32};
use super::directory::Directory;
use super::flows::{Flow, NewPassword, NotConfigured, Stage};
use super::users::{Password, User, UserType};

/// Memberships of every generated user, as far as there are groups.
const MEMBERSHIPS: usize = 10;
const TOTP_KEY: &[u8] = b"akldap demo totp key";
const STATIC_TOKENS: [&str; 6] = [
    "demoaaaa", "demobbbb", "democccc", "demodddd", "demoeeee", "demoffff",
];
const OUTPOST_TOKEN: &str = "demo-outpost-token-of-the-embedded-simulator-not-for-real-use";
const FLOW: &str = "ldap-authentication-flow";
const APPLICATION: &str = "ldap";
const PROVIDER: i32 = 1;

/// Secrets of the sample directory that cannot be guessed from a username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSecrets {
    /// Key of user `totp` in base 32, as authenticator apps take it.
    pub totp_base32: String,
    /// The same key as bytes.
    pub totp_key: Vec<u8>,
    /// Tokens of user `static`, each valid once.
    pub static_tokens: Vec<String>,
    /// App password of user `ldapservice`, in addition to its ordinary password.
    pub app_password: String,
}

/// The secrets every sample directory has.
pub fn demo_secrets() -> DemoSecrets {
    DemoSecrets {
        totp_base32: base32(TOTP_KEY),
        totp_key: TOTP_KEY.to_vec(),
        static_tokens: STATIC_TOKENS.iter().map(|token| (*token).to_owned()).collect(),
        app_password: "demo-ldapservice-app-password".into(),
    }
}

/// A named account of the sample.
struct Person {
    username: &'static str,
    name: &'static str,
    email: &'static str,
    groups: &'static [&'static str],
    attributes: Value,
}

fn people() -> Vec<Person> {
    let person = |username, name, email, groups, attributes| Person {
        username,
        name,
        email,
        groups,
        attributes,
    };
    vec![
        person(
            "alice",
            "Alice Example",
            "alice@example.com",
            &["backend", "everyone"],
            json!({
                "title": "Engineer", "telephoneNumber": ["+49 30 1", "+49 30 2"], "uidNumber": "5001",
                "homeDirectory": "/home/%s", "loginShell": "/bin/zsh", "sshPublicKey": "ssh-ed25519 AAAA alice",
                "goauthentik.io/user/debug": true,
            }),
        ),
        person(
            "bob",
            "Bob Builder",
            "bob@example.com",
            &["frontend", "everyone"],
            json!({
                "title": "Engineer", "employeeNumber": 17, "remote": false, "rating": 4.5,
                "address": {"city": "Berlin", "lines": ["Street 1", "Floor 2"]},
            }),
        ),
        person(
            "zoë",
            "Zoë Müller",
            "zoe@example.com",
            &["sales", "everyone"],
            json!({"locality": "Köln"}),
        ),
        person(
            "pat o'brien",
            "Pat O'Brien",
            "pat@example.com",
            &["sales", "Sales, EMEA", "everyone"],
            json!({}),
        ),
        person(
            "sales, \"emea\" + partners",
            "Sales, EMEA",
            "emea@example.com",
            &["Sales, EMEA", "everyone"],
            json!({}),
        ),
        person(
            "mallory",
            "Mallory Mallet",
            "mallory@example.com",
            &["everyone"],
            json!({"title": "Not allowed in"}),
        ),
        person(
            "inactive",
            "Ina Active",
            "inactive@example.com",
            &["backend", "everyone"],
            json!({}),
        ),
        person(
            "totp",
            "Toto Tp",
            "totp@example.com",
            &["oncall", "everyone"],
            json!({}),
        ),
        person(
            "static",
            "Stacy Static",
            "static@example.com",
            &["oncall", "everyone"],
            json!({}),
        ),
    ]
}

/// Named groups, their parents and attributes.
fn named_groups() -> Vec<(&'static str, &'static [&'static str], Value)> {
    vec![
        ("authentik Admins", &[], json!({})),
        (
            "company",
            &[],
            json!({"o": "Example", "settings": {"locale": "en"}}),
        ),
        (
            "engineering",
            &["company"],
            json!({"department": "Engineering", "gidNumber": 70001}),
        ),
        (
            "backend",
            &["engineering"],
            json!({"description": "Servers", "tags": ["rust", "sql"]}),
        ),
        ("frontend", &["engineering"], json!({"description": "Clients"})),
        ("sales", &["company"], json!({"department": "Sales"})),
        ("Sales, EMEA", &["sales"], json!({"region": "EMEA"})),
        (
            "oncall",
            &["backend", "sales"],
            json!({"pager": "+1 555 0100", "always": true}),
        ),
        ("everyone", &[], json!({})),
    ]
}

fn object(value: &Value) -> Attributes {
    value.as_object().cloned().unwrap_or_default()
}

/// The key of what has this name.
pub(super) fn named_uuid(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(
        &Uuid::NAMESPACE_URL,
        format!("simulator:{kind}:{name}").as_bytes(),
    )
}

impl Directory {
    /// The sample directory with at least this many users and groups in all, filled up with `user000001…` and
    /// `group0001…`. Every account's password is `demo-<username>`; `ldapservice` may search everything.
    ///
    /// The named accounts (`alice`, `bob`, `zoë`, `pat o'brien` and the rest) and groups are always there, so
    /// numbers smaller than theirs mean theirs.
    pub fn sample(users: usize, groups: usize) -> Self {
        let mut directory = Self::new();
        add_groups(&mut directory, groups);
        add_own_accounts(&mut directory);
        add_administrator(&mut directory);
        for person in people() {
            let pk = directory.next_user_pk();
            add_person(&mut directory, pk, &person);
        }
        add_generated_users(&mut directory, users);
        add_access(&mut directory);
        directory
    }
}

fn add_groups(directory: &mut Directory, groups: usize) {
    let named = named_groups();
    for (name, _, attributes) in &named {
        let pk = directory.add_group(named_uuid("group", name), name);
        directory.change_group(pk, |group| {
            group.set_attributes(&object(attributes));
            group.is_superuser = *name == "authentik Admins";
        });
    }
    for number in 1..=groups.saturating_sub(named.len()) {
        let name = format!("group{number:04}");
        let pk = directory.add_group(named_uuid("group", &name), &name);
        if number % 5 == 0 {
            let attributes = object(&json!({"description": format!("Generated group {number}")}));
            directory.change_group(pk, |group| group.set_attributes(&attributes));
        }
    }
    for (name, parents, _) in named {
        let parents: Vec<Uuid> = parents.iter().map(|parent| named_uuid("group", parent)).collect();
        if !parents.is_empty() {
            directory.set_parents(named_uuid("group", name), &parents);
        }
    }
}

/// The outpost's account, which authentik makes itself, and the service account for searching.
pub(super) fn add_own_accounts(directory: &mut Directory) {
    // 1 is the anonymous user of the permission library, which no list shows.
    let outpost = named_uuid("outpost", "ldap");
    let role = named_uuid("role", "outpost");
    let mut account = User::new(
        2,
        &format!("ak-outpost-{}", outpost.simple()),
        "Outpost LDAP Outpost Service-Account",
        "",
    );
    account.kind = UserType::InternalServiceAccount;
    account.path = "goauthentik.io/outposts".into();
    account.roles = vec![role];
    directory
        .roles
        .insert(role, Role::new(role, "ak-managed-role--user-2"));
    directory.add_user(account);
    directory.outpost = outpost;
    directory
        .outposts
        .insert(outpost, Outpost::new(outpost, "LDAP Outpost", 2, vec![PROVIDER]));
    directory.tokens.insert(OUTPOST_TOKEN.into(), 2);

    let search = named_uuid("role", "search");
    let mut role = Role::new(search, "LDAP search");
    role.search = vec![PROVIDER];
    role.permissions = ["reset_user_password", "view_user"].map(str::to_owned).to_vec();
    directory.roles.insert(search, role);
    let mut service = User::new(4, "ldapservice", "LDAP service account", "");
    service.kind = UserType::ServiceAccount;
    service.path = "goauthentik.io/service-accounts".into();
    service.roles = vec![search];
    service.password = Password::Demo;
    service.set_attributes(&object(&json!({"goauthentik.io/user/token-expires": false})));
    directory.add_user(service);
    directory
        .app_passwords
        .insert(4, vec![demo_secrets().app_password]);
}

fn add_administrator(directory: &mut Directory) {
    let mut admin = User::new(3, "akadmin", "authentik Default Admin", "akadmin@example.com");
    admin.password = Password::Demo;
    directory.add_user(admin);
    directory.join(3, named_uuid("group", "authentik Admins"));
}

fn add_person(directory: &mut Directory, pk: i32, person: &Person) {
    let mut user = User::new(pk, person.username, person.name, person.email);
    user.password = Password::Demo;
    user.is_active = person.username != "inactive";
    user.set_attributes(&object(&person.attributes));
    directory.add_user(user);
    for group in person.groups {
        directory.join(pk, named_uuid("group", group));
    }
    match person.username {
        "totp" => {
            directory.devices.insert(pk, vec![Device::totp(1, TOTP_KEY)]);
        }
        "static" => {
            directory
                .devices
                .insert(pk, vec![Device::static_tokens(1, &STATIC_TOKENS)]);
        }
        _ => {}
    }
}

/// Fills up with generated users, each in ten groups: `everyone` and nine of the generated ones.
fn add_generated_users(directory: &mut Directory, users: usize) {
    let missing = users.saturating_sub(directory.users().len());
    directory.reserve(missing);
    let everyone = named_uuid("group", "everyone");
    let generated: Vec<Uuid> = (1..)
        .map(|number| format!("group{number:04}"))
        .map_while(|name| directory.group_named(&name).map(|group| group.pk))
        .collect();
    for number in 1..=missing {
        let pk = directory.next_user_pk();
        let username = format!("user{number:06}");
        let mut user = User::new(
            pk,
            &username,
            &format!("User {number:06}"),
            &format!("{username}@example.com"),
        );
        user.password = Password::Demo;
        if number % 10 == 0 {
            let attributes = json!({"department": format!("D{}", number % 97), "employeeNumber": number});
            user.set_attributes(&object(&attributes));
        }
        directory.add_user(user);
        directory.join(pk, everyone);
        for step in 0..(MEMBERSHIPS - 1).min(generated.len()) {
            if let Some(group) = generated.get((number * 7 + step * (step + 11)) % generated.len()) {
                directory.join(pk, *group);
            }
        }
    }
}

/// The provider, its flow and its application, and who may use it.
pub(super) fn add_access(directory: &mut Directory) {
    let mut flow = Flow::new(
        FLOW,
        "LDAP authentication",
        vec![
            Stage::identification_with_password(),
            Stage::mfa(NotConfigured::Skip),
            Stage::login(),
        ],
    );
    flow.pk = named_uuid("flow", FLOW);
    directory.flows.insert(FLOW.into(), flow);
    let change = Flow::password_change(NewPassword::default());
    directory.flows.insert(change.slug.clone(), change);
    directory.offer_default_settings();
    for (slug, stages) in [
        ("default-provider-invalidation-flow", vec![]),
        ("default-invalidation-flow", vec![Stage::UserLogout]),
    ] {
        let mut flow = Flow::new(slug, "Logout", stages);
        flow.designation = "invalidation".into();
        directory.flows.insert(slug.into(), flow);
    }
    let mut provider = Provider::new(
        PROVIDER,
        "ldap",
        "DC=ldap,DC=goauthentik,DC=io",
        FLOW,
        Some(APPLICATION),
    );
    provider.search_mode = "cached".into();
    directory.providers.insert(PROVIDER, provider);
    let refused = directory
        .user_named("mallory")
        .map(|user| user.pk)
        .into_iter()
        .collect();
    directory.applications.insert(
        APPLICATION.into(),
        Application {
            slug: APPLICATION.into(),
            name: "LDAP".into(),
            bindings: vec![Binding::AllBut(refused)],
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn has_the_numbers_asked_for_and_is_the_same_every_time() {
        let (a, b) = (Directory::sample(200, 25), Directory::sample(200, 25));
        assert_eq!(a.users().len(), 200);
        assert_eq!(a.group_count(), 25);
        for (a, b) in a.users().iter().zip(b.users()) {
            assert_eq!(
                (a.pk, &a.username, a.uuid, a.uid),
                (b.pk, &b.username, b.uuid, b.uid)
            );
            assert_eq!((a.last_updated, &a.groups), (b.last_updated, &b.groups));
        }
        let names: HashSet<&str> = a.users().iter().map(|user| &*user.username).collect();
        assert_eq!(names.len(), 200, "usernames are unique");
        for name in [
            "alice",
            "bob",
            "zoë",
            "pat o'brien",
            "inactive",
            "mallory",
            "totp",
            "static",
            "ldapservice",
            "akadmin",
        ] {
            assert!(names.contains(name), "{name}");
        }
    }

    #[test]
    fn generated_users_have_ten_memberships() {
        let directory = Directory::sample(2000, 100);
        for user in directory
            .users()
            .iter()
            .filter(|user| user.username.starts_with("user"))
        {
            assert_eq!(user.groups.len(), MEMBERSHIPS, "{}", user.username);
        }
        for group in directory.groups.values() {
            assert!(group.members.is_sorted(), "{}", group.name);
        }
    }

    #[test]
    fn groups_nest_and_one_has_two_parents() {
        let directory = Directory::sample(0, 0);
        let alice = directory.user_named("alice").expect("alice");
        let names: HashSet<&str> = directory
            .all_groups(alice)
            .iter()
            .map(|group| &*group.name)
            .collect();
        assert_eq!(
            names,
            HashSet::from(["backend", "engineering", "company", "everyone"])
        );
        assert_eq!(directory.group_named("oncall").expect("oncall").parents.len(), 2);
        let admin = directory.user_named("akadmin").expect("akadmin");
        assert!(directory.is_superuser(admin) && !directory.is_superuser(alice));
    }

    #[test]
    fn only_the_service_account_and_superusers_search() {
        let directory = Directory::sample(0, 0);
        for (name, may) in [("ldapservice", true), ("akadmin", true), ("alice", false)] {
            let pk = directory.user_named(name).expect(name).pk;
            assert_eq!(directory.may_search(pk, PROVIDER), may, "{name}");
        }
        let application = directory.applications.get(APPLICATION).expect("the application");
        let mallory = directory.user_named("mallory").expect("mallory").pk;
        assert!(!directory.passes(application, Some(mallory)));
        assert!(!directory.passes(application, None));
    }

    #[test]
    fn indexes_follow_changes() {
        let mut directory = Directory::sample(50, 0);
        let pk = directory.user_named("alice").expect("alice").pk;
        assert!(directory.change_user(pk, |user| {
            user.username = "Alicia".into();
            user.email = "new@example.com".into();
        }));
        assert!(directory.user_named("alice").is_none());
        assert_eq!(
            directory.identify("alicia", true, true, true).map(|user| user.pk),
            Some(pk)
        );
        assert_eq!(
            directory
                .identify("NEW@example.com", true, true, true)
                .map(|user| user.pk),
            Some(pk)
        );
        assert!(
            directory
                .identify("alice@example.com", true, true, true)
                .is_none()
        );
        assert!(
            directory.identify("alicia", true, false, false).is_none(),
            "case matters here"
        );
        directory.remove_user(pk);
        assert!(directory.user_named("Alicia").is_none());
        assert!(
            directory
                .groups
                .values()
                .all(|group| !group.members.contains(&pk))
        );
    }
}
