//! `akldap diff` against the official outpost, which is played from its recorded answers: every difference it finds is one in the
//! table, and no other one is taken for known.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use akldap::diff::{
    self, ComparedSearch as Query, Detail, DiffReport, DiffRequest, DifferenceKind, Target, TimeLimit, rules,
};
use futures_util::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindResponse, LdapMsg, LdapOp, LdapPartialAttribute, LdapResult, LdapResultCode,
    LdapSearchResultEntry, LdapSearchScope,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

use crate::official::recording::{self, Entry, Rows, Search};
use akldap_testing::child::PATIENCE;
use akldap_testing::stage::{SUFFIX, Stage, user_dn};

/// What identifies a search on the wire: base, scope, filter, attributes, before the bind or after it.
type Question = (String, String, String, Vec<String>, bool);

/// The recorded answers of cached mode.
struct Official {
    answers: BTreeMap<Question, (i32, bool, Vec<Entry>)>,
    /// What it says about itself to whoever is bound.
    root: Entry,
}

fn is_plain(search: &Search) -> bool {
    let options = &search.options;
    let limits = (options.size, options.seconds, options.types) == (0, 0, 0);
    let controls = options.paged.is_none() && options.sort.is_none() && options.mdsait == 0;
    limits && controls && options.deref == 0 && search.who != "plain"
}

fn question(search: &Search) -> Question {
    let text = search.filter.clone();
    let bound = search.who != "anon";
    (
        search.base.clone(),
        search.scope.clone(),
        text,
        search.attributes.clone(),
        bound,
    )
}

impl Official {
    fn new() -> Self {
        let entries = recording::entries();
        let mut answers = BTreeMap::new();
        for search in recording::searches("cached")
            .iter()
            .filter(|search| is_plain(search))
        {
            let found = search.entries.iter().map(|key| entries[key].clone()).collect();
            answers.insert(question(search), (search.code, search.closed, found));
        }
        let is_root = |entry: &&Entry| entry.dn.is_empty() && entry.attributes.contains_key("vendorVersion");
        let root = entries.values().find(is_root).expect("the root DSE").clone();
        Self { answers, root }
    }

    async fn start(self, texts: BTreeMap<String, String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new((self, texts));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { shared.0.serve(stream, &shared.1).await });
            }
        });
        address
    }

    async fn serve(&self, stream: TcpStream, texts: &BTreeMap<String, String>) {
        let mut framed = Framed::new(stream, LdapCodec::new(Some(1 << 20), Some(64)));
        let mut bound = false;
        while let Some(Ok(LdapMsg { msgid, op, .. })) = framed.next().await {
            let ended = |code| LdapResult {
                code,
                matcheddn: String::new(),
                message: String::new(),
                referral: Vec::new(),
            };
            let mut send = Vec::new();
            let mut hang_up = false;
            match op {
                LdapOp::BindRequest(_) => {
                    bound = true;
                    let res = ended(LdapResultCode::Success);
                    send.push(LdapOp::BindResponse(LdapBindResponse { res, saslcreds: None }));
                }
                LdapOp::SearchRequest(search) => {
                    let scope = match search.scope {
                        LdapSearchScope::Base => "base",
                        LdapSearchScope::OneLevel => "one",
                        _ => "sub",
                    };
                    let filter = texts
                        .get(&format!("{:?}", search.filter))
                        .cloned()
                        .unwrap_or_default();
                    let asked: Question = (search.base, scope.to_owned(), filter, search.attrs, bound);
                    let is_root = asked.0.is_empty() && scope == "base";
                    let recorded = self.answers.get(&asked).cloned();
                    let unknown = (0, false, is_root.then(|| self.root.clone()).into_iter().collect());
                    let (code, closed, found) = recorded.unwrap_or(unknown);
                    for entry in found {
                        let attributes = entry.names.iter().map(|name| LdapPartialAttribute {
                            atype: name.clone(),
                            vals: entry.attributes[name]
                                .iter()
                                .map(|value| value.clone().into_bytes())
                                .collect(),
                        });
                        send.push(LdapOp::SearchResultEntry(LdapSearchResultEntry {
                            dn: entry.dn.clone(),
                            attributes: attributes.collect(),
                        }));
                    }
                    let code = match code {
                        0 => LdapResultCode::Success,
                        50 => LdapResultCode::InsufficentAccessRights,
                        _ => LdapResultCode::OperationsError,
                    };
                    send.push(LdapOp::SearchResultDone(ended(code)));
                    hang_up = closed;
                }
                _ => return,
            }
            for op in send {
                let message = LdapMsg {
                    msgid,
                    op,
                    ctrl: Vec::new(),
                };
                if framed.send(message).await.is_err() {
                    return;
                }
            }
            if hang_up {
                return;
            }
        }
    }
}

/// The recorded searches as the command reads them.
fn queries(recorded: &[Search]) -> Vec<Query> {
    let of = |search: &Search| {
        let mut query = Query::parse(&search.name, "ldap:///").expect("a search");
        query.base.clone_from(&search.base);
        query.filter.clone_from(&search.filter);
        query.attributes.clone_from(&search.attributes);
        query.unbound = search.who == "anon";
        query.scope = Query::parse("", &format!("ldap:///??{}", search.scope))
            .expect("a scope")
            .scope;
        query
    };
    recorded
        .iter()
        .filter(|search| is_plain(search))
        .map(of)
        .collect()
}

/// Every entry from `base` down.
fn walk(base: &str) -> Query {
    let mut walk = Query::parse("walk", "ldap:///??sub?(objectClass=*)?x-page=100").expect("a search");
    walk.base = base.to_owned();
    walk
}

async fn compared(base: &str, change: impl FnOnce(&mut akldap_simulator::Directory)) -> DiffReport {
    let rows = Rows::read();
    let mut directory = recording::directory(&rows, "cached");
    change(&mut directory);
    let stage = Stage::with(directory, |_| {}).await;
    let recorded = recording::searches("cached");
    // What `ldap3_proto` makes of a filter, so that it can be found again by its text.
    let texts = recorded
        .iter()
        .map(|search| {
            (
                format!("{:?}", akldap_testing::filter::parse(&search.filter)),
                search.filter.clone(),
            )
        })
        .collect();
    let official = Official::new().start(texts).await;
    let target = |address: SocketAddr| Target::parse(&format!("ldap://{address}"), false).expect("a URI");
    let request = DiffRequest {
        ours: target(stage.ldap()),
        theirs: target(official),
        bind_dn: user_dn("svc"),
        base: Some(base.to_owned()),
        searches: Some([vec![walk(base)], queries(&recorded)].concat()),
        profiles: Vec::new(),
        // The order of names depends on the collation of authentik's database.
        ignored: vec![DifferenceKind::Order],
        limit: 1000,
        time: TimeLimit::of(PATIENCE),
    };
    let report = diff::run(&request, rows.passwords["svc"].as_bytes()).await;
    report.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn every_difference_to_the_recorded_outpost_is_a_known_one() {
    // The whole tree was recorded below its containers.
    let groups = compared(&format!("ou=groups,{SUFFIX}"), |_| {}).await;
    assert!(groups.findings[0].theirs.entries > 10);
    assert!(groups.is_equal(), "{}", groups.text(Detail::default()));
    let report = compared(&format!("ou=users,{SUFFIX}"), |_| {}).await;
    assert!(report.findings[0].theirs.entries > 40);
    assert!(report.findings.len() > 100, "{}", report.findings.len());
    assert!(report.is_equal(), "{}", report.text(Detail::default()));
    for rule in [
        rules::ESCAPED,
        rules::CONTAINERS,
        rules::ROOT_DSE,
        rules::EVALUATED,
        rules::NO_SUCH_BASE,
    ] {
        assert!(report.known.contains_key(rule), "{rule}: {:?}", report.known);
    }
}

#[tokio::test]
async fn a_changed_user_stands_out_from_the_known_differences() {
    let report = compared(&format!("ou=users,{SUFFIX}"), |directory| {
        let alice = directory.user_named("alice").expect("alice").pk;
        directory.change_user(alice, |user| user.email = "other@example.com".into());
    })
    .await;
    let unexplained: Vec<_> = report
        .findings
        .iter()
        .flat_map(|finding| &finding.told)
        .filter(|told| told.known.is_none())
        .collect();
    assert_eq!(unexplained.len(), 1, "{}", report.text(Detail::default()));
    let text = report.text(Detail::default());
    assert!(
        text.contains("-mail: alice@example.com\n+mail: other@example.com\n"),
        "{text}"
    );
}
