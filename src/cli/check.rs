//! `akldap check`: whether the set-up can work. Reads what it is told to and prints; what is checked is in [`crate::check`].

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use akldap_authentik::given_file;
use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::check::{self, Area, CheckRequest, Report};
use crate::config::{Config, Environment, Layered};

use super::complaint::complain;
use super::flags::{Flags, HiddenFlags};
use super::{output, password_file, value};
use crate::terminal;

/// Exit code when something is at fault.
const FAULTS: u8 = 1;
/// Exit code when nothing could be looked at, or what was seen could not be said.
const COULD_NOT_LOOK: u8 = 2;
/// The wait between two surveys.
const PAUSE: Duration = Duration::from_secs(2);
/// A survey is not worth beginning if less time than this is left.
const LEAST: Duration = Duration::from_millis(200);

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// Before the server is started: its ports must be free
    #[arg(long)]
    pub pre: bool,
    /// Only this area: account, certificates, directory, events, flows, machine, providers, reach, token; may be repeated
    #[arg(long, value_name = "AREA", value_parser = area)]
    pub only: Vec<Area>,
    /// DN of an account to log in with: it shows the flow's later stages, access and the permission to search
    #[arg(long, value_name = "DN", requires = "password_file")]
    pub bind_dn: Option<String>,
    /// File with the account's password; a line break at its end is ignored
    #[arg(long, value_name = "FILE", requires = "bind_dn")]
    pub password_file: Option<PathBuf>,
    /// Check again until nothing is wrong, for at most this long: 90, 90s, 5m, 1h
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = value::duration)]
    pub wait: Duration,
    /// Print one JSON object, whatever happens
    #[arg(long)]
    pub json: bool,
    /// The options of the server
    #[command(flatten)]
    pub flags: HiddenFlags,
}

fn area(name: &str) -> Result<Area, String> {
    Area::named(name).ok_or_else(|| {
        let mut names: Vec<&str> = Area::ALL.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        format!("one of {}", names.join(", "))
    })
}

/// Checks and prints. 0: all well; 1: something is at fault; 2: could not look.
pub async fn run(arguments: &CheckArgs, flags: &Flags) -> ExitCode {
    match look(arguments, flags).await {
        Ok((text, is_well)) => output::tell(&text, if is_well { 0 } else { FAULTS }, COULD_NOT_LOOK),
        Err(error) => {
            complain(&error);
            if arguments.json {
                let told = terminal::json(&unseen(&error));
                return output::tell(&told, COULD_NOT_LOOK, COULD_NOT_LOOK);
            }
            ExitCode::from(COULD_NOT_LOOK)
        }
    }
}

/// The report for programs when nothing could be looked at.
pub(super) fn unseen(error: &str) -> Value {
    json!({ "well": null, "error": error, "checks": [] })
}

async fn look(arguments: &CheckArgs, flags: &Flags) -> Result<(String, bool), String> {
    let patience = arguments.wait;
    let began = Instant::now();
    if !patience.is_zero() {
        given_file::limit_patience(patience);
    }
    let strings = Layered {
        upper: flags,
        lower: &Environment,
    };
    let config = Config::read(&strings).map_err(|error| error.to_string())?;
    let password = match &arguments.password_file {
        Some(path) => password_file::read(path)?,
        None => Zeroizing::default(),
    };
    let mut request = CheckRequest {
        is_before_start: arguments.pre,
        areas: arguments.only.clone(),
        bind_dn: arguments.bind_dn.clone(),
        within: None,
        list_limit: None,
    };
    let mut last: Option<Report> = None;
    loop {
        // The first survey is told the limit as it was given: it is shown to people.
        let left = match last {
            None => patience,
            Some(_) => patience.saturating_sub(began.elapsed()),
        };
        request.within = (!patience.is_zero()).then_some(left);
        let report = check::run(&config, &request, &password)
            .await
            .map_err(|error| error.to_string())?;
        let is_over = report.is_cut_short;
        // What time was left for says less than what was seen before.
        let report = match last {
            Some(last) if is_over => last,
            _ => report,
        };
        let is_well = report.is_well();
        let left = patience.saturating_sub(began.elapsed());
        if is_well || is_over || left < LEAST {
            let text = if arguments.json {
                terminal::json(&report.json())
            } else {
                report.text()
            };
            return Ok((text, is_well));
        }
        last = Some(report);
        tokio::time::sleep(PAUSE.min(left / 2)).await;
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::CommandLine;

    #[test]
    fn the_help_names_every_area() {
        let mut command = CommandLine::command();
        let help = command
            .find_subcommand_mut("check")
            .expect("check")
            .render_long_help()
            .to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut names: Vec<&str> = Area::ALL.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        assert!(help.contains(&names.join(", ")), "{help}");
    }
}
