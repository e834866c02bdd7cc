//! Curves over steps.

use super::{FAINT, TEST, TRAIN, VALIDATION, panel};
use crate::dashboard::state::{Course, State};
use frugal_report::count;
use frugal_report::pictures::axis::{Axis, Scale};
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis as ChartAxis, Block, Chart, Dataset, GraphType};

/// Lines that a curve needs at least.
pub const LEAST: u16 = 3;

/// Draws the losses.
pub fn draw_loss(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let evaluated = state.evaluation.map(|e| [e.validation_loss, e.test_loss]).unwrap_or_default();
    draw(frame, area, state, &state.loss, "loss", evaluated, |loss| format!("{loss:.4}"));
}

/// Draws the shares of right answers.
pub fn draw_accuracy(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let evaluated = state.evaluation.map(|e| [e.validation_accuracy, e.test_accuracy]).unwrap_or_default();
    let evaluated = evaluated.map(|share| share.map(|share| 100.0 * share));
    draw(frame, area, state, &state.accuracy, "accuracy", evaluated, |percent| format!("{percent:.1} %"));
}

/// How curves are told apart.
const LEGEND: [(&str, &str, Color); 3] = [("─", "train", TRAIN), ("●", "validation", VALIDATION), ("◆", "test", TEST)];

fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    course: &Course,
    name: &'static str,
    evaluated: [Option<f64>; 2],
    write: fn(f64) -> String,
) {
    let noisy = course.train.points();
    let smooth = course.train.smooth();
    let [validation, test] = [course.validation.points(), course.test.points()];
    let values = [smooth.last().map(|point| point.1), evaluated[0], evaluated[1]];
    let title = |named: bool| {
        let mut title = vec![Span::from(format!(" {name} ")).bold()];
        for ((mark, name, colour), value) in LEGEND.into_iter().zip(values) {
            let name = if named { format!("{name} ") } else { String::new() };
            title.extend(value.map(|value| Span::from(format!(" {mark} {name}{} ", write(value))).fg(colour)));
        }
        Line::from(title)
    };
    // What does not fit is left out, and what little room there is belongs to the curves.
    let title =
        Some(title(true)).filter(|title| title.width() + 2 <= area.width.into()).unwrap_or_else(|| title(false));
    let block = match (area.height, area.width) {
        (10.., 30..) => panel(title),
        (5.., _) => Block::new().title(title),
        _ => Block::new(),
    };
    if smooth.is_empty() {
        return frame.render_widget(block, area);
    }

    // Single batches may leave the picture; means and evaluations may not.
    let numbers = smooth.iter().chain(validation).chain(test).map(|point| point.1);
    let ticks = usize::from(area.height / 4).clamp(1, 6);
    let vertical = Axis::over(numbers, Scale::Linear, ticks);
    let last = (state.steps() as f64).max(1.0);
    let faint = Style::new().fg(FAINT);
    let line = |data, colour| Dataset::default().data(data).marker(Marker::Braille).style(Style::new().fg(colour));
    let dots = |data, mark, colour| line(data, colour).marker(Marker::Custom(mark)).graph_type(GraphType::Scatter);
    let curves = vec![
        line(noisy, FAINT).graph_type(GraphType::Scatter),
        line(&smooth, TRAIN).graph_type(GraphType::Line),
        dots(validation, '●', VALIDATION),
        dots(test, '◆', TEST),
    ];
    let across = ChartAxis::default().bounds([0.0, last]).style(faint).labels_alignment(Alignment::Right);
    let across = match area.height >= 6 {
        true => across.labels([0, state.steps() / 2, state.steps()].map(count)),
        false => across,
    };
    let up = ChartAxis::default().bounds(vertical.ends()).style(faint);
    let up = up.labels(vertical.ticks.into_iter().map(|(_, text)| text));
    frame.render_widget(Chart::new(curves).block(block).x_axis(across).y_axis(up), area);
}
