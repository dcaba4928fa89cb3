//! What a cached success was based on, and whether a directory shows that this no longer holds.
//!
//! Must not know the cache.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use akldap_directory::{NameField, Snapshot, WrongNumber};

/// What a cached success was based on, as far as a directory can show that this no longer holds.
pub(in crate::outpost::bind) struct Grounds {
    /// The user's, as the directory knew it before the bind was judged; `None` if it did not.
    pub(in crate::outpost::bind) password_change: Option<i64>,
    name: Box<str>,
    /// The field of the user that the name was found in; `None`: in none that is known here.
    pub(in crate::outpost::bind) field: Option<NameField>,
    /// Others who have had the same name since before the bind was judged, in every directory until now.
    namesakes: Mutex<Vec<i64>>,
}

impl Grounds {
    /// Those of a bind under a name, in the current directory; `called_before`: whom the name meant before the bind was
    /// judged. `None`: somebody else has got the name since, whom authentik may now take for the one meant.
    ///
    /// # Errors
    /// When a number in the directory points nowhere.
    pub(in crate::outpost::bind) fn new(
        name: &str,
        user_pk: i64,
        called_before: &[i64],
        snapshot: Option<&Snapshot>,
    ) -> Result<Option<Self>, WrongNumber> {
        let mut grounds = Self {
            password_change: None,
            name: name.into(),
            field: None,
            namesakes: Mutex::default(),
        };
        let Some(snapshot) = snapshot else {
            return Ok(Some(grounds));
        };
        if let Some(user) = snapshot.user_by_pk(user_pk) {
            grounds.password_change = snapshot.user(user)?.password_change_date;
            grounds.field = snapshot.name_field(user, name)?;
        }
        let others = |field| {
            let mut called = snapshot.users_called(name, field)?;
            called.retain(|pk| *pk != user_pk);
            Ok(called)
        };
        if others(None)?.iter().any(|pk| !called_before.contains(pk)) {
            return Ok(None);
        }
        grounds.namesakes = Mutex::new(others(grounds.field.as_ref())?);
        Ok(Some(grounds))
    }

    /// Whether they were already like this when the bind began, by authentik's clock: the password was not changed since, and
    /// the name is found where it is expected.
    pub(in crate::outpost::bind) fn precede(&self, began: Option<SystemTime>) -> bool {
        let began = began
            .and_then(|began| began.duration_since(SystemTime::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_micros()).ok());
        let changed_before = self
            .password_change
            .zip(began)
            .is_some_and(|(changed, began)| changed < began);
        changed_before && self.field.is_some()
    }

    /// Whether a directory shows the same. An unknown date does not count as unchanged.
    pub(super) fn hold(&self, user_pk: i64, snapshot: &Snapshot) -> Result<bool, WrongNumber> {
        let Some(user) = snapshot.user_by_pk(user_pk) else {
            return Ok(false);
        };
        let date = snapshot.user(user)?.password_change_date;
        let is_called = match &self.field {
            Some(field) => snapshot.is_called(user, field, &self.name)?,
            None => true,
        };
        let same = date.is_some() && date == self.password_change && is_called;
        Ok(same && self.name_is_theirs(user_pk, snapshot)?)
    }

    /// Whether nobody else has got the name since, as far as can be known. Whoever lost it counts as new if they get it again.
    pub(super) fn name_is_theirs(&self, user_pk: i64, snapshot: &Snapshot) -> Result<bool, WrongNumber> {
        let called = snapshot.users_called(&self.name, self.field.as_ref())?;
        let mut namesakes = self.namesakes.lock().unwrap_or_else(PoisonError::into_inner);
        namesakes.retain(|pk| called.contains(pk));
        Ok(called.iter().all(|pk| *pk == user_pk || namesakes.contains(pk)))
    }
}
