use super::*;
use crate::{Group, LdapProvider, Mode, Timestamp, User};

fn page_of(rows: &str) -> String {
    format!(
        r#"{{"pagination":{{"next":0,"previous":0,"count":3,"current":1,"total_pages":1,"start_index":1,"end_index":3}},"results":[{rows}],"autocomplete":{{}}}}"#
    )
}

fn users(rows: &str) -> Page<User> {
    decode_page(page_of(rows).as_bytes()).unwrap()
}

#[test]
fn null_and_missing_fields_are_empty() {
    let page = users(
        r#"{"pk":1,"username":"a"},{"pk":2,"username":"b","name":null,"email":null,"is_active":null,"groups":null,"attributes":null,"type":null,"uuid":null,"last_updated":null}"#,
    );
    assert_eq!(page.rows.len(), 2);
    assert!(page.skipped.is_empty());
    assert!(
        page.rows
            .iter()
            .all(|user| !user.is_active && user.attributes.is_none() && user.groups.is_empty())
    );
}

#[test]
fn number_literals_survive() {
    let page = users(
        r#"{"pk":1,"username":"a","attributes":{"n":18446744073709551616,"f":1e400,"d":0.10000000000000000001}}"#,
    );
    let text = page.rows[0].attributes.as_ref().unwrap().get();
    assert_eq!(
        text,
        r#"{"n":18446744073709551616,"f":1e400,"d":0.10000000000000000001}"#
    );
}

#[test]
fn a_time_that_is_none_is_named_and_left_out() {
    let page = users(
        r#"{"pk":51,"username":"u51","date_joined":"yesterday","last_updated":"2026-03-04T05:06:07Z","password_change_date":""}"#,
    );
    let user = &page.rows[0];
    let times = [user.date_joined, user.last_updated, user.password_change_date];
    assert_eq!(
        times.map(Timestamp::micros),
        [None, Some(1_772_600_767_000_000), None]
    );
    let warnings: Vec<String> = page.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected = r#"user "u51" (pk 51): field date_joined left out: invalid value: string "yesterday""#;
    assert!(warnings[0].starts_with(expected), "{warnings:?}");
}

#[test]
fn an_odd_field_costs_only_itself() {
    let page = users(
        r#"{"pk":1,"username":"good","type":"from_the_future"},
           {"pk":2,"username":"odd","name":{"x":1},"email":5,"groups":["g",null,7],"is_active":"yes","uid":99999999999999999999},
           {"pk":3,"username":"last","attributes":["x"]}"#,
    );
    assert_eq!(
        page.rows.iter().map(|user| user.pk).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(page.rows[0].kind, "from_the_future");
    assert_eq!(page.rows[1].groups, ["g"]);
    assert!(!page.rows[1].is_active && page.rows[1].name.is_empty());
    assert!(page.rows[2].attributes.is_none());
    let fields: Vec<_> = page
        .skipped
        .iter()
        .filter_map(|warning| warning.field.as_deref())
        .collect();
    assert_eq!(fields.len(), 6, "{:?}", page.skipped);
    assert!(page.skipped.iter().all(|warning| !warning.row_skipped));
    assert!(
        page.skipped[0]
            .to_string()
            .starts_with(r#"user "odd" (pk 2): field "#)
    );
    assert_eq!(page.received(), 3);
}

#[test]
fn an_unusable_row_costs_only_itself() {
    let page = users(
        r#"{"pk":1,"username":"good"},{"pk":9223372036854775808,"username":"huge"},{"pk":4,"username":null},
           {"username":"keyless"},null,17,[],"x",{"pk":5,"username":"\ud800"},{"pk":6,"username":"end"}"#,
    );
    assert_eq!(page.rows.iter().map(|user| user.pk).collect::<Vec<_>>(), [1, 6]);
    assert_eq!(page.skipped.len(), 8);
    assert!(page.skipped.iter().all(|warning| warning.row_skipped));
    assert_eq!(page.received(), 10);
    let shown: Vec<String> = page.skipped.iter().map(ToString::to_string).collect();
    assert!(
        shown[0].starts_with(r#"user "huge" (pk 9223372036854775808) left out"#),
        "{}",
        shown[0]
    );
    assert!(
        shown[2].starts_with(r#"user "keyless" left out: it has no pk"#),
        "{}",
        shown[2]
    );
}

#[test]
fn bytes_that_are_no_text_cost_only_their_field_or_row() {
    let mut body = page_of(r#"{"pk":1,"username":"a","name":"XY"},{"pk":2,"username":"b"}"#).into_bytes();
    let at = body.iter().position(|byte| *byte == b'X').unwrap();
    body[at] = 0xff;
    let page: Page<User> = decode_page(&body).unwrap();
    assert_eq!(page.rows.len(), 2);
    assert_eq!(page.rows[0].name, "\u{fffd}Y");
}

#[test]
fn deep_nesting_is_passed_on_as_text() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let page = users(&format!(
        r#"{{"pk":1,"username":"a","attributes":{{"x":{deep}}}}}"#
    ));
    assert_eq!(page.rows.len(), 1);
    assert!(page.rows[0].attributes.as_ref().unwrap().get().len() > 10_000);
}

#[test]
fn an_envelope_that_is_none_is_an_error() {
    for body in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"results":[]}"#,
        r#"{"pagination":{"count":1},"results":[]}"#,
        r#"{"pagination":{"count":-1,"total_pages":1},"results":[]}"#,
        r#"{"pagination":{"count":1.5,"total_pages":1},"results":[]}"#,
        r#"{"pagination":{"count":1,"total_pages":1},"results":{}}"#,
        r#"{"pagination":{"count":1,"total_pages":1},"results":[{"pk":1,"username":"a"}"#,
    ] {
        assert!(decode_page::<User>(body.as_bytes()).is_err(), "{body}");
    }
    let floats = r#"{"pagination":{"count":3.0,"total_pages":1.0,"next":2.0},"results":[]}"#;
    let page: Page<User> = decode_page(floats.as_bytes()).unwrap();
    assert_eq!((page.pagination.count, page.pagination.next), (3, 2));
}

#[test]
fn groups_old_and_new() {
    let body = page_of(
        r#"{"pk":"g1","num_pk":12345,"name":"new","parents":["p1","p2"],"users":[1,2],"children":["c"],"attributes":{}},
           {"pk":"g2","name":"old","parent":"p3","users":[3,"x",null,4]},
           {"pk":"g3","name":"top","parent":null,"parents":null,"children":null,"num_pk":"12"},
           {"pk":7,"name":"bad key"}"#,
    );
    let page: Page<Group> = decode_page(body.as_bytes()).unwrap();
    assert_eq!(page.rows.len(), 3);
    assert_eq!(page.rows[0].parent_keys().collect::<Vec<_>>(), ["p1", "p2"]);
    assert_eq!(page.rows[1].parent_keys().collect::<Vec<_>>(), ["p3"]);
    assert_eq!(page.rows[1].users, [3, 4]);
    assert_eq!(page.rows[2].num_pk, None);
    assert_eq!(page.skipped.len(), 3, "{:?}", page.skipped);
}

#[test]
fn providers_keep_unknown_modes_and_authentiks_defaults() {
    let body = page_of(
        r#"{"pk":1,"name":"a","base_dn":"DC=x","bind_flow_slug":"f","application_slug":"s","search_mode":"cached","bind_mode":"quantum"},
           {"pk":2,"name":"b","base_dn":"DC=y","bind_flow_slug":"f","application_slug":"s","uid_start_number":"many","mfa_support":null},
           {"pk":3,"name":"c","bind_flow_slug":"f"}"#,
    );
    let page: Page<LdapProvider> = decode_page(body.as_bytes()).unwrap();
    assert_eq!(page.rows.len(), 2);
    assert_eq!(
        (&page.rows[0].search_mode, &page.rows[0].bind_mode),
        (&Mode::Cached, &Mode::Other("quantum".to_owned()))
    );
    assert_eq!(
        (
            page.rows[1].uid_start_number,
            page.rows[1].gid_start_number,
            page.rows[1].mfa_support
        ),
        (2000, 4000, true)
    );
    assert_eq!(page.skipped.len(), 2, "{:?}", page.skipped);
}

#[test]
fn a_single_object_is_decoded_as_leniently() {
    let (user, warnings) = decode_one::<User>(br#"{"pk":1,"username":"a","email":[]}"#).unwrap();
    assert_eq!((user.pk, warnings.len()), (1, 1));
    assert!(
        decode_one::<User>(br#"{"pk":1}"#)
            .unwrap_err()
            .contains("username")
    );
    assert!(decode_one::<User>(b"").is_err());
}
