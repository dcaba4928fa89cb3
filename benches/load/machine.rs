//! The machine, and how much of it others used while something was measured.
//!
//! Knows `/proc`; must not know what is measured.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use akldap_workload::process;

/// Prints what the machine is.
pub fn describe() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "Machine: {cores} cores, {}",
        model.trim_start_matches([' ', '\t', ':'])
    );
    println!("Kernel: {}", read("/proc/sys/kernel/osrelease").trim());
    println!("Load before: {}", read("/proc/loadavg").trim());
}

/// What others used of the processors since this was made. `Display` says it.
pub struct Others {
    begin: Instant,
    busy: Duration,
    itself: Duration,
    /// Processes of ours, started since the beginning.
    own: Vec<u32>,
}

/// More than this many processors used by others, and no figure is worth much.
const QUIET: f64 = 0.3;

impl Others {
    /// Begins.
    pub fn watch() -> Self {
        Self {
            begin: Instant::now(),
            busy: busy(),
            itself: itself(),
            own: Vec::new(),
        }
    }

    /// What a process that was started since the beginning uses is ours.
    pub fn own(&mut self, pid: u32) {
        self.own.push(pid);
    }

    /// Processors that others kept busy on the average.
    fn used(&self) -> f64 {
        let ours: Duration = self.own.iter().map(|pid| process::cpu_total(*pid)).sum();
        let all = busy().saturating_sub(self.busy);
        let others = all.saturating_sub(ours + itself().saturating_sub(self.itself));
        others.as_secs_f64() / self.begin.elapsed().as_secs_f64().max(0.001)
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, cores) = (
            self.used(),
            std::thread::available_parallelism().map_or(0, usize::from),
        );
        write!(f, "Others used {used:.2} of {cores} processors meanwhile")?;
        if used > QUIET {
            return write!(
                f,
                ": **not a quiet machine** (above {QUIET}). Times are too long by an unknown amount; CPU, memory and requests are less so."
            );
        }
        write!(f, ": a quiet machine.")
    }
}

/// Of all processes, in hundredths of a second.
fn busy() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
    Duration::from_millis((at(0) + at(1) + at(2) + at(5) + at(6) + at(7)) * 10)
}

/// Of this process and of those it started that have ended.
fn itself() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some((_, fields)) = text.rsplit_once(") ") else {
        return Duration::ZERO;
    };
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks: u64 = (11..15)
        .filter_map(|at| fields.get(at)?.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
