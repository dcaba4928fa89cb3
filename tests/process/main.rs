//! The program as a process of its own: command line, exit codes, signals, what it leaves on the disk, and the log of a panic.

mod command_line;
mod panic_log;
mod signals;
