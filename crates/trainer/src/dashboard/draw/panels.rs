//! Bytes, pace, and the few figures that fit everywhere.

use super::{FAINT, TEST, TRAIN, VALIDATION, panel};
use crate::dashboard::state::State;
use frugal_report::records::median;
use frugal_report::{bytes, count};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

/// Lines that [`draw_facts`] needs.
pub const FACTS: u16 = 6;

/// What the store is about.
const KEPT: Color = Color::Green;
const OTHERS: Color = Color::Blue;

/// Where the bytes go, kind by kind.
pub fn draw_memory(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let of = &state.bytes;
    let mut title = vec![Span::from(" memory ").bold(), format!(" {} ", bytes(of.peak)).into()];
    if of.kept > 0 && of.kept_raw > of.kept {
        let ratio = of.kept_raw as f64 / of.kept as f64;
        title.push(format!(" {ratio:.2}× less kept ").fg(KEPT));
    }
    let mut block = panel(Line::from(title));
    if let Some((coded, raw)) = state.coded {
        block = block.title_bottom(format!(" coded now: {} of {} ", bytes(coded), bytes(raw)).fg(KEPT));
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let kinds = [
        ("kept", of.kept),
        ("scratch", of.scratch),
        ("parameters", of.parameters),
        ("gradients", of.gradients),
        ("optimizer", of.optimizer),
        ("inputs", of.inputs),
    ];
    let most = kinds.iter().map(|kind| kind.1).max().unwrap_or(0).max(1);
    let lines = kinds.map(|(kind, size)| {
        let colour = if kind == "kept" { KEPT } else { OTHERS };
        let text = format!(" {kind:<10} {:>9} ", bytes(size));
        let room = usize::from(inner.width).saturating_sub(text.len() + 1);
        Line::from(vec![text.into(), bar(size as f64 / most as f64, room).fg(colour)])
    });
    frame.render_widget(Paragraph::new(lines.to_vec()), inner);
}

/// A bar of so many columns when it is full, in eighths of them.
fn bar(share: f64, columns: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    // What is there is seen.
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    if columns == 0 { String::new() } else { "█".repeat(eighths / 8) + PARTS[eighths % 8] }
}

/// How fast it goes.
pub fn draw_pace(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let block = panel(Span::from(" pace ").bold().into());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [figures, history] = Layout::horizontal([Constraint::Length(26), Constraint::Min(0)]).areas(inner);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let rows = [
        ("samples/s", state.samples_per_second().map(samples)),
        ("steps/s", state.steps_per_second().map(|pace| format!("{pace:.1}"))),
        ("step", state.steps_per_second().map(|pace| milliseconds(1e3 / pace))),
        ("data wait", state.data_wait_ms().map(milliseconds)),
        ("learning rate", state.step.map(|step| rate(step.learning_rate))),
    ];
    let lines: Vec<Line> =
        rows.into_iter().map(|(name, value)| format!(" {name:<13} {:>9}", or_none(value)).into()).collect();
    frame.render_widget(Paragraph::new(lines), figures);

    let [caption, bars] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(history);
    if caption.width >= 12 {
        let points = state.pace.points();
        let recent = &points[points.len().saturating_sub(usize::from(bars.width.saturating_sub(1)))..];
        let paces = recent.iter().map(|point| point.1.round() as u64);
        // Steps that were under way while the loop evaluated seem to take no time: they do not set the scale.
        let usual = median(&mut recent.iter().map(|point| point.1).collect::<Vec<f64>>());
        let most = (1.25 * usual).ceil().max(1.0) as u64;
        let text = if caption.width >= 22 { "samples/s, last steps" } else { "samples/s" };
        frame.render_widget(text.fg(FAINT), caption);
        frame.render_widget(Sparkline::default().data(paces).max(most).style(Style::new().fg(TRAIN)), bars);
    }
}

/// The figures that matter most, a line each.
pub fn draw_facts(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let figure = |value: Option<f64>, digits: usize, unit: &str| value.map(|value| format!("{value:.digits$}{unit}"));
    let evaluation = state.evaluation.as_ref();
    let percent = |share: Option<f64>| share.map(|share| 100.0 * share);
    let psnr = evaluation.and_then(|of| of.validation_psnr.or(of.test_psnr));
    let watched = match evaluation {
        _ if !state.names_classes() => ("PSNR", psnr, TEST),
        Some(of) if of.validation_accuracy.is_some() => ("validation", percent(of.validation_accuracy), VALIDATION),
        of => ("test", percent(of.and_then(|of| of.test_accuracy)), TEST),
    };
    let last = |curve: &crate::dashboard::curve::Curve| curve.smooth().last().map(|point| point.1);
    let pace = state.samples_per_second().zip(state.steps_per_second());
    let rows = [
        ("loss", figure(last(&state.loss.train), 4, ""), TRAIN),
        ("accuracy", figure(last(&state.accuracy.train), 1, " %"), TRAIN),
        (watched.0, figure(watched.1, 1, if state.names_classes() { " %" } else { " dB" }), watched.2),
        (
            "samples/s",
            pace.map(|(pace, steps)| format!("{}, {} a step", samples(pace), milliseconds(1e3 / steps))),
            Color::Reset,
        ),
        ("data wait", state.data_wait_ms().map(milliseconds), Color::Reset),
        ("memory", Some(format!("{}, kept {}", bytes(state.bytes.peak), bytes(state.bytes.kept))), Color::Reset),
    ];
    let line = |(name, value, colour): (&'static str, Option<String>, Color)| {
        Line::from(vec![format!(" {name:<10} ").into(), value.unwrap_or_else(|| "–".to_owned()).fg(colour)])
    };
    frame.render_widget(Paragraph::new(rows.map(line).to_vec()), area);
}

fn samples(pace: f64) -> String {
    if pace < 99.5 { format!("{pace:.1}") } else { count(pace.round() as u64) }
}

fn milliseconds(time: f64) -> String {
    match time {
        t if t < 9.995 => format!("{t:.2} ms"),
        t if t < 99.95 => format!("{t:.1} ms"),
        t if t < 99_950.0 => format!("{} ms", count(t.round() as u64)),
        t => format!("{:.0} s", t / 1e3),
    }
}

fn rate(rate: f32) -> String {
    if rate >= 1e-3 || rate == 0.0 { format!("{rate:.4}") } else { format!("{rate:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_eighths_of_columns() {
        assert_eq!([bar(0.0, 4), bar(1.0, 4), bar(0.5, 3), bar(1e-9, 4)], ["", "████", "█▌", "▏"]);
        assert_eq!([bar(f64::INFINITY, 2), bar(1.0, 0), bar(-1.0, 3)], ["██", "", ""]);
    }

    #[test]
    fn figures_have_the_digits_that_matter() {
        assert_eq!([0.0, 9.996, 123.4, 250_000.0].map(milliseconds), ["0.00 ms", "10.0 ms", "123 ms", "250 s"]);
        assert_eq!([3.21, 640.2, 12_345.6].map(samples), ["3.2", "640", "12,346"]);
        assert_eq!([0.0, 0.05, 3e-5].map(rate), ["0.0000", "0.0500", "3.00e-5"]);
    }
}
