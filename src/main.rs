//! The akldap binary: arguments, configuration, logging, runtime, then the command.

// Lints that tests need not follow; `Cargo.toml` at the top says which.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::too_many_lines,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

use std::process::ExitCode;

use akldap::cli::args::{Action, CommandLine};
use akldap::cli::complaint::complain;
use akldap::cli::config as config_command;
use akldap::cli::{check, core_dump, demo, diff, exit_code, healthcheck, serve, usage};
use akldap::config::{self, Config, EXIT_BAD_CONFIGURATION, Environment, Layered};
use akldap::logging;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any secret is read.
    core_dump::forbid();
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => return usage::end(&error, std::env::args_os()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start the runtime: {error}"));
            return ExitCode::from(exit_code::SYSTEM);
        }
    };
    let code = runtime.block_on(run(&command_line));
    logging::flush();
    // A task that does not end must not keep the process.
    runtime.shutdown_background();
    code
}

async fn run(command_line: &CommandLine) -> ExitCode {
    let flags = command_line.flags();
    match command_line.action() {
        Action::Serve(_) => {
            let strings = Layered {
                upper: &flags,
                lower: &Environment,
            };
            let config = match Config::read(&strings) {
                Ok(config) => config,
                Err(error) => return bad_configuration(&error),
            };
            match logging::init(config.log) {
                Ok(log) => exit(serve::run(config, flags, log).await),
                Err(error) => exit(Err(error.into())),
            }
        }
        Action::Demo(arguments) => exit(demo::run(&arguments, &flags).await),
        Action::Check(arguments) => check::run(&arguments, &flags).await,
        Action::Config(arguments) => config_command::run(&arguments, &flags),
        Action::Diff(arguments) => diff::run(&arguments).await,
        Action::Healthcheck(arguments) => match config::metrics_socket(&Environment) {
            Ok(socket) => exit(healthcheck::run(&socket, arguments).await.map_err(Into::into)),
            Err(error) => bad_configuration(&error),
        },
    }
}

fn bad_configuration(error: &config::ConfigError) -> ExitCode {
    complain(error);
    ExitCode::from(EXIT_BAD_CONFIGURATION)
}

fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&logging::WithCauses(error.as_ref()));
            ExitCode::from(exit_code::of(&error))
        }
    }
}
