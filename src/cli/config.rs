//! `akldap config`: whether a configuration file is sound, and which settings are then in effect. Starts nothing and asks
//! nobody.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::complaint::complain;
use super::flags::{Flags, HiddenFlags};
use super::{exit_code, output};
use crate::config::{self, Config, ConfigError, EXIT_BAD_CONFIGURATION, Environment, Layered, StringMap};

/// What to do with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
    /// The options of the server
    #[command(flatten)]
    flags: HiddenFlags,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
enum ConfigAction {
    /// Read a configuration file and report every error in it; exit code 0 if there is none, otherwise 64
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The options of the server
        #[command(flatten)]
        flags: HiddenFlags,
    },
    /// Show the settings in effect and where each comes from, as a configuration file; never a secret
    Show(HiddenFlags),
}

impl ConfigArgs {
    /// The options of the server, wherever they stand: the last ones win.
    pub(super) fn flags(&self) -> Flags {
        let (ConfigAction::Check { flags, .. } | ConfigAction::Show(flags)) = &self.action;
        self.flags.0.clone().then(&flags.0)
    }
}

/// Does what was asked.
#[must_use]
pub fn run(arguments: &ConfigArgs, flags: &Flags) -> ExitCode {
    let strings = Layered {
        upper: flags,
        lower: &Environment,
    };
    match &arguments.action {
        ConfigAction::Check { file, .. } => match check(file, &strings) {
            Ok(()) => tell(&format!("{}: no errors", file.display())),
            Err(error) => refuse(&error),
        },
        ConfigAction::Show(_) => {
            let shown = match config::effective(&strings) {
                Ok(text) => tell(&text),
                Err(error) => return refuse(&error),
            };
            match Config::read(&strings) {
                Ok(_) => shown,
                Err(error) => refuse(&error),
            }
        }
    }
}

/// Reads a file as a server with these flags and variables would. What the file need not say is not held against it.
fn check(file: &Path, strings: &Layered<'_>) -> Result<(), ConfigError> {
    let named = StringMap::from_iter([("AUTHENTIK_LDAP__CONFIG_FILE", file.to_string_lossy())]);
    let with_file = Layered {
        upper: &named,
        lower: strings,
    };
    match Config::read(&with_file) {
        Ok(_) => Ok(()),
        Err(error) => error.besides_what_is_missing().map_or(Ok(()), Err),
    }
}

fn tell(text: &str) -> ExitCode {
    output::tell(text, 0, exit_code::SYSTEM)
}

fn refuse(error: &ConfigError) -> ExitCode {
    complain(error);
    ExitCode::from(EXIT_BAD_CONFIGURATION)
}
