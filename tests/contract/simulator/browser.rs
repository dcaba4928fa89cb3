//! A client for the simulator's tests, with its cookies kept by hand.

#![allow(dead_code, reason = "each test file uses its part")]

use akldap_simulator::{Directory, Options, Simulator};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

pub(crate) const FLOW: &str = "/api/v3/flows/executor/ldap-authentication-flow/";

pub(crate) async fn start(users: usize, options: Options) -> Simulator {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Simulator::start(Directory::sample(users, 25), options)
        .await
        .expect("a simulator")
}

/// A client with cookies kept by hand.
pub(crate) struct Browser<'a> {
    pub(crate) simulator: &'a Simulator,
    client: Client,
    pub(crate) cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(simulator: &'a Simulator) -> Self {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            simulator,
            client,
            cookie: None,
        }
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.simulator.url()));
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", format!("authentik_session={cookie}"));
        }
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.expect("an answer");
        for cookie in response.headers().get_all("set-cookie") {
            let text = cookie.to_str().expect("text");
            if let Some(rest) = text.strip_prefix("authentik_session=") {
                self.cookie = rest.split(';').next().map(str::to_owned);
            }
        }
        response
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn identify(&mut self, username: &str, password: &str) -> Response {
        self.send(
            Method::POST,
            FLOW,
            Some(json!({"uid_field": username, "password": password})),
        )
        .await
    }

    /// Follows redirects of the flow to its next challenge or end.
    pub(crate) async fn follow(&mut self) -> Value {
        loop {
            let response = self.get(FLOW).await;
            if response.status() != 302 {
                return json_of(response).await;
            }
        }
    }

    /// Whether a login succeeds, as `users/me` sees it.
    pub(crate) async fn logs_in(&mut self, username: &str, password: &str) -> bool {
        self.cookie = None;
        if self.identify(username, password).await.status() != 302 {
            return false;
        }
        self.follow().await;
        self.get("/api/v3/core/users/me/").await.status() == 200
    }
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.expect("a body")).expect("JSON")
}

pub(crate) fn client() -> Client {
    Client::builder().build().expect("a client")
}

/// A request with the outpost's token.
pub(crate) async fn api(simulator: &Simulator, path: &str) -> reqwest::Result<Response> {
    client()
        .get(format!("{}/api/v3/{path}", simulator.url()))
        .bearer_auth(simulator.token())
        .send()
        .await
}

pub(crate) async fn answer(simulator: &Simulator, path: &str) -> Value {
    json_of(api(simulator, path).await.expect("an answer")).await
}
