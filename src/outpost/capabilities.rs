//! What the server above implements, and what the rootDSE says about it. Must not know who reads
//! that.

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
    /// The control that comes to them where passwords can be changed.
    pub password_control: &'static str,
    /// The extended operation that does.
    pub password_extension: &'static str,
}

impl Capabilities {
    /// What the rootDSE says about these base DNs; `passwords`: whether they can be changed there.
    pub(super) fn root_dse(&self, naming_contexts: Vec<String>, passwords: bool) -> RootDse {
        let with = |listed: &[&'static str], more| {
            let more = passwords.then_some(more);
            listed.iter().copied().chain(more).collect()
        };
        RootDse {
            naming_contexts,
            vendor_version: format!("akldap {VERSION}"),
            supported_controls: with(&self.controls, self.password_control),
            supported_extensions: with(&self.extensions, self.password_extension),
            supported_features: self.features.clone(),
            monitor_context: None,
        }
    }
}
