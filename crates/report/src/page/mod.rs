//! `report.html`: all of a comparison on one page that needs nothing but itself.

mod values;

use super::bytes;
use super::comparison::{Cells, Comparison, budget};
use super::pictures::Picture;
use super::plan::PlanReport;
use crate::records::Environment;
use crate::records::{GradientStudy, StudiedStore};
use crate::text::shown;
use minijinja::value::Serde;
use minijinja::{Environment as Templates, UndefinedBehavior};
use serde::Serialize;
use serde_json::json;
use values::Values;

/// All that the page tells.
pub struct Page<'a> {
    /// The stores side by side.
    pub comparison: &'a Comparison,
    /// What they look like.
    pub pictures: &'a [Picture],
    /// The plan of each store, in the order of the comparison.
    pub plans: &'a [PlanReport],
    /// What stores do to gradients, as far as that was looked at.
    pub study: &'a GradientStudy,
    /// What it was made with.
    pub environment: &'a Environment,
    /// The resolved config.
    pub config: &'a str,
}

/// A layer, or all of them.
#[derive(Serialize)]
struct Layer {
    name: String,
    output: String,
    raw: String,
    stores: Vec<Share>,
}

/// What a store keeps of a layer.
#[derive(Serialize)]
struct Share {
    kept: String,
    forms: String,
}

/// A weight and the gradient error of each store.
#[derive(Serialize)]
struct Weight {
    name: String,
    noise: String,
    errors: Vec<String>,
}

impl Page<'_> {
    /// The page as a file.
    pub fn to_html(&self) -> String {
        let mut templates = Templates::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        // The ending makes every name and text of a user or a driver safe.
        templates.add_template("report.html", include_str!("report.html")).expect("tests render the template");
        let Self { comparison, pictures, environment, config, .. } = *self;
        let cells: Vec<Cells> = comparison.stores.iter().map(|row| row.cells(comparison.measure)).collect();
        let examined: Vec<&str> = self.study.stores.iter().map(|e| e.store.as_str()).collect();
        let (diverged, runs) = comparison.diverged();
        let pictures: Vec<_> = pictures.iter().map(|p| json!({ "svg": p.svg, "caption": p.caption })).collect();
        let page = json!({
            "style": include_str!("report.css"),
            "comparison": comparison,
            "heading": comparison.heading(),
            "finding": comparison.finding(),
            "sentences": comparison.other_sentences(),
            "budget": budget(comparison.budget),
            "cells": cells,
            "measure": comparison.measure.name(),
            "has_psnr": comparison.has_psnr(),
            "has_gradient": comparison.examined(),
            "diverged": diverged,
            "runs": runs,
            "pictures": pictures,
            "has_raw": comparison.raw().is_some(),
            "layers": self.layers(),
            "examined": examined,
            "batches": self.study.batches,
            "examined_at": self.study.weights,
            "not_examined": self.study.skipped,
            "weights": self.weights(),
            "values": self.study.stores.iter().filter_map(Values::of).collect::<Vec<_>>(),
            "adaptive": comparison.adaptive(),
            "environment": environment,
            "command": self.command(),
            "config": config,
        });
        let template = templates.get_template("report.html");
        let html = template.and_then(|t| t.render(Serde(page))).expect("tests render the template");
        // Names may hold characters that no page may.
        shown(&html).into_owned()
    }

    /// The command without the folder of the program.
    fn command(&self) -> String {
        let mut words = self.environment.command.iter().map(String::as_str);
        let program = words.next().map(|path| path.rsplit(['/', '\\']).next().unwrap_or(path));
        program.into_iter().chain(words).collect::<Vec<_>>().join(" ")
    }

    fn layers(&self) -> Vec<Layer> {
        let Some(first) = self.plans.first() else { return Vec::new() };
        let dash = |number: u64| if number == 0 { "–".to_owned() } else { bytes(number) };
        let kept = first.layers.iter().filter(|layer| layer.kept_raw_bytes > 0 || layer.kept_bytes > 0);
        let mut layers: Vec<Layer> = kept
            .map(|layer| {
                let of = |plan: &PlanReport| {
                    let layer = plan.layers.iter().find(|other| other.name == layer.name);
                    let mut forms: Vec<&str> = layer.iter().flat_map(|l| l.kept.iter().map(|kept| kept.form)).collect();
                    forms.sort_unstable();
                    forms.dedup();
                    Share { kept: dash(layer.map_or(0, |layer| layer.kept_bytes)), forms: forms.join(", ") }
                };
                let output = layer.output.iter().skip(1).map(usize::to_string).collect::<Vec<_>>().join("×");
                let stores = self.plans.iter().map(of).collect();
                Layer { name: layer.name.clone(), output, raw: dash(layer.kept_raw_bytes), stores }
            })
            .collect();
        let all = |plan: &PlanReport| Share { kept: bytes(plan.bytes.kept), forms: String::new() };
        let stores = self.plans.iter().map(all).collect();
        layers.push(Layer { name: "all".into(), output: String::new(), raw: bytes(first.bytes.kept_raw), stores });
        layers
    }

    fn weights(&self) -> Vec<Weight> {
        let Some(first) = self.study.stores.first() else { return Vec::new() };
        let weight = |name: &str, noise: f64| {
            let error = |studied: &StudiedStore| {
                let weight = studied.gradient.iter().find(|weight| weight.parameter == name && weight.noise > 0.0);
                weight.map_or("–".to_owned(), |weight| format!("{:.3}", weight.error / weight.noise))
            };
            let errors = self.study.stores.iter().map(error).collect();
            Weight { name: name.to_owned(), noise: format!("{noise:.2e}"), errors }
        };
        first.gradient.iter().map(|w| weight(&w.parameter, w.noise)).collect()
    }
}
