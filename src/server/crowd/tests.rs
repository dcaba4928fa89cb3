use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn crowd(capacity: usize, limit_per_source: Option<usize>, memory: usize) -> Arc<Crowd> {
    Crowd::new(
        capacity,
        limit_per_source,
        Budget::new(memory),
        ClientMetrics::default(),
    )
}

impl Crowd {
    fn enter(self: &Arc<Self>, client: &str) -> Option<Seat> {
        let mut seat = self.try_admit(ip(client), Instant::now()).unwrap();
        seat.enter(ip(client).into()).then_some(seat)
    }

    /// The same through a peer that is believed by default.
    fn enter_named(self: &Arc<Self>, client: &str, peer: &str) -> Option<Seat> {
        let mut seat = self.try_admit(ip(peer), Instant::now()).unwrap();
        let origin = Origin {
            client: ip(client),
            proxy: Some(ip(peer)),
        };
        seat.enter(origin).then_some(seat)
    }
}

impl Seat {
    fn must_go(&self) -> bool {
        self.occupant.dismissal.get().is_some()
    }
}

#[tokio::test]
async fn an_address_has_its_share_and_no_more() {
    let crowd = crowd(100, Some(2), usize::MAX);
    let first = crowd.enter("192.0.2.1").unwrap();
    let second = crowd.enter("::ffff:192.0.2.1").unwrap();
    assert!(
        crowd.enter("192.0.2.1").is_none(),
        "both spellings are one client"
    );
    let other = crowd.enter("192.0.2.2").unwrap();
    drop(second);
    assert!(crowd.enter("192.0.2.1").is_some());
    drop((first, other));
    assert!(
        crowd.lock().sources.is_empty(),
        "who is gone is forgotten, who was refused was never counted"
    );
    let _one = crowd.enter("2001:db8::1").unwrap();
    let _two = crowd.enter("2001:db8::ffff:2").unwrap();
    assert!(crowd.enter("2001:db8::3").is_none(), "a /64 is one client");
    assert!(crowd.enter("2001:db8:0:1::3").is_some());
}

#[tokio::test]
async fn the_address_behind_a_proxy_is_what_counts() {
    let crowd = crowd(100, Some(1), usize::MAX);
    let proxied = |client: &str| {
        let mut seat = crowd.try_admit(ip("192.0.2.100"), Instant::now()).unwrap();
        seat.enter(ip(client).into()).then_some(seat)
    };
    let one = proxied("192.0.2.1").unwrap();
    let two = proxied("192.0.2.2").unwrap();
    assert!(proxied("192.0.2.1").is_none());
    assert_eq!(crowd.lock().sources.len(), 2);
    drop((one, two));
    assert!(crowd.lock().sources.is_empty() && crowd.lock().unbound.is_empty());
}

#[tokio::test]
async fn a_flood_leaves_no_room_behind() {
    let crowd = crowd(100_000, Some(2), usize::MAX);
    let seats: Vec<Seat> = (0..20_000_u32)
        .map(|number| {
            let client = IpAddr::V4(number.into());
            crowd.enter(&client.to_string()).unwrap()
        })
        .collect();
    drop(seats);
    assert!(crowd.lock().sources.capacity() <= 4 * 256);
}

#[tokio::test]
async fn it_is_dense_when_an_eighth_is_left() {
    let crowd = crowd(16, None, usize::MAX);
    let mut seats = Vec::new();
    for _ in 0..14 {
        let mut seat = crowd.enter("192.0.2.1").unwrap();
        seat.note(0, true, false);
        seats.push(seat);
    }
    assert!(!crowd.is_dense());
    seats.push(crowd.enter("192.0.2.1").unwrap());
    assert!(crowd.is_dense());
    seats.clear();
    assert!(!crowd.is_dense());
    // Of the twelve places that strangers get, two are an eighth.
    for _ in 0..10 {
        seats.push(crowd.enter("192.0.2.1").unwrap());
    }
    assert!(!crowd.is_dense());
    seats.push(crowd.enter("192.0.2.1").unwrap());
    assert!(crowd.is_dense());
}

#[tokio::test]
async fn strangers_get_only_a_part_of_the_places_and_the_address_with_most_of_them_makes_room() {
    let crowd = crowd(400, None, usize::MAX);
    let honest: Vec<Seat> = (0..50).map(|_| crowd.enter("192.0.2.1").unwrap()).collect();
    let mut strangers: Vec<Seat> = (0..250).map(|_| crowd.enter("192.0.2.2").unwrap()).collect();
    strangers[0].note(0, false, true);
    let now = Instant::now();
    assert!(crowd.try_admit(ip("192.0.2.3"), now).is_none(), "300 are taken");
    let gone = strangers.iter().filter(|seat| seat.must_go()).count();
    assert_eq!(gone, 300 / BATCH_PART);
    assert!(!strangers[0].must_go(), "it is binding");
    assert!(
        strangers[1].must_go() && !strangers[100].must_go(),
        "the oldest go"
    );
    assert!(honest.iter().all(|seat| !seat.must_go()));
    assert!(
        crowd.try_admit(ip("192.0.2.3"), now).is_none(),
        "they have not gone yet"
    );
    let again = strangers.iter().filter(|seat| seat.must_go()).count();
    assert_eq!(again, gone, "and nobody else has to meanwhile");
    strangers.retain(|seat| !seat.must_go());
    let mut late = crowd.try_admit(ip("192.0.2.3"), now).unwrap();
    // Who binds gives the place back to those who have not.
    let before = crowd.lock().unbound.len();
    late.note(0, true, false);
    assert_eq!(crowd.lock().unbound.len(), before - 1);
    late.note(0, false, false);
    assert_eq!(crowd.lock().unbound.len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_few_strangers_of_an_address_have_time_to_bind() {
    let crowd = crowd(2, None, usize::MAX);
    let seats = [
        crowd.enter("192.0.2.1").unwrap(),
        crowd.enter("192.0.2.1").unwrap(),
    ];
    let waiting = tokio::time::timeout(GRACE - LOOK, crowd.admit(ip("192.0.2.1")));
    assert!(waiting.await.is_err());
    assert!(seats.iter().all(|seat| !seat.must_go()));
    let [first, _second] = seats;
    let leave = async {
        let dismissal = first.dismissed().await;
        drop(first);
        dismissal
    };
    let (_seat, dismissal) = tokio::join!(crowd.admit(ip("192.0.2.1")), leave);
    assert_eq!(dismissal, Dismissal::Place);
}

/// The last words to one that reads nothing take their time; nobody waits for that while somebody else can go.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_who_was_told_and_stays() {
    let crowd = crowd(2, None, usize::MAX);
    let [stays, goes] = ["192.0.2.1", "192.0.2.1"].map(|client| crowd.enter(client).unwrap());
    tokio::time::advance(GRACE).await;
    let leave = async {
        stays.dismissed().await;
        goes.dismissed().await;
        drop(goes);
    };
    let began = Instant::now();
    let admitted = async {
        let (seat, ()) = tokio::join!(crowd.admit(ip("192.0.2.2")), leave);
        seat
    };
    tokio::time::timeout(GRACE, admitted).await.expect("a place");
    assert!(began.elapsed() <= LOOK * 2, "{:?}", began.elapsed());
    assert!(stays.must_go());
}

#[tokio::test]
async fn who_sends_bind_after_bind_keeps_no_place_by_that() {
    let crowd = crowd(400, None, usize::MAX);
    let mut strangers: Vec<Seat> = (0..300).map(|_| crowd.enter("192.0.2.2").unwrap()).collect();
    strangers.iter_mut().for_each(|seat| seat.note(0, false, true));
    assert!(crowd.try_admit(ip("192.0.2.3"), Instant::now()).is_none());
    let gone = strangers.iter().filter(|seat| seat.must_go()).count();
    assert_eq!(gone, 300 / BATCH_PART);
}

#[tokio::test(start_paused = true)]
async fn time_to_bind_in_begins_when_a_client_becomes_unbound_and_ends_during_its_bind() {
    let crowd = crowd(8, None, usize::MAX);
    let mut seats: Vec<Seat> = (0..6).map(|_| crowd.enter("192.0.2.1").unwrap()).collect();
    seats.iter_mut().for_each(|seat| seat.note(0, true, false));
    tokio::time::advance(BINDING_GRACE * 2).await;
    seats.iter_mut().for_each(|seat| seat.note(0, false, true));
    let gone = |seats: &[Seat]| {
        assert!(crowd.try_admit(ip("192.0.2.3"), Instant::now()).is_none());
        seats.iter().filter(|seat| seat.must_go()).count()
    };
    tokio::time::advance(BINDING_GRACE - LOOK).await;
    assert_eq!(gone(&seats), 0);
    seats[3].note(0, false, false);
    assert_eq!(gone(&seats), 1);
    assert!(seats[3].must_go(), "who does not even bind goes first");
    seats.remove(3);
    seats.push(crowd.enter("192.0.2.1").unwrap());
    tokio::time::advance(LOOK).await;
    assert_eq!(gone(&seats), 1);
}

#[tokio::test]
async fn the_address_that_holds_most_loses_what_holds_most_first() {
    const MIB: usize = 1 << 20;
    let crowd = crowd(1000, None, 64 * MIB);
    let hold = |client: &str, held: usize| {
        let mut seat = crowd.enter(client).unwrap();
        seat.note(0, true, false);
        seat.note(held, true, false);
        seat
    };
    // One honest client with a large answer, and an address with many small pieces.
    let honest = hold("192.0.2.1", 20 * MIB);
    let mut many: Vec<Seat> = (0..43).map(|_| hold("192.0.2.2", MIB)).collect();
    assert!(many.iter().all(|seat| !seat.must_go()));
    let largest = hold("192.0.2.2", 3 * MIB);
    assert!(largest.must_go() && !honest.must_go());
    assert_eq!(
        many.iter().filter(|seat| seat.must_go()).count(),
        7,
        "an eighth is freed"
    );
    // Those who were told are not counted again.
    many.push(hold("192.0.2.2", MIB));
    assert_eq!(many.iter().filter(|seat| seat.must_go()).count(), 7);
    drop(largest);
    many.retain(|seat| !seat.must_go());
    assert!(!crowd.budget.is_exceeded());
    drop((many, honest));
    let seat = hold("192.0.2.1", 64 * MIB);
    assert!(!seat.must_go(), "everything was given back");
}

#[tokio::test]
async fn strangers_never_take_from_those_who_have_bound() {
    const MIB: usize = 1 << 20;
    let crowd = crowd(1000, None, 64 * MIB);
    let mut bound = crowd.enter("192.0.2.1").unwrap();
    bound.note(0, true, false);
    bound.note(40 * MIB, true, false);
    let mut strangers = Vec::new();
    for number in 0..100 {
        let mut seat = crowd.enter(&format!("192.0.2.{}", 2 + number % 50)).unwrap();
        seat.note(MIB, false, false);
        if !seat.must_go() {
            strangers.push(seat);
        }
        strangers.retain(|seat| !seat.must_go());
    }
    assert!(!bound.must_go());
    assert!((13..=16).contains(&strangers.len()), "{}", strangers.len());
    // What a client holds goes with it when it binds and when it is unbound again.
    let mut last = strangers.pop().unwrap();
    last.note(MIB, true, false);
    last.note(MIB, false, false);
    drop((strangers, last, bound));
    assert!(!crowd.budget.is_exceeded());
}

#[tokio::test]
async fn invented_addresses_hold_no_more_memory_than_sixteen() {
    const MIB: usize = 1 << 20;
    let crowd = crowd(1000, None, 64 * MIB);
    let hold = |mut seat: Seat, held: usize| {
        seat.note(0, true, false);
        seat.note(held, true, false);
        seat
    };
    let elsewhere: Vec<Seat> = (0..3)
        .map(|_| hold(crowd.enter("192.0.2.1").unwrap(), MIB))
        .collect();
    // Behind the same peer one with many small pieces: more than any of the invented addresses has.
    let behind: Vec<Seat> = (0..20)
        .map(|_| hold(crowd.enter_named("192.0.2.2", "10.0.0.1").unwrap(), MIB / 4))
        .collect();
    let mut invented: Vec<Seat> = Vec::new();
    for number in 1..=200 {
        let seat = crowd
            .enter_named(&format!("203.0.113.{number}"), "10.0.0.1")
            .unwrap();
        invented.push(hold(seat, MIB));
        invented.retain(|seat| !seat.must_go());
    }
    assert!(invented.len() < 60, "{}", invented.len());
    assert!(elsewhere.iter().chain(&behind).all(|seat| !seat.must_go()));
}

#[tokio::test]
async fn one_client_of_a_proxy_is_not_all_of_them() {
    const MIB: usize = 1 << 20;
    let crowd = crowd(1000, None, 64 * MIB);
    let hold = |client: &str, held: usize| {
        let mut seat = crowd.enter_named(client, "10.0.0.1").unwrap();
        seat.note(0, true, false);
        seat.note(held, true, false);
        seat
    };
    let honest: Vec<Seat> = (1..=10)
        .map(|number| hold(&format!("192.0.2.{number}"), 2 * MIB))
        .collect();
    let many: Vec<Seat> = (0..100).map(|_| hold("192.0.2.100", MIB)).collect();
    assert!(many.iter().any(Seat::must_go));
    assert!(!honest.iter().any(Seat::must_go));
}

#[tokio::test]
async fn invented_addresses_hold_no_more_places_than_sixteen() {
    let crowd = crowd(4000, None, usize::MAX);
    let honest: Vec<Seat> = (0..100).map(|_| crowd.enter("192.0.2.1").unwrap()).collect();
    let behind: Vec<Seat> = (0..100)
        .map(|_| crowd.enter_named("192.0.2.2", "10.0.0.2").unwrap())
        .collect();
    let invented: Vec<Seat> = (0..2800_u32)
        .map(|number| {
            let client = IpAddr::V4((0xcb00_7100 + number).into()).to_string();
            crowd.enter_named(&client, "10.0.0.1").unwrap()
        })
        .collect();
    assert!(crowd.try_admit(ip("192.0.2.3"), Instant::now()).is_none());
    assert!(honest.iter().chain(&behind).all(|seat| !seat.must_go()));
    assert!(invented[0].must_go());
}
