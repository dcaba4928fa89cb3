//! A directory as simple as can be: the entries of the contract as lists of attributes, a filter evaluated by walking them. It is
//! the yardstick for the indexed one.

pub(crate) mod evaluation;
pub(crate) mod random;

use akldap_directory::schema;
use akldap_testing::contract::ContractEntry;

/// The values of an attribute, by any of its names.
pub(crate) trait Named {
    fn values(&self, description: &str) -> impl Iterator<Item = &Vec<u8>>;
}

impl Named for ContractEntry {
    fn values(&self, description: &str) -> impl Iterator<Item = &Vec<u8>> {
        let key = schema::canonical_name(description.as_bytes()).into_owned();
        let is_common_name = description.eq_ignore_ascii_case("commonName");
        self.attributes
            .iter()
            .filter(move |attribute| schema::canonical_name(attribute.name.as_bytes()) == key)
            // `cn` of a container is not its `commonName`.
            .filter(move |attribute| attribute.name != "commonName" || is_common_name)
            .flat_map(|attribute| &attribute.values)
    }
}
