//! The program as a process of its own: command line, exit codes, signals, what it leaves on the disk, the log of a panic, and its
//! comparison of servers.

mod check;
mod command_line;
mod diff;
mod given_files;
mod panic_log;
mod reload;
mod signals;
mod traces;
