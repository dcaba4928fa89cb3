//! What a command writes on standard error before it ends. Knows how such a line begins; must not know what went wrong.

use std::fmt::Display;
use std::io::{Write as _, stderr};

use crate::terminal::calm;

/// Writes it, a line for each of its lines. If that is not possible, the exit code is all that is left to say.
pub fn complain(problem: &dyn Display) {
    for line in problem.to_string().lines() {
        let _ = writeln!(stderr(), "akldap: {}", calm(line));
    }
}
