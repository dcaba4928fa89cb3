//! `akldap config`: whether a configuration file is sound, and what holds with it. Starts nothing and asks nobody.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::flags::Flags;
use crate::config::{self, Config, ConfigError, EXIT_BAD_CONFIGURATION, Environment, Layered, StringMap};

/// What to do with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
    /// The options of the server
    #[command(flatten)]
    pub(super) flags: Flags,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
enum ConfigAction {
    /// Read a configuration file and tell every error in it; exit code 0 if there is none, else 64
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what holds and where each value comes from, as a configuration file; never a secret
    Show,
}

/// Does what was asked.
#[must_use]
pub fn run(arguments: &ConfigArgs, flags: &Flags) -> ExitCode {
    let strings = Layered {
        upper: flags,
        lower: &Environment,
    };
    match &arguments.action {
        ConfigAction::Check { file } => match check(file, &strings) {
            Ok(()) => {
                println!("{}: no errors", file.display());
                ExitCode::SUCCESS
            }
            Err(error) => refuse(&error),
        },
        ConfigAction::Show => {
            match config::effective(&strings) {
                Ok(text) => print!("{text}"),
                Err(error) => return refuse(&error),
            }
            match Config::read(&strings) {
                Ok(_) => ExitCode::SUCCESS,
                Err(error) => refuse(&error),
            }
        }
    }
}

/// Reads a file as the server would that has these flags and variables. What the file need not say does not count against it.
fn check(file: &Path, strings: &Layered<'_>) -> Result<(), ConfigError> {
    let named = StringMap::from_iter([("AUTHENTIK_LDAP__CONFIG_FILE", file.to_string_lossy())]);
    let with_file = Layered {
        upper: &named,
        lower: strings,
    };
    match Config::read(&with_file) {
        Ok(_) | Err(ConfigError::Missing { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn refuse(error: &ConfigError) -> ExitCode {
    for line in error.to_string().lines() {
        eprintln!("akldap: {line}");
    }
    ExitCode::from(EXIT_BAD_CONFIGURATION)
}
