//! The command line of `cargo bench --bench hostile`.

use std::path::{Path, PathBuf};

use clap::Parser;

/// Hostile clients of every kind beside honest ones; idle connections; TLS handshakes; first logins beside bad binds; what
/// one request costs before a bind.
#[derive(Debug, Parser)]
pub struct Options {
    /// Seconds under attack; the undisturbed run before it takes a tenth of that, at most a minute
    #[arg(long, default_value_t = 3600)]
    pub seconds: u64,
    /// Users in the directory, all of which a never-reading client asks for
    #[arg(long, default_value_t = 100_000)]
    pub users: usize,
    /// Connections that are bound and idle
    #[arg(long, default_value_t = 10_000)]
    pub idle: usize,
    /// What to run
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "handshakes,idle,attack,binds,requests"
    )]
    pub parts: Vec<String>,
    /// Short runs: to see that everything works, not for figures
    #[arg(long)]
    pub quick: bool,
    /// Measure this akldap instead of the one built with the benchmark
    #[arg(long)]
    pub server: Option<PathBuf>,
    /// Given by `cargo bench` to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// The command line, with what `--quick` means applied.
    pub fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.seconds = options.seconds.min(10);
            options.users = options.users.min(2_000);
            options.idle = options.idle.min(200);
        }
        options
    }

    /// Seconds of one row of the handshake table.
    pub fn handshake_seconds(&self) -> f64 {
        if self.quick { 0.5 } else { 5.0 }
    }

    /// The akldap to measure.
    pub fn server(&self) -> &Path {
        self.server
            .as_deref()
            .unwrap_or(Path::new(env!("CARGO_BIN_EXE_akldap")))
    }

    /// Whether this part is asked for.
    pub fn wants(&self, part: &str) -> bool {
        self.parts.iter().any(|wanted| wanted == part)
    }
}
