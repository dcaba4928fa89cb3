//! The command line: commands, what belongs to each, and help. The options of the server are in [`super::flags`].

use std::fmt::Write as _;
use std::net::SocketAddr;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use super::check::CheckArgs;
use super::config::ConfigArgs;
use super::diff::DiffArgs;
use super::flags::{Flags, HIDDEN_HELP, HiddenFlags, shown_default};
use super::{exit_code, value, version};
use crate::config::options;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "akldap",
    about = "An LDAP and LDAPS server for authentik, a drop-in replacement for its LDAP outpost",
    version = version::text(),
    after_help = "`akldap --help` shows every option.",
    after_long_help = environment_help(),
    args_conflicts_with_subcommands = false
)]
pub struct CommandLine {
    /// What to do; without one, serve.
    #[command(subcommand)]
    command: Option<Action>,
    /// The options given before the command.
    #[command(flatten)]
    flags: Flags,
}

impl CommandLine {
    /// What to do.
    #[must_use]
    pub fn action(&self) -> Action {
        self.command
            .clone()
            .unwrap_or_else(|| Action::Serve(Flags::default()))
    }

    /// The options given as flags: those after the command take precedence over those before it.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let own = match &self.command {
            Some(Action::Serve(flags)) => flags.clone(),
            Some(Action::Demo(arguments)) => arguments.flags.0.clone(),
            Some(Action::Check(arguments)) => arguments.flags.0.clone(),
            Some(Action::Config(arguments)) => arguments.flags(),
            Some(Action::Diff(_) | Action::Healthcheck(_)) | None => Flags::default(),
        };
        self.flags.clone().then(&own)
    }

    /// The whole help text.
    #[must_use]
    pub fn help() -> String {
        Self::command().render_long_help().to_string()
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Serve LDAP for the outpost whose token is in AUTHENTIK_TOKEN (the default)
    Serve(Flags),
    /// Serve a made-up directory from a simulated authentik in this process, to try things out
    #[command(after_help = HIDDEN_HELP)]
    Demo(Box<DemoArgs>),
    /// Check whether the set-up can work and say what to change; exit code 0 if all is well, 1 if something is wrong, 2 if
    /// nothing could be checked
    #[command(after_help = HIDDEN_HELP)]
    Check(Box<CheckArgs>),
    /// Check a configuration file, or show the settings in effect
    #[command(after_help = HIDDEN_HELP)]
    Config(Box<ConfigArgs>),
    /// Compare the answers of two LDAP servers; exit code 0 if they are equal, 1 if not, 2 if one cannot be queried in time
    Diff(Box<DiffArgs>),
    /// Ask the server running on this machine whether it is alive; exit code 0 or 1
    Healthcheck(HealthcheckArgs),
}

/// What the server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct HealthcheckArgs {
    /// Ask whether it can answer searches, not only whether it is alive: for what waits for it or sends it clients, not for
    /// what restarts it when it is unhealthy
    #[arg(long)]
    pub ready: bool,
}

/// What the directory of the demo is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DemoShape {
    /// A few named people and groups, and as many others as asked for
    Sample,
    /// That of a public report on authentik's own outpost: one group of all users, five of a tenth of them, 200 teams below 20
    /// divisions, and 1,794 smaller groups
    Report,
}

/// What the demo serves, and where.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// What the directory is like
    #[arg(long, value_enum, default_value_t = DemoShape::Sample)]
    pub shape: DemoShape,
    /// Users in the directory, the named ones included [default: 200; of the report: 500000]
    #[arg(long, value_name = "N", value_parser = value::number)]
    pub users: Option<u32>,
    /// Groups in the directory, the named ones included [default: 25; of the report always 2020]
    #[arg(long, value_name = "N", value_parser = value::number)]
    pub groups: Option<u32>,
    /// Milliseconds the simulated authentik waits before each answer
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value::number)]
    pub latency_ms: u32,
    /// Requests the simulated authentik works on at the same time; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value::number)]
    pub workers: u32,
    /// Milliseconds a worker needs for a page of users or groups
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value::number)]
    pub page_ms: u32,
    /// Additional microseconds for each row of a page
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value::number)]
    pub row_us: u32,
    /// Address for LDAP with StartTLS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3389", value_parser = value::address)]
    pub ldap: SocketAddr,
    /// Address for LDAPS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6636", value_parser = value::address)]
    pub ldaps: SocketAddr,
    /// Address for metrics, health and readiness over HTTP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9300", value_parser = value::address)]
    pub http: SocketAddr,
    /// The options of the server.
    #[command(flatten)]
    pub flags: HiddenFlags,
}

/// The variables without a flag, for the end of the help text.
fn environment_help() -> String {
    let mut help = String::from("Environment variables without a flag:\n");
    for setting in options::OFFICIAL
        .iter()
        .filter(|setting| setting.flag().is_none())
    {
        let default = shown_default(*setting);
        let _ = writeln!(
            help,
            "  {}\n          {}{default}",
            setting.variable(),
            setting.help()
        );
    }
    help.push_str(
        "\nA flag wins over its variable. A value may be file:///path?fallback or env://VARIABLE?fallback.\n\
         The value of --token-file is the path of a file.\n\n",
    );
    help.push_str(&exit_codes());
    help
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, meaning) in exit_code::MEANINGS {
        let _ = writeln!(text, "  {code:<3} {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::flags::{heading, settings};
    use super::*;
    use crate::config::options::AnySetting;
    use crate::config::{Config, Layered, StringMap, Strings as _};

    fn parse(arguments: &[&str]) -> CommandLine {
        CommandLine::try_parse_from(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    fn environment() -> StringMap {
        [
            ("AUTHENTIK_HOST", "https://authentik.example.org"),
            ("AUTHENTIK_TOKEN", "t"),
            ("AUTHENTIK_LDAP__PAGE_SIZE", "20"),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_under_either_name() {
        let serve = Action::Serve(Flags::default());
        assert_eq!(parse(&["akldap"]).action(), serve);
        assert_eq!(parse(&["/ldap"]).action(), serve);
        assert_eq!(parse(&["akldap", "serve"]).action(), serve);
        let healthcheck = |ready| Action::Healthcheck(HealthcheckArgs { ready });
        assert_eq!(parse(&["/ldap", "healthcheck"]).action(), healthcheck(false));
        assert_eq!(
            parse(&["akldap", "healthcheck", "--ready"]).action(),
            healthcheck(true)
        );
    }

    #[test]
    fn demo_has_the_documented_defaults() {
        let Action::Demo(demo) = parse(&["akldap", "demo"]).action() else {
            panic!("demo")
        };
        assert_eq!(
            (demo.shape, demo.users, demo.groups, demo.latency_ms),
            (DemoShape::Sample, None, None, 0)
        );
        assert_eq!(demo.ldap, SocketAddr::from(([127, 0, 0, 1], 3389)));
        assert_eq!(demo.ldaps, SocketAddr::from(([127, 0, 0, 1], 6636)));
        assert_eq!(demo.http, SocketAddr::from(([127, 0, 0, 1], 9300)));
        let line = [
            "akldap",
            "demo",
            "--users",
            "5",
            "--groups=2",
            "--latency-ms",
            "7",
            "--ldap",
            "[::1]:0",
        ];
        let Action::Demo(demo) = parse(&line).action() else {
            panic!("demo")
        };
        assert_eq!((demo.users, demo.groups, demo.latency_ms), (Some(5), Some(2), 7));
        assert_eq!(demo.ldap.to_string(), "[::1]:0");
        for (flag, value, words) in [
            ("--users", "many", "expected a number"),
            ("--users", "-1", "expected a number"),
            ("--latency-ms", "1.5", "expected a number"),
            ("--groups", "99999999999", "expected a number"),
            ("--ldap", "localhost", "expected an IP address and a port"),
            ("--http", "127.0.0.1", "expected an IP address and a port"),
        ] {
            let given = format!("{flag}={value}");
            let error = CommandLine::try_parse_from(["akldap", "demo", &given])
                .expect_err(&given)
                .to_string();
            assert!(error.contains(flag) && error.contains(words), "{error}");
        }
    }

    #[test]
    fn flags_win_over_the_environment_before_and_after_the_command() {
        let environment = environment();
        for line in [
            &["akldap", "--page-size", "30"][..],
            &["akldap", "--page-size=30", "serve"],
            &["akldap", "serve", "--page-size", "30"],
            &["akldap", "demo", "--page-size", "30"],
        ] {
            let flags = parse(line).flags();
            let config = Config::read(&Layered {
                upper: &flags,
                lower: &environment,
            })
            .expect("sound");
            assert_eq!(config.authentik.page_size, 30, "{line:?}");
        }
        let flags = parse(&["akldap"]).flags();
        let config = Config::read(&Layered {
            upper: &flags,
            lower: &environment,
        })
        .expect("sound");
        assert_eq!(config.authentik.page_size, 20);
    }

    #[test]
    fn switches_work_with_and_without_a_value() {
        for (line, expected) in [
            (&["akldap"][..], false),
            (&["akldap", "--strict-bind-dn"], true),
            (&["akldap", "--strict-bind-dn", "serve"], true),
            (&["akldap", "--strict-bind-dn=False"], false),
        ] {
            let flags = parse(line).flags();
            let config = Config::read(&Layered {
                upper: &flags,
                lower: &environment(),
            })
            .expect("sound");
            assert_eq!(
                config.providers.of("dc=io", "ldap").strict_bind_dn,
                expected,
                "{line:?}"
            );
        }
    }

    #[test]
    fn an_error_names_the_flag() {
        let flags = parse(&["akldap", "--idle-timeout", "soon"]).flags();
        let error = Config::read(&Layered {
            upper: &flags,
            lower: &environment(),
        })
        .expect_err("not a duration");
        assert!(
            error
                .to_string()
                .starts_with("--idle-timeout is \"soon\"; expected a duration"),
            "{error}"
        );
    }

    #[test]
    fn help_explains_every_setting() {
        // The help is wrapped to the terminal, so only single words can be looked for.
        let help = CommandLine::help();
        for setting in options::OPTIONS {
            let flag = format!("--{}", setting.flag().expect("options have flags"));
            assert!(help.contains(&flag), "{flag} is not in the help");
            assert!(
                help.contains(&setting.default()),
                "the default of {flag} is not in the help"
            );
        }
        for setting in options::OFFICIAL.iter().chain(options::OPTIONS) {
            assert!(
                help.contains(setting.variable()),
                "{} is not in the help",
                setting.variable()
            );
        }
        for command in ["serve", "demo", "check", "config", "diff", "healthcheck"] {
            assert!(help.contains(command));
        }
    }

    #[test]
    fn the_help_is_in_groups_and_begins_with_host_and_token() {
        let help = CommandLine::help();
        let positions = [
            "--host",
            "--token-file",
            "--listen-ldap",
            "--tls-min-version",
            "--log-format",
        ]
        .map(|flag| {
            help.find(flag)
                .unwrap_or_else(|| panic!("{flag} is not in the help"))
        });
        assert!(positions.is_sorted(), "{help}");
        for group in [
            "authentik:",
            "Ports:",
            "TLS:",
            "Log:",
            "Logins:",
            "Directory:",
            "Limits:",
            "Exit codes:",
        ] {
            assert!(help.contains(group), "{group}");
        }
        let lost: Vec<&str> = settings()
            .filter_map(AnySetting::flag)
            .filter(|flag| heading(flag) == "Further options")
            .collect();
        assert_eq!(lost, [""; 0], "give them a heading");
    }

    #[test]
    fn the_page_of_commands_has_each() {
        let page = include_str!("../../docs/running.md");
        let commands = CommandLine::command();
        let missing: Vec<&str> = commands
            .get_subcommands()
            .map(clap::Command::get_name)
            .filter(|name| !page.contains(&format!("`akldap {name}")))
            .collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn the_short_help_is_short() {
        let short = CommandLine::command().render_help().to_string();
        assert!(short.lines().count() < 70, "{short}");
        assert!(
            short.contains("--host") && !short.contains("--search-work-limit"),
            "{short}"
        );
    }

    #[test]
    fn the_options_of_the_server_count_for_other_commands_and_fill_no_help_of_theirs() {
        for name in ["demo", "check", "config"] {
            let mut command = CommandLine::command();
            let help = command
                .find_subcommand_mut(name)
                .expect(name)
                .render_long_help()
                .to_string();
            assert!(help.lines().count() < 80, "{name}: {}", help.lines().count());
            assert!(
                !help.contains("--token-file") && !help.contains("Required"),
                "{help}"
            );
            assert!(help.contains("`akldap --help`"), "{help}");
        }
        for line in [
            &["akldap", "--config-file", "f", "config", "show"][..],
            &["akldap", "config", "--config-file", "f", "show"],
            &["akldap", "config", "show", "--config-file", "f"],
            &[
                "akldap",
                "config",
                "--config-file",
                "g",
                "show",
                "--config-file",
                "f",
            ],
            &["akldap", "config", "check", "x", "--config-file", "f"],
            &["akldap", "check", "--config-file", "f"],
        ] {
            let found = parse(line).flags().get("AUTHENTIK_LDAP__CONFIG_FILE");
            assert_eq!(found, Ok(Some("f".to_owned())), "{line:?}");
        }
    }

    #[test]
    fn commands_that_are_no_server_have_no_options_of_one() {
        for name in ["healthcheck", "diff"] {
            let mut command = CommandLine::command();
            let help = command.find_subcommand_mut(name).expect(name).render_long_help();
            assert!(!help.to_string().contains("--page-size"), "{name}");
            assert!(CommandLine::try_parse_from(["akldap", name, "--page-size", "3"]).is_err());
        }
    }

    #[test]
    fn a_token_is_named_by_its_file_only() {
        let flags = parse(&["akldap", "serve", "--token-file", "/run/token"]).flags();
        assert_eq!(
            flags.get("AUTHENTIK_TOKEN"),
            Ok(Some("file:///run/token".to_owned()))
        );
        assert!(CommandLine::try_parse_from(["akldap", "--token", "geheim"]).is_err());
        for setting in settings().filter(|setting| setting.is_secret()) {
            assert!(
                setting.flag().is_none_or(|flag| flag.ends_with("-file")),
                "{}",
                setting.variable()
            );
        }
    }

    #[test]
    fn version_is_the_crate_version() {
        let error = CommandLine::try_parse_from(["akldap", "--version"]).expect_err("prints and ends");
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayVersion);
        assert!(error.to_string().contains(env!("CARGO_PKG_VERSION")));
    }
}
