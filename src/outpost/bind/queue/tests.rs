//! Turns on a paused clock: what waits, what a flow takes, and who is served when.

use std::net::{IpAddr, Ipv4Addr};

use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep};

use super::*;

const MS: Duration = Duration::from_millis(1);
/// What authentik takes for one flow.
const FLOW: Duration = Duration::from_millis(150);

fn queue(concurrent: usize, limit: usize) -> Arc<FlowQueue> {
    Arc::new(FlowQueue::new(
        concurrent,
        limit,
        Duration::from_secs(10),
        ClientMetrics::default(),
    ))
}

fn source(number: u32) -> CountedAddress {
    IpAddr::V4(Ipv4Addr::from_bits(number)).into()
}

fn person(pk: i64) -> Person {
    Person::User(pk)
}

/// Everybody who neither waits nor has a turn is forgotten.
fn assert_empty(queue: &FlowQueue) {
    let state = queue.lock();
    assert!(state.addresses.is_empty());
    assert_eq!(
        (state.running, state.running_others, state.rounds.waiting()),
        (0, 0, 0)
    );
}

/// Lets binds of these addresses and persons queue up behind one that has the only turn; who came in which order.
async fn order(queue: &Arc<FlowQueue>, binds: &[(u32, i64)]) -> Vec<(u32, i64)> {
    let first = queue.turn(source(0), person(0)).await.ok().unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for bind in binds {
        let (queue, served, bind) = (Arc::clone(queue), Arc::clone(&served), *bind);
        tasks.spawn(async move {
            if let Ok(_turn) = queue.turn(source(bind.0), person(bind.1)).await {
                served.lock().unwrap().push(bind);
                yield_now().await;
            }
        });
        yield_now().await;
    }
    drop(first);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_empty(queue);
    Arc::into_inner(served).unwrap().into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn waiting_has_a_limit_and_an_end() {
    let queue = queue(1, 1);
    let first = queue.turn(source(1), person(1)).await.ok().unwrap();
    let (second, third) = tokio::join!(queue.turn(source(1), person(1)), queue.turn(source(1), person(1)));
    let (second, third) = (second.err().unwrap(), third.err().unwrap());
    assert_eq!(second.result.code, ResultCode::Busy);
    assert_eq!(third.result.code, ResultCode::Busy);
    assert!(second.cause.contains("waited too long"), "{}", second.cause);
    assert!(third.cause.contains("too many"), "{}", third.cause);
    drop(first);
    assert!(queue.turn(source(1), person(1)).await.is_ok());
    assert_empty(&queue);
}

/// A peer that is believed by default names a thousand addresses, each with a bind that waits; then somebody comes
/// from elsewhere for the first time.
#[tokio::test(start_paused = true)]
async fn invented_addresses_hold_up_a_newcomer_by_few_turns() {
    let queue = queue(1, 10_000);
    let invented = |number: u32| Origin {
        client: IpAddr::V4(Ipv4Addr::from_bits(number)),
        proxy: Some(IpAddr::V4(Ipv4Addr::from_bits(u32::MAX))),
    };
    let first = queue.turn(source(0), person(0)).await.ok().unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 1..=1001_u32 {
        let source = match number {
            1001 => queue.source(IpAddr::V4(Ipv4Addr::from_bits(number)).into()),
            number => queue.source(invented(number)),
        };
        let (queue, served) = (Arc::clone(&queue), Arc::clone(&served));
        tasks.spawn(async move {
            if let Ok(_turn) = queue.turn(source, person(i64::from(number))).await {
                served.lock().unwrap().push(number);
                yield_now().await;
            }
        });
        yield_now().await;
    }
    drop(first);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let before = served.lock().unwrap().iter().position(|number| *number == 1001);
    assert!(
        before.is_some_and(|turns| turns <= 17),
        "{before:?} turns before the newcomer's"
    );
    assert_empty(&queue);
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_there_are_turns_all_the_same() {
    let queue = queue(1, 0);
    let first = queue.turn(source(1), person(1)).await;
    assert!(first.is_ok() && queue.turn(source(2), person(2)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn equals_come_in_order_of_arrival() {
    let binds: Vec<(u32, i64)> = (1..=5).map(|number| (1, number)).collect();
    assert_eq!(order(&queue(1, 10), &binds).await, binds);
    let binds: Vec<(u32, i64)> = (1..=5).map(|number| (number, 1)).collect();
    assert_eq!(order(&queue(1, 10), &binds).await, binds);
}

#[tokio::test(start_paused = true)]
async fn turns_go_round_by_address_and_there_by_person() {
    let binds = [(1, 1), (1, 1), (1, 1), (1, 2), (2, 1), (3, 1), (3, 1)];
    assert_eq!(
        order(&queue(1, 10), &binds).await,
        [(1, 1), (2, 1), (3, 1), (1, 2), (3, 1), (1, 1), (1, 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn who_logged_in_before_has_every_other_turn() {
    let queue = queue(1, 20);
    queue.logged_in(source(9), person(9));
    // Nine strangers, then somebody from a known address three times; at that address somebody known.
    let mut binds: Vec<(u32, i64)> = (1..=6).map(|number| (number, 1)).collect();
    binds.extend([(9, 1), (9, 2), (9, 9)]);
    assert_eq!(
        order(&queue, &binds).await,
        [
            (9, 9),
            (1, 1),
            (9, 1),
            (2, 1),
            (9, 2),
            (3, 1),
            (4, 1),
            (5, 1),
            (6, 1)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn strangers_never_hold_all_turns_once_somebody_is_known() {
    let queue = queue(8, 100);
    let turns = |queue: &Arc<FlowQueue>| {
        let queue = Arc::clone(queue);
        async move {
            let mut turns = Vec::new();
            for number in 0..20 {
                let turn = queue.turn(source(number), person(number.into()));
                if let Ok(Ok(turn)) = timeout(MS, turn).await {
                    turns.push(turn);
                }
            }
            turns
        }
    };
    assert_eq!(
        turns(&queue).await.len(),
        8,
        "right after the start all are strangers"
    );
    queue.logged_in(source(1000), person(1000));
    let strangers = turns(&queue).await;
    assert_eq!(strangers.len(), 7);
    let known = queue.turn(source(1000), person(1)).await;
    assert!(known.is_ok());
    drop((strangers, known));
    // At a known address the same holds for persons.
    let mut people = Vec::new();
    for pk in 0..20 {
        if let Ok(Ok(turn)) = timeout(MS, queue.turn(source(1000), person(pk))).await {
            people.push(turn);
        }
    }
    assert_eq!(people.len(), 7);
    assert!(timeout(MS, queue.turn(source(1000), person(1000))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn guesses_for_a_name_follow_each_other_until_one_is_right() {
    let queue = queue(8, 100);
    let mut turns = Vec::new();
    for _ in 0..8 {
        if let Ok(Ok(turn)) = timeout(MS, queue.turn(source(1), person(1))).await {
            turns.push(turn);
        }
    }
    assert_eq!(turns.len(), UNPROVEN_AT_ONCE);
    let elsewhere = timeout(MS, queue.turn(source(2), person(1))).await;
    assert!(elsewhere.is_ok(), "the same person at another address");
    queue.logged_in(source(1), person(1));
    while let Ok(Ok(turn)) = timeout(MS, queue.turn(source(1), person(1))).await {
        turns.push(turn);
    }
    assert_eq!(turns.len(), 7, "all that are left");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_room_at_the_expense_of_the_longest_line() {
    let queue = queue(1, 4);
    let mut binds = vec![(1, 1); 10];
    binds.extend([(2, 1), (1, 2), (3, 1)]);
    assert_eq!(
        order(&queue, &binds).await,
        [(1, 1), (2, 1), (3, 1), (1, 2)],
        "address 1 keeps a place for each of its persons"
    );
    let strangers: Vec<(u32, i64)> = (1..=8).map(|number| (number, 1)).collect();
    assert_eq!(order(&queue, &strangers).await, strangers[..4], "equals stay");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_is_never_served() {
    let queue = queue(1, 100);
    let first = queue.turn(source(1), person(1)).await.ok().unwrap();
    for number in 0..1000 {
        let turn = queue.turn(source(number % 7), person(i64::from(number % 11)));
        assert!(timeout(10 * MS, turn).await.is_err());
    }
    assert_eq!(queue.lock().rounds.waiting(), 0);
    drop(first);
    assert_empty(&queue);
}

/// Bad binds of a run: half a minute.
const SPAN: u32 = 6000;

/// What happened to the honest binds of a run.
#[derive(Debug, Default)]
struct Honest {
    waits: Vec<Duration>,
    refused: usize,
}

impl Honest {
    fn p99(&mut self) -> Duration {
        self.waits.sort();
        self.waits[self.waits.len() * 99 / 100]
    }
}

/// Ten honest first logins a second for half a minute, each by somebody else, from `addresses`; at the same time bad
/// binds, 200 a second, whose clients hang up after 10 ms. How it was for the honest, and how many bad ones had a turn.
async fn run(
    addresses: u32,
    flood: bool,
    attacker: impl Fn(u32) -> (CountedAddress, Person),
) -> (Honest, usize) {
    let queue = queue(8, 1024);
    let (honest, bad) = (Arc::new(Mutex::new(Honest::default())), Arc::new(Mutex::new(0)));
    let mut tasks = JoinSet::new();
    for number in 1..=SPAN {
        if flood {
            let (queue, bad, (source, person)) = (Arc::clone(&queue), Arc::clone(&bad), attacker(number));
            tasks.spawn(async move {
                let turn = timeout(10 * MS, queue.turn(source, person)).await;
                if let Ok(Ok(_turn)) = turn {
                    // What has begun goes on.
                    *bad.lock().unwrap() += 1;
                    sleep(FLOW).await;
                }
            });
        }
        if number.is_multiple_of(20) {
            let (queue, honest) = (Arc::clone(&queue), Arc::clone(&honest));
            let (source, person) = (source(1_000_000 + number / 20 % addresses), person(number.into()));
            tasks.spawn(async move {
                let arrived = Instant::now();
                match queue.turn(source, person).await {
                    Ok(_turn) => {
                        sleep(FLOW).await;
                        queue.logged_in(source, person);
                        honest.lock().unwrap().waits.push(arrived.elapsed());
                    }
                    Err(_) => honest.lock().unwrap().refused += 1,
                }
            });
        }
        sleep(5 * MS).await;
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_empty(&queue);
    let honest = std::mem::take(&mut *honest.lock().unwrap());
    let bad = *bad.lock().unwrap();
    (honest, bad)
}

#[tokio::test(start_paused = true)]
async fn honest_logins_beside_a_flood_of_bad_binds_have_no_error_and_wait_little() {
    let name = |_| (source(666), person(1));
    let (mut alone, _) = run(50, false, name).await;
    // One name from one address; many names from one address; one name from many addresses; at an address that the
    // honest share.
    let floods: [&dyn Fn(u32) -> (CountedAddress, Person); 4] = [
        &name,
        &|number| (source(666), person(i64::from(number) + 1_000_000)),
        &|number| (source(number), person(1)),
        &|number| (source(1_000_000), person(i64::from(number) + 1_000_000)),
    ];
    for (kind, flood) in floods.into_iter().enumerate() {
        let addresses = if kind == 3 { 1 } else { 50 };
        let (mut beside, bad) = run(addresses, true, flood).await;
        println!("flood {kind}: p99 {:?}, bad binds sent {bad}", beside.p99());
        assert_eq!(beside.refused, 0, "flood {kind}");
        assert_eq!(beside.waits.len(), alone.waits.len());
        assert!(
            beside.p99() <= 3 * alone.p99(),
            "flood {kind}: {:?} instead of {:?}",
            beside.p99(),
            alone.p99()
        );
        if kind == 0 {
            // Two at once, for half a minute.
            assert!(bad <= 2 * 30_000 / 150 + 2, "{bad}");
        }
    }
}
