//! Add, delete, modify and modify DN (RFC 4511 sections 4.6 to 4.9): nothing can be changed here except, where that is on, a
//! password, and the answer says where everything else can.

use std::time::Instant;

use crate::outpost::password::WhosePassword;
use akldap_ldap::message::{Message, Modification, ModifyKind, ModifyRequest, Update};
use akldap_ldap::response::{LdapResult, ResultCode};

use crate::server::session::LdapSession;

use super::outcome::{Answer, Outcome};
use super::password::{self, Asked};

/// Carries out a change of a password, and refuses everything else.
pub(super) fn run(
    session: &LdapSession,
    update: &Update,
    message: &Message<'_>,
    started: Instant,
) -> Outcome {
    let modify = ModifyRequest::of(update);
    let of_password = modify
        .as_ref()
        .is_some_and(|modify| modify.changes.iter().any(Modification::is_of_password));
    let Some(modify) = modify.filter(|_| of_password) else {
        if let Some(answer) = password::unreadable_in_clear(session, update.kind(), update.message()) {
            return Outcome::Answer(answer);
        }
        return Outcome::Answer(refused(
            ResultCode::InsufficientAccessRights,
            "this directory is read-only: users and groups are changed in authentik",
        ));
    };
    if let Some(answer) = password::impossible(session) {
        return Outcome::Answer(answer);
    }
    let whose = WhosePassword::Entry(modify.entry.as_bytes().to_vec());
    let asked = new_password(&modify.changes).map(|(old, new)| Asked { old, new: Some(new) });
    password::run(session, message, started, whose, asked)
}

fn refused(code: ResultCode, text: &str) -> Answer {
    Answer::from(LdapResult::new(code, text))
}

/// The old password, if it is given, and the new one: replace, or delete and add.
fn new_password<'a>(changes: &[Modification<'a>]) -> Result<(Option<&'a [u8]>, &'a [u8]), Answer> {
    if !changes.iter().all(Modification::is_of_password) {
        return Err(refused(
            ResultCode::InsufficientAccessRights,
            "this directory is read-only except for userPassword, which must be changed on its own: users \
             and groups are changed in authentik",
        ));
    }
    if changes.iter().any(|change| change.attribute.contains(';')) {
        let text = "userPassword must be named without options";
        return Err(refused(ResultCode::ConstraintViolation, text));
    }
    let shape = || {
        refused(
            ResultCode::ConstraintViolation,
            "a password is changed by one replace of userPassword with one value, or by one delete and one add",
        )
    };
    let (old, new) = match changes {
        [replace] if replace.kind == ModifyKind::Replace => (None, one(replace).ok_or_else(shape)?),
        [first, second] => {
            let (delete, add) = match (first.kind, second.kind) {
                (ModifyKind::Delete, ModifyKind::Add) => (first, second),
                (ModifyKind::Add, ModifyKind::Delete) => (second, first),
                _ => return Err(shape()),
            };
            let old = match delete.values.as_slice() {
                [] => None,
                [old] => Some(*old),
                _ => return Err(shape()),
            };
            (old, one(add).ok_or_else(shape)?)
        }
        _ => return Err(shape()),
    };
    Ok((old, new))
}

fn one<'a>(change: &Modification<'a>) -> Option<&'a [u8]> {
    match change.values.as_slice() {
        [value] => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change<'a>(kind: ModifyKind, values: &[&'a str]) -> Modification<'a> {
        Modification {
            kind,
            attribute: "userPassword",
            values: values.iter().map(|value| value.as_bytes()).collect(),
        }
    }

    #[test]
    fn the_two_shapes_of_a_change_are_told_from_everything_else() {
        use ModifyKind::{Add, Delete, Increment, Replace};
        let read = |changes: &[Modification<'_>]| {
            let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
            new_password(changes)
                .ok()
                .map(|(old, new)| (old.map(text), text(new)))
        };
        let both = Some((Some("o".to_owned()), "n".to_owned()));
        let alone = Some((None, "n".to_owned()));
        let (delete, add) = (change(Delete, &["o"]), change(Add, &["n"]));
        assert_eq!(read(&[delete.clone(), add.clone()]), both);
        assert_eq!(read(&[add.clone(), delete.clone()]), both);
        assert_eq!(read(&[change(Delete, &[]), add.clone()]), alone);
        assert_eq!(read(&[change(Replace, &["n"])]), alone);
        for bad in [
            vec![],
            vec![add.clone()],
            vec![delete.clone()],
            vec![change(Replace, &[])],
            vec![change(Replace, &["a", "b"])],
            vec![change(Increment, &["1"])],
            vec![change(Delete, &["a", "b"]), add.clone()],
            vec![delete.clone(), change(Add, &["a", "b"])],
            vec![delete.clone(), delete.clone()],
            vec![delete.clone(), add.clone(), add.clone()],
            vec![change(Replace, &["n"]), change(Replace, &["m"])],
        ] {
            assert_eq!(read(&bad), None, "{bad:?}");
        }
        let mail = Modification {
            attribute: "mail",
            ..change(Replace, &["a@x"])
        };
        let answer = new_password(&[change(Replace, &["n"]), mail]).unwrap_err();
        assert_eq!(answer.result.code, ResultCode::InsufficientAccessRights);
        let option = Modification {
            attribute: "userPassword;binary",
            ..change(Replace, &["n"])
        };
        assert_eq!(read(&[option]), None);
    }
}
