//! Asks every recorded search of this server and accounts for every answer.

use std::collections::BTreeMap;
use std::path::Path;

use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapDerefAliases, LdapOp, LdapSearchScope};

use crate::official::recording::{self, Entry, RecordedAnswer, Rows, Search};
use crate::official::rules::{Case, RULES};
use akldap_testing::client::{self, Client};
use akldap_testing::stage::Stage;

/// How many searches were recorded.
const SEARCHES: usize = 568;

const PAGED: &str = "1.2.840.113556.1.4.319";
const SORT: &str = "1.2.840.113556.1.4.473";
const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";

fn control(oid: &str, criticality: bool, value: Option<Vec<u8>>) -> LdapControl {
    LdapControl::Unknown {
        oid: oid.to_owned(),
        criticality,
        value,
    }
}

/// A BER element of less than 128 octets.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(contents.len()).expect("short")], contents].concat()
}

fn controls(search: &Search) -> Vec<LdapControl> {
    let options = &search.options;
    let mut controls = Vec::new();
    if let Some(size) = options.paged {
        let value = [
            &element(2, &[u8::try_from(size).expect("a small page")])[..],
            &element(4, b""),
        ]
        .concat();
        controls.push(control(PAGED, options.crit != 0, Some(element(0x30, &value))));
    }
    if let Some(key) = &options.sort {
        let (name, reverse) = match key.strip_prefix('-') {
            Some(name) => (name, element(0x81, &[0xff])),
            None => (key.as_str(), Vec::new()),
        };
        let key = [element(4, name.as_bytes()), reverse].concat();
        controls.push(control(SORT, false, Some(element(0x30, &element(0x30, &key)))));
    }
    if options.mdsait != 0 {
        controls.push(control(MANAGE_DSA_IT, false, None));
    }
    controls
}

/// Asks one search. A connection that ends is noted, and opened again.
async fn ask(client: &mut Client, search: &Search) -> RecordedAnswer {
    let scope = match search.scope.as_str() {
        "base" => LdapSearchScope::Base,
        "one" => LdapSearchScope::OneLevel,
        "sub" => LdapSearchScope::Subtree,
        other => panic!("scope {other}"),
    };
    let attributes: Vec<&str> = search.attributes.iter().map(String::as_str).collect();
    let mut request = client::search(&search.base, scope, &search.filter, &attributes);
    request.sizelimit = search.options.size;
    request.timelimit = search.options.seconds;
    request.typesonly = search.options.types != 0;
    if search.options.deref == 3 {
        request.aliases = LdapDerefAliases::Always;
    }
    let id = client
        .send(LdapOp::SearchRequest(request), controls(search))
        .await;
    let found = client.collect(id).await;
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    RecordedAnswer {
        code: found.outcome.code,
        closed: false,
        entries: found
            .entries
            .into_iter()
            .map(|entry| {
                let attributes = entry.attributes.into_iter();
                let attributes =
                    attributes.map(|(name, values)| (name, values.into_iter().map(text).collect()));
                Entry::new(entry.dn, attributes.collect())
            })
            .collect(),
    }
}

#[tokio::test]
async fn every_recorded_answer_is_the_same_or_a_rule_says_why_not() {
    let rows = Rows::read();
    let recorded = recording::entries();
    let mut counts: BTreeMap<&str, usize> = RULES.iter().map(|rule| (rule.name, 0)).collect();
    let answer = |search: &Search| RecordedAnswer {
        code: search.code,
        closed: search.closed,
        entries: search.entries.iter().map(|key| recorded[key].clone()).collect(),
    };
    let cached: BTreeMap<String, RecordedAnswer> = recording::searches("cached")
        .iter()
        .map(|search| (search.name.clone(), answer(search)))
        .collect();
    let (mut asked, mut same, mut unexplained) = (0, 0, Vec::new());
    for mode in ["cached", "direct"] {
        let stage = Stage::with(recording::directory(&rows, mode), |_| {}).await;
        let mut clients = BTreeMap::new();
        for (who, account) in [("anon", None), ("svc", Some("svc")), ("plain", Some("alice"))] {
            let mut client = stage.client().await;
            if let Some(account) = account {
                let outcome = client
                    .bind(&akldap_testing::stage::user_dn(account), &rows.passwords[account])
                    .await;
                assert_eq!(outcome.code, 0, "{account}: {outcome:?}");
            }
            clients.insert(who, client);
        }
        for search in recording::searches(mode) {
            asked += 1;
            let client = clients.get_mut(search.who.as_str()).expect("a known client");
            let ours = ask(client, &search).await;
            let mut case = Case {
                mode,
                search: &search,
                theirs: answer(&search),
                ours: &ours,
                cached: &cached[&search.name],
                rows: &rows,
            };
            let mut used = Vec::new();
            for rule in RULES {
                if case.theirs == ours {
                    break;
                }
                if (rule.apply)(&mut case) {
                    used.push(rule.name);
                }
            }
            if case.theirs != ours {
                unexplained.push(format!("{mode} {}: {}", search.name, case.contrast()));
            } else if used.is_empty() {
                same += 1;
            }
            for rule in used {
                *counts.entry(rule).or_default() += 1;
            }
        }
    }
    let page = differences_page(asked, same, &counts);
    print!("{page}");
    assert_eq!(asked, SEARCHES);
    assert!(
        unexplained.is_empty(),
        "{} searches are answered otherwise and no rule says why:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    for rule in RULES {
        assert!(counts[rule.name] > 0, "the rule {:?} explains nothing", rule.name);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    if std::env::var_os("AKLDAP_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("writable");
    }
    assert!(
        std::fs::read_to_string(&path).is_ok_and(|kept| kept == page),
        "docs/differences.md is not current; AKLDAP_WRITE_DOCS=1 writes it again"
    );
}

/// The table of differences as a page.
fn differences_page(asked: usize, same: usize, counts: &BTreeMap<&str, usize>) -> String {
    let mut page = format!(
        "# Differences from the official outpost, measured\n\n\
         Made by `AKLDAP_WRITE_DOCS=1 cargo test --test contract official`. The official outpost (2025.10.0-rc1) was asked {asked} searches,\n\
         half of them in cached and half in direct search mode: what Nextcloud, SSSD, Jellyfin, Keycloak, GitLab, Proxmox, vCenter,\n\
         Synology, Apache, Dovecot and Postfix send, and more. The test asks this server the same before the same directory and\n\
         compares code, entries, their order, attributes and values. {same} answers are identical in every detail. Every other one differs\n\
         by these {} rules and in nothing else; several may apply to one search.\n\n\
         | rule | searches |\n| --- | ---: |\n",
        RULES.len()
    );
    for rule in RULES {
        page.push_str(&format!("| {} | {} |\n", rule.name, counts[rule.name]));
    }
    page.push_str(
        "\nEntries come in the same order as there: base, users, groups, virtual groups, each container before its entries, and these by name.\n\
         Names compare by code points; authentik's database may have another collation. [What differs](what-differs.md)\n\
         has the differences beyond searches.\n",
    );
    page
}
