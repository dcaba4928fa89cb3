//! The process metrics every Prometheus client exports, read from `/proc` when asked for. Where `/proc` has no answer the
//! metric is left out.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;

use super::gauge::gauge;

/// Clock ticks in a second in `/proc`. The kernel shows 100 to programs on every architecture, whatever it uses itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// Where, counted after the parenthesised command name, `/proc/self/stat` holds the fields `utime`, `stime` and
/// `starttime` (proc_pid_stat(5) numbers 14, 15 and 22).
const UTIME: usize = 11;
const STIME: usize = 12;
const STARTTIME: usize = 19;

/// Reads `/proc/self`.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    /// Unix time in seconds; does not change.
    start_time: Option<f64>,
}

impl ProcessCollector {
    pub(super) fn new() -> Self {
        Self {
            start_time: start_time(),
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let help = "User and system CPU time in seconds";
            // The encoder appends `_total`.
            let metric =
                encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        if let Some(bytes) = resident_bytes() {
            gauge(
                &mut encoder,
                "process_resident_memory_bytes",
                "Resident memory in bytes",
                bytes,
            )?;
        }
        if let Some(seconds) = self.start_time {
            gauge(
                &mut encoder,
                "process_start_time_seconds",
                "Unix time of the start",
                seconds,
            )?;
        }
        if let Some(count) = open_descriptors() {
            gauge(&mut encoder, "process_open_fds", "Open file descriptors", count)?;
        }
        if let Some(count) = descriptor_limit() {
            gauge(
                &mut encoder,
                "process_max_fds",
                "Largest number of open file descriptors",
                count,
            )?;
        }
        Ok(())
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    Some((stat_field(&stat, UTIME)? + stat_field(&stat, STIME)?) / TICKS_PER_SECOND)
}

fn start_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let since_boot = stat_field(&stat, STARTTIME)? / TICKS_PER_SECOND;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + since_boot)
}

/// A field of `/proc/self/stat`. The command name may contain spaces and parentheses, so counting starts after it.
fn stat_field(stat: &str, index: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(index)?.parse().ok()
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

fn open_descriptors() -> Option<u64> {
    // Reading the directory opens one itself.
    fs::read_dir("/proc/self/fd")
        .ok()?
        .count()
        .checked_sub(1)?
        .try_into()
        .ok()
}

fn descriptor_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
