//! A chart of lines: title, legend, axes, lines with marks.

use super::axis::Axis;
use super::palette::Look;
use super::sheet::{Drawing, FAINT, INK, Point, Sheet, Side, TEXT, WIDTH, label, width_of};
use plotters::prelude::{Color, DrawingBackend};

/// A line, and faint ones that belong to it.
pub struct Series {
    /// In the legend; lines without one are not in it.
    pub name: Option<String>,
    pub look: Look,
    /// Whether it has marks; where lines are many, their colours say enough.
    pub marked: bool,
    pub line: Vec<(f64, f64)>,
    pub faint: Vec<Vec<(f64, f64)>>,
}

/// A chart.
pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub x_label: &'static str,
    pub y: Axis,
    /// A height that means something, and what.
    pub rule: Option<(f64, &'static str)>,
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
    fn legend(&self) -> Vec<(&str, Look, Point)> {
        let (mut x, mut y) = (MARGIN, MARGIN + LINE + LINE / 2);
        let mut entries = Vec::new();
        let named = self.series.iter().filter_map(|series| Some((series.name.as_deref()?, series.look)));
        for (name, look) in named {
            let width = 3 * SMALL + width_of(&label(name), SMALL);
            if x > MARGIN && x + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + LINE);
            }
            entries.push((name, look, (x, y)));
            x += width;
        }
        entries
    }

    fn top(&self) -> i32 {
        self.legend().last().map_or(MARGIN + LINE, |(_, _, (_, y))| y + LINE / 2) + LINE / 2
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
        if let Some((height, text)) = self.rule.filter(|(height, _)| self.y.holds(*height)) {
            let y = self.place((f64::NAN, height)).1;
            let dashes = (left..right).step_by(40);
            dashes.for_each(|x| sheet.line([(x, y), ((x + 20).min(right), y)], INK.to_rgba(), 5));
            sheet.text(text, (right, y - SMALL * 2 / 3), Side::Left, SMALL, INK);
        }
    }
}

impl Drawing for Chart {
    fn height(&self) -> i32 {
        self.top() + PLOT + 2 * LINE + MARGIN / 2
    }

    fn draw<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>) {
        sheet.text(&self.title, (MARGIN, MARGIN + LINE / 2), Side::Right, TEXT, INK);
        for (name, look, (x, y)) in self.legend() {
            sheet.line([(x, y), (x + SMALL * 3 / 2, y)], look.colour.to_rgba(), 9);
            sheet.mark((x + SMALL * 3 / 4, y), look, 20);
            sheet.text(&label(name), (x + SMALL * 2, y), Side::Right, SMALL, INK);
        }
        self.axes(sheet);
        for series in &self.series {
            for faint in &series.faint {
                sheet.line(faint.iter().map(|&point| self.place(point)), series.look.colour.mix(0.35), 4);
            }
        }
        for (index, series) in self.series.iter().enumerate() {
            sheet.line(series.line.iter().map(|&point| self.place(point)), series.look.colour.to_rgba(), 9);
            if !series.marked {
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
