//! What each reason for a refusal means, and what to do about it, for the page. Must not know how often it happened.

use crate::metrics::RejectReason;

/// What happened, and what to do.
pub(super) fn of(reason: RejectReason) -> (&'static str, &'static str) {
    use RejectReason as Reason;
    match reason {
        Reason::InvalidCredentials => (
            "authentik's flow did not accept the password",
            "check name and password in the client; akldap check --bind-dn … says what the flow answers",
        ),
        Reason::AccessDenied => (
            "the application does not let the person in",
            "Applications → the application → Policy / Group / User Bindings",
        ),
        Reason::NoProvider => (
            "the bind DN belongs to no provider",
            "compare the client's bind DN with the base DNs below",
        ),
        Reason::FlowError => (
            "the login's flow could not be run to its end",
            "look at the stages of the flow: a captcha, a consent stage or WebAuthn cannot be answered over \
             LDAP",
        ),
        Reason::AccessCheckFail => (
            "the application's policies could not be asked",
            "the log says why; look at the permissions of the outpost's account",
        ),
        Reason::UserInfoFail => (
            "whose login it was could not be determined",
            "the log says why; the flow needs a User Login stage",
        ),
        Reason::EmptyBindDn => (
            "a search without a bind before it",
            "give the client a bind DN and its password",
        ),
        Reason::InvalidBindDn => (
            "a search in the tree of a provider other than the one bound to, or one that needs more \
             permission",
            "make the client's base DN the one that its bind DN ends with",
        ),
        Reason::UserInfoNotCached => (
            "the account is newer than the directory",
            "it is fetched within seconds; nothing to do",
        ),
        Reason::FilterParseFail => (
            "a filter that cannot be read",
            "correct the filter in the client's settings",
        ),
        Reason::Unavailable => (
            "authentik did not answer, or nothing was loaded yet",
            "see the top of this page",
        ),
        Reason::Busy => (
            "too many binds waited, or too many wrong passwords came from one address",
            "set the provider to cached binding; for wrong passwords look for a device that keeps an old one",
        ),
        Reason::ConfidentialityRequired => (
            "a bind without TLS where TLS is required",
            "set the client to StartTLS or LDAPS, or AUTHENTIK_LDAP__REQUIRE_TLS to false",
        ),
        Reason::ProtocolError => (
            "a request that is malformed or not implemented",
            "the answer's text says what; authentik's directory cannot be changed over LDAP",
        ),
        Reason::LimitExceeded => (
            "a search reached a limit",
            "the answer names the option, AUTHENTIK_LDAP__SEARCH_…; have the client ask for pages, or filter \
             by equality",
        ),
        Reason::InternalError => (
            "a bug in akldap",
            "restart the server, and report the bug with the lines of the log",
        ),
    }
}
