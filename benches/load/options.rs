//! The command line of `cargo bench --bench load`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

/// Loads akldap, slapd and a bare echo in turn and prints what an operation cost each of them.
#[derive(Debug, Parser)]
pub struct Options {
    /// Short runs of a small directory: to see that everything works, not for figures
    #[arg(long)]
    pub quick: bool,
    /// Sizes of the directory
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    pub users: Vec<usize>,
    /// Cases to run; all of them by default
    #[arg(long, value_delimiter = ',')]
    pub cases: Vec<String>,
    /// Numbers of connections for the table of equality searches; everything else has 16
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    pub connections: Vec<usize>,
    /// Requests in flight on each connection
    #[arg(long, value_delimiter = ',', default_value = "1,8")]
    pub in_flight: Vec<usize>,
    /// Seconds of every run
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Leave slapd out
    #[arg(long)]
    pub no_slapd: bool,
    /// What to measure: these, and half-million
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "load,delay,abandon,nextcloud,logins,memory"
    )]
    pub parts: Vec<String>,
    /// Users of the part half-million, which has the directory of a public report
    #[arg(long, default_value_t = akldap_simulator::REPORT_USERS)]
    pub report_users: usize,
    /// Have slapd asked in that part, too: its import takes long
    #[arg(long, conflicts_with = "no_slapd")]
    pub slapd: bool,
    /// Keep slapd's database of that part in this folder, and use the one that is there
    #[arg(long, requires = "slapd")]
    pub slapd_folder: Option<PathBuf>,
    /// Draw a chart of that part into this SVG file
    #[arg(long)]
    pub chart: Option<PathBuf>,
    /// Directories of the memory table, as users/groups
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "13000/1600,5800/2200,100000/1000"
    )]
    pub memory: Vec<String>,
    /// Connections that are bound and idle, for what one costs
    #[arg(long, default_value_t = 10_000)]
    pub idle: usize,
    /// Refreshes with the idle connections open, for what grows with time
    #[arg(long, default_value_t = 0)]
    pub refreshes: usize,
    /// Nextcloud's page size
    #[arg(long, default_value_t = 2000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub nextcloud_page: usize,
    /// Rounds of Nextcloud's synchronisation; slapd does one
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Measure this akldap instead of the one built with the benchmark
    #[arg(long)]
    pub server: Option<PathBuf>,
    /// Given by `cargo bench` to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Serve as the echo on this address
    #[arg(long, hide = true)]
    pub echo: Option<SocketAddr>,
    /// The answer to echo
    #[arg(long, hide = true)]
    pub answer: Option<PathBuf>,
}

impl Options {
    /// The command line, with what `--quick` means applied.
    pub fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.users = vec![2000];
            options.connections = vec![1, 16];
            options.seconds = 0.2;
            options.report_users = 5000;
            options.memory = vec!["2000/100".to_owned()];
            options.idle = 100;
            options.refreshes = options.refreshes.min(10);
        }
        options
    }

    /// How long every run takes.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// The akldap to measure.
    pub fn server(&self) -> &Path {
        self.server
            .as_deref()
            .unwrap_or(Path::new(env!("CARGO_BIN_EXE_akldap")))
    }

    /// Whether this part is asked for.
    pub fn part(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part == name)
    }
}
