//! What the server above implements, and what the rootDSE says of it. Must not know who reads that.

use akldap_directory::rootdse::RootDse;

use super::version::VERSION;

/// What the server above implements, for the rootDSE: generated there, published here.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// OIDs for supportedControl.
    pub controls: Vec<&'static str>,
    /// OIDs for supportedExtension.
    pub extensions: Vec<&'static str>,
    /// OIDs for supportedFeatures.
    pub features: Vec<&'static str>,
}

impl Capabilities {
    /// What the rootDSE says, of these base DNs.
    pub(super) fn root_dse(&self, naming_contexts: Vec<String>) -> RootDse {
        RootDse {
            naming_contexts,
            vendor_version: format!("akldap {VERSION}"),
            supported_controls: self.controls.clone(),
            supported_extensions: self.extensions.clone(),
            supported_features: self.features.clone(),
        }
    }
}
