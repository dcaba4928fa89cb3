//! The rows as bars of logarithmic length, in SVG.

use std::fmt::Write as _;

use super::{ComparedRow, Measured};

const WIDTH: f64 = 980.0;
const LEFT: f64 = 260.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 70.0;
const BAR: f64 = 9.0;
const GAP: f64 = 12.0;
/// Seconds at the left end and at the right one.
const LEAST: f64 = 1e-6;
const MOST: f64 = 1e3;
const COLOURS: [(&str, &str); 5] = [
    ("akldap", "#1b6ca8"),
    ("echo", "#9bbfd8"),
    ("slapd", "#7a7a7a"),
    ("report, as shipped", "#b3462c"),
    ("report, with fixes", "#e0a090"),
];

/// A chart of the medians.
pub(super) fn draw(table: &[ComparedRow], users: usize) -> String {
    let mut bars = String::new();
    let mut y = TOP;
    for row in table {
        let median =
            |measured: Option<&Measured>| measured.map_or(0.0, |measured| measured.percentile_us(0.5) / 1e6);
        let seconds = [
            median(Some(&row.own)),
            median(row.echo.as_ref()),
            median(row.slapd.as_ref()),
            row.reported.shipped_s,
            row.reported.fixed_s,
        ];
        let _ = writeln!(
            bars,
            r#"<text x="{:.0}" y="{:.0}" text-anchor="end">{}</text>"#,
            LEFT - 10.0,
            y + BAR * 2.0,
            escaped(&row.name)
        );
        for (seconds, (_, colour)) in seconds.into_iter().zip(COLOURS) {
            if seconds <= 0.0 {
                continue;
            }
            let width = at(seconds) - LEFT;
            let _ = writeln!(
                bars,
                r#"<rect x="{LEFT}" y="{y:.0}" width="{width:.1}" height="{BAR}" fill="{colour}"/><text x="{:.1}" y="{:.0}" class="s">{}</text>"#,
                LEFT + width + 4.0,
                y + BAR - 1.0,
                time(seconds)
            );
            y += BAR + 1.0;
        }
        y += GAP;
    }
    let mut head = String::new();
    for exponent in -6..=3_i32 {
        let seconds = 10_f64.powi(exponent);
        let x = at(seconds);
        let _ = writeln!(
            head,
            r##"<line x1="{x:.1}" y1="{:.0}" x2="{x:.1}" y2="{y:.0}" stroke="#ddd"/><text x="{x:.1}" y="{:.0}" text-anchor="middle" class="s">{}</text>"##,
            TOP - 8.0,
            TOP - 12.0,
            time(seconds)
        );
    }
    for (index, (name, colour)) in (0_u8..).zip(COLOURS) {
        let x = LEFT + f64::from(index) * 130.0;
        let _ = writeln!(
            head,
            r#"<rect x="{x:.0}" y="28" width="10" height="10" fill="{colour}"/><text x="{:.0}" y="37">{name}</text>"#,
            x + 14.0
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.s{{font-size:10px}}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"16\" font-weight=\"bold\">p50 at the client, {users} users. The report is of another machine, and its authentik's time is in its binds.</text>\n\
         {head}{bars}</svg>\n",
        y + 10.0
    )
}

fn at(seconds: f64) -> f64 {
    let share = (seconds.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 0.999e-3 => format!("{:.3} µs", seconds * 1e6),
        seconds if seconds < 0.999 => format!("{:.3} ms", seconds * 1e3),
        seconds => format!("{seconds:.3} s"),
    }
    .replace(".000", "")
}

fn escaped(text: &str) -> String {
    text.replace('`', "")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
