//! Memory over a step: bytes alive at each node, piled up by kind, with the largest moments marked.

use super::axis::{Axis, Scale};
use super::sheet::{Drawing, FAINT, INK, Point, Sheet, Side, TEXT, WIDTH, label, width_of};
use super::{Picture, plain};
use crate::count;
use crate::plan::PlanReport;
use frugal_tensor::plan::{MemoryKind, MemoryOverStep, PeakSnapshot};
use plotters::prelude::{Color, DrawingBackend};
use plotters::style::{RGBColor, WHITE};

/// As many columns as a picture can show.
pub const COLUMNS: usize = 1200;

/// Memory over the step of a plan.
pub fn memory_over_step(plan: &PlanReport) -> Picture {
    let memory = &plan.memory_over_step;
    let moments: Vec<String> = moments(plan).collect();
    let estimated = plan.layers.iter().flat_map(|layer| &layer.kept).any(|kept| kept.follows_data);
    let estimated = if estimated { " Sizes that follow the data are as planned before the run." } else { "" };
    let caption = format!(
        "Memory over a step of {}, batch {}, with {}: what is alive at each node, by what it is for. The run allocates {}, of which {} are \
         host-visible memory. Most is alive at: {}.{estimated}",
        plan.net,
        plan.batch,
        plan.store,
        mebibytes(memory.allocated()),
        mebibytes(memory.host),
        moments.join("; "),
    );
    Picture::new(format!("step-{}", plain(&plan.store)), caption, &OverStep(plan))
}

/// The numbered moments: how much is alive at each, and what is at work.
fn moments(plan: &PlanReport) -> impl Iterator<Item = String> {
    plan.largest_moments.iter().enumerate().map(|(number, moment)| {
        let all = mebibytes(plan.memory_over_step.constant() + moment.bytes);
        format!("({}) {all} in {}, {}", number + 1, label(&moment.layer), moment.operator)
    })
}

/// In the unit of the axis.
fn mebibytes(bytes: u64) -> String {
    match bytes as f64 / MIB {
        few if few < 9.995 => format!("{few:.2} MiB"),
        some if some < 99.95 => format!("{some:.1} MiB"),
        many => format!("{} MiB", count(many.round() as u64)),
    }
}

/// The drawing.
struct OverStep<'a>(&'a PlanReport);

/// Bytes of one kind, on top of those of the kinds below it.
struct Layer {
    name: &'static str,
    colour: RGBColor,
    /// Bytes from the ground to its top, in each column.
    tops: Vec<u64>,
}

const MARGIN: i32 = 40;
const PLOT: i32 = 900;
const SMALL: i32 = TEXT * 7 / 10;
const LINE: i32 = TEXT;
const GAP: i32 = 40;
/// How high a kind has to stand somewhere, so that its colour can be seen.
const LEAST: i32 = 2;
/// Of the circle around the number of a moment.
const RADIUS: i32 = 38;
const MIB: f64 = (1 << 20) as f64;

fn colour(kind: MemoryKind) -> RGBColor {
    match kind {
        MemoryKind::Inputs => RGBColor(120, 90, 60),
        MemoryKind::Kept => RGBColor(0, 114, 178),
        MemoryKind::ParameterGradients => RGBColor(204, 121, 167),
        MemoryKind::Decoded => RGBColor(86, 180, 233),
        MemoryKind::Activations => RGBColor(0, 158, 115),
        MemoryKind::Gradients => RGBColor(213, 94, 0),
        MemoryKind::Scratch => RGBColor(230, 159, 0),
    }
}

impl OverStep<'_> {
    fn memory(&self) -> &MemoryOverStep {
        &self.0.memory_over_step
    }

    /// From the ground up, without those of which there is nothing.
    fn layers(&self) -> Vec<Layer> {
        let memory = self.memory();
        let columns = memory.at.len();
        let constant = |name, bytes, colour| (name, colour, vec![bytes; columns]);
        let all = [
            constant("across steps", memory.across_steps + memory.kernel_parameters, RGBColor(70, 70, 70)),
            constant("host-visible buffers", memory.host, RGBColor(165, 165, 165)),
        ];
        let transient = memory.alive.iter().map(|of| (of.kind.name(), colour(of.kind), of.bytes.clone()));
        let mut ground = vec![0; columns];
        let mut layers = Vec::new();
        for (name, colour, bytes) in
            all.into_iter().chain(transient).filter(|(_, _, bytes)| bytes.iter().any(|b| *b > 0))
        {
            ground.iter_mut().zip(bytes).for_each(|(ground, bytes)| *ground += bytes);
            layers.push(Layer { name, colour, tops: ground.clone() });
        }
        layers
    }

    /// Names with their colours, and where each stands.
    fn legend(&self, layers: &[Layer]) -> Vec<(&'static str, RGBColor, Point)> {
        let (mut x, mut y) = (MARGIN, MARGIN + 2 * LINE + LINE / 2);
        let mut entries = Vec::new();
        // As they are piled up, the topmost first; what is too thin to be seen has no name.
        let ground = |at: usize, column: usize| at.checked_sub(1).map_or(0, |below| layers[below].tops[column]);
        let thickness = |at: usize| {
            let tops = layers[at].tops.iter().enumerate();
            tops.map(|(column, top)| top - ground(at, column)).max().unwrap_or(0)
        };
        let seen =
            |&at: &usize| thickness(at) as f64 * f64::from(PLOT) >= f64::from(LEAST) * self.memory().allocated() as f64;
        for layer in (0..layers.len()).rev().filter(seen).map(|at| &layers[at]) {
            let width = 2 * SMALL + width_of(layer.name, SMALL);
            if x > MARGIN && x + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + LINE);
            }
            entries.push((layer.name, layer.colour, (x, y)));
            x += width;
        }
        entries
    }

    fn top(&self) -> i32 {
        let legend = self.legend(&self.layers());
        legend.last().map_or(MARGIN + 2 * LINE, |(_, _, (_, y))| y + LINE / 2) + 2 * RADIUS + GAP
    }

    fn axis(&self) -> Axis {
        Axis::over([0.0, self.memory().allocated() as f64 / MIB].into_iter(), Scale::Linear, 5)
    }
}

/// Where the plot lies.
struct Frame {
    left: i32,
    right: i32,
    top: i32,
    y: Axis,
    nodes: usize,
}

impl Frame {
    fn bottom(&self) -> i32 {
        self.top + PLOT
    }

    /// Of the place in front of a node, or of a part of it.
    fn x(&self, node: f64) -> i32 {
        self.left + (f64::from(self.right - self.left) * node / self.nodes.max(1) as f64).round() as i32
    }

    fn y(&self, bytes: u64) -> i32 {
        self.top + (f64::from(PLOT) * (1.0 - self.y.place(bytes as f64 / MIB))).round() as i32
    }

    fn axes<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>) {
        for (number, text) in &self.y.ticks {
            let y = self.y((number * MIB) as u64);
            sheet.line([(self.left, y), (self.right, y)], FAINT.to_rgba(), 3);
            sheet.text(text, (self.left - GAP, y), Side::Left, SMALL, INK);
        }
    }

    /// Names of the phases under the plot, and lines between them.
    fn phases<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>, memory: &MemoryOverStep) {
        let bottom = self.bottom();
        sheet.line([(self.left, bottom), (self.right, bottom)], INK.to_rgba(), 4);
        let fits = |name: &str, from, to| self.x(to as f64) - self.x(from as f64) > width_of(name, SMALL);
        // Most updates run as soon as they can, in the middle of the backward pass.
        let (backward, end) = match fits("update", memory.update, memory.nodes) {
            true => ("backward", memory.update),
            false => ("backward and update", memory.nodes),
        };
        let spans = [("forward", 0, memory.backward), (backward, memory.backward, end), ("update", end, memory.nodes)];
        for (name, from, to) in spans.into_iter().filter(|(_, from, to)| from < to) {
            let left = self.x(from as f64);
            if from > 0 {
                dashed(sheet, [(left, self.top), (left, bottom + LINE)]);
            }
            if fits(name, from, to) {
                sheet.text(name, ((left + self.x(to as f64)) / 2, bottom + LINE / 2), Side::Centre, SMALL, INK);
            }
        }
    }

    /// Numbers above the plot, each with a line to its moment.
    fn marks<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>, memory: &MemoryOverStep, moments: &[PeakSnapshot]) {
        let mut marks: Vec<(usize, Point)> = moments
            .iter()
            .enumerate()
            .map(|(number, moment)| {
                let top = self.y(memory.constant() + moment.bytes);
                (number + 1, (self.x(moment.node as f64 + 0.5), top))
            })
            .collect();
        marks.sort_by_key(|(_, (x, _))| *x);
        let apart = 2 * RADIUS + 12;
        let mut flags: Vec<i32> = marks.iter().map(|(_, (x, _))| *x).collect();
        // Apart from one another, to the right and then back from the edge.
        for place in 1..flags.len() {
            flags[place] = flags[place].max(flags[place - 1] + apart);
        }
        let mut most = self.right - RADIUS;
        for flag in flags.iter_mut().rev() {
            *flag = (*flag).min(most);
            most = *flag - apart;
        }
        for (&(number, at), &flag) in marks.iter().zip(&flags) {
            let centre = (flag, self.top - GAP / 2 - RADIUS);
            sheet.line([centre, at], INK.to_rgba(), 4);
            sheet.disc(centre, RADIUS, INK);
            sheet.text(&number.to_string(), centre, Side::Centre, SMALL, WHITE);
        }
    }
}

fn dashed<DB: DrawingBackend>(sheet: &Sheet<'_, DB>, [from, to]: [Point; 2]) {
    let length = (to.0 - from.0).abs().max((to.1 - from.1).abs());
    let dashes = (length / 40).max(1);
    let along = |part: i32| {
        let between = |a: i32, b: i32| a + (b - a) * part / (2 * dashes);
        (between(from.0, to.0), between(from.1, to.1))
    };
    (0..dashes).for_each(|dash| sheet.line([along(2 * dash), along(2 * dash + 1)], INK.to_rgba(), 4));
}

impl Drawing for OverStep<'_> {
    fn height(&self) -> i32 {
        self.top() + PLOT + LINE * 3 / 2 + LINE * self.0.largest_moments.len() as i32 + MARGIN
    }

    fn draw<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>) {
        let (plan, memory) = (self.0, self.memory());
        let layers = self.layers();
        sheet.text("Memory over the step, MiB", (MARGIN, MARGIN + LINE / 2), Side::Right, TEXT, INK);
        let allocated = mebibytes(memory.allocated());
        let what = format!("{}, batch {}, {}: {allocated} allocated", label(plan.net), plan.batch, label(&plan.store));
        sheet.text(&what, (MARGIN, MARGIN + LINE * 3 / 2), Side::Right, SMALL, INK);
        for (name, colour, (x, y)) in self.legend(&layers) {
            let half = SMALL / 3;
            sheet.bar([(x, y - half), (x + 2 * half, y + half)], colour, true);
            sheet.text(name, (x + SMALL, y), Side::Right, SMALL, INK);
        }
        let y = self.axis();
        let widest = y.ticks.iter().map(|(_, text)| width_of(text, SMALL)).max().unwrap_or(0);
        let right = WIDTH - 2 * MARGIN;
        let frame = Frame { left: MARGIN + widest + GAP, right, top: self.top(), y, nodes: memory.nodes };
        frame.axes(sheet);
        // The highest pile first, what is below it in front of it.
        for layer in layers.iter().rev() {
            let mut outline = vec![(frame.left, frame.bottom())];
            for (place, &top) in layer.tops.iter().enumerate() {
                let (span, y) = (memory.span(place), frame.y(top));
                // A stretch of one height is one line.
                if outline.len() > 1 && outline.last().is_some_and(|(_, last)| *last == y) {
                    outline.pop();
                } else {
                    outline.push((frame.x(span.start as f64), y));
                }
                outline.push((frame.x(span.end as f64), y));
            }
            outline.push((frame.right, frame.bottom()));
            sheet.area(outline, layer.colour);
        }
        let allocated = frame.y(memory.allocated());
        dashed(sheet, [(frame.left, allocated), (frame.right, allocated)]);
        frame.phases(sheet, memory);
        frame.marks(sheet, memory, &plan.largest_moments);
        for (line, text) in (0..).zip(moments(plan)) {
            // Smaller where long names would not fit.
            let size = SMALL.min(SMALL * (WIDTH - 2 * MARGIN) / width_of(&text, SMALL).max(1));
            sheet.text(&text, (MARGIN, frame.bottom() + LINE * (2 + line)), Side::Right, size, INK);
        }
    }
}
