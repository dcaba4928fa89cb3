//! Tables in markdown.

use super::generator::Measured;

/// What one case showed, on every server that ran it.
pub struct ReportRow {
    /// The case.
    pub name: String,
    /// Connections and requests in flight.
    pub shape: (usize, usize),
    /// akldap.
    pub own: Measured,
    /// slapd, where it can answer.
    pub slapd: Option<Measured>,
    /// The echo of the same octets.
    pub echo: Option<Measured>,
    /// Octets of an answer.
    pub octets: usize,
}

/// Prints the head of a table.
pub fn head(title: &str) {
    println!("\n### {title}\n");
    println!(
        "| case | connections × in flight | octets | akldap µs CPU | slapd µs CPU | echo µs CPU | akldap/echo | slapd/akldap \
         | akldap req/s | slapd req/s | echo req/s | akldap p50/p99 µs | slapd p50/p99 µs | echo p50/p99 µs |"
    );
    println!("| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
}

impl ReportRow {
    /// Prints the row.
    pub fn print(&self) {
        let column =
            |measured: Option<&Measured>, text: fn(&Measured) -> String| measured.map_or("–".into(), text);
        let (own, slapd, echo) = (Some(&self.own), self.slapd.as_ref(), self.echo.as_ref());
        let cpu = |measured| column(measured, |measured| figure(measured.cpu_us()));
        let rate = |measured| column(measured, |measured| figure(measured.rate()));
        let latency = |measured| {
            column(measured, |measured| {
                format!(
                    "{}/{}",
                    figure(measured.percentile_us(0.5)),
                    figure(measured.percentile_us(0.99))
                )
            })
        };
        let ratio = |above: Option<&Measured>, below: Option<&Measured>| match (above, below) {
            (Some(above), Some(below)) if below.cpu_us() > 0.0 => {
                format!("{:.1}", above.cpu_us() / below.cpu_us())
            }
            _ => "–".into(),
        };
        println!(
            "| {} | {} × {} | {} | **{}** | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.name,
            self.shape.0,
            self.shape.1,
            self.octets,
            cpu(own),
            cpu(slapd),
            cpu(echo),
            ratio(own, echo),
            ratio(slapd, own),
            rate(own),
            rate(slapd),
            rate(echo),
            latency(own),
            latency(slapd),
            latency(echo),
        );
    }
}

/// A number with as many digits as mean something.
pub fn figure(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// Octets as megabytes of 10^6.
pub fn megabytes(octets: u64) -> String {
    format!("{:.1}", octets as f64 / 1e6)
}
