//! A server's answer to one search, kept small: for each entry only what shows whether it is the same elsewhere, not the entry
//! itself. Knows how to ask, and that answers may be larger than memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use akldap_ldap::control::PagedResults;

use super::connection::{ClientConnection, ConnectionError, OperationEnd, Received, ReceivedEntry};
use super::name;
use super::search::ComparedSearch;
use super::target::Target;
use super::time_limit::TimeLimit;

/// The most entries of one answer. Each takes 64 octets.
const MAX_ENTRIES: usize = 10_000_000;
/// The most pages of one answer: a server that never finishes is given up on.
const MAX_PAGES: usize = 1_000_000;
/// The most pages in a row without an entry. RFC 2696 allows them, and some servers send a few where a filter lets little through.
const MAX_EMPTY_PAGES: usize = 1000;

/// The most octets of references to other servers in one answer. A server has a few.
const MAX_REFERRED: usize = 16 * 1024 * 1024;

/// The mark of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which entry: its name, whatever the spelling.
    pub key: NameHash,
    /// What it says: the spelling of its name, names of attributes and values, whatever their order.
    pub contents: u128,
    /// The order of its attributes.
    pub names_order: u64,
    /// The order of the values of each attribute.
    pub values_order: u64,
}

/// Which entry of an answer: the hash of its name.
pub(super) type NameHash = u128;

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct SearchAnswer {
    /// The entries, in the order they came.
    pub marks: Vec<Mark>,
    /// The URLs of its references to other servers, those of one reference together.
    pub references: Vec<Vec<u8>>,
    /// How it ended; `None` if the connection ended before.
    pub outcome: Option<OperationEnd>,
    /// Whether the server hung up then.
    pub closed: bool,
    /// How long it took.
    pub took: Duration,
}

impl SearchAnswer {
    /// The result code; `None` if there was none.
    pub(super) fn code(&self) -> Option<i64> {
        self.outcome.as_ref().map(|outcome| outcome.code)
    }
}

/// A server with the account that asks it.
pub(super) struct AskedServer<'a> {
    target: &'a Target,
    bind_dn: &'a str,
    password: &'a [u8],
    time: TimeLimit,
    /// Kept while they last, unbound and bound.
    connections: [Option<ClientConnection>; 2],
}

impl<'a> AskedServer<'a> {
    /// Nothing is opened yet.
    pub(super) fn new(target: &'a Target, bind_dn: &'a str, password: &'a [u8], time: TimeLimit) -> Self {
        Self {
            target,
            bind_dn,
            password,
            time,
            connections: [None, None],
        }
    }

    async fn connected(&self, unbound: bool) -> Result<ClientConnection, ConnectionError> {
        let mut connection = ClientConnection::open(self.target).await?;
        if !unbound {
            let bound = connection.bind(self.bind_dn, self.password).await;
            bound.map_err(|error| match error {
                ConnectionError::Bind(outcome) => ConnectionError::Bind(self.without_password(outcome)),
                other => other,
            })?;
        }
        Ok(connection)
    }

    /// Runs a search and keeps a mark of every entry; each entry is shown to `look` first and then dropped.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses the bind, or time is up. That it hangs up during a search is part of its answer.
    pub(super) async fn ask(
        &mut self,
        search: &ComparedSearch,
        look: impl FnMut(NameHash, &ReceivedEntry),
    ) -> Result<SearchAnswer, ConnectionError> {
        let time = self.time;
        let answer = time.hold(self.answer(search, look)).await;
        answer.unwrap_or(Err(ConnectionError::Late { limit: time.whole }))
    }

    async fn answer(
        &mut self,
        search: &ComparedSearch,
        mut look: impl FnMut(NameHash, &ReceivedEntry),
    ) -> Result<SearchAnswer, ConnectionError> {
        let slot = usize::from(!search.unbound);
        if let Some(mut kept) = self.connections.get_mut(slot).and_then(Option::take) {
            let answer = self.ask_over(&mut kept, search, &mut look).await?;
            // It may have been closed while it was not used.
            let was_gone = answer.outcome.is_none() && answer.marks.is_empty();
            if !was_gone {
                self.keep(slot, kept, &answer);
                return Ok(answer);
            }
        }
        let mut connection = self.connected(search.unbound).await?;
        let answer = self.ask_over(&mut connection, search, &mut look).await?;
        self.keep(slot, connection, &answer);
        Ok(answer)
    }

    /// A server may repeat what it was sent; a password must not be printed.
    fn without_password(&self, mut outcome: OperationEnd) -> OperationEnd {
        let password = String::from_utf8_lossy(self.password);
        if !password.is_empty() && outcome.message.contains(&*password) {
            outcome.message = outcome.message.replace(&*password, "…");
        }
        outcome
    }

    fn keep(&mut self, slot: usize, connection: ClientConnection, answer: &SearchAnswer) {
        if !answer.closed
            && let Some(slot) = self.connections.get_mut(slot)
        {
            *slot = Some(connection);
        }
    }

    async fn ask_over(
        &self,
        connection: &mut ClientConnection,
        search: &ComparedSearch,
        mut look: impl FnMut(NameHash, &ReceivedEntry),
    ) -> Result<SearchAnswer, ConnectionError> {
        let request = search.encode().map_err(ConnectionError::Settings)?;
        let mut answer = SearchAnswer::default();
        let mut seen = HashMap::new();
        let began = Instant::now();
        let mut page = search.page.map(|size| PagedResults {
            size,
            cookie: Vec::new(),
        });
        let (mut pages, mut empty_pages, mut referred) = (0, 0, 0);
        loop {
            let before = answer.marks.len();
            let (marks, references) = (&mut answer.marks, &mut answer.references);
            let found = connection.search(&request, page.as_ref(), |received| {
                if self.time.is_up() {
                    return Err(ConnectionError::Late {
                        limit: self.time.whole,
                    });
                }
                let entry = match received {
                    Received::Entry(entry) => entry,
                    Received::Reference(urls) => {
                        referred += urls.len();
                        if referred > MAX_REFERRED {
                            let limit = format!("more than {MAX_REFERRED} octets of references");
                            return Err(ConnectionError::Malformed(limit));
                        }
                        references.push(urls);
                        return Ok(());
                    }
                };
                if marks.len() >= MAX_ENTRIES {
                    let limit = format!("more than {MAX_ENTRIES} entries; choose a smaller base");
                    return Err(ConnectionError::Malformed(limit));
                }
                let mut mark = mark_of(&entry);
                // The same name once more is another entry.
                let times = seen.entry(mark.key).or_insert(0_u128);
                mark.key = mark.key.wrapping_add(*times);
                *times += 1;
                look(mark.key, &entry);
                marks.push(mark);
                Ok(())
            });
            match found.await {
                Ok(outcome) => {
                    let cookie = outcome.cookie.clone();
                    let goes_on = outcome.code == 0 && !cookie.is_empty();
                    answer.outcome = Some(self.without_password(outcome));
                    match &mut page {
                        Some(page) if goes_on => page.cookie = cookie,
                        _ => break,
                    }
                    pages += 1;
                    empty_pages = if answer.marks.len() == before {
                        empty_pages + 1
                    } else {
                        0
                    };
                    if pages >= MAX_PAGES || empty_pages >= MAX_EMPTY_PAGES {
                        return Err(ConnectionError::Malformed(format!(
                            "there is no end after {pages} pages, the last {empty_pages} of them without an entry"
                        )));
                    }
                }
                Err(ConnectionError::Closed) => {
                    answer.outcome = None;
                    answer.closed = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        answer.took = began.elapsed();
        let failed = answer.code().is_some_and(|code| code != 0);
        answer.closed = answer.closed || failed && connection.is_closed().await;
        Ok(answer)
    }
}

/// The key of a name.
pub(super) fn key_of(dn: &[u8]) -> NameHash {
    let hash = blake3::hash(&name::normal_form(dn));
    first(&hash)
}

fn mark_of(entry: &ReceivedEntry) -> Mark {
    let mut attributes: Vec<(&[u8], Vec<&[u8]>)> = entry
        .attributes
        .iter()
        .map(|(name, values)| (name.as_slice(), values.iter().map(Vec::as_slice).collect()))
        .collect();
    let names_order = short(hash_of(attributes.iter().map(|(name, _)| *name)));
    attributes.sort();
    let values_order = short(hash_of(
        attributes.iter().flat_map(|(_, values)| values.iter().copied()),
    ));
    let mut hasher = blake3::Hasher::new();
    add(&mut hasher, &entry.dn);
    for (name, values) in &mut attributes {
        values.sort_unstable();
        add(&mut hasher, name);
        hasher.update(&(values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| add(&mut hasher, value));
    }
    Mark {
        key: key_of(&entry.dn),
        contents: first(&hasher.finalize()),
        names_order,
        values_order,
    }
}

/// The hash of a list of parts.
pub(super) fn hash_of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u128 {
    let mut hasher = blake3::Hasher::new();
    parts.for_each(|part| add(&mut hasher, part));
    first(&hasher.finalize())
}

/// Each part with its length, so that no two lists of parts are the same octets.
fn add(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

fn first(hash: &blake3::Hash) -> u128 {
    let (octets, _) = hash.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
    u128::from_le_bytes(*octets)
}

/// Half of a hash, where only a count is at stake.
fn short(hash: u128) -> u64 {
    let octets = hash.to_le_bytes();
    let (half, _) = octets.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*half)
}

#[cfg(test)]
mod tests {
    use akldap_ldap::ber::{self, Reader};
    use akldap_ldap::control::PAGED_RESULTS;
    use akldap_ldap::frame::{self, Frame};
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A server that answers every bind and search with success, and promises another page each time.
    async fn endless() -> Target {
        answering(answer_to).await
    }

    /// A server of one client.
    async fn serving<F: Future<Output = ()> + Send + 'static>(
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            serve(stream).await;
        });
        Target::parse(&format!("ldap://{address}"), false).expect("a URI")
    }

    /// A server that answers each request so.
    async fn answering(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Target {
        serving(move |mut stream| async move {
            let mut received = BytesMut::new();
            while stream.read_buf(&mut received).await.is_ok_and(|read| read > 0) {
                while let Ok(Frame::Complete { length }) = frame::split(&received, 4096) {
                    let _ = stream.write_all(&answer(&received.split_to(length))).await;
                }
            }
        })
        .await
    }

    /// A server that answers a bind with success, then sends some octets, and others again and again.
    async fn opening(octets: Vec<u8>, then: Vec<u8>) -> Target {
        serving(move |mut stream| async move {
            let mut received = BytesMut::new();
            let _ = stream.read_buf(&mut received).await;
            let _ = stream.write_all(&answer_to(&received)).await;
            let _ = stream.write_all(&octets).await;
            while stream.write_all(&then).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    fn answer_to(request: &[u8]) -> Vec<u8> {
        const BIND_REQUEST: u8 = 0x60;
        let mut envelope = Reader::new(request)
            .constructed(ber::SEQUENCE)
            .expect("a message");
        let id = envelope.max_int().expect("its id");
        let tag = envelope.element().expect("its operation").tag;
        let page = PagedResults {
            size: 0,
            cookie: b"more".to_vec(),
        };
        let mut answer = Vec::new();
        ber::write_constructed(&mut answer, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, i64::from(id));
            ber::write_constructed(out, if tag == BIND_REQUEST { 0x61 } else { 0x65 }, |out| {
                ber::write_integer(out, ber::ENUMERATED, 0);
                ber::write_element(out, ber::OCTET_STRING, b"");
                ber::write_element(out, ber::OCTET_STRING, b"");
            });
            if tag != BIND_REQUEST {
                ber::write_constructed(out, 0xa0, |out| {
                    ber::write_constructed(out, ber::SEQUENCE, |out| {
                        ber::write_element(out, ber::OCTET_STRING, PAGED_RESULTS.as_bytes());
                        ber::write_element(out, ber::OCTET_STRING, &page.encode());
                    });
                });
            }
        });
        answer
    }

    #[tokio::test]
    async fn a_server_that_never_comes_to_an_end_is_given_up() {
        let target = endless().await;
        let mut server = AskedServer::new(&target, "cn=a", b"secret", TimeLimit::of(Duration::MAX));
        let search = ComparedSearch::parse("x", "ldap:///dc=a??sub??x-page=10").expect("a search");
        let error = server.ask(&search, |_, _| {}).await.expect_err("no end");
        assert_eq!(
            error.to_string(),
            "the answer is not LDAP: there is no end after 1000 pages, the last 1000 of them without an entry"
        );
    }

    /// A server that sends its answer octet by octet is never silent.
    #[tokio::test]
    async fn an_answer_that_drips_is_given_up_when_time_is_up() {
        // The beginning of an entry of 240 MiB.
        let target = opening(vec![0x30, 0x84, 15, 0, 0, 0], vec![2]).await;
        let time = TimeLimit::of(Duration::from_secs(1));
        let mut server = AskedServer::new(&target, "cn=a", b"secret", time);
        let search = ComparedSearch::parse("all", "ldap:///dc=a??sub").expect("a search");
        let error = server.ask(&search, |_, _| {}).await.expect_err("time is up");
        assert!(matches!(error, ConnectionError::Late { .. }), "{error}");
    }

    /// A server that never stops is never waited for either, so that no timer is looked at.
    #[tokio::test]
    async fn nothing_is_taken_any_more_when_time_is_up() {
        let mut entry = Vec::new();
        ber::write_constructed(&mut entry, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, 2);
            ber::write_constructed(out, 0x64, |out| {
                ber::write_element(out, ber::OCTET_STRING, b"cn=a");
                ber::write_constructed(out, ber::SEQUENCE, |_| {});
            });
        });
        let target = opening(Vec::new(), entry.repeat(4096)).await;
        let time = TimeLimit::of(Duration::from_millis(300));
        let mut server = AskedServer::new(&target, "cn=a", b"secret", time);
        let search = ComparedSearch::parse("all", "ldap:///dc=a??sub").expect("a search");
        let mut late = 0;
        let error = server
            .ask(&search, |_, _| late += usize::from(time.is_up()))
            .await
            .expect_err("time is up");
        assert!(matches!(error, ConnectionError::Late { .. }), "{error}");
        // It may be up between the look at the clock and this one.
        assert!(late <= 1, "{late}");
    }

    /// What one server names and the other does not is a difference.
    #[tokio::test]
    async fn references_to_other_servers_are_part_of_an_answer() {
        let target = answering(|request| {
            let mut answer = Vec::new();
            if request.get(5) == Some(&0x63) {
                ber::write_constructed(&mut answer, ber::SEQUENCE, |out| {
                    ber::write_integer(out, ber::INTEGER, 2);
                    ber::write_constructed(out, 0x73, |out| {
                        ber::write_element(out, ber::OCTET_STRING, b"ldap://b/");
                        ber::write_element(out, ber::OCTET_STRING, b"ldap://a/");
                    });
                });
            }
            answer.extend(answer_to(request));
            answer
        })
        .await;
        let mut server = AskedServer::new(&target, "cn=a", b"secret", TimeLimit::of(Duration::MAX));
        let search = ComparedSearch::parse("all", "ldap:///dc=a??sub").expect("a search");
        let answer = server.ask(&search, |_, _| {}).await.expect("an answer");
        assert_eq!(answer.references, [b"ldap://a/ ldap://b/".to_vec()]);
        assert_eq!((answer.marks.len(), answer.code()), (0, Some(0)));
    }

    #[test]
    fn a_mark_tells_contents_from_order() {
        let one = mark_of(&ReceivedEntry::of(
            "cn=a,dc=b",
            &[("cn", &["a"]), ("mail", &["1", "2"])],
        ));
        let names = mark_of(&ReceivedEntry::of(
            "cn=a,dc=b",
            &[("mail", &["1", "2"]), ("cn", &["a"])],
        ));
        assert_eq!(
            (one.key, one.contents, one.values_order),
            (names.key, names.contents, names.values_order)
        );
        assert_ne!(one.names_order, names.names_order);
        let values = mark_of(&ReceivedEntry::of(
            "cn=a,dc=b",
            &[("cn", &["a"]), ("mail", &["2", "1"])],
        ));
        assert_eq!(
            (one.contents, one.names_order),
            (values.contents, values.names_order)
        );
        assert_ne!(one.values_order, values.values_order);
    }

    #[test]
    fn a_mark_shows_every_change() {
        let one = mark_of(&ReceivedEntry::of(
            "cn=a,dc=b",
            &[("cn", &["a"]), ("mail", &["1", "2"])],
        ));
        for other in [
            ReceivedEntry::of("CN=a,dc=b", &[("cn", &["a"]), ("mail", &["1", "2"])]),
            ReceivedEntry::of("cn=a,dc=b", &[("cn", &["a"]), ("mail", &["12"])]),
            ReceivedEntry::of("cn=a,dc=b", &[("cn", &["a"]), ("Mail", &["1", "2"])]),
            ReceivedEntry::of("cn=a,dc=b", &[("cn", &["a"])]),
            ReceivedEntry::of("cn=a,dc=b", &[("cn", &["a", "mail"]), ("1", &["2"])]),
        ] {
            let other = mark_of(&other);
            assert_eq!(one.key, other.key);
            assert_ne!(one.contents, other.contents);
        }
        assert_ne!(one.key, mark_of(&ReceivedEntry::of("cn=b,dc=b", &[])).key);
    }
}
