//! What an admin should hear about a request, although it was answered correctly: each once per address and hour.
//!
//! Must not know how a request is carried out.

use crate::metrics::RejectReason;
use akldap_ldap::filter::Filter;
use akldap_ldap::message::{Message, Operation, Scope, SearchRequest};
use akldap_ldap::response::ResultCode;

use super::super::log_limit::Topic;
use super::super::operation::{Answer, Outcome};
use super::super::session::LdapSession;

/// What there is to report about a request with this outcome.
pub(super) fn topic_of(session: &LdapSession, message: &Message<'_>, outcome: &Outcome) -> Option<Topic> {
    match (&message.operation, outcome) {
        // A refused bind has its own record.
        (Operation::Bind(_), _) => None,
        (_, Outcome::Answer(Answer { refusal, .. }))
            if *refusal == Some(RejectReason::ConfidentialityRequired) =>
        {
            Some(Topic::Clear)
        }
        // Where passwords can be changed, any other refusal is about one.
        (Operation::Update(_), Outcome::Answer(answer))
            if answer.result.code == ResultCode::InsufficientAccessRights
                || !session.outpost.passwords().is_on() =>
        {
            Some(Topic::Write)
        }
        (Operation::Search(request), Outcome::Search(_)) => {
            let identity = session.identity.as_ref()?;
            (!identity.may_search_everything() && asks_for_everybody(request)).then_some(Topic::OwnOnly)
        }
        _ => None,
    }
}

/// Logs it; `request` names the request.
pub(super) fn tell(session: &LdapSession, message_id: u32, topic: Topic) {
    let (connection, client) = (session.connection, session.client);
    let request = session.request_id(message_id);
    match topic {
        Topic::Clear if !session.config.tls.required => tracing::warn!(
            connection,
            requestId = %request,
            %client,
            "a new password in clear was refused: let the client use StartTLS or the LDAPS port, and choose another if \
             nobody should have read it"
        ),
        Topic::Clear => tracing::warn!(
            connection,
            requestId = %request,
            %client,
            "a request without TLS was refused because AUTHENTIK_LDAP__REQUIRE_TLS (--require-tls) is on: \
             set the client to StartTLS or to the LDAPS port"
        ),
        Topic::Write => tracing::info!(
            connection,
            requestId = %request,
            %client,
            bindDN = &*session.bound_dn(),
            "a write was refused: users and groups are changed in authentik, so set the client to read-only"
        ),
        Topic::OwnOnly => tracing::info!(
            connection,
            requestId = %request,
            %client,
            bindDN = &*session.bound_dn(),
            "this account searched for everybody but sees only itself and its groups: if it is a service \
             account, give its role \
             the permission \"Search full LDAP directory\" on the provider in authentik, and have it bind \
                  again"
        ),
        _ => {}
    }
}

/// Whether a search is for all people or all groups: below a name, with nothing that tells one entry from another.
fn asks_for_everybody(request: &SearchRequest<'_>) -> bool {
    request.scope != Scope::BaseObject && names_nobody(&request.filter)
}

/// Whether nothing in a filter is about a value, object classes aside. An empty Or matches nothing; clients send none.
fn names_nobody(filter: &Filter<'_>) -> bool {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().all(names_nobody),
        Filter::Not(filter) => names_nobody(filter),
        Filter::Equality(assertion) => assertion.attribute.eq_ignore_ascii_case(b"objectClass"),
        Filter::Present(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akldap_ldap::{ber, filter::parser};

    #[test]
    fn a_filter_that_names_somebody_is_told_from_one_that_does_not() {
        for (text, is) in [
            ("(objectClass=*)", true),
            ("(objectclass=user)", true),
            ("(&(objectClass=user)(mail=*))", true),
            ("(|(objectClass=user)(!(objectClass=group)))", true),
            ("(cn=alice)", false),
            ("(&(objectClass=user)(uid=alice))", false),
            ("(|(objectClass=group)(memberUid=alice))", false),
            ("(cn=a*)", false),
            ("(uidNumber>=2000)", false),
        ] {
            let octets = parser::octets(text).expect(text);
            let filter = Filter::read(&mut ber::Reader::new(&octets)).expect(text);
            assert_eq!(names_nobody(&filter), is, "{text}");
        }
    }
}
