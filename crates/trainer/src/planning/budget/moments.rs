//! The bytes alive at each moment of a step, as they would be with other forms.
//!
//! Forms change when values are made and decoded, so this is exact only for the forms of the plan that it was read off.
//! It serves to choose the next forms to plan.

use super::sites::Site;
use frugal_tensor::Plan;
use frugal_tensor::codec::Stored;
use frugal_tensor::ir::ValueId;
use frugal_tensor::plan::Block;
use std::collections::BTreeSet;

/// What is left of a plan: the bytes that are alive at each moment, and the blocks of what is saved.
pub(super) struct Outline {
    alive: Vec<u64>,
    /// The source of each saved tensor, and its block: the number, bytes, first and last moment.
    kept: Vec<(ValueId, Option<(usize, Block)>)>,
    /// What is recomputed.
    pub recomputed: Vec<ValueId>,
    /// By how much the memory for values in flight is larger than what is alive at its largest moment.
    pub gaps: u64,
}

impl Outline {
    pub fn of(plan: &Plan) -> Self {
        let alive = plan.lifetimes.alive();
        let most = alive.iter().copied().max().unwrap_or(0);
        let (recomputed, kept): (Vec<&Stored>, Vec<&Stored>) = plan.stored.iter().partition(|s| s.is_recomputed());
        let block = |stored: &&Stored| {
            let block = plan.lifetimes.of_value[stored.kept.index()];
            (stored.source, block.map(|index| (index, plan.lifetimes.blocks[index].clone())))
        };
        Self {
            kept: kept.iter().map(block).collect(),
            recomputed: recomputed.iter().map(|stored| stored.source).collect(),
            gaps: plan.executable.transient_pages.iter().sum::<u64>().saturating_sub(most),
            alive,
        }
    }

    /// The values of which something is saved.
    pub fn sources(&self) -> BTreeSet<ValueId> {
        self.kept.iter().map(|(source, _)| *source).collect()
    }
}

/// What is alive at each moment besides the values whose forms are open, and when those are alive.
pub(super) struct Moments {
    besides: Vec<u64>,
    /// For each site, the first and the last moment; none if nothing of it is saved.
    spans: Vec<Option<(usize, usize)>>,
    /// What the run allocates beyond what is alive at the largest moment: all that lives across steps, and gaps.
    pub overhead: u64,
}

impl Moments {
    /// Those of a plan with which a run allocates `peak` bytes.
    pub fn of(outline: &Outline, peak: u64, sites: &[Site]) -> Self {
        let mut besides = outline.alive.clone();
        let overhead = peak.saturating_sub(besides.iter().copied().max().unwrap_or(0));
        let mut spans = vec![None; sites.len()];
        let mut taken = BTreeSet::new();
        for (source, block) in &outline.kept {
            let Ok(site) = sites.binary_search_by_key(source, |site| site.source) else { continue };
            let Some((number, block)) = block else { continue };
            // Views share one.
            let size = if taken.insert(number) { block.size } else { 0 };
            besides[block.start..=block.end].iter_mut().for_each(|bytes| *bytes -= size);
            let span = spans[site].get_or_insert((block.start, block.end));
            *span = (span.0.min(block.start), span.1.max(block.end));
        }
        Self { besides, spans, overhead }
    }

    /// The cheapest forms, by the index of their point for each site, with which at most `limit` bytes should be alive at any
    /// moment; with no room for that, as few as can be. What does not wait keeps the form of `before`.
    ///
    /// Everything begins in its cheapest form. Then the largest moment decides: of what is saved in it, the value changes its
    /// form whose change saves most bytes for its cost. In the end what has become needless by later changes is undone.
    pub fn choose(&self, sites: &[Site], before: &[usize], limit: u64) -> Vec<usize> {
        let mut chosen = before.to_vec();
        let mut alive = self.besides.clone();
        for (index, site) in sites.iter().enumerate() {
            let Some((start, end)) = self.spans[index] else { continue };
            let cheapest = site.options.iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
            let cheapest = cheapest.expect("everything can be raw");
            chosen[index] = cheapest.point;
            alive[start..=end].iter_mut().for_each(|bytes| *bytes += cheapest.bytes);
        }
        while let Some((moment, _)) = alive.iter().enumerate().max_by_key(|(_, bytes)| **bytes).filter(|m| *m.1 > limit)
        {
            let waits = |&index: &usize| self.spans[index].is_some_and(|(start, end)| (start..=end).contains(&moment));
            let changes = (0..sites.len()).filter(waits).flat_map(|index| {
                let now = sites[index].option(chosen[index]);
                let less = sites[index].options.iter().filter(move |option| option.bytes < now.bytes);
                less.map(move |option| {
                    (index, option.point, (option.cost - now.cost) / (now.bytes - option.bytes) as f64)
                })
            });
            let Some((index, point, _)) = changes.min_by(|a, b| a.2.total_cmp(&b.2)) else { break };
            self.change(&sites[index], index, &mut chosen, &mut alive, point);
        }
        self.undo(sites, &mut chosen, &mut alive, limit);
        chosen
    }

    /// Gives values cheaper forms where there is room, those first that gain most for their bytes.
    fn undo(&self, sites: &[Site], chosen: &mut [usize], alive: &mut [u64], limit: u64) {
        loop {
            let fits = |index: usize, more: u64| {
                self.spans[index].is_some_and(|(start, end)| alive[start..=end].iter().all(|&b| b + more <= limit))
            };
            let changes = (0..sites.len()).filter(|&index| self.spans[index].is_some()).flat_map(|index| {
                let now = sites[index].option(chosen[index]);
                sites[index].options.iter().filter(move |option| option.cost < now.cost).filter_map(move |option| {
                    let more = option.bytes.saturating_sub(now.bytes);
                    fits(index, more).then(|| (index, option.point, (now.cost - option.cost) / more.max(1) as f64))
                })
            });
            let Some((index, point, _)) = changes.max_by(|a, b| a.2.total_cmp(&b.2)) else { break };
            self.change(&sites[index], index, chosen, alive, point);
        }
    }

    fn change(&self, site: &Site, index: usize, chosen: &mut [usize], alive: &mut [u64], point: usize) {
        let (old, new) = (site.option(chosen[index]).bytes, site.option(point).bytes);
        chosen[index] = point;
        if let Some((start, end)) = self.spans[index] {
            alive[start..=end].iter_mut().for_each(|bytes| *bytes = *bytes - old + new);
        }
    }
}
