//! A chart of lines: title, legend, axes, lines with marks.

use super::axis::Axis;
use super::palette::Look;
use super::sheet::{Drawing, FAINT, INK, Point, Sheet, Side, TEXT, WIDTH, label, width_of};
use plotters::prelude::{Color, DrawingBackend};

/// What of a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Line and marks.
    Marked,
    /// The line alone: where lines are many, their colours say enough.
    Plain,
    /// Marks alone: points without order.
    Points,
}

/// A line, and faint ones that belong to it.
pub struct Series {
    /// In the legend; lines without one are not in it.
    pub name: Option<String>,
    pub look: Look,
    pub style: Style,
    pub line: Vec<(f64, f64)>,
    pub faint: Vec<Vec<(f64, f64)>>,
}

/// A chart.
pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub x_label: &'static str,
    pub y: Axis,
    /// A line that means something, by its ends, and what.
    pub rule: Option<([(f64, f64); 2], &'static str)>,
    pub series: Vec<Series>,
}

const MARGIN: i32 = 40;
const PLOT: i32 = 900;
const LINE: i32 = TEXT * 13 / 10;
const SMALL: i32 = TEXT * 9 / 10;
/// Between numbers and the plot: half a mark stands out of it.
const GAP: i32 = 40;
/// As many marks as make lines differ in grey without hiding them.
const MARKS: usize = 8;

impl Chart {
    /// Names with their looks, and where each stands: beside one another as far as there is room.
    fn legend(&self) -> Vec<(&str, Look, Style, Point)> {
        let (mut x, mut y) = (MARGIN, MARGIN + LINE + LINE / 2);
        let mut entries = Vec::new();
        let named = self.series.iter().filter_map(|series| Some((series.name.as_deref()?, series.look, series.style)));
        for (name, look, style) in named {
            let width = 3 * SMALL + width_of(&label(name), SMALL);
            if x > MARGIN && x + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + LINE);
            }
            entries.push((name, look, style, (x, y)));
            x += width;
        }
        entries
    }

    fn top(&self) -> i32 {
        self.legend().last().map_or(MARGIN + LINE, |(_, _, _, (_, y))| y + LINE / 2) + LINE / 2
    }

    fn left(&self) -> i32 {
        let widest = self.y.ticks.iter().map(|(_, text)| width_of(text, SMALL)).max().unwrap_or(0);
        MARGIN + widest + GAP
    }

    fn place(&self, (x, y): (f64, f64)) -> Point {
        let (left, right) = (self.left(), WIDTH - 2 * MARGIN);
        let right = left + (f64::from(right - left) * self.x.place(x)).round() as i32;
        (right, self.top() + (f64::from(PLOT) * (1.0 - self.y.place(y))).round() as i32)
    }

    fn axes<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>) {
        let (left, right, top) = (self.left(), WIDTH - 2 * MARGIN, self.top());
        let bottom = top + PLOT;
        for (number, text) in &self.y.ticks {
            let y = self.place((f64::NAN, *number)).1;
            sheet.line([(left, y), (right, y)], FAINT.to_rgba(), 3);
            sheet.text(text, (left - GAP, y), Side::Left, SMALL, INK);
        }
        sheet.line([(left, bottom), (right, bottom)], INK.to_rgba(), 4);
        // Texts under one another would run into each other.
        let mut free = i32::MIN;
        for (number, text) in &self.x.ticks {
            let x = self.place((*number, f64::NAN)).0;
            let half = width_of(text, SMALL) / 2;
            sheet.line([(x, bottom), (x, bottom + 14)], INK.to_rgba(), 4);
            if x - half > free {
                sheet.text(text, (x.min(WIDTH - half), bottom + LINE * 2 / 3), Side::Centre, SMALL, INK);
                free = x + half + SMALL / 3;
            }
        }
        sheet.text(self.x_label, ((left + right) / 2, bottom + LINE * 3 / 2), Side::Centre, SMALL, INK);
        if let Some((ends, text)) = self.rule.filter(|(ends, _)| ends.iter().all(|(_, y)| self.y.holds(*y))) {
            let [from, to] = ends.map(|end| self.place(end));
            let dashes = (to.0 - from.0).max(1) / 40;
            let along = |part: i32| {
                let share = f64::from(part) / f64::from(2 * dashes.max(1));
                let between = |a: i32, b: i32| a + (f64::from(b - a) * share).round() as i32;
                (between(from.0, to.0), between(from.1, to.1))
            };
            (0..dashes).for_each(|dash| sheet.line([along(2 * dash), along(2 * dash + 1)], INK.to_rgba(), 5));
            // Over a level line, and in the corner that a rising one leaves free.
            let height = if from.1 == to.1 { to.1 - SMALL * 2 / 3 } else { bottom - SMALL };
            sheet.text(text, (right, height), Side::Left, SMALL, INK);
        }
    }
}

impl Drawing for Chart {
    fn height(&self) -> i32 {
        self.top() + PLOT + 2 * LINE + MARGIN / 2
    }

    fn draw<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>) {
        sheet.text(&self.title, (MARGIN, MARGIN + LINE / 2), Side::Right, TEXT, INK);
        for (name, look, style, (x, y)) in self.legend() {
            if style != Style::Points {
                sheet.line([(x, y), (x + SMALL * 3 / 2, y)], look.colour.to_rgba(), 9);
            }
            if style != Style::Plain {
                sheet.mark((x + SMALL * 3 / 4, y), look, 20);
            }
            sheet.text(&label(name), (x + SMALL * 2, y), Side::Right, SMALL, INK);
        }
        self.axes(sheet);
        for series in &self.series {
            for faint in &series.faint {
                sheet.line(faint.iter().map(|&point| self.place(point)), series.look.colour.mix(0.35), 4);
            }
        }
        for (index, series) in self.series.iter().enumerate() {
            if series.style == Style::Points {
                series.line.iter().for_each(|&point| sheet.mark(self.place(point), series.look, 24));
                continue;
            }
            sheet.line(series.line.iter().map(|&point| self.place(point)), series.look.colour.to_rgba(), 9);
            if series.style == Style::Plain {
                continue;
            }
            // Lines on top of each other have their marks at different places, or smaller ones on larger ones.
            let radius = 28 - 14 * index as i32 / (self.series.len() as i32 - 1).max(1);
            let every = series.line.len().div_ceil(MARKS).max(1);
            let first = if every == 1 { 0 } else { index * every / self.series.len() };
            for &point in series.line.iter().skip(first).step_by(every) {
                sheet.mark(self.place(point), series.look, radius);
            }
        }
    }
}
