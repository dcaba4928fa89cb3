//! The kinds of value a setting can have: what each is read into, what its default can be, and the words for it. Those with
//! a range are in [`super::quantity`]. Knows no setting by name; taking a text apart is [`super::value`]'s work.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use akldap_directory::password_attributes::PASSWORD_ATTRIBUTES;

use super::cipher::{self, CipherSuite, TlsVersion};
use super::log_level::{self, LogFormat, LogLevel};
use super::password_attributes;
use super::setting::ValueKind;
use super::value::{self, Unreadable};

/// In place of a default: the setting must be set.
#[derive(Debug)]
pub(super) struct Required;

/// In place of a default: there is none, and the value is `None`.
#[derive(Debug)]
pub(super) struct Unset;

/// An optional value.
#[derive(Debug)]
pub(super) struct Optional<K>(pub(super) K);

impl<K: ValueKind> ValueKind for Optional<K> {
    type Value = Option<K::Value>;
    type Default = Unset;
    const PLACEHOLDER: &'static str = K::PLACEHOLDER;
    const SWITCH: bool = K::SWITCH;
    const SECRET: bool = K::SECRET;
    const BLANKS: bool = K::BLANKS;
    const LIST: bool = K::LIST;

    fn expected(&self) -> String {
        self.0.expected()
    }

    fn read(&self, text: &str) -> Result<Self::Value, Unreadable> {
        self.0.read(text).map(Some)
    }

    fn unset(&self, _: &Unset) -> Option<Self::Value> {
        Some(None)
    }
}

/// Any text.
#[derive(Debug)]
pub(super) struct Text;

impl ValueKind for Text {
    type Value = String;
    type Default = Required;
    const PLACEHOLDER: &'static str = "WORD";
    const BLANKS: bool = true;

    fn expected(&self) -> String {
        "any text".to_owned()
    }

    fn read(&self, text: &str) -> Result<String, Unreadable> {
        Ok(text.to_owned())
    }
}

/// Any text that may hold a secret.
#[derive(Debug)]
pub(super) struct SecretText;

impl ValueKind for SecretText {
    type Value = String;
    type Default = Required;
    const PLACEHOLDER: &'static str = "WORD";
    const SECRET: bool = true;
    const BLANKS: bool = true;

    fn expected(&self) -> String {
        Text.expected()
    }

    fn read(&self, text: &str) -> Result<String, Unreadable> {
        Text.read(text)
    }
}

/// authentik's token.
#[derive(Debug)]
pub(super) struct Token;

impl ValueKind for Token {
    type Value = SecretString;
    type Default = Required;
    const PLACEHOLDER: &'static str = "TOKEN";
    const SECRET: bool = true;

    fn expected(&self) -> String {
        "the token authentik shows for the outpost, or file:///path/to/it".to_owned()
    }

    fn read(&self, text: &str) -> Result<SecretString, Unreadable> {
        value::token(text).map(|token| SecretString::from(token.to_owned()))
    }
}

/// authentik's URL.
#[derive(Debug)]
pub(super) struct Host;

impl ValueKind for Host {
    type Value = Url;
    type Default = Required;
    const PLACEHOLDER: &'static str = "URL";

    fn expected(&self) -> String {
        "an http:// or https:// URL such as https://authentik.example.org/".to_owned()
    }

    fn read(&self, text: &str) -> Result<Url, Unreadable> {
        value::host(text)
    }
}

/// The URL of an HTTP proxy.
#[derive(Debug)]
pub(super) struct Proxy;

impl ValueKind for Proxy {
    type Value = Url;
    type Default = Required;
    const PLACEHOLDER: &'static str = "URL";
    /// It may hold a password.
    const SECRET: bool = true;

    fn expected(&self) -> String {
        "the URL of an HTTP proxy such as http://proxy.example.org:3128".to_owned()
    }

    fn read(&self, text: &str) -> Result<Url, Unreadable> {
        value::proxy(text)
    }
}

/// True or false.
#[derive(Debug)]
pub(super) struct Switch;

impl ValueKind for Switch {
    type Value = bool;
    type Default = bool;
    const PLACEHOLDER: &'static str = "BOOL";
    const SWITCH: bool = true;

    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, text: &str) -> Result<bool, Unreadable> {
        value::switch(text)
    }

    fn unset(&self, default: &bool) -> Option<bool> {
        Some(*default)
    }

    fn shown(&self, default: &bool) -> String {
        default.to_string()
    }
}

/// A file or directory.
#[derive(Debug)]
pub(super) struct Path;

impl ValueKind for Path {
    type Value = PathBuf;
    type Default = &'static str;
    const PLACEHOLDER: &'static str = "FILE";
    const BLANKS: bool = true;

    fn expected(&self) -> String {
        "the path of a file".to_owned()
    }

    fn read(&self, text: &str) -> Result<PathBuf, Unreadable> {
        Ok(PathBuf::from(text))
    }

    fn unset(&self, default: &&'static str) -> Option<PathBuf> {
        Some(PathBuf::from(default))
    }

    fn shown(&self, default: &&'static str) -> String {
        (*default).to_owned()
    }
}

/// A list of addresses to listen on, never empty.
#[derive(Debug)]
pub(super) struct Listen;

impl ValueKind for Listen {
    type Value = Vec<SocketAddr>;
    type Default = SocketAddr;
    const PLACEHOLDER: &'static str = "ADDRESSES";
    const LIST: bool = true;

    fn expected(&self) -> String {
        "a comma-separated list of addresses with ports such as 0.0.0.0:3389, [::]:3389 or :3389".to_owned()
    }

    fn read(&self, text: &str) -> Result<Vec<SocketAddr>, Unreadable> {
        value::listen(text)
    }

    fn unset(&self, default: &SocketAddr) -> Option<Vec<SocketAddr>> {
        Some(vec![*default])
    }

    fn shown(&self, default: &SocketAddr) -> String {
        default.to_string()
    }
}

/// A list of networks.
#[derive(Debug)]
pub(super) struct Networks;

impl ValueKind for Networks {
    type Value = value::NetworkList;
    type Default = &'static [IpNet];
    const PLACEHOLDER: &'static str = "NETWORKS";
    const LIST: bool = true;

    fn expected(&self) -> String {
        "a comma-separated list of networks such as 10.0.0.0/8, or none".to_owned()
    }

    fn read(&self, text: &str) -> Result<value::NetworkList, Unreadable> {
        Ok(value::networks(text))
    }

    fn unset(&self, default: &&'static [IpNet]) -> Option<value::NetworkList> {
        Some(value::NetworkList {
            networks: default.to_vec(),
            skipped: Vec::new(),
        })
    }

    fn shown(&self, default: &&'static [IpNet]) -> String {
        let networks: Vec<String> = default.iter().map(ToString::to_string).collect();
        networks.join(",")
    }
}

/// A list of host names.
#[derive(Debug)]
pub(super) struct HostNames;

impl ValueKind for HostNames {
    type Value = Vec<String>;
    type Default = &'static [&'static str];
    const PLACEHOLDER: &'static str = "NAMES";
    const LIST: bool = true;

    fn expected(&self) -> String {
        "a comma-separated list of host names such as ldap.example.org, without ports".to_owned()
    }

    fn read(&self, text: &str) -> Result<Vec<String>, Unreadable> {
        value::host_names(text)
    }

    fn unset(&self, default: &&'static [&'static str]) -> Option<Vec<String>> {
        Some(default.iter().map(|name| (*name).to_owned()).collect())
    }

    fn shown(&self, default: &&'static [&'static str]) -> String {
        default.join(",")
    }
}

/// A version of TLS.
#[derive(Debug)]
pub(super) struct Version;

impl ValueKind for Version {
    type Value = TlsVersion;
    type Default = TlsVersion;
    const PLACEHOLDER: &'static str = "VERSION";

    fn expected(&self) -> String {
        "1.2 or 1.3".to_owned()
    }

    fn read(&self, text: &str) -> Result<TlsVersion, Unreadable> {
        cipher::version(text)
    }

    fn unset(&self, default: &TlsVersion) -> Option<TlsVersion> {
        Some(*default)
    }

    fn shown(&self, default: &TlsVersion) -> String {
        match default {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
        .to_owned()
    }
}

/// A list of cipher suites.
#[derive(Debug)]
pub(super) struct CipherSuites;

impl ValueKind for CipherSuites {
    type Value = Vec<&'static CipherSuite>;
    type Default = Required;
    const PLACEHOLDER: &'static str = "SUITES";
    const LIST: bool = true;

    fn expected(&self) -> String {
        format!("a comma-separated list of {}", cipher::known_names())
    }

    fn read(&self, text: &str) -> Result<Vec<&'static CipherSuite>, Unreadable> {
        cipher::suites(text)
    }
}

/// A list of attributes that hold passwords.
#[derive(Debug)]
pub(super) struct PasswordAttributes;

impl ValueKind for PasswordAttributes {
    type Value = Vec<&'static str>;
    type Default = Required;
    const PLACEHOLDER: &'static str = "NAMES";
    const LIST: bool = true;

    fn expected(&self) -> String {
        format!("a comma-separated list of {}", PASSWORD_ATTRIBUTES.join(", "))
    }

    fn read(&self, text: &str) -> Result<Vec<&'static str>, Unreadable> {
        password_attributes::read(text)
    }
}

/// A log level.
#[derive(Debug)]
pub(super) struct Level;

impl ValueKind for Level {
    type Value = LogLevel;
    type Default = LogLevel;
    const PLACEHOLDER: &'static str = "WORD";

    fn expected(&self) -> String {
        "trace, debug, info, warning or error".to_owned()
    }

    fn read(&self, text: &str) -> Result<LogLevel, Unreadable> {
        log_level::level(text)
    }

    fn unset(&self, default: &LogLevel) -> Option<LogLevel> {
        Some(*default)
    }

    fn shown(&self, default: &LogLevel) -> String {
        default.as_str().to_owned()
    }
}

/// A log format.
#[derive(Debug)]
pub(super) struct Format;

impl ValueKind for Format {
    type Value = LogFormat;
    type Default = Required;
    const PLACEHOLDER: &'static str = "WORD";

    fn expected(&self) -> String {
        "json or text".to_owned()
    }

    fn read(&self, text: &str) -> Result<LogFormat, Unreadable> {
        log_level::format(text)
    }
}
