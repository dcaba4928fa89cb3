//! `akldap diff`: compares the answers of two LDAP servers. Reads what it is told to and prints; the comparison itself is
//! [`crate::diff`].

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use akldap_authentik::given_file;
use akldap_authentik::tls::{AuthoritiesFile, Trust, client_config};
use clap::Args;
use rustls::ClientConfig;
use serde_json::{Value, json};

use super::complaint::complain;
use super::{output, password_file, value};
use crate::config::EXIT_BAD_CONFIGURATION;
use crate::diff::{self, ComparedSearch, Detail, DiffRequest, DifferenceKind, Security, Target, TimeLimit};
use crate::terminal;

/// Exit code of two servers that answer differently.
const DIFFERENT: u8 = 1;
/// Exit code when there was nothing to compare, or what was found could not be said.
const COULD_NOT_LOOK: u8 = 2;
/// Octets read of a file of searches at most: some ten thousand.
const MOST_QUERIES: usize = 1 << 20;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DiffArgs {
    /// This server: `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`
    #[arg(
        long,
        value_name = "URI",
        help = "This server: ldap://HOST[:PORT] or ldaps://HOST[:PORT]"
    )]
    pub ours: String,
    /// The server it is compared with
    #[arg(long, value_name = "URI")]
    pub theirs: String,
    /// DN of the account to bind with on both servers; it should see the whole directory
    #[arg(long, value_name = "DN")]
    pub bind_dn: String,
    /// File with the account's password; a line break at its end is ignored
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
    /// Where the walk of the tree begins [default: the first naming context of the root DSE]
    #[arg(long, value_name = "DN")]
    pub base: Option<String>,
    /// Searches to compare instead of the walk and the built-in ones, one LDAP URL per line: ldap:///BASE?ATTRIBUTES?SCOPE?FILTER
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    /// Only the built-in searches of this client; may be repeated. Clients: appliance, browser, gitlab, go-ldap, jellyfin, jndi,
    /// keycloak, mail, nextcloud, nslcd, proxmox, sssd
    #[arg(long, value_name = "CLIENT")]
    pub profile: Vec<String>,
    /// Leave out a kind of difference: attribute, closed, code, dn, missing, more, order, reference, spelling; may be repeated
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub ignore: Vec<DifferenceKind>,
    /// The most entries per search whose differences are reported
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value::number)]
    pub limit: u32,
    /// Use StartTLS on ldap:// connections
    #[arg(long)]
    pub starttls: bool,
    /// PEM file of certificate authorities to trust for both servers, besides the system's
    #[arg(long, value_name = "FILE")]
    pub ldap_ca_file: Option<PathBuf>,
    /// Do not verify the servers' certificates: the password may go to anybody
    #[arg(long)]
    pub accept_any_certificate: bool,
    /// How long a server may be silent: 90, 90s, 5m, 1h [default: 60s for a bind, 5m for a search]
    #[arg(long, value_name = "DURATION", value_parser = value::some_time)]
    pub timeout: Option<Duration>,
    /// How long the whole comparison may take, however fast the servers answer
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = value::some_time)]
    pub max_time: Duration,
    /// Show the known differences to authentik's own outpost too
    #[arg(long)]
    pub known: bool,
    /// Show how long each search took
    #[arg(long)]
    pub times: bool,
    /// Print one JSON object, whatever happens
    #[arg(long)]
    pub json: bool,
}

fn kind(name: &str) -> Result<DifferenceKind, String> {
    DifferenceKind::named(name).ok_or_else(|| {
        let mut names: Vec<&str> = DifferenceKind::NAMES.iter().map(|(_, name)| *name).collect();
        names.sort_unstable();
        format!("one of {}", names.join(", "))
    })
}

/// Compares and prints. 0: equal, but for known differences; 1: different; 2: could not look; 64: the command line cannot be used.
pub async fn run(arguments: &DiffArgs) -> ExitCode {
    let targets = match targets(arguments) {
        Ok(targets) => targets,
        Err(error) => return refuse(arguments, &error, EXIT_BAD_CONFIGURATION),
    };
    match compare(arguments, targets).await {
        Ok((text, is_equal)) => output::tell(&text, if is_equal { 0 } else { DIFFERENT }, COULD_NOT_LOOK),
        Err(error) => refuse(arguments, &error, COULD_NOT_LOOK),
    }
}

/// Says why nothing is compared, to programs too.
fn refuse(arguments: &DiffArgs, error: &str, code: u8) -> ExitCode {
    complain(&error);
    if arguments.json {
        return output::tell(&terminal::json(&unseen(error)), code, code);
    }
    ExitCode::from(code)
}

/// The servers, ours first. The parser of the command line does not read their URIs and the names of profiles: it would repeat what it
/// refuses, and there may be a password in it.
fn targets(arguments: &DiffArgs) -> Result<[Target; 2], String> {
    let target = |option: &str, uri: &str| -> Result<Target, String> {
        let target = Target::parse(uri, arguments.starttls).map_err(|error| format!("{option}: {error}"))?;
        Ok(Target {
            patience: arguments.timeout,
            ..target
        })
    };
    diff::check_profiles(&arguments.profile)?;
    Ok([
        target("--ours", &arguments.ours)?,
        target("--theirs", &arguments.theirs)?,
    ])
}

/// The report for programs when nothing could be compared.
pub(super) fn unseen(error: &str) -> Value {
    json!({ "equal": null, "error": error })
}

/// The report, and whether it says equal.
async fn compare(arguments: &DiffArgs, targets: [Target; 2]) -> Result<(String, bool), String> {
    let time = TimeLimit::of(arguments.max_time);
    given_file::limit_patience(arguments.max_time);
    let searches = arguments.queries.as_deref().map(searches).transpose()?;
    let password = password_file::read(&arguments.password_file)?;
    let is_secured = |target: &Target| target.security != Security::None;
    let tls = if targets.iter().any(is_secured) {
        Some(tls(arguments)?)
    } else {
        None
    };
    let [ours, theirs] = targets.map(|target| Target {
        tls: tls.clone(),
        ..target
    });
    let request = DiffRequest {
        ours,
        theirs,
        bind_dn: arguments.bind_dn.clone(),
        base: arguments.base.clone(),
        searches,
        profiles: arguments.profile.clone(),
        ignored: arguments.ignore.clone(),
        limit: usize::try_from(arguments.limit).unwrap_or(usize::MAX),
        time,
    };
    let report = diff::run(&request, &password)
        .await
        .map_err(|error| error.to_string())?;
    let text = if arguments.json {
        terminal::json(&report.json())
    } else {
        report.text(Detail {
            known: arguments.known,
            times: arguments.times,
        })
    };
    Ok((text, report.is_equal()))
}

/// Whom TLS trusts. Read once for all connections: what is named may be a pipe.
fn tls(arguments: &DiffArgs) -> Result<Arc<ClientConfig>, String> {
    let trust = if arguments.accept_any_certificate {
        Trust::Anybody
    } else {
        Trust::Authorities {
            system: true,
            ca_file: arguments.ldap_ca_file.as_deref().map(|path| AuthoritiesFile {
                path,
                option: "--ldap-ca-file",
            }),
        }
    };
    let config = client_config(&trust).map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(Arc::new(config))
}

fn searches(path: &Path) -> Result<Vec<ComparedSearch>, String> {
    let broken = |error: &dyn Display| format!("the file {} of --queries: {error}", path.display());
    let octets =
        given_file::read(path, MOST_QUERIES, given_file::patience()).map_err(|error| broken(&error))?;
    let text = std::str::from_utf8(given_file::without_mark(&octets)).map_err(|error| broken(&error))?;
    ComparedSearch::parse_lines(text).map_err(|error| broken(&error))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::CommandLine;

    #[test]
    fn the_help_names_every_client_and_kind() {
        let mut command = CommandLine::command();
        let help = command
            .find_subcommand_mut("diff")
            .expect("diff")
            .render_long_help()
            .to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut names: Vec<&str> = diff::profile_names().collect();
        names.sort_unstable();
        assert!(help.contains(&names.join(", ")), "{help}");
        for (_, name) in DifferenceKind::NAMES {
            assert!(help.contains(name), "{name}");
        }
    }
}
