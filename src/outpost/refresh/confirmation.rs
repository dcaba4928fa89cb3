//! Confirms single users for searches that are answered by what authentik says now. All searches that wait for the same user at the
//! same moment share a request.
//!
//! Must not know what is searched for, nor how a user is put into the directory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use futures_util::stream;
use tokio::time::Instant;

use akldap_authentik::User;

use super::user_fetch::{FETCHES_AT_ONCE, UserFetch};

/// The most users that a search has confirmed one by one: beyond that, only what changed recently is looked at.
pub(in crate::outpost) const MAX_CONFIRMED: u64 = 20;
/// Questions remembered for others that wait for the same answer; beyond this all are forgotten, which costs one request each.
const MAX_ASKED: usize = 1024;

/// What authentik said about a user, none for one who does not exist; `None` if it could not be asked.
type UserAnswer = Option<Arc<Option<User>>>;

/// Asks about users, and has the directory corrected.
pub(in crate::outpost) struct Confirmations {
    users: Arc<UserFetch>,
    asked: Mutex<HashMap<i64, UserQuestion>>,
}

/// The newest question about a user.
struct UserQuestion {
    began: Instant,
    answer: Shared<BoxFuture<'static, UserAnswer>>,
}

impl Confirmations {
    pub(in crate::outpost) fn new(users: Arc<UserFetch>) -> Self {
        Self {
            users,
            asked: Mutex::default(),
        }
    }

    /// Has the directory show these users as authentik did at this moment or later. False: it could not be asked.
    pub(in crate::outpost) async fn confirm(&self, pks: Vec<i64>, since: Instant) -> bool {
        let answers = stream::iter(pks).map(|pk| {
            let answer = self.answer(pk, since);
            async move { (pk, answer.await) }
        });
        let answers: Vec<(i64, UserAnswer)> = answers.buffered(FETCHES_AT_ONCE).collect().await;
        let mut differ = Vec::new();
        for (pk, answer) in answers {
            match answer {
                None => return false,
                Some(answer) if self.users.shows_just(pk, (*answer).as_ref()) => {}
                Some(_) => differ.push(pk),
            }
        }
        differ.is_empty() || self.users.renew(&differ).await
    }

    /// What authentik says of a user, asked at this moment or later.
    fn answer(&self, pk: i64, since: Instant) -> Shared<BoxFuture<'static, UserAnswer>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(question) = asked.get(&pk).filter(|question| question.began >= since) {
            return question.answer.clone();
        }
        if asked.len() >= MAX_ASKED {
            asked.clear();
        }
        let users = Arc::clone(&self.users);
        let answer = async move { users.ask(pk).await.map(Arc::new) }.boxed().shared();
        let began = Instant::now();
        asked.insert(
            pk,
            UserQuestion {
                began,
                answer: answer.clone(),
            },
        );
        answer
    }
}
