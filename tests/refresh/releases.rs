//! Older and newer releases of authentik: fields that are missing or unknown cost at most what depended on them.

use std::sync::Arc;

use akldap::config::Config;
use akldap::server::Server;
use akldap_directory::Snapshot;
use akldap_simulator::{Directory, Options, Simulator};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Response, header};
use serde_json::Value;

use akldap_testing::stage::{eventually, settings};

/// A front that passes everything on and rewrites the rows of lists.
async fn front(authentik: String, rewrite: fn(&mut serde_json::Map<String, Value>)) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let app = axum::Router::new().fallback(move |request: Request| {
        let (authentik, client) = (authentik.clone(), client.clone());
        async move {
            let (parts, body) = request.into_parts();
            let url = format!("{authentik}{}", parts.uri);
            let mut headers = parts.headers;
            headers.remove(header::HOST);
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let sent = client
                .request(parts.method, url)
                .headers(headers)
                .body(body)
                .send()
                .await
                .unwrap();
            let (status, mut headers) = (sent.status(), sent.headers().clone());
            let mut octets = sent.bytes().await.unwrap().to_vec();
            if parts.uri.path().starts_with("/api/v3/core/")
                && let Ok(mut page) = serde_json::from_slice::<Value>(&octets)
                && let Some(rows) = page.get_mut("results").and_then(Value::as_array_mut)
            {
                rows.iter_mut().filter_map(Value::as_object_mut).for_each(rewrite);
                octets = page.to_string().into_bytes();
            }
            headers.remove(header::CONTENT_LENGTH);
            headers.remove(header::TRANSFER_ENCODING);
            let mut response = Response::new(Body::from(octets));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn through(rewrite: fn(&mut serde_json::Map<String, Value>)) -> (Simulator, Server, tempfile::TempDir) {
    let simulator = Simulator::start(Directory::sample(130, 25), Options::default())
        .await
        .unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let mut settings = settings(&simulator, &temporary);
    settings.set("AUTHENTIK_HOST", front(simulator.url(), rewrite).await);
    let server = Server::start(Config::read(&settings).unwrap(), None)
        .await
        .unwrap();
    eventually("the server is ready", || server.outpost().can_search()).await;
    (simulator, server, temporary)
}

fn snapshot(server: &Server) -> Arc<Snapshot> {
    server.outpost().directory().snapshot().unwrap()
}

async fn update(server: &Server) {
    let loaded = || server.outpost().status().directory().read;
    let before = loaded();
    server.outpost().refresh_requests().update();
    eventually("the changes were looked at", || loaded() > before).await;
}

#[tokio::test]
async fn a_release_that_dates_no_user_is_read_whole_each_time() {
    let (simulator, server, _temporary) = through(|row| {
        for field in [
            "last_updated",
            "password_change_date",
            "uuid",
            "roles",
            "roles_obj",
            "date_joined",
        ] {
            row.remove(field);
        }
    })
    .await;
    let all = simulator.look(|directory| directory.users().len());
    assert_eq!(snapshot(&server).user_count(), all);
    let pk = simulator.user_pk("user000100").unwrap();
    simulator.rename_user(pk, "another");
    update(&server).await;
    assert_eq!(snapshot(&server).users_by_name(b"another").unwrap().len(), 1);
    simulator.delete_user(pk);
    update(&server).await;
    assert_eq!(snapshot(&server).user_count(), all - 1);
}

#[tokio::test]
async fn a_release_with_one_parent_and_without_objects_is_read() {
    let (simulator, server, _temporary) = through(|row| {
        if let Some(parents) = row.remove("parents") {
            let first = parents.as_array().and_then(|parents| parents.first()).cloned();
            row.insert("parent".to_owned(), first.unwrap_or(Value::Null));
        }
        for field in [
            "parents_obj",
            "children",
            "children_obj",
            "inherited_roles_obj",
            "num_pk",
            "users_obj",
            "groups_obj",
        ] {
            row.remove(field);
        }
    })
    .await;
    assert_eq!(
        snapshot(&server).group_count(),
        simulator.look(Directory::group_count)
    );
    let group = |name: &str| simulator.look(|directory| directory.group_named(name).unwrap().pk);
    let (child, parent) = (group("group0001"), group("group0002"));
    simulator.set_parents(child, &[parent]);
    update(&server).await;
    let snapshot = snapshot(&server);
    let carried = snapshot
        .carried_group(snapshot.group_by_uuid(child).unwrap())
        .unwrap();
    assert_eq!(carried.parents().collect::<Vec<_>>(), [parent]);
}

#[tokio::test]
async fn fields_of_a_later_release_do_not_matter() {
    let (simulator, server, _temporary) = through(|row| {
        row.insert("quantum".to_owned(), serde_json::json!({"state": [1, null, "x"]}));
    })
    .await;
    simulator.create_user("carol", "Carol", "");
    update(&server).await;
    let truth = crate::scenery::truth(&simulator);
    assert_eq!(snapshot(&server).fingerprint(), truth.fingerprint());
}

#[tokio::test]
async fn users_of_a_type_of_a_later_release_are_served() {
    let (simulator, server, _temporary) = through(|row| {
        row.insert("type".to_owned(), Value::from("android"));
    })
    .await;
    simulator.create_user("carol", "Carol", "");
    update(&server).await;
    let truth = crate::scenery::truth(&simulator);
    assert_eq!(snapshot(&server).user_count(), truth.user_count());
    let carol = simulator.user_pk("carol").unwrap();
    assert!(snapshot(&server).user_by_pk(carol.into()).is_some());
}
