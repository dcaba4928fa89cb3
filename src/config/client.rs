//! What the client of authentik is told about the configuration: the same by the outpost and by `check`, which looks at what
//! the outpost would do. Must not know what is asked of authentik.

use akldap_authentik::Proxies;
use akldap_authentik::Settings;

use super::Config;

impl Config {
    /// The settings of a client of authentik.
    pub(crate) fn client_settings(&self) -> Settings {
        let config = &self.authentik;
        let mut settings = Settings::new(config.host.clone(), config.token.clone());
        settings.token_file.clone_from(&config.token_file);
        settings.proxies = Proxies {
            http: config.proxies.http.clone(),
            https: config.proxies.https.clone(),
            except: config.proxies.except.clone(),
        };
        settings.insecure = config.insecure;
        settings.ca_file.clone_from(&config.ca_file);
        settings.user_agent =
            concat!("goauthentik.io/outpost/", env!("CARGO_PKG_VERSION"), "+akldap").to_owned();
        settings.connect_timeout = config.connect_timeout;
        settings.request_timeout = config.request_timeout;
        settings.list_timeout = config.request_timeout;
        settings.flow_timeout = self.bind.timeout;
        settings
    }
}
