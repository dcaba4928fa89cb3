//! A command line that asks for help, or that cannot be used. A program that asked for JSON is told so in JSON. Knows which command
//! answers in JSON; must not know what it would have said.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use serde_json::Value;

use super::args::CommandLine;
use super::complaint::complain;
use super::{check, diff, exit_code, output};
use crate::config::EXIT_BAD_CONFIGURATION;
use crate::terminal;

/// Says what the parser of `arguments`, the program's name included, has to say.
pub fn end(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let printed = error.print();
    if !error.use_stderr() {
        let printed = printed.and_then(|()| std::io::stdout().flush());
        return match output::unless_reader_left(printed) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::from(exit_code::SYSTEM)
            }
        };
    }
    let arguments: Vec<String> = arguments
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    match json_form(&arguments) {
        Some(form) => {
            let told = terminal::json(&form(&problem(error)));
            output::tell(&told, EXIT_BAD_CONFIGURATION, EXIT_BAD_CONFIGURATION)
        }
        None => ExitCode::from(EXIT_BAD_CONFIGURATION),
    }
}

/// What the command that is called says in JSON if it cannot begin; `None` if it was not asked for JSON.
fn json_form(arguments: &[String]) -> Option<fn(&str) -> Value> {
    let flags = CommandLine::command();
    let takes_value = |name: &str| {
        let mut known = flags.get_arguments();
        known.any(|flag| {
            let needs_one = flag.get_num_args().is_none_or(|number| number.min_values() > 0);
            flag.get_long() == Some(name) && needs_one
        })
    };
    let mut words = arguments.iter();
    let command = loop {
        let word = words.next()?;
        match word.strip_prefix("--") {
            Some(flag) if takes_value(flag) => {
                words.next();
            }
            None if !word.starts_with('-') => break word,
            _ => {}
        }
    };
    let form: fn(&str) -> Value = match command.as_str() {
        "check" => check::unseen,
        "diff" => diff::unseen,
        _ => return None,
    };
    let mut own = words.take_while(|word| *word != "--");
    own.any(|word| word == "--json" || word.starts_with("--json="))
        .then_some(form)
}

/// What is wrong in one line, without the usage that follows for people.
fn problem(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_was_to_answer_in_json_is_recognised() {
        let form = |line: &str| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            json_form(&arguments).map(|form| form("x").to_string())
        };
        let check = Some(r#"{"well":null,"error":"x","checks":[]}"#.to_owned());
        let diff = Some(r#"{"equal":null,"error":"x"}"#.to_owned());
        for (line, expected) in [
            ("check --json --nonsense", &check),
            ("check --nonsense --json", &check),
            ("--page-size 5 check --json", &check),
            ("--page-size=5 --strict-bind-dn check --only x --json", &check),
            ("--host diff check --json", &check),
            ("diff --json", &diff),
            ("diff --json=yes", &diff),
            ("--nonsense diff --ours x --json", &diff),
            ("check --nonsense", &None),
            ("check -- --json", &None),
            ("config check --json", &None),
            ("healthcheck --json", &None),
            ("--json check", &None),
            ("", &None),
        ] {
            assert_eq!(form(line), *expected, "{line}");
        }
    }
}
