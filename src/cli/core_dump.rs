//! Keeps the process's memory, with the secrets that pass through it, out of core dumps. Knows the operating system's
//! switches only.

/// Forbids core dumps, as far as the platform allows. If it does not, nothing happens: this is a second line of
/// defence.
pub fn forbid() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    // The limit alone has no effect where dumps are piped to a program.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
