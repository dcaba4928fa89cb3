//! Small charts as inline SVG: a filled line over the last half hour. Must not know what is drawn.

use super::html::Html;

/// The drawing's size in its own units; the page stretches it.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;
/// Room above the highest point, so that its line is not cut.
const TOP: f64 = 3.0;

/// Draws values in the order of time, newest last; where there is none the line breaks. `slots` is how many there could be:
/// what is not known yet is empty on the left. Nothing is drawn of fewer than two.
pub(super) fn draw(html: &mut Html, values: &[Option<f64>], slots: usize, label: &str) {
    html.markup("<svg viewBox=\"0 0 240 48\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
    html.text(label)
        .markup("\"><path class=\"base\" d=\"M0 47.5H240\"/>");
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    for run in runs(values, slots, highest) {
        let line: Vec<String> = run.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else {
            continue;
        };
        let line = line.join("L");
        html.markup("<path class=\"area\" d=\"M");
        html.text(format_args!("{first:.1} {HEIGHT}L{line}L{last:.1} {HEIGHT}Z"));
        html.markup("\"/><path class=\"line\" d=\"M")
            .text(line)
            .markup("\"/>");
    }
    html.markup("</svg>");
}

/// The points of each unbroken run of two or more values.
fn runs(values: &[Option<f64>], slots: usize, highest: f64) -> Vec<Vec<(f64, f64)>> {
    let slots = slots.max(values.len()).max(2);
    let step = WIDTH / small(slots - 1);
    let skipped = slots - values.len();
    let mut runs = vec![Vec::new()];
    for (position, value) in values.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => {
                let part = if highest > 0.0 { value / highest } else { 0.0 };
                run.push((
                    small(position + skipped) * step,
                    HEIGHT - 0.5 - part * (HEIGHT - 0.5 - TOP),
                ));
            }
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| run.len() > 1);
    runs
}

/// A position in a ring of a few hundred.
fn small(position: usize) -> f64 {
    u32::try_from(position).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let values = [Some(1.0), Some(2.0), None, Some(4.0), None, Some(0.0), Some(4.0)];
        let runs = runs(&values, 7, 4.0);
        assert_eq!(runs.len(), 2, "a single point is no line: {runs:?}");
        assert_eq!(runs[1], [(200.0, 47.5), (240.0, 3.0)]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        for values in [&[][..], &[None, None], &[Some(1.0)]] {
            let mut html = Html::default();
            draw(&mut html, values, 120, "a <label>");
            let svg = html.finish();
            assert!(
                svg.contains("a &lt;label&gt;") && !svg.contains("class=\"line\""),
                "{svg}"
            );
        }
        let mut html = Html::default();
        draw(&mut html, &[Some(0.0), Some(0.0)], 2, "");
        assert!(html.finish().contains("M0.0 47.5L240.0 47.5"));
    }
}
