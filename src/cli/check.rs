//! `akldap check`: whether the set-up can work. Reads what it is told to and prints; what is checked is in [`crate::check`].

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use zeroize::Zeroizing;

use crate::check::{self, Area, CheckRequest};
use crate::config::Config;

use super::flags::Flags;

/// Exit code when something is at fault.
const FAULTS: u8 = 1;
/// Exit code when nothing could be looked at.
const COULD_NOT_LOOK: u8 = 2;
/// The wait between two looks.
const PAUSE: Duration = Duration::from_secs(2);

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
    /// File with the account's password; a line break at its end does not count
    #[arg(long, value_name = "FILE", requires = "bind_dn")]
    pub password_file: Option<PathBuf>,
    /// Look again until nothing is at fault, at most for so long: 90, 90s, 5m, 1h
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub wait: Duration,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// The options of the server
    #[command(flatten)]
    pub flags: Flags,
}

fn area(name: &str) -> Result<Area, String> {
    Area::named(name).ok_or_else(|| {
        let mut names: Vec<&str> = Area::ALL.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        format!("one of {}", names.join(", "))
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, factor) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) if text.ends_with('h') => (number, 60 * 60),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "a number of seconds, or one with s, m or h".to_owned())
}

/// Checks and prints. 0: all well; 1: something is at fault; 2: could not look.
pub async fn run(arguments: &CheckArgs, config: &Config) -> ExitCode {
    match look(arguments, config).await {
        Ok((text, is_well)) => {
            // Whoever started it may have stopped to listen.
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            ExitCode::from(if is_well { 0 } else { FAULTS })
        }
        Err(error) => {
            eprintln!("akldap: {error}");
            ExitCode::from(COULD_NOT_LOOK)
        }
    }
}

/// The exit code of a configuration that nothing can be looked at with.
pub fn could_not_read(error: &dyn std::fmt::Display) -> ExitCode {
    for line in error.to_string().lines() {
        eprintln!("akldap: {line}");
    }
    ExitCode::from(COULD_NOT_LOOK)
}

async fn look(arguments: &CheckArgs, config: &Config) -> Result<(String, bool), String> {
    let request = CheckRequest {
        is_before_start: arguments.pre,
        areas: arguments.only.clone(),
        bind_dn: arguments.bind_dn.clone(),
    };
    let mut password = Zeroizing::new(Vec::new());
    if let Some(path) = &arguments.password_file {
        *password = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    while password
        .last()
        .is_some_and(|octet| matches!(octet, b'\n' | b'\r'))
    {
        password.pop();
    }
    let patience = arguments.wait;
    let began = Instant::now();
    loop {
        let report = check::run(config, &request, &password)
            .await
            .map_err(|error| error.to_string())?;
        let is_well = report.is_well();
        if is_well || began.elapsed() >= patience {
            let text = if arguments.json {
                report.json().to_string()
            } else {
                report.text()
            };
            return Ok((text, is_well));
        }
        tokio::time::sleep(PAUSE).await;
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

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "soon", "-1", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
