//! The options of the server as flags. They come from the table in [`crate::config::options`]; what the values mean is up to
//! [`crate::config`], so that a flag and its variable are read by the same code. Must not know the commands.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::options::{self, AnySetting};
use crate::config::{NotUnicode, Strings, TextOrigin};

/// The options given as flags, by the name of the variable each stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(pub(super) BTreeMap<&'static str, String>);

/// The same for a command other than the server's own: they apply, but its help does not show them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HiddenFlags(pub(super) Flags);

/// What the help of such a command says instead.
pub(super) const HIDDEN_HELP: &str =
    "The options of the server apply too, as flags or variables: `akldap --help` shows them.";

impl Flags {
    /// Every setting, as the help has them: a heading comes where its first flag does.
    fn ordered() -> impl Iterator<Item = &'static dyn AnySetting> {
        let mut ordered: Vec<&'static dyn AnySetting> = settings().collect();
        ordered.sort_by_key(|setting| setting.flag().map(group));
        ordered.into_iter()
    }

    /// These and more, which win.
    pub(super) fn then(mut self, later: &Self) -> Self {
        let later = later.0.iter();
        self.0.extend(later.map(|(name, text)| (*name, text.clone())));
        self
    }
}

impl Args for HiddenFlags {
    fn augment_args(command: Command) -> Command {
        let flags = Flags::ordered().filter_map(flag);
        flags.fold(command, |command, flag| command.arg(flag.hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for HiddenFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Flags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Strings for Flags {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        Ok(self.0.get(name).cloned())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().map(|name| (*name).to_owned()).collect()
    }

    fn spelling(&self, name: &str) -> String {
        let flag = settings()
            .find(|setting| setting.variable() == name)
            .and_then(|setting| setting.flag());
        flag.map_or_else(|| name.to_owned(), |flag| format!("--{flag}"))
    }

    fn origin(&self, name: &str) -> Option<TextOrigin> {
        self.0.get(name).map(|_| TextOrigin::Flag)
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        Self::ordered().filter_map(flag).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in settings() {
            let Some(name) = setting.flag() else { continue };
            if let Some(text) = matches.get_one::<String>(name) {
                let text = match setting.is_secret() {
                    true => format!("file://{text}"),
                    false => text.clone(),
                };
                self.0.insert(setting.variable(), text);
            }
        }
        Ok(())
    }
}

/// Every setting, those of authentik's own outpost first.
pub(super) fn settings() -> impl Iterator<Item = &'static dyn AnySetting> {
    options::OFFICIAL.iter().chain(options::OPTIONS).copied()
}

/// The flags that `-h` shows: what most set-ups need. `--help` shows all.
const NEEDED: &[&str] = &[
    "host",
    "token-file",
    "ca-file",
    "insecure",
    "config-file",
    "listen-ldap",
    "listen-ldaps",
    "listen-http",
    "require-tls",
    "tls-certificate-file",
    "tls-key-file",
    "log-level",
];

/// The groups of the help, with the beginnings of the flags in each.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "authentik",
        &[
            "host", "token-", "ca-", "insecure", "request-", "connect-", "page-", "config-",
        ],
    ),
    ("Ports", &["listen-", "trusted-", "status-"]),
    ("TLS", &["tls-", "require-"]),
    (
        "Logins",
        &[
            "bind-",
            "failed-",
            "flow-",
            "max-concurrent-",
            "mfa-",
            "access-",
            "users-unread-",
            "strict-",
            "accept-",
            "password-",
        ],
    ),
    (
        "Directory",
        &[
            "refresh-",
            "snapshot-",
            "serve-",
            "legal-",
            "direct-",
            "profile",
            "shown-",
            "hidden-",
            "membership",
            "virtual-",
            "user-",
            "users-",
            "groups-",
            "shared-",
            "roles-",
            "uid-number-",
            "gid-number-",
        ],
    ),
    (
        "Limits",
        &[
            "max-",
            "idle-",
            "message-",
            "write-",
            "handshake-",
            "shutdown-",
            "search-",
            "client-",
        ],
    ),
    ("Log", &["log-", "audit-"]),
];

/// The index of a flag's group; after the last one, for a flag without a group.
fn group(flag: &str) -> usize {
    let is_of =
        |(_, beginnings): &(&str, &[&str])| beginnings.iter().any(|beginning| flag.starts_with(beginning));
    GROUPS.iter().position(is_of).unwrap_or(GROUPS.len())
}

/// The heading of a flag in the help.
pub(super) fn heading(flag: &str) -> &'static str {
    GROUPS
        .get(group(flag))
        .map_or("Further options", |(heading, _)| heading)
}

/// The flag of one option. Values stay text: `config` reads them. A secret is named by the file that holds it: everybody on the
/// machine can read the command line.
fn flag(setting: &'static dyn AnySetting) -> Option<Arg> {
    let name = setting.flag()?;
    let placeholder = match setting.is_secret() {
        true => "FILE",
        false => setting.placeholder(),
    };
    let help = format!(
        "{}{} [env: {}]",
        setting.help(),
        shown_default(setting),
        setting.variable()
    );
    let arg = Arg::new(name)
        .long(name)
        .value_name(placeholder)
        .help(help)
        .help_heading(heading(name))
        .hide_short_help(!NEEDED.contains(&name));
    Some(if setting.is_switch() {
        arg.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
    } else {
        arg
    })
}

/// The default, for the help.
pub(super) fn shown_default(setting: &dyn AnySetting) -> String {
    let default = setting.default();
    if default.is_empty() {
        String::new()
    } else {
        format!(" [default: {default}]")
    }
}
