//! What a comparison says, in plain sentences.

use super::tables::GRADIENTS;
use super::{Comparison, GradientError, Row, budget};
use crate::records::{Discarded, Divergence};
use crate::units::{bytes, count};

impl Comparison {
    /// One sentence about what was run.
    pub fn heading(&self) -> String {
        let Self { net, set, epochs, batch, adapter, .. } = self;
        let seeds: Vec<String> = self.seeds.iter().map(u32::to_string).collect();
        format!(
            "{net} on {set}, {epochs} epoch{}, batch {batch}, seed{} {}, on {adapter}",
            s(*epochs as usize),
            s(seeds.len()),
            seeds.join(", ")
        )
    }

    /// What the columns mean and what the table says, for someone who has never seen it.
    pub fn meaning(&self) -> String {
        let mut lines = vec![
            "- peak: all that a run allocates, upload and read-back buffers in host-visible memory included".to_owned(),
            "- ratio: how many times less that is than if every value were left as it is (raw)".to_owned(),
            "- kept: what of it the forward pass saves for the backward pass, masks and tables included".to_owned(),
            "- convolutions: the ratio of what convolutions read alone, as papers count".to_owned(),
            format!("- batch in {0}: the most samples of a step whose peak is at most {0}", budget(self.budget)),
        ];
        if self.adaptive() {
            lines.push(
                "- where sizes follow the data: kept as planned in the end, peak as the most that a run had,".into(),
            );
            lines.push(
                "  convolutions by the mean over training, batches by what is planned before anything ran,".into(),
            );
            lines.push("  ms/step and overhead with the steps that overflowed and were repeated".into());
        }
        if self.has_psnr() {
            lines.push("- PSNR: 10·log10(1 / test loss), as values of images go from 0 to 1".to_owned());
        }
        if self.noise() > 0.0 {
            lines.push("- ±: deviation between seeds; smaller differences may be chance".to_owned());
        }
        if self.examined() {
            lines.push(GRADIENTS.to_owned());
        }
        for sentence in self.sentences() {
            lines.extend([String::new(), fold(&sentence, 100)]);
        }
        lines.join("\n")
    }

    /// A sentence about each store but raw, and one about each that diverged.
    pub fn sentences(&self) -> Vec<String> {
        let raw = self.raw();
        let others = self.stores.iter().filter(|row| row.store != "raw");
        let mut sentences: Vec<String> = others.filter_map(|row| raw.and_then(|raw| self.against(row, raw))).collect();
        sentences.extend(self.stores.iter().filter_map(Self::about_convolutions));
        sentences.extend(self.stores.iter().filter_map(|row| {
            let Divergence { seed, step, finding } = row.diverged.iter().min_by_key(|run| run.step)?;
            let (store, step) = (&row.store, count(*step));
            Some(match (row.diverged.len(), self.seeds.len()) {
                (_, 1) => format!("{store} diverged at step {step}: {finding}."),
                (some, all) => {
                    format!(
                        "{store} diverged with {some} of {all} seeds, first at step {step} with seed {seed}: {finding}."
                    )
                }
            })
        }));
        sentences
    }

    /// Whether the sizes of any store follow the data.
    pub fn adaptive(&self) -> bool {
        self.stores.iter().any(|row| row.discarded.is_some())
    }

    /// What one ratio cannot say of what convolutions read; none where it can.
    fn about_convolutions(row: &Row) -> Option<String> {
        let store = &row.store;
        let read = &row.memory.convolutions;
        let again = read.recomputed().map(|values| format!("{store} recomputed {values} instead of saving them."));
        let ratios = row.discarded.and(read.ratio()).map(|all| {
            let masks = read.ratio_with_masks().filter(|_| read.mask_bytes > 0);
            let others = [
                (masks, "with the rectifiers' masks that decode it"),
                (read.ratio_without_images(), "without the images"),
            ];
            let others =
                others.map(|(ratio, what)| ratio.map_or_else(String::new, |r| format!("; {what}, {}", times(r))));
            format!("With {store}, what convolutions read took {} over training{}.", times(all), others.concat())
        });
        let room = row.discarded.map(|Discarded { overflows, steps }| match overflows {
            0 => format!("{store} never overflowed."),
            _ => {
                let number = |number: u64, what: &str| format!("{} {what}{}", count(number), s(number as usize));
                format!(
                    "{store} overflowed {} and repeated {}; its time per step counts them.",
                    number(overflows, "time"),
                    number(steps, "step")
                )
            }
        });
        let parts: Vec<String> = [again, ratios, room].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// What came out, in a paragraph.
    pub fn finding(&self) -> String {
        let best = match (self.best(), self.raw()) {
            (_, None) => "Raw is not among the stores, so there is nothing to measure them against.".to_owned(),
            (best, Some(raw)) => best
                .and_then(|best| self.against(best, raw))
                .unwrap_or_else(|| "No store went through beside raw, so there is nothing to compare.".to_owned()),
        };
        match self.diverged() {
            (0, _) => best,
            (diverged, runs) => format!("{best} {diverged} of {runs} runs diverged."),
        }
    }

    /// The sentences that the finding leaves out.
    pub fn other_sentences(&self) -> Vec<String> {
        let said = self.best().zip(self.raw()).and_then(|(best, raw)| self.against(best, raw));
        self.sentences().into_iter().filter(|sentence| Some(sentence) != said.as_ref()).collect()
    }

    /// The store to begin with: its peak is the least among those that answer as well as raw, or nearly, or else among all.
    pub fn best(&self) -> Option<&Row> {
        let raw = self.raw()?.judged_by(self.measure).0?;
        let others = || self.stores.iter().filter(|row| row.store != "raw" && row.diverged.is_empty());
        let least = |a: &&Row, b: &&Row| a.memory.peak_ratio.total_cmp(&b.memory.peak_ratio);
        let loses_nothing = |row: &&Row| {
            let judged = row.judged_by(self.measure).0;
            judged.is_some_and(|judged| match self.measure.is_accuracy() {
                true => judged >= raw - self.noise(),
                false => judged <= raw + self.noise(),
            })
        };
        others().filter(loses_nothing).max_by(least).or_else(|| others().max_by(least))
    }

    /// The largest deviation between seeds.
    fn noise(&self) -> f64 {
        self.stores.iter().filter_map(|row| row.judged_by(self.measure).1).fold(0.0, f64::max)
    }

    /// The measure, of one store against raw; none if one of the two has not reached its end.
    fn judged(&self, row: &Row, raw: &Row) -> Option<String> {
        let (own, raw) = (row.judged_by(self.measure).0?, raw.judged_by(self.measure).0?);
        let chance = if (own - raw).abs() < self.noise() { " (less than ±)" } else { "" };
        let (change, none, unit) = match self.measure.is_accuracy() {
            true => (100.0 * (own - raw), 0.005, "points"),
            false => (100.0 * (own / raw - 1.0), 0.05, "%"),
        };
        let name = self.measure.name();
        let number = |change: f64| if unit == "%" { format!("{change:.1} %") } else { format!("{change:.2} {unit}") };
        Some(match change {
            p if p.abs() < none => format!("the same test {name}"),
            p if p > 0.0 => format!("{} more test {name}{chance}", number(p)),
            p => format!("{} less test {name}{chance}", number(-p)),
        })
    }

    /// A sentence about one store; none if one of the two has not reached its end.
    pub fn against(&self, row: &Row, raw: &Row) -> Option<String> {
        let judged = self.judged(row, raw)?;
        let time = match 100.0 * row.overhead? {
            p if p.abs() < 0.5 => "the same time per step".to_owned(),
            p if p > 0.0 => format!("{p:.0} % more time per step"),
            p => format!("{:.0} % less time per step", -p),
        };
        let (memory, raw) = (&row.memory, &raw.memory);
        let gradients = row.gradient_error.as_ref().map(|error| {
            let GradientError { mean, worst, worst_parameter } = error;
            format!(" It changes gradients by {mean:.3} of their noise, at worst by {worst:.3} ({worst_parameter}).")
        });
        Some(format!(
            "{} took {} at the peak instead of raw's {}, {}, and kept {} instead of {}, {}, at {judged} and {time}.{}",
            row.store,
            bytes(memory.peak_bytes),
            bytes(raw.peak_bytes),
            times(memory.peak_ratio),
            bytes(memory.kept_bytes),
            bytes(raw.kept_bytes),
            times(memory.kept_ratio),
            gradients.unwrap_or_default(),
        ))
    }
}

/// The end of a plural.
fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn times(ratio: f64) -> String {
    match ratio {
        r if r >= 1.05 => format!("{r:.1} times less"),
        r if r > 0.95 => "about as much".to_owned(),
        r => format!("{:.1} times more", 1.0 / r),
    }
}

/// Lines of at most `width` characters, where words allow.
fn fold(text: &str, width: usize) -> String {
    let mut folded = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let characters = word.chars().count();
        if length > 0 && length + 1 + characters > width {
            folded.push('\n');
            length = 0;
        } else if length > 0 {
            folded.push(' ');
            length += 1;
        }
        folded += word;
        length += characters;
    }
    folded
}
