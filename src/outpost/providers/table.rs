//! The LDAP providers at one moment and the one rule by which a name belongs to one of them: the longest base DN, by RDNs,
//! for binds and searches alike. Must not know who is bound.

use std::sync::Arc;

use crate::config::ProviderConfig;
use crate::outpost::provider::Provider;
use akldap_directory::{Shape, Tree};
use akldap_ldap::dn::{Dn, DnError, Name, Unescaped};

/// A provider, as far as it matters for the names that belong to it.
pub trait Based {
    /// authentik's id of the provider.
    fn pk(&self) -> i64;
    /// Its name.
    fn name(&self) -> &str;
    /// Its place in the directory.
    fn tree(&self) -> &Tree;
    /// What is set for it here.
    fn config(&self) -> &ProviderConfig;
}

impl Based for Provider {
    fn pk(&self) -> i64 {
        self.pk()
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn tree(&self) -> &Tree {
        self.tree()
    }

    fn config(&self) -> &ProviderConfig {
        self.config()
    }
}

/// To which provider a name belongs, and how that was seen.
#[derive(Debug)]
pub struct Located<'n, P = Provider> {
    /// The provider.
    pub provider: Arc<P>,
    /// How the name is written.
    pub spelling: Spelling<'n>,
}

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling<'n> {
    /// As we write it ourselves.
    Plain,
    /// In another way that RFC 4514 allows.
    Parsed,
    /// Not as RFC 4514 requires.
    Unescaped {
        /// What comes before the base DN and its separator.
        front: &'n [u8],
        /// Why it is no RFC 4514 name.
        error: DnError,
    },
}

/// Why a name belongs to no provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLocated {
    /// It is below no base DN.
    Outside,
    /// It is no name, and does not end with a base DN either.
    Malformed(DnError),
}

/// All providers, longest base DN first.
#[derive(Debug)]
pub struct ProviderTable<P = Provider> {
    providers: Vec<Arc<P>>,
    /// Whether a provider's base DN is below another's.
    nested: bool,
}

impl<P> Default for ProviderTable<P> {
    fn default() -> Self {
        Self {
            providers: Vec::new(),
            nested: false,
        }
    }
}

impl<P: Based> ProviderTable<P> {
    /// A table of these providers. Where two have the same base DN the one with the lower pk serves it; the
    /// pairs are returned for the log.
    pub fn new(mut providers: Vec<Arc<P>>) -> (Self, Vec<(String, String)>) {
        providers.sort_by_key(|provider| {
            (
                std::cmp::Reverse(provider.tree().base().rdns.len()),
                provider.pk(),
            )
        });
        let mut clashes = Vec::new();
        for (index, provider) in providers.iter().enumerate() {
            let base = provider.tree().base().normal_form();
            let earlier = providers
                .iter()
                .take(index)
                .find(|earlier| earlier.tree().base().normal_form() == base);
            if let Some(earlier) = earlier {
                clashes.push((earlier.name().to_owned(), provider.name().to_owned()));
            }
        }
        let bases = || providers.iter().map(|provider| provider.tree().base());
        let nested = bases().enumerate().any(|(index, base)| {
            bases()
                .enumerate()
                .any(|(other, above)| other != index && base.below(above).is_some())
        });
        (Self { providers, nested }, clashes)
    }

    /// All providers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<P>> {
        self.providers.iter()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// The provider whose base DN is the longest at or above a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn locate<'n>(&self, name: &Name<'n>) -> Result<Located<'n, P>, NotLocated> {
        if let Some(provider) = self.of_plain(name.octets()) {
            let provider = Arc::clone(provider);
            let spelling = Spelling::Plain;
            return Ok(Located { provider, spelling });
        }
        match name.parsed() {
            Ok(parsed) => {
                let provider = self.of_parsed(parsed).ok_or(NotLocated::Outside)?;
                let (provider, spelling) = (Arc::clone(provider), Spelling::Parsed);
                Ok(Located { provider, spelling })
            }
            Err(error) => {
                let found = self.of_unescaped(name.octets());
                let (provider, front) = found.ok_or(NotLocated::Malformed(error))?;
                let (provider, spelling) = (Arc::clone(provider), Spelling::Unescaped { front, error });
                Ok(Located { provider, spelling })
            }
        }
    }

    /// For a name in the spelling that nearly all come in, without parsing it; see [`Tree::contains_plainly`].
    ///
    /// [`Tree::contains_plainly`]: akldap_directory::Tree::contains_plainly
    fn of_plain(&self, name: &[u8]) -> Option<&Arc<P>> {
        // RDNs decide which of two is meant, not text.
        if self.nested {
            return None;
        }
        self.providers
            .iter()
            .find(|provider| provider.tree().contains_plainly(name))
    }

    fn of_parsed(&self, name: &Dn) -> Option<&Arc<P>> {
        // Normalised once, however many bases it is compared with.
        let deepest = self
            .providers
            .first()
            .map_or(0, |provider| provider.tree().depth());
        let levels = name.normal_rdns(deepest);
        self.providers
            .iter()
            .find(|provider| levels.ends_with(provider.tree().levels()))
    }

    /// For a string that is no RFC 4514 name because its leading values are not escaped: the provider whose base DN ends it
    /// at an RDN boundary, and what comes before that.
    fn of_unescaped<'n>(&self, name: &'n [u8]) -> Option<(&Arc<P>, &'n [u8])> {
        let mut name = Unescaped::new(name);
        self.providers.iter().find_map(|provider| {
            let front = name.before(provider.tree().levels())?;
            Some((provider, front))
        })
    }

    /// The same provider in this table, if it is still there.
    pub fn by_pk(&self, pk: i64) -> Option<Arc<P>> {
        self.providers
            .iter()
            .find(|provider| provider.pk() == pk)
            .cloned()
    }
}

impl ProviderTable {
    /// The shapes that providers have besides the default one, each once.
    pub(in crate::outpost) fn shapes(&self) -> Vec<Arc<Shape>> {
        let mut shapes: Vec<Arc<Shape>> = Vec::new();
        for shape in self.providers.iter().filter_map(|provider| provider.shape()) {
            if !shapes.contains(shape) {
                shapes.push(Arc::clone(shape));
            }
        }
        shapes
    }
}

#[cfg(test)]
impl ProviderTable {
    /// A table of providers with these base DNs, numbered from 1.
    pub(crate) fn of_bases(bases: &[&str]) -> Self {
        Self::of_bases_with(bases, &Arc::default())
    }

    /// The same with settings of ours.
    pub(crate) fn of_bases_with(bases: &[&str], config: &Arc<crate::config::ProviderConfig>) -> Self {
        use crate::metrics::{Metrics, OutpostLabels};
        use akldap_directory::subschema::EntryAttributes;

        let metrics = Metrics::new(OutpostLabels::new("u", "1", "b"));
        let providers = bases.iter().enumerate().map(|(index, base)| {
            let json = serde_json::json!({
                "pk": index as i64 + 1, "name": format!("p{}", index + 1), "base_dn": base,
                "bind_flow_slug": "f", "application_slug": "a",
            });
            Arc::new(
                Provider::new(
                    serde_json::from_value(json).unwrap(),
                    Arc::clone(config),
                    &EntryAttributes::new(),
                    &metrics,
                )
                .unwrap(),
            )
        });
        Self::new(providers.collect()).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bases: &[&str]) -> ProviderTable {
        ProviderTable::of_bases(bases)
    }

    fn pk(table: &ProviderTable, name: &str) -> Option<i64> {
        table
            .of_parsed(&Dn::parse(name.as_bytes()).unwrap())
            .map(|provider| provider.pk())
    }

    /// The pk of the provider, and how the name is written.
    fn located<'n>(table: &ProviderTable, name: &'n str) -> Result<(i64, Spelling<'n>), NotLocated> {
        let located = table.locate(&Name::new(name.as_bytes()))?;
        Ok((located.provider.pk(), located.spelling))
    }

    #[test]
    fn the_longest_base_by_rdns_wins_whatever_the_order() {
        for bases in [["dc=io", "DC=ldap,DC=io"], ["DC=ldap,DC=io", "dc=io"]] {
            let table = table(&bases);
            let long = bases.iter().position(|base| base.contains("ldap")).unwrap() as i64 + 1;
            assert_eq!(pk(&table, "cn=a,ou=users,dc=LDAP, dc=io"), Some(long));
            assert_eq!(pk(&table, "cn=a,ou=users,dc=io"), Some(3 - long));
            assert_eq!(pk(&table, "cn=a,xdc=ldap,dc=io"), Some(3 - long));
            assert_eq!(pk(&table, "cn=a,dc=org"), None);
        }
    }

    #[test]
    fn plain_names_are_those_parsing_finds() {
        let table = table(&["dc=a,dc=io", "DC=b,DC=io"]);
        for (name, expected) in [
            ("dc=B,dc=io", Some(2)),
            ("ou=users,dc=a,dc=io", Some(1)),
            ("cn=x y,OU=Groups,DC=B,dc=io", Some(2)),
            ("cn=a\\,ou=users,dc=a,dc=io", None),
            ("cn=a+b,ou=users,dc=a,dc=io", None),
            ("cn= a,ou=users,dc=a,dc=io", None),
            ("cn=a\n,ou=users,dc=a,dc=io", None),
            ("cn=,ou=users,dc=a,dc=io", None),
            ("ou=x,dc=a,dc=io", None),
            ("xdc=a,dc=io", None),
            ("cn=a,dc=io", None),
        ] {
            let found = table.of_plain(name.as_bytes()).map(|provider| provider.pk());
            assert_eq!(found, expected, "{name}");
            if let Some(expected) = expected {
                assert_eq!(pk(&table, name), Some(expected), "{name}");
                assert_eq!(located(&table, name), Ok((expected, Spelling::Plain)), "{name}");
            }
        }
    }

    #[test]
    fn of_nested_bases_text_does_not_decide() {
        for bases in [["dc=io", "ou=users, dc=io"], ["ou=users, dc=io", "dc=io"]] {
            let table = table(&bases);
            let name = "cn=a,ou=users,dc=io";
            assert!(table.of_plain(name.as_bytes()).is_none());
            let long = bases.iter().position(|base| base.contains("ou")).unwrap() as i64 + 1;
            assert_eq!(located(&table, name), Ok((long, Spelling::Parsed)));
        }
    }

    #[test]
    fn an_unescaped_name_belongs_to_the_base_that_ends_it() {
        let table = table(&["dc=io", "dc=ldap,dc=io"]);
        let name = "cn=Sales, EMEA,ou=groups,DC=ldap,DC=io";
        let (pk, spelling) = located(&table, name).unwrap();
        let Spelling::Unescaped { front, error } = spelling else {
            panic!("{spelling:?}");
        };
        assert_eq!((pk, front), (2, &b"cn=Sales, EMEA,ou=groups"[..]));
        assert_eq!(Err(error), Dn::parse(name.as_bytes()));
        let name = "cn=Sales, EMEA,ou=groups,dc=org";
        let error = Dn::parse(name.as_bytes()).unwrap_err();
        assert_eq!(located(&table, name), Err(NotLocated::Malformed(error)));
    }

    #[test]
    fn a_name_elsewhere_belongs_to_nobody() {
        let table = table(&["dc=io"]);
        for name in ["cn=a,dc=org", "", "io"] {
            let expected = match Dn::parse(name.as_bytes()) {
                Ok(_) => NotLocated::Outside,
                Err(error) => NotLocated::Malformed(error),
            };
            assert_eq!(located(&table, name), Err(expected), "{name}");
        }
    }
}
