//! Writes the manual pages and the completions of the shells, from the same definition as `--help`:
//! `cargo run --example pages -- FOLDER`.
//!
//! The packages take them from there. They are not part of the program, which would carry them for nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use akldap::cli::args::CommandLine;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

fn main() -> io::Result<()> {
    let folder = env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other("usage: pages FOLDER"))?;
    fs::create_dir_all(&folder)?;
    let command = CommandLine::command().disable_help_subcommand(true);
    manual(&folder, "akldap", command.clone())?;
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = subcommand.get_name();
        let called = subcommand.clone().bin_name(format!("akldap {name}"));
        manual(&folder, &format!("akldap-{name}"), called)?;
    }
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command.clone(), "akldap", &folder)?;
    }
    Ok(())
}

/// A page of section 8, of programs for whoever runs the machine. A synopsis that named each flag would fill a screen.
fn manual(folder: &Path, title: &str, command: Command) -> io::Result<()> {
    let program = command.get_bin_name().unwrap_or("akldap").to_owned();
    let rest = if command.has_subcommands() {
        " [COMMAND]"
    } else {
        ""
    };
    let page = clap_mangen::Man::new(command.clone().display_name(title))
        .title(title)
        .section("8");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    writeln!(text, ".SH SYNOPSIS\n\\fB{program}\\fR [OPTIONS]{rest}")?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    if command.get_after_help().is_some() {
        page.render_extra_section(&mut text)?;
    }
    fs::write(folder.join(format!("{title}.8")), text)
}
