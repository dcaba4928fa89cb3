//! What a command has found, on standard output. What cannot be written there is not passed over in silence: a script would take the exit
//! code for the whole. Knows the stream; must not know what is printed.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::complaint::complain;

/// Not everything that was to be printed is there.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the standard output: {0}")]
pub struct OutputError(io::Error);

/// Prints a text and ends its last line.
///
/// # Errors
/// When it cannot be written. That the reader has gone is none.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    unless_reader_left(writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()))
}

/// What became of something written to the standard output. Whoever closed the pipe has read enough, as `head` has.
///
/// # Errors
/// When it could not be written for another reason.
pub fn unless_reader_left(written: io::Result<()>) -> Result<(), OutputError> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}

/// Prints what was found. The exit code is `found`, or `unwritten` with a complaint if the text cannot be written.
#[must_use]
pub fn tell(text: &str, found: u8, unwritten: u8) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::from(found),
        Err(error) => {
            complain(&error);
            ExitCode::from(unwritten)
        }
    }
}
