//! From a state to a picture, for terminals of any size.

mod chart;
mod panels;

use super::state::State;
use frugal_report::count;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::line;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, LineGauge, Paragraph};
use std::time::Duration;

/// Lines of what was said that are shown at most.
pub const LINES: usize = 6;

/// What frames and axes are drawn in.
const FAINT: Color = Color::DarkGray;
/// What was trained on.
const TRAIN: Color = Color::Cyan;
/// What is held out.
const VALIDATION: Color = Color::Yellow;
/// The test set.
const TEST: Color = Color::Magenta;

/// Draws all of it. Panels that would have no room are left out, the curves last.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let [title, progress, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(u16::from(area.height > 3)),
    ])
    .areas(area);
    frame.render_widget(heading(state), title);
    draw_progress(frame, progress, state);
    match (area.width >= 64, area.height >= 20) {
        (true, true) => draw_large(frame, body, state),
        (true, false) => {
            let [left, right] = Layout::horizontal([Constraint::Length(37), Constraint::Min(0)]).areas(body);
            panels::draw_facts(frame, left, state);
            chart::draw_loss(frame, right, state);
        }
        (false, _) => {
            let [facts, curves] = Layout::vertical([Constraint::Length(panels::FACTS), Constraint::Min(0)]).areas(body);
            panels::draw_facts(frame, facts, state);
            let [loss, accuracy] = halves(curves, curves.height >= 16 && state.names_classes());
            if loss.height >= chart::LEAST {
                chart::draw_loss(frame, loss, state);
            }
            if accuracy.height > 0 {
                chart::draw_accuracy(frame, accuracy, state);
            }
        }
    }
    draw_foot(frame, foot, state);
}

fn draw_large(frame: &mut Frame<'_>, area: Rect, state: &State) {
    // What was said comes after everything else has room.
    let said = (area.height.saturating_sub(8 + 12) as usize).min(state.said.len());
    let [curves, figures, lines] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(8), Constraint::Length(said as u16)]).areas(area);
    if state.names_classes() {
        let [loss, accuracy] = Layout::horizontal([Constraint::Fill(1); 2]).areas(curves);
        chart::draw_loss(frame, loss, state);
        chart::draw_accuracy(frame, accuracy, state);
    } else {
        chart::draw_loss(frame, curves, state);
    }
    let [memory, pace] = Layout::horizontal([Constraint::Fill(1); 2]).areas(figures);
    panels::draw_memory(frame, memory, state);
    panels::draw_pace(frame, pace, state);
    let last = &state.said[state.said.len() - said..];
    frame
        .render_widget(Paragraph::new(last.iter().map(|line| format!(" {line}").into()).collect::<Vec<Line>>()), lines);
}

/// Two areas one above the other, or all of it and nothing.
fn halves(area: Rect, both: bool) -> [Rect; 2] {
    let second = if both { Constraint::Fill(1) } else { Constraint::Length(0) };
    Layout::vertical([Constraint::Fill(1), second]).areas(area)
}

/// A frame with a title.
fn panel(title: Line<'_>) -> Block<'_> {
    Block::bordered().border_style(Style::new().fg(FAINT)).title_style(Style::new().fg(Color::Reset)).title(title)
}

fn heading(state: &State) -> Line<'_> {
    let heading = &state.heading;
    let about = format!(" {} on {} · {} · {}", heading.net, heading.set, heading.store, heading.adapter);
    Line::from(vec![Span::from(format!(" {} ", heading.label)).bold().reversed(), about.into()])
}

/// How far the run is. What does not fit beside a bar that can be seen is left out, the least important first.
fn draw_progress(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let heading = &state.heading;
    let epoch = format!(" epoch {}/{}", state.epoch(), heading.epochs);
    let steps = format!("  step {}/{}", count(state.steps()), count(heading.steps));
    let gone = format!("  {} gone", clock(heading.before + state.elapsed));
    let left = state.left().map_or(String::new(), |left| format!("  {} left", clock(left)));
    let percent = format!(" {:.0} %", (100.0 * state.done()).floor());
    let room = usize::from(area.width);
    let fits = |parts: &[&String]| parts.iter().map(|part| part.chars().count()).sum::<usize>() + 10 <= room;
    let (before, after) = match () {
        () if fits(&[&epoch, &steps, &percent, &gone, &left]) => (format!("{epoch}{steps} "), percent + &gone + &left),
        () if fits(&[&epoch, &percent, &left]) => (format!("{epoch} "), percent + &left),
        () => (" ".to_owned(), percent),
    };
    let [text, bar, end] = Layout::horizontal([
        Constraint::Length(before.chars().count() as u16),
        Constraint::Min(0),
        Constraint::Length(after.chars().count() as u16 + 1),
    ])
    .areas(area);
    frame.render_widget(Line::from(before), text);
    let gauge = LineGauge::default().ratio(state.done()).label("").filled_symbol(line::THICK_HORIZONTAL);
    let gauge = gauge.unfilled_symbol(line::HORIZONTAL).filled_style(Style::new().fg(Color::Green));
    // The gauge leaves a column for a label, although it has none.
    let bar = Rect { x: bar.x.saturating_sub(1), width: bar.width + u16::from(bar.x > 0), ..bar };
    frame.render_widget(gauge.unfilled_style(Style::new().fg(FAINT)), bar);
    frame.render_widget(Line::from(after), end);
}

/// What is being done, and what keys do.
fn draw_foot(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let (colour, keys, short) = match state.stopping {
        true => (Color::Yellow, "Ctrl-C again stops at once ", ""),
        false => (Color::Reset, "q or Ctrl-C: write a checkpoint and stop ", "q: stop "),
    };
    let doing = format!(" {}", state.doing());
    let keys = if doing.len() + keys.len() + 1 < usize::from(area.width) { keys } else { short };
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(keys.len() as u16)]).areas(area);
    frame.render_widget(doing.fg(colour).bold(), left);
    frame.render_widget(keys.fg(FAINT), right);
}

/// `1:05`, `2:01:05`, and days as hours.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Heading;
    use super::super::state::tests::example;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn picture(state: &State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        if width == 0 { String::new() } else { terminal.backend().to_string() }
    }

    fn assert_has(picture: &str, parts: &[&str]) {
        for part in parts {
            assert!(picture.contains(part), "no {part:?} in\n{picture}");
        }
    }

    #[test]
    fn a_large_terminal_shows_everything() {
        let mut state = example(120);
        state.said = (1..=4).map(|epoch| format!("quickstart  epoch {epoch}/4")).collect();
        let picture = picture(&state, 120, 40);
        assert_has(&picture, &["quickstart", "resnet8 on fashion-mnist-small", "error-bounded", "llvmpipe"]);
        assert_has(&picture, &["epoch 3/4", "step 120/200", "60 %", "1:15 gone", "0:16 left"]);
        assert_has(&picture, &["loss", "accuracy", "train 0.", "validation 0.9", "validation 68.0 %"]);
        let kinds = ["parameters", "gradients", "optimizer", "kept", "scratch", "inputs"];
        assert_has(&picture, &kinds);
        assert_has(&picture, &["12.2 MiB", "2.83 MiB", "10.59× less kept"]);
        assert_has(&picture, &["640", "10.0", "100", "0.25 ms"]);
        assert_has(&picture, &["quickstart  epoch 4/4", "training", "q or Ctrl-C"]);
        // Curves, not only frames.
        assert!(picture.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count() > 60, "{picture}");
    }

    #[test]
    fn a_small_terminal_shows_the_figures() {
        for (width, height) in [(40, 10), (40, 12), (64, 12), (50, 40)] {
            let picture = picture(&example(120), width, height);
            assert_has(&picture, &["60 %", "epoch 3/4", "0:16 left", "loss", "640", "12.2 MiB", "68.0 %", "training"]);
            assert!(picture.lines().all(|line| line.chars().count() == usize::from(width) + 2), "{picture}");
        }
        let curve = |height| picture(&example(120), 40, height).contains(['⡀', '⠁', '⣀', '⠒', '⠤']);
        assert!(curve(12) && !curve(10));
    }

    #[test]
    fn no_size_and_no_state_is_too_small() {
        let mut stopping = example(3);
        stopping.stopping = true;
        assert_has(&picture(&stopping, 80, 24), &["checkpoint", "Ctrl-C again"]);
        let mut huge = example(60);
        huge.heading.label = "長い名前".repeat(20);
        huge.heading.steps = u64::MAX;
        huge.bytes.peak = u64::MAX;
        huge.elapsed = Duration::MAX;
        let states = [State::default(), State::new(Heading { label: "a".to_owned(), ..Heading::default() })];
        for state in states.into_iter().chain([example(1), example(2), example(200), stopping, huge]) {
            for width in [0, 1, 2, 5, 10, 33, 39, 63, 64, 65, 80, 121, 300] {
                for height in [0, 1, 2, 3, 4, 5, 9, 12, 19, 20, 21, 24, 90] {
                    picture(&state, width, height);
                }
            }
        }
    }

    #[test]
    fn times_are_read_like_a_clock() {
        let cases = [(0, "0:00"), (65, "1:05"), (3600, "1:00:00"), (360_000, "100:00:00")];
        for (seconds, text) in cases {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }
}
