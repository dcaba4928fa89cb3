//! A server as a child process, and what the kernel says it used. Linux only: it reads `/proc`.
//!
//! Knows processes; must not know LDAP.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a server may take to open its port or to load its directory.
pub const PATIENCE: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_millis(20);
/// The unit of the kernel's count of a whole process.
const TICK: Duration = Duration::from_millis(10);

/// A child process that ends with this value.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something listens on `address`.
    ///
    /// # Errors
    /// When the process ends before, or takes too long.
    pub fn wait_for_port(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.wait_until(&format!("{address} is open"), || {
            TcpStream::connect(address).is_ok()
        })
    }

    /// Waits until something is true, as long as the process lives.
    ///
    /// # Errors
    /// When the process ends before, or it takes too long.
    pub fn wait_until(&mut self, what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
        let begin = Instant::now();
        while !holds() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the process ended with {status} before {what}");
            }
            if begin.elapsed() > PATIENCE {
                bail!("gave up waiting until {what}");
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Sends SIGUSR1, at which akldap refreshes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal_refresh(&self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid())?;
        let pid = rustix::process::Pid::from_raw(pid).context("no process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::USR1)?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process uses of the processors from a moment on, user and kernel.
pub struct CpuUse {
    pid: u32,
    threads: HashMap<u32, Duration>,
    total: Duration,
}

impl CpuUse {
    /// From now on.
    pub fn of(pid: u32) -> Self {
        Self {
            pid,
            threads: cpu_of_threads(pid),
            total: cpu_total(pid),
        }
    }

    /// Until now, to the nanosecond. Of threads that have ended meanwhile only what exceeds a hundredth of a second is seen.
    pub fn until_now(&self) -> Duration {
        let of_thread = |(thread, now): (u32, Duration)| {
            now.saturating_sub(self.threads.get(&thread).copied().unwrap_or_default())
        };
        let fine: Duration = cpu_of_threads(self.pid).into_iter().map(of_thread).sum();
        let coarse = cpu_total(self.pid).saturating_sub(self.total);
        fine.max(coarse.saturating_sub(TICK))
    }
}

/// CPU time of each living thread of a process, by its number.
fn cpu_of_threads(pid: u32) -> HashMap<u32, Duration> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return HashMap::new();
    };
    let of_thread = |thread: fs::DirEntry| {
        let number = thread.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
        Some((number, Duration::from_nanos(nanoseconds)))
    };
    threads.flatten().filter_map(of_thread).collect()
}

/// CPU time of the whole process so far, ended threads too, to the hundredth of a second.
pub fn cpu_total(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold blanks.
    let Some((_, fields)) = text.rsplit_once(") ") else {
        return Duration::ZERO;
    };
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or_default()
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Octets of a line of `/proc/<pid>/status`, such as `VmRSS` or `VmHWM`.
pub fn memory(pid: u32, line: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = text
        .lines()
        .find_map(|other| other.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes = value.and_then(|value| value.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

/// Makes `VmHWM` start again from what is resident now.
///
/// # Errors
/// When the kernel refuses.
pub fn reset_peak(pid: u32) -> anyhow::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak")
}

/// A loopback address that nothing listens on at the moment.
///
/// # Errors
/// When there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// Raises the limit of open files as far as it goes, for this process and those it starts; says how far.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = setrlimit(Resource::Nofile, most);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
