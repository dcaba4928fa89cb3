//! Password changes as a client asks for them, over TLS.

use akldap_simulator::{Directory, Simulator};
use ldap3_proto::proto::{
    LdapExtendedRequest, LdapModify, LdapModifyRequest, LdapModifyType, LdapOp, LdapPartialAttribute,
    LdapPasswordModifyRequest,
};

use crate::certificates::{connector, ldaps, pair, serving};
use crate::client::Client;
use crate::scenery;
use crate::stage::{Stage, user_dn};

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub code: i32,
    pub message: String,
    pub value: Option<Vec<u8>>,
}

impl Changed {
    /// The generated password.
    pub fn generated(&self) -> Option<String> {
        let value = self.value.as_deref()?;
        // SEQUENCE { genPasswd [0] OCTET STRING }, both short.
        let [0x30, _, 0x80, length, password @ ..] = value else {
            panic!("{value:02x?}")
        };
        assert_eq!(usize::from(*length), password.len());
        Some(String::from_utf8(password.to_vec()).unwrap())
    }
}

/// A server of this directory that changes passwords so, with a certificate.
pub async fn stage(directory: Directory, mode: &str, settings: &[(&str, &str)]) -> Stage {
    let mut all = vec![("PASSWORD_CHANGE", mode)];
    all.extend_from_slice(settings);
    scenery::of(serving(directory, pair("p256")), &all).await
}

/// A client over TLS.
pub async fn client(stage: &Stage) -> Client {
    ldaps(&connector(), stage.ldaps()).await.unwrap()
}

/// The same, bound.
pub async fn bound(stage: &Stage, username: &str, password: &str) -> Client {
    let mut client = client(stage).await;
    let outcome = client.bind(&user_dn(username), password).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    client
}

/// Whether somebody can bind like this, on a separate connection.
pub async fn binds(stage: &Stage, username: &str, password: &str) -> i32 {
    client(stage).await.bind(&user_dn(username), password).await.code
}

/// By the extended operation.
pub async fn modify_password(
    client: &mut Client,
    user: Option<&str>,
    old: Option<&str>,
    new: Option<&str>,
) -> Changed {
    client.send(extended(user, old, new), vec![]).await;
    answer(client).await
}

/// The request of the extended operation.
pub fn extended(user: Option<&str>, old: Option<&str>, new: Option<&str>) -> LdapOp {
    let request = LdapPasswordModifyRequest {
        user_identity: user.map(str::to_owned),
        old_password: old.map(str::to_owned),
        new_password: new.map(str::to_owned),
    };
    LdapOp::ExtendedRequest(LdapExtendedRequest::from(request))
}

/// By a modify with these changes of these attributes.
pub async fn modify(client: &mut Client, dn: &str, changes: &[(LdapModifyType, &str, &[&str])]) -> Changed {
    let changes = changes.iter().map(|(operation, attribute, values)| LdapModify {
        operation: operation.clone(),
        modification: LdapPartialAttribute {
            atype: (*attribute).to_owned(),
            vals: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        },
    });
    let request = LdapModifyRequest {
        dn: dn.to_owned(),
        changes: changes.collect(),
    };
    client.send(LdapOp::ModifyRequest(request), vec![]).await;
    answer(client).await
}

/// The answer to either.
pub async fn answer(client: &mut Client) -> Changed {
    let message = client.receive().await.expect("an answer");
    let (result, value) = match message.op {
        LdapOp::ExtendedResponse(response) => {
            assert_eq!(response.name, None, "RFC 3062: no responseName");
            (response.res, response.value)
        }
        LdapOp::ModifyResponse(result) => (result, None),
        other => panic!("{other:?}"),
    };
    Changed {
        code: result.code as i32,
        message: result.message,
        value,
    }
}

/// Takes the permissions of agents away from every role.
pub fn without_permissions(simulator: &Simulator) {
    simulator.edit(|directory| {
        directory
            .roles
            .values_mut()
            .for_each(|role| role.permissions.clear());
    });
}
