//! The charts of a comparison, from records of its runs.

use super::axis::{Axis, Scale};
use super::chart::{Chart, Series, Style};
use super::palette::{Look, Mark, Palette, scale};
use super::sheet::label;
use crate::records::RatePoint;
use crate::records::StoreRecord;
use crate::trace::Trace;
use std::collections::BTreeMap;

/// As many points as a picture can show.
const POINTS: usize = 400;
/// As many layers as a legend can name.
const LAYERS: usize = 6;

type Points = Vec<(f64, f64)>;

/// Names in the order in which they come first.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The mean over lines at each place that any of them has.
fn mean(lines: &[Points]) -> Points {
    // Places are steps and epochs, whole numbers all.
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for &(x, y) in lines.iter().flatten() {
        let (sum, count) = sums.entry(x as u64).or_default();
        (*sum, *count) = (*sum + y, *count + 1.0);
    }
    sums.into_iter().map(|(x, (sum, count))| (x as f64, sum / count)).collect()
}

/// Of each run of neighbours the lowest and the highest: no peak is lost.
fn thinned(points: &[(f64, f64)]) -> Points {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let mut thin = Vec::new();
    for run in points.chunks(points.len().div_ceil(POINTS / 2)) {
        let low = run.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
        let high = run.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let mut both: Points = low.into_iter().chain(high).collect();
        both.sort_by(|a, b| a.0.total_cmp(&b.0));
        thin.extend(both);
    }
    thin
}

/// The mean over the neighbours on both sides, so that it lags behind in neither direction.
fn smoothed(points: &[(f64, f64)]) -> Points {
    let reach = (points.len() / 40).max(1);
    let every = points.len().div_ceil(POINTS).max(1);
    let around = |at: usize| {
        let near = &points[at.saturating_sub(reach)..points.len().min(at + reach + 1)];
        (points[at].0, near.iter().map(|point| point.1).sum::<f64>() / near.len() as f64)
    };
    (0..points.len()).step_by(every).map(around).collect()
}

fn chart(title: &str, x_label: &'static str, [x, y]: [Scale; 2], series: Vec<Series>) -> Option<Chart> {
    let points = || series.iter().flat_map(|series| series.line.iter().chain(series.faint.iter().flatten()));
    points().next()?;
    let (x, y) = (Axis::over(points().map(|p| p.0), x, 6), Axis::over(points().map(|p| p.1), y, 5));
    Some(Chart { title: title.to_owned(), x, x_label, y, rule: None, series })
}

/// Whether runs were watched by what they hold out for validation.
pub fn validated(traces: &[Trace]) -> bool {
    traces.iter().flat_map(|trace| &trace.epochs).any(|epoch| epoch.validation_loss.is_some())
}

/// Whether runs are evaluated by accuracy, and not by their loss.
pub fn by_accuracy(traces: &[Trace]) -> bool {
    traces.iter().flat_map(|trace| &trace.epochs).any(|epoch| epoch.watched_accuracy().is_some())
}

/// Right answers, or else the loss, over epochs on the test set, or on what is held out for validation where anything is.
pub fn judged(traces: &[Trace], palette: &Palette) -> Option<Chart> {
    let unit = if by_accuracy(traces) { 100.0 } else { 1.0 };
    let series = names(traces.iter().map(|trace| trace.store.as_str())).into_iter().filter_map(|store| {
        let runs = traces.iter().filter(|trace| trace.store == store && !trace.epochs.is_empty());
        let epochs =
            |run: &Trace| run.epochs.iter().filter_map(|e| Some((e.epoch as f64, unit * e.watched()?))).collect();
        let faint: Vec<Points> = runs.map(epochs).collect();
        let line = mean(&faint);
        let look = palette.look(store, &[]);
        (!line.is_empty()).then(|| Series { name: Some(store.to_owned()), look, style: Style::Marked, line, faint })
    });
    let of = if validated(traces) { "Validation" } else { "Test" };
    let title = if by_accuracy(traces) { format!("{of} accuracy, %") } else { format!("{of} loss") };
    chart(&title, "epoch", [Scale::Whole, Scale::Linear], series.collect())
}

/// The training loss over steps.
pub fn loss(traces: &[Trace], palette: &Palette) -> Option<Chart> {
    // A run that diverges must not flatten the others: what is beyond twice the first loss leaves the picture.
    let first = traces.iter().filter_map(|trace| trace.losses.first()).map(|(_, loss)| *loss).fold(0.0, f64::max);
    let series = names(traces.iter().map(|trace| trace.store.as_str())).into_iter().filter_map(|store| {
        let runs = traces.iter().filter(|trace| trace.store == store);
        let losses =
            |run: &Trace| run.losses.iter().map(|&(step, loss)| (step as f64, loss.min(2.0 * first))).collect();
        let raw = mean(&runs.map(losses).collect::<Vec<Points>>());
        let line = smoothed(&raw);
        let (look, faint) = (palette.look(store, &[]), vec![thinned(&raw)]);
        (!line.is_empty()).then(|| Series { name: Some(store.to_owned()), look, style: Style::Marked, line, faint })
    });
    chart("Training loss", "step", [Scale::Whole, Scale::Linear], series.collect())
}

/// The first run of each store that wrote sizes down: those whose sizes follow the data.
pub fn adaptive(traces: &[Trace]) -> Vec<&Trace> {
    let wrote = || traces.iter().filter(|trace| !trace.stores.is_empty());
    let stores = names(wrote().map(|trace| trace.store.as_str()));
    stores.into_iter().filter_map(|store| wrote().find(|trace| trace.store == store)).collect()
}

/// The error bound of each value over steps.
pub fn bounds(trace: &Trace) -> Option<Chart> {
    let title = format!("Error bound, {}", label(&trace.store));
    chart(&title, "step", [Scale::Whole, Scale::Tens], layers(trace, |record| record.bound))
}

/// The compression of each value over steps.
pub fn ratios(trace: &Trace) -> Option<Chart> {
    let ratio =
        |record: &StoreRecord| (record.stored_bytes > 0).then(|| record.raw_bytes as f64 / record.stored_bytes as f64);
    let title = format!("Raw over stored bytes, {}", label(&trace.store));
    chart(&title, "step", [Scale::Whole, Scale::Doublings], layers(trace, ratio))
}

/// A line for each value, from the first layer (dark) to the last (light).
fn layers(trace: &Trace, of: impl Fn(&StoreRecord) -> Option<f64>) -> Vec<Series> {
    let all = trace.stores.iter().flat_map(|(_, values)| values.iter().map(|value| value.name.as_str()));
    let names = names(all);
    let last = names.len().saturating_sub(1).max(1);
    let line = |name: &str| {
        let of_step = |(step, values): &(u64, Vec<StoreRecord>)| {
            let value = values.iter().find(|value| value.name == name)?;
            of(value).filter(|number| number.is_finite()).map(|number| (*step as f64, number))
        };
        thinned(&trace.stores.iter().filter_map(of_step).collect::<Points>())
    };
    // The legend names as many as it can, evenly spread, the first and the last among them.
    let every = last.div_ceil(LAYERS - 1).max(1);
    let evenly = |index: usize| index.is_multiple_of(every) && index + every / 2 < last;
    let named = |index: usize| names.len() <= LAYERS || index == last || evenly(index);
    let series = names.iter().enumerate().map(|(index, name)| Series {
        name: named(index).then(|| (*name).to_owned()),
        look: Look { colour: scale(index as f64 / last as f64), mark: Mark::Circle },
        style: Style::Plain,
        line: line(name),
        faint: Vec::new(),
    });
    series.filter(|series| !series.line.is_empty()).collect()
}

/// Gradient error over bits, a line for each codec.
pub fn rates(rates: &[RatePoint], palette: &Palette) -> Option<Chart> {
    let codecs = names(rates.iter().map(|point| point.codec.as_str()));
    let series = codecs.iter().map(|codec| {
        let curve = |of: fn(&RatePoint) -> f64| {
            let points = rates.iter().filter(|point| point.codec == *codec).map(|p| (p.bits_per_value, of(p)));
            let drawable =
                |&(bits, error): &(f64, f64)| bits > 0.0 && error > 0.0 && bits.is_finite() && error.is_finite();
            let mut points: Points = points.filter(drawable).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points
        };
        let (line, worst) = (curve(|point| point.error_over_noise), curve(|point| point.worst));
        let look = palette.look(codec, &codecs);
        Series { name: Some((*codec).to_owned()), look, style: Style::Marked, line, faint: vec![worst] }
    });
    let series = series.filter(|series| !series.line.is_empty()).collect();
    let title = "Gradient error over minibatch noise";
    let chart = chart(title, "bits per value", [Scale::Doublings, Scale::Tens], series)?;
    let [low, high] = chart.x.ends();
    Some(Chart { rule: Some(([(low, 1.0), (high, 1.0)], "as large as the noise")), ..chart })
}

/// What the theory says of the error of each weight's gradient, and what came out: a point for each weight, a colour for
/// each setting.
pub fn theory(rates: &[RatePoint]) -> Option<Chart> {
    let known: Vec<&RatePoint> = rates.iter().filter(|point| !point.predictions.is_empty()).collect();
    let last = known.len().saturating_sub(1).max(1) as f64;
    let marks = [Mark::Circle, Mark::Square, Mark::Triangle, Mark::Diamond, Mark::Cross];
    let series = known.iter().enumerate().map(|(index, point)| {
        let points = point.predictions.iter().map(|p| (p.predicted, p.measured));
        let line = points.filter(|(x, y)| *x > 0.0 && *y > 0.0 && x.is_finite() && y.is_finite()).collect();
        let look = Look { colour: scale(index as f64 / last), mark: marks[index % marks.len()] };
        Series { name: Some(point.store.clone()), look, style: Style::Points, line, faint: Vec::new() }
    });
    let series: Vec<Series> = series.filter(|series| !series.line.is_empty()).collect();
    let title = "Gradient error over noise, as measured";
    let chart = chart(title, "as predicted", [Scale::Tens, Scale::Tens], series)?;
    let ([left, right], [low, high]) = (chart.x.ends(), chart.y.ends());
    let [from, to] = [left.max(low), right.min(high)];
    let rule = (from < to).then_some(([(from, from), (to, to)], "dashed: as the theory has it"));
    Some(Chart { rule, ..chart })
}
