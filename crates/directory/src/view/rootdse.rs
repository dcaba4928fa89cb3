//! The rootDSE (RFC 4512 section 5.1): what the server says about itself.
//!
//! Knows which attributes clients read before and after they bind, unbound ones all of them: sssd, for one, reads the
//! rootDSE only once. What is supported comes from the code that supports it. `supportedSASLMechanisms` is absent,
//! because there are none.

use crate::view::subschema::{EntryAttributes, SUBSCHEMA_DN};

/// Active Directory's capabilities that authentik's outpost names; some clients choose their dialect by them.
pub const SUPPORTED_CAPABILITIES: &[&str] = &[
    "1.2.840.113556.1.4.800",
    "1.2.840.113556.1.4.1791",
    "1.2.840.113556.1.4.1670",
    "1.2.840.113556.1.4.1880",
    "1.2.840.113556.1.4.1851",
    "1.2.840.113556.1.4.1920",
    "1.2.840.113556.1.4.1935",
    "1.2.840.113556.1.4.2080",
    "1.2.840.113556.1.4.2237",
];

/// What the rootDSE tells those who have not bound.
pub const UNBOUND_DESCRIPTION: &str = "This LDAP server requires an authenticated session.";

/// What the rootDSE is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootDse {
    /// The base DNs of all providers, as configured, in their order.
    pub naming_contexts: Vec<String>,
    /// The version as clients see it.
    pub vendor_version: String,
    /// OIDs of the request controls that are implemented.
    pub supported_controls: Vec<&'static str>,
    /// OIDs of the extended operations that are implemented.
    pub supported_extensions: Vec<&'static str>,
    /// OIDs of the optional features that are implemented.
    pub supported_features: Vec<&'static str>,
    /// Where the reader finds what the server says about itself, if they may read it.
    pub monitor_context: Option<&'static str>,
}

/// Who reads the rootDSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootDseReader<'a> {
    /// A client that has not bound, or has bound anonymously.
    Unbound,
    /// A client bound below this base DN.
    Bound {
        /// The provider's base DN; whatever the case.
        naming_context: &'a str,
    },
}

impl RootDse {
    /// The attributes of the rootDSE, in the order in which they are served; all have values.
    #[must_use]
    pub fn attributes(&self, reader: RootDseReader<'_>) -> EntryAttributes {
        let contexts = self.contexts(reader);
        let first: Vec<String> = contexts.first().cloned().into_iter().collect();
        let mut attributes = vec![
            ("objectClass", one("top")),
            ("entryDN", one("")),
            ("supportedLDAPVersion", one("3")),
            ("supportedCapabilities", all(SUPPORTED_CAPABILITIES)),
            ("supportedControl", all(&self.supported_controls)),
            ("supportedExtension", all(&self.supported_extensions)),
            ("supportedFeatures", all(&self.supported_features)),
            ("subschemaSubentry", one(SUBSCHEMA_DN)),
            ("namingContexts", contexts),
            ("defaultNamingContext", first.clone()),
            ("rootDomainNamingContext", first),
            ("vendorName", one("goauthentik.io")),
            ("vendorVersion", one(&self.vendor_version)),
            (
                "monitorContext",
                self.monitor_context.into_iter().map(str::to_owned).collect(),
            ),
        ];
        if reader == RootDseReader::Unbound {
            attributes.push(("description", one(UNBOUND_DESCRIPTION)));
        }
        attributes.retain(|(_, values)| !values.is_empty());
        attributes
    }

    /// All naming contexts in lower case, each once, the reader's own first: clients that can use only one take that.
    fn contexts(&self, reader: RootDseReader<'_>) -> Vec<String> {
        let own = match reader {
            RootDseReader::Unbound => None,
            RootDseReader::Bound { naming_context } => Some(naming_context.to_lowercase()),
        };
        let mut contexts: Vec<String> = own.into_iter().collect();
        for context in &self.naming_contexts {
            let context = context.to_lowercase();
            if !contexts.contains(&context) {
                contexts.push(context);
            }
        }
        contexts
    }
}

fn one(value: &str) -> Vec<String> {
    vec![value.to_owned()]
}

fn all(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    fn root() -> RootDse {
        RootDse {
            naming_contexts: vec![
                "DC=Ldap,DC=goauthentik,DC=io".into(),
                "dc=other".into(),
                "DC=other".into(),
            ],
            vendor_version: "version 1".into(),
            supported_controls: vec!["1.2.840.113556.1.4.319"],
            supported_extensions: vec!["1.3.6.1.4.1.1466.20037"],
            supported_features: vec![],
            monitor_context: Some("cn=Monitor"),
        }
    }

    fn values(reader: RootDseReader<'_>, attribute: &str) -> Option<Vec<String>> {
        let attributes = root().attributes(reader);
        attributes
            .into_iter()
            .find(|(name, _)| *name == attribute)
            .map(|(_, values)| values)
    }

    #[test]
    fn the_own_naming_context_comes_first_and_is_the_default() {
        let bound = RootDseReader::Bound {
            naming_context: "DC=Other",
        };
        assert_eq!(
            values(bound, "namingContexts").unwrap(),
            ["dc=other", "dc=ldap,dc=goauthentik,dc=io"]
        );
        assert_eq!(values(bound, "defaultNamingContext").unwrap(), ["dc=other"]);
        assert_eq!(values(bound, "description"), None);
        assert_eq!(
            values(RootDseReader::Unbound, "rootDomainNamingContext").unwrap(),
            ["dc=ldap,dc=goauthentik,dc=io"]
        );
        assert_eq!(
            values(RootDseReader::Unbound, "description").unwrap(),
            [UNBOUND_DESCRIPTION]
        );
    }

    #[test]
    fn only_what_is_given_is_supported() {
        assert_eq!(
            values(RootDseReader::Unbound, "supportedControl").unwrap(),
            ["1.2.840.113556.1.4.319"]
        );
        assert_eq!(values(RootDseReader::Unbound, "supportedFeatures"), None);
        assert_eq!(values(RootDseReader::Unbound, "supportedSASLMechanisms"), None);
        assert_eq!(values(RootDseReader::Unbound, "entryDN").unwrap(), [""]);
    }

    #[test]
    fn without_providers_there_are_no_empty_attributes() {
        let attributes = RootDse::default().attributes(RootDseReader::Unbound);
        assert!(attributes.iter().all(|(_, values)| !values.is_empty()));
        assert!(!attributes.iter().any(|(name, _)| name.contains("Context")));
    }

    #[test]
    fn every_attribute_is_declared_with_its_spelling_and_multiplicity() {
        for (name, values) in root().attributes(RootDseReader::Unbound) {
            let attribute = schema::attribute_type(name.as_bytes()).unwrap();
            assert_eq!(attribute.name, name);
            assert!(values.len() == 1 || !attribute.single_value, "{name}");
        }
    }
}
