use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn table(capacity: usize, limit_per_source: Option<usize>, memory: usize) -> Arc<ClientTable> {
    ClientTable::new(
        capacity,
        limit_per_source,
        MemoryBudget::new(memory),
        ClientMetrics::default(),
    )
}

impl ClientTable {
    fn enter(self: &Arc<Self>, client: &str) -> Option<Permit> {
        let mut permit = self.try_admit(ip(client), Instant::now()).unwrap();
        permit.enter(ip(client).into()).then_some(permit)
    }

    /// The same through a peer that is believed by default.
    fn enter_named(self: &Arc<Self>, client: &str, peer: &str) -> Option<Permit> {
        let mut permit = self.try_admit(ip(peer), Instant::now()).unwrap();
        let origin = Origin {
            client: ip(client),
            proxy: Some(ip(peer)),
        };
        permit.enter(origin).then_some(permit)
    }
}

impl Permit {
    fn must_go(&self) -> bool {
        self.client.dismissal.get().is_some()
    }
}

#[tokio::test]
async fn an_address_has_its_share_and_no_more() {
    let table = table(100, Some(2), usize::MAX);
    let first = table.enter("192.0.2.1").unwrap();
    let second = table.enter("::ffff:192.0.2.1").unwrap();
    assert!(
        table.enter("192.0.2.1").is_none(),
        "both spellings are one client"
    );
    let other = table.enter("192.0.2.2").unwrap();
    drop(second);
    assert!(table.enter("192.0.2.1").is_some());
    drop((first, other));
    assert!(
        table.lock().sources.is_empty(),
        "who is gone is forgotten, who was refused was never counted"
    );
    let _one = table.enter("2001:db8::1").unwrap();
    let _two = table.enter("2001:db8::ffff:2").unwrap();
    assert!(table.enter("2001:db8::3").is_none(), "a /64 is one client");
    assert!(table.enter("2001:db8:0:1::3").is_some());
}

#[tokio::test]
async fn the_address_behind_a_proxy_is_what_counts() {
    let table = table(100, Some(1), usize::MAX);
    let proxied = |client: &str| {
        let mut permit = table.try_admit(ip("192.0.2.100"), Instant::now()).unwrap();
        permit.enter(ip(client).into()).then_some(permit)
    };
    let one = proxied("192.0.2.1").unwrap();
    let two = proxied("192.0.2.2").unwrap();
    assert!(proxied("192.0.2.1").is_none());
    assert_eq!(table.lock().sources.len(), 2);
    drop((one, two));
    assert!(table.lock().sources.is_empty() && table.lock().unbound.is_empty());
}

#[tokio::test]
async fn a_flood_leaves_no_room_behind() {
    let table = table(100_000, Some(2), usize::MAX);
    let permits: Vec<Permit> = (0..20_000_u32)
        .map(|number| {
            let client = IpAddr::V4(number.into());
            table.enter(&client.to_string()).unwrap()
        })
        .collect();
    drop(permits);
    assert!(table.lock().sources.capacity() <= 4 * 256);
}

#[tokio::test]
async fn it_is_nearly_full_when_an_eighth_is_left() {
    let table = table(16, None, usize::MAX);
    let mut permits = Vec::new();
    for _ in 0..14 {
        let mut permit = table.enter("192.0.2.1").unwrap();
        permit.note(0, true, false);
        permits.push(permit);
    }
    assert!(!table.is_nearly_full());
    permits.push(table.enter("192.0.2.1").unwrap());
    assert!(table.is_nearly_full());
    permits.clear();
    assert!(!table.is_nearly_full());
    // Of the twelve permits that strangers get, two are an eighth.
    for _ in 0..10 {
        permits.push(table.enter("192.0.2.1").unwrap());
    }
    assert!(!table.is_nearly_full());
    permits.push(table.enter("192.0.2.1").unwrap());
    assert!(table.is_nearly_full());
}

#[tokio::test]
async fn strangers_get_only_a_part_of_the_places_and_the_address_with_most_of_them_makes_room() {
    let table = table(400, None, usize::MAX);
    let honest: Vec<Permit> = (0..50).map(|_| table.enter("192.0.2.1").unwrap()).collect();
    let mut strangers: Vec<Permit> = (0..250).map(|_| table.enter("192.0.2.2").unwrap()).collect();
    strangers[0].note(0, false, true);
    let now = Instant::now();
    assert!(table.try_admit(ip("192.0.2.3"), now).is_none(), "300 are taken");
    let gone = strangers.iter().filter(|permit| permit.must_go()).count();
    assert_eq!(gone, 300 / BATCH_PART);
    assert!(!strangers[0].must_go(), "it is binding");
    assert!(
        strangers[1].must_go() && !strangers[100].must_go(),
        "the oldest go"
    );
    assert!(honest.iter().all(|permit| !permit.must_go()));
    assert!(
        table.try_admit(ip("192.0.2.3"), now).is_none(),
        "they have not gone yet"
    );
    let again = strangers.iter().filter(|permit| permit.must_go()).count();
    assert_eq!(again, gone, "and nobody else has to meanwhile");
    strangers.retain(|permit| !permit.must_go());
    let mut late = table.try_admit(ip("192.0.2.3"), now).unwrap();
    // Whoever binds gives the permit back to those who have not.
    let before = table.lock().unbound.len();
    late.note(0, true, false);
    assert_eq!(table.lock().unbound.len(), before - 1);
    late.note(0, false, false);
    assert_eq!(table.lock().unbound.len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_few_strangers_of_an_address_have_time_to_bind() {
    let table = table(2, None, usize::MAX);
    let permits = [
        table.enter("192.0.2.1").unwrap(),
        table.enter("192.0.2.1").unwrap(),
    ];
    let waiting = tokio::time::timeout(GRACE - PERMIT_CHECK, table.admit(ip("192.0.2.1")));
    assert!(waiting.await.is_err());
    assert!(permits.iter().all(|permit| !permit.must_go()));
    let [first, _second] = permits;
    let leave = async {
        let dismissal = first.dismissed().await;
        drop(first);
        dismissal
    };
    let (_permit, dismissal) = tokio::join!(table.admit(ip("192.0.2.1")), leave);
    assert_eq!(dismissal, Dismissal::Unbound);
}

/// The final notice to one that reads nothing takes its time; nobody waits for that while somebody else can
/// go.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_who_was_told_and_stays() {
    let table = table(2, None, usize::MAX);
    let [stays, goes] = ["192.0.2.1", "192.0.2.1"].map(|client| table.enter(client).unwrap());
    tokio::time::advance(GRACE).await;
    let leave = async {
        stays.dismissed().await;
        goes.dismissed().await;
        drop(goes);
    };
    let began = Instant::now();
    let admitted = async {
        let (permit, ()) = tokio::join!(table.admit(ip("192.0.2.2")), leave);
        permit
    };
    tokio::time::timeout(GRACE, admitted).await.expect("a permit");
    assert!(began.elapsed() <= PERMIT_CHECK * 2, "{:?}", began.elapsed());
    assert!(stays.must_go());
}

#[tokio::test]
async fn who_sends_bind_after_bind_keeps_no_place_by_that() {
    let table = table(400, None, usize::MAX);
    let mut strangers: Vec<Permit> = (0..300).map(|_| table.enter("192.0.2.2").unwrap()).collect();
    strangers
        .iter_mut()
        .for_each(|permit| permit.note(0, false, true));
    assert!(table.try_admit(ip("192.0.2.3"), Instant::now()).is_none());
    let gone = strangers.iter().filter(|permit| permit.must_go()).count();
    assert_eq!(gone, 300 / BATCH_PART);
}

#[tokio::test(start_paused = true)]
async fn time_to_bind_in_begins_when_a_client_becomes_unbound_and_ends_during_its_bind() {
    let table = table(8, None, usize::MAX);
    let mut permits: Vec<Permit> = (0..6).map(|_| table.enter("192.0.2.1").unwrap()).collect();
    permits.iter_mut().for_each(|permit| permit.note(0, true, false));
    tokio::time::advance(BINDING_GRACE * 2).await;
    permits.iter_mut().for_each(|permit| permit.note(0, false, true));
    let gone = |permits: &[Permit]| {
        assert!(table.try_admit(ip("192.0.2.3"), Instant::now()).is_none());
        permits.iter().filter(|permit| permit.must_go()).count()
    };
    tokio::time::advance(BINDING_GRACE - PERMIT_CHECK).await;
    assert_eq!(gone(&permits), 0);
    permits[3].note(0, false, false);
    assert_eq!(gone(&permits), 1);
    assert!(permits[3].must_go(), "who does not even bind goes first");
    permits.remove(3);
    permits.push(table.enter("192.0.2.1").unwrap());
    tokio::time::advance(PERMIT_CHECK).await;
    assert_eq!(gone(&permits), 1);
}

#[tokio::test]
async fn the_address_that_holds_most_loses_what_holds_most_first() {
    const MIB: usize = 1 << 20;
    let table = table(1000, None, 64 * MIB);
    let hold = |client: &str, held: usize| {
        let mut permit = table.enter(client).unwrap();
        permit.note(0, true, false);
        permit.note(held, true, false);
        permit
    };
    // One honest client with a large answer, and an address with many small pieces.
    let honest = hold("192.0.2.1", 20 * MIB);
    let mut many: Vec<Permit> = (0..43).map(|_| hold("192.0.2.2", MIB)).collect();
    assert!(many.iter().all(|permit| !permit.must_go()));
    let largest = hold("192.0.2.2", 3 * MIB);
    assert!(largest.must_go() && !honest.must_go());
    assert_eq!(
        many.iter().filter(|permit| permit.must_go()).count(),
        7,
        "an eighth is freed"
    );
    // Those who were told are not counted again.
    many.push(hold("192.0.2.2", MIB));
    assert_eq!(many.iter().filter(|permit| permit.must_go()).count(), 7);
    drop(largest);
    many.retain(|permit| !permit.must_go());
    assert!(!table.budget.is_exceeded());
    drop((many, honest));
    let permit = hold("192.0.2.1", 64 * MIB);
    assert!(!permit.must_go(), "everything was given back");
}

#[tokio::test]
async fn strangers_never_take_from_those_who_have_bound() {
    const MIB: usize = 1 << 20;
    let table = table(1000, None, 64 * MIB);
    let mut bound = table.enter("192.0.2.1").unwrap();
    bound.note(0, true, false);
    bound.note(40 * MIB, true, false);
    let mut strangers = Vec::new();
    for number in 0..100 {
        let mut permit = table.enter(&format!("192.0.2.{}", 2 + number % 50)).unwrap();
        permit.note(MIB, false, false);
        if !permit.must_go() {
            strangers.push(permit);
        }
        strangers.retain(|permit| !permit.must_go());
    }
    assert!(!bound.must_go());
    assert!((13..=16).contains(&strangers.len()), "{}", strangers.len());
    // What a client holds moves with it when it binds and when it is unbound again.
    let mut last = strangers.pop().unwrap();
    last.note(MIB, true, false);
    last.note(MIB, false, false);
    drop((strangers, last, bound));
    assert!(!table.budget.is_exceeded());
}

#[tokio::test]
async fn invented_addresses_hold_no_more_memory_than_sixteen() {
    const MIB: usize = 1 << 20;
    let table = table(1000, None, 64 * MIB);
    let hold = |mut permit: Permit, held: usize| {
        permit.note(0, true, false);
        permit.note(held, true, false);
        permit
    };
    let elsewhere: Vec<Permit> = (0..3)
        .map(|_| hold(table.enter("192.0.2.1").unwrap(), MIB))
        .collect();
    // Behind the same peer, one with many small pieces: more than any of the invented addresses has.
    let behind: Vec<Permit> = (0..20)
        .map(|_| hold(table.enter_named("192.0.2.2", "10.0.0.1").unwrap(), MIB / 4))
        .collect();
    let mut invented: Vec<Permit> = Vec::new();
    for number in 1..=200 {
        let permit = table
            .enter_named(&format!("203.0.113.{number}"), "10.0.0.1")
            .unwrap();
        invented.push(hold(permit, MIB));
        invented.retain(|permit| !permit.must_go());
    }
    assert!(invented.len() < 60, "{}", invented.len());
    assert!(elsewhere.iter().chain(&behind).all(|permit| !permit.must_go()));
}

#[tokio::test]
async fn one_client_of_a_proxy_is_not_all_of_them() {
    const MIB: usize = 1 << 20;
    let table = table(1000, None, 64 * MIB);
    let hold = |client: &str, held: usize| {
        let mut permit = table.enter_named(client, "10.0.0.1").unwrap();
        permit.note(0, true, false);
        permit.note(held, true, false);
        permit
    };
    let honest: Vec<Permit> = (1..=10)
        .map(|number| hold(&format!("192.0.2.{number}"), 2 * MIB))
        .collect();
    let many: Vec<Permit> = (0..100).map(|_| hold("192.0.2.100", MIB)).collect();
    assert!(many.iter().any(Permit::must_go));
    assert!(!honest.iter().any(Permit::must_go));
}

#[tokio::test]
async fn invented_addresses_hold_no_more_places_than_sixteen() {
    let table = table(4000, None, usize::MAX);
    let honest: Vec<Permit> = (0..100).map(|_| table.enter("192.0.2.1").unwrap()).collect();
    let behind: Vec<Permit> = (0..100)
        .map(|_| table.enter_named("192.0.2.2", "10.0.0.2").unwrap())
        .collect();
    let invented: Vec<Permit> = (0..2800_u32)
        .map(|number| {
            let client = IpAddr::V4((0xcb00_7100 + number).into()).to_string();
            table.enter_named(&client, "10.0.0.1").unwrap()
        })
        .collect();
    assert!(table.try_admit(ip("192.0.2.3"), Instant::now()).is_none());
    assert!(honest.iter().chain(&behind).all(|permit| !permit.must_go()));
    assert!(invented[0].must_go());
}
