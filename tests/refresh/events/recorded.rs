//! Sessions recorded with a real authentik, played back frame by frame.

use akldap_authentik::events::{Disconnect, Event};
use akldap_testing::recordings;
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Listening, accept, answer, bound, hello, say};

fn frames(name: &str) -> &'static [Value] {
    let session = &recordings::authentik()[&format!("E-websocket/{name}")];
    session["frames"].as_array().expect("frames")
}

fn kind(frame: &Value) -> &str {
    frame["kind"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn every_admin_action_leads_to_the_event_that_followed_it() {
    let frames = frames("01-session.json");
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |_| {});
    let (mut server, _, _) = accept(&listener).await;
    let (mut updates, mut ends) = (0, 0);
    let mut connected = false;
    for frame in frames {
        match kind(frame) {
            "recv" => {
                if !connected {
                    assert_eq!(hello(&mut server).await["instruction"], 1);
                }
                let raw = frame["raw"].as_str().unwrap();
                say(&mut server, raw).await;
                if !std::mem::replace(&mut connected, true) {
                    assert_eq!(listening.next().await, Event::Connected);
                }
                let said: Value = serde_json::from_str(raw).unwrap();
                match said["instruction"].as_i64() {
                    Some(0) => {}
                    Some(2) => {
                        assert_eq!(listening.next().await, Event::TriggerUpdate);
                        updates += 1;
                    }
                    Some(4) => {
                        let Event::SessionEnd(id) = listening.next().await else {
                            panic!("{raw}")
                        };
                        assert_eq!(Some(id.to_string().as_str()), said["args"]["session_id"].as_str());
                        ends += 1;
                    }
                    other => panic!("the recording has the instruction {other:?}"),
                }
            }
            "closed" => break,
            _ => {}
        }
    }
    assert_eq!((updates, ends), (4, 4));
    server
        .close(Some(CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        }))
        .await
        .unwrap();
    assert_eq!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::Closed { code: Some(1000) }
        }
    );
    let (mut server, _, _) = accept(&listener).await;
    answer(&mut server, &mut listening).await;
}

#[tokio::test]
async fn every_recycled_worker_is_followed_to_the_next() {
    let frames = frames("02-worker-recycling-and-token-deleted.json");
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |_| {});
    let mut server = None;
    let mut recycled = 0;
    for frame in frames.iter().filter(|frame| frame["conn"] == "main-0") {
        match kind(frame) {
            "connected" => server = Some(accept(&listener).await.0),
            "recv" => answer(server.as_mut().unwrap(), &mut listening).await,
            "closed" => {
                let code = u16::try_from(frame["code"].as_u64().unwrap()).unwrap();
                let close = CloseFrame {
                    code: code.into(),
                    reason: "".into(),
                };
                server.take().unwrap().close(Some(close)).await.unwrap();
                let cause = Disconnect::Closed { code: Some(1012) };
                assert_eq!(listening.next().await, Event::Disconnected { cause });
                recycled += 1;
            }
            _ => {}
        }
    }
    assert_eq!((recycled, server.is_some()), (3, true));
}
