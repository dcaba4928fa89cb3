//! Paged results (RFC 2696): paged is unpaged whatever the page sizes, and cookies are positions that survive
//! reconnects, other filters and refreshes.

use akldap_simulator::Directory;
use ldap3_proto::proto::{LdapSearchRequest, LdapSearchScope};

use crate::conformance::controls::{page_of, paged, sorted, view};
use akldap_testing::client::{Client, Found, search};
use akldap_testing::stage::{BASE, Stage, user_dn};

const EVERYTHING: &str = "(objectClass=*)";

async fn page(client: &mut Client, filter: &str, size: i32, cookie: &[u8]) -> Found {
    let request = search(BASE, LdapSearchScope::Subtree, filter, &["cn"]);
    client
        .search_with(request, vec![paged(size, cookie, false)])
        .await
}

fn cookie(found: &Found) -> Vec<u8> {
    assert_eq!(found.outcome.code, 0, "{:?}", found.outcome);
    page_of(&found.outcome).expect("a paged results response").1
}

/// All pages with the sizes of `sizes`, over and over.
async fn all_pages(client: &mut Client, filter: &str, sizes: &[i32]) -> Vec<String> {
    let (mut dns, mut place) = (Vec::new(), Vec::new());
    for size in sizes.iter().cycle() {
        let found = page(client, filter, *size, &place).await;
        assert!(found.entries.len() <= *size as usize, "a page of {size}");
        dns.extend(found.entries.iter().map(|entry| entry.dn.clone()));
        place = cookie(&found);
        if place.is_empty() {
            break;
        }
        assert_eq!(
            found.entries.len(),
            *size as usize,
            "only the last page may be short"
        );
    }
    dns
}

/// All pages of one size, sorted by the server if there is something to sort by.
async fn pages_in_order(
    client: &mut Client,
    request: impl Fn() -> LdapSearchRequest,
    order: &[&str],
    size: i32,
) -> Vec<String> {
    let (mut dns, mut place) = (Vec::new(), Vec::new());
    loop {
        let mut controls = vec![paged(size, &place, true)];
        if !order.is_empty() {
            controls.push(sorted(order, true));
        }
        let found = client.search_with(request(), controls).await;
        dns.extend(found.dns().into_iter().map(str::to_owned));
        place = cookie(&found);
        if place.is_empty() {
            return dns;
        }
    }
}

/// What is found without pages, in the order of the names.
async fn sorted_dns(client: &mut Client, filter: &str) -> Vec<String> {
    let found = client.subtree(BASE, filter, &["cn"]).await;
    let mut dns: Vec<String> = found.dns().into_iter().map(str::to_owned).collect();
    dns.sort_unstable();
    dns
}

#[tokio::test]
async fn paged_is_unpaged_for_every_page_size() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for filter in [
        EVERYTHING,
        "(objectClass=user)",
        "(cn=*a*)",
        "(memberOf=*)",
        "(!(cn=alice))",
        "(cn=nobody)",
    ] {
        let whole = sorted_dns(&mut client, filter).await;
        for sizes in [
            &[1][..],
            &[2],
            &[3],
            &[7],
            &[59],
            &[60],
            &[61],
            &[500],
            &[100, 50, 1],
            &[1, 2, 3, 4, 5],
        ] {
            let mut pages = all_pages(&mut client, filter, sizes).await;
            pages.sort_unstable();
            assert_eq!(pages, whole, "{filter} {sizes:?}");
        }
    }
    let mut own = stage.bound("alice").await;
    let whole = sorted_dns(&mut own, EVERYTHING).await;
    let mut pages = all_pages(&mut own, EVERYTHING, &[2]).await;
    pages.sort_unstable();
    assert_eq!(pages, whole, "what a user sees is paged the same");
}

#[tokio::test]
async fn the_order_is_the_same_every_time() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let first = all_pages(&mut client, EVERYTHING, &[7]).await;
    assert_eq!(all_pages(&mut client, EVERYTHING, &[11, 3]).await, first);
}

#[tokio::test]
async fn a_cookie_survives_a_reconnect_and_a_refresh() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let whole = all_pages(&mut client, "(objectClass=user)", &[500]).await;
    let first = page(&mut client, "(objectClass=user)", 20, &[]).await;
    let place = cookie(&first);
    drop(client);
    stage.refresh().await;
    let mut again = stage.bound("ldapservice").await;
    let rest = page(&mut again, "(objectClass=user)", 500, &place).await;
    assert_eq!(cookie(&rest), b"");
    assert_eq!([first.dns(), rest.dns()].concat(), whole);
    let once_more = page(&mut again, "(objectClass=user)", 5, &place).await;
    assert_eq!(once_more.dns(), rest.dns()[..5], "a cookie may be used again");
}

#[tokio::test]
async fn a_cookie_of_another_filter_is_a_position() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let place = cookie(&page(&mut client, "(objectClass=user)", 20, &[]).await);
    let other = page(&mut client, "(cn=user*)", 500, &place).await;
    assert_eq!(cookie(&other), b"");
    let whole = client.subtree(BASE, "(cn=user*)", &["cn"]).await;
    assert!(!other.entries.is_empty() && other.entries.len() < whole.entries.len());
    assert!(
        whole.dns().ends_with(&other.dns()),
        "the rest of the other filter's answer"
    );
}

#[tokio::test]
async fn a_garbled_cookie_is_refused_and_the_connection_lives() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let place = cookie(&page(&mut client, EVERYTHING, 10, &[]).await);
    let mut flipped = place.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for garbled in [
        &b"0"[..],
        b"garbage",
        &[0; 49],
        &flipped,
        &place[..place.len() - 1],
        &[place.clone(), vec![0]].concat(),
        &[0xff; 4000],
    ] {
        let found = page(&mut client, EVERYTHING, 10, garbled).await;
        assert_eq!((found.outcome.code, found.entries.len()), (53, 0), "{garbled:?}");
        assert!(!found.outcome.message.is_empty());
    }
    assert_eq!(page(&mut client, EVERYTHING, 10, &place).await.entries.len(), 10);
}

#[tokio::test]
async fn size_zero_ends_the_sequence() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let place = cookie(&page(&mut client, EVERYTHING, 10, &[]).await);
    let end = page(&mut client, EVERYTHING, 0, &place).await;
    assert_eq!((end.entries.len(), cookie(&end)), (0, Vec::new()));
    let asked = page(&mut client, EVERYTHING, 0, &[]).await;
    assert_eq!((asked.entries.len(), cookie(&asked)), (0, Vec::new()));
}

#[tokio::test]
async fn critical_or_not_is_the_same() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for critical in [false, true] {
        let request = search(BASE, LdapSearchScope::Subtree, EVERYTHING, &["cn"]);
        let found = client.search_with(request, vec![paged(9, b"", critical)]).await;
        assert_eq!((found.outcome.code, found.entries.len()), (0, 9));
        assert!(!cookie(&found).is_empty());
    }
}

/// RFC 2696 section 3, RFC 4511 section 4.5.1.4.
#[tokio::test]
async fn the_size_limit_counts_over_all_pages() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    for order in [&[][..], &["cn"], &["-cn"], &["title", "-cn"]] {
        for (limit, size, expected, end) in [
            (10, 3, &[3, 3, 3, 1][..], 4),
            (5, 10, &[5], 4),
            (10, 5, &[5, 5], 4),
            (59, 100, &[59], 4),
            (60, 100, &[60], 0),
            (60, 25, &[25, 25, 10], 0),
            (0, 25, &[25, 25, 10], 0),
        ] {
            let (mut sizes, mut place) = (Vec::new(), Vec::new());
            let code = loop {
                let mut request = search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
                request.sizelimit = limit;
                let mut controls = vec![paged(size, &place, true)];
                if !order.is_empty() {
                    controls.push(sorted(order, true));
                }
                let found = client.search_with(request, controls).await;
                sizes.push(found.entries.len());
                place = page_of(&found.outcome).expect("a paged results response").1;
                if place.is_empty() {
                    break found.outcome.code;
                }
                assert_eq!(found.outcome.code, 0);
            };
            assert_eq!(
                (sizes.as_slice(), code),
                (expected, end),
                "limit {limit}, pages of {size}, by {order:?}"
            );
        }
    }
}

/// Whoever stays comes once, whoever else leaves or joins between two pages.
#[tokio::test]
async fn sorted_pages_lose_and_repeat_nobody_when_the_directory_changes() {
    for order in [&["cn"][..], &["-cn"], &["cn", "mail"]] {
        let stage = Stage::sample().await;
        let mut client = stage.bound("ldapservice").await;
        let request = || search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
        let whole = client.search_with(request(), vec![sorted(order, true)]).await;
        let controls = |place: &[u8]| vec![sorted(order, true), paged(7, place, true)];
        let first = client.search_with(request(), controls(b"")).await;
        let gone = first.entries[2].one("cn").to_owned();
        stage
            .simulator
            .delete_user(stage.simulator.user_pk(&gone).unwrap());
        stage.refresh().await;
        let second = client.search_with(request(), controls(&cookie(&first))).await;
        assert_eq!(second.dns(), whole.dns()[7..14], "{order:?}");
        stage.simulator.create_user("-first", "", "");
        stage.simulator.create_user("~last", "", "");
        stage.refresh().await;
        let third = client.search_with(request(), controls(&cookie(&second))).await;
        assert_eq!(third.dns(), whole.dns()[14..21], "{order:?}");
    }
}

/// What is below the naming contexts is found from the empty name, for those who are bound (RFC 4512 section 5.1).
#[tokio::test]
async fn the_empty_name_is_paged_sorted_and_limited_like_any_base() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let request = || search("", LdapSearchScope::Subtree, EVERYTHING, &["cn"]);
    let mut whole = sorted_dns(&mut client, EVERYTHING).await;
    whole.insert(0, String::new());
    for order in [&[][..], &["cn"], &["-objectClass", "cn"]] {
        for size in [1, 7, 500] {
            let mut dns = pages_in_order(&mut client, request, order, size).await;
            if order.is_empty() {
                assert_eq!(dns[0], "", "the root DSE comes first");
            }
            dns.sort_unstable();
            assert_eq!(dns, whole, "{order:?} {size}");
        }
    }
    let mut limited = request();
    limited.sizelimit = 2;
    let found = client.search_with(limited, vec![]).await;
    assert_eq!((found.outcome.code, found.dns()), (4, vec!["", BASE]));
}

#[tokio::test]
async fn pages_of_a_sorted_search_go_on_in_order() {
    let stage = Stage::sample().await;
    let mut client = stage.bound("ldapservice").await;
    let request = || search(BASE, LdapSearchScope::Subtree, "(objectClass=user)", &["cn"]);
    let whole = client.search_with(request(), vec![sorted(&["-cn"], true)]).await;
    assert_eq!(whole.entries.len(), 60);
    let dns = pages_in_order(&mut client, request, &["-cn"], 17).await;
    assert_eq!(dns, whole.dns());
    // A view is no page: the window is all there is.
    let both = vec![sorted(&["-cn"], true), paged(17, b"", true), view(0, 9, 1, 0)];
    let window = client.search_with(request(), both).await;
    assert_eq!(window.dns(), whole.dns()[..10]);
    assert_eq!(cookie(&window), b"");
}

/// What Nextcloud does, which replays pages it forgot and mixes page sizes, with more users than fit on one page.
#[tokio::test]
async fn nextcloud_reaches_every_user() {
    let stage = Stage::with(Directory::sample(1200, 12), |_| {}).await;
    let mut client = stage.bound("ldapservice").await;
    let filter = "(&(objectClass=user)(cn=*))";
    assert_eq!(
        all_pages(&mut client, filter, &[500]).await.len(),
        1200,
        "the background sync"
    );
    let replayed = page(&mut client, filter, 100, &[]).await;
    let wanted = page(&mut client, filter, 50, &cookie(&replayed)).await;
    assert_eq!(
        wanted.entries.len(),
        50,
        "the third page of fifty in the user list"
    );
    assert!(wanted.dns().iter().all(|dn| !replayed.dns().contains(dn)));
    let usable = page(&mut client, "(memberOf=*)", 1, &[]).await;
    assert_eq!(usable.entries.len(), 1);
    assert!(!cookie(&usable).is_empty());
    assert_eq!(
        client.read(&user_dn("alice"), &[""]).await.entries.len(),
        1,
        "the exists check"
    );
}
