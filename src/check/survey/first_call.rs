//! The first call, which shows whether authentik is there at all. Finds facts and judges none.

use std::time::Duration;

use akldap_authentik::{ApiError, Client, Unreachable};
use tokio::time::timeout;

use crate::check::facts::Facts;
use crate::check::spoken;

/// After this time without a first answer it is asked what is spoken on the port. authentik usually takes a hundredth of it.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// Makes the first call, and finds out what is spoken on the port if no answer comes, or none that tells.
pub(super) async fn make(client: &Client, facts: &mut Facts) {
    let host = client.endpoint().host().to_owned();
    let port = client.endpoint().port();
    // Through a proxy it is the proxy that takes the connection.
    let can_ask = facts.settings.proxy.is_none();
    let mut answer = std::pin::pin!(client.root_config());
    let answered = match timeout(SLOW_ANSWER, &mut answer).await {
        Ok(answered) => answered,
        Err(_) => {
            // A caller that limits the time learns of it in any case.
            if can_ask {
                facts.spoken = spoken::on(&host, port).await;
            }
            answer.await
        }
    };
    facts.first_call = answered.map(|_| ());
    // A certificate that is not authentik's may be that of another service.
    let is_open = match &facts.first_call {
        Err(ApiError::Interrupted { .. }) => true,
        Err(ApiError::Unreachable { cause, .. }) => {
            !matches!(cause, Unreachable::Dns(_) | Unreachable::Refused)
        }
        _ => false,
    };
    if can_ask && is_open && facts.spoken.is_none() {
        facts.spoken = spoken::on(&host, port).await;
    }
}
