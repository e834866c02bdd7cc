//! Lists of layers, likely and absurd, through graph, gradients and plan. The first line says of which images.

use super::Target;
use crate::bytes;
use crate::random::Random;
use frugal_tensor::PlanOptions;
use frugal_tensor::ir::KernelSet;
use frugal_trainer::Error;
use frugal_trainer::config::Config;
use frugal_trainer::planning;
use frugal_trainer::planning::Plans;
use std::fmt::Write;
use std::path::Path;

pub const TARGET: Target = Target { name: "layers", file: "layers.toml", seeds, mutate, attempt };

fn seeds() -> Vec<Vec<u8>> {
    let small = format!("# 1 8 8 10 gpu\n{}", super::SMALL);
    let every_kind = include_str!("../../../../crates/trainer/tests/fixtures/layers/every_kind.toml");
    let every_kind = every_kind.replace("weights = \"every_kind.safetensors\"\n", "");
    [small, format!("# 1 8 8 10 cpu\n{every_kind}")].map(String::into_bytes).to_vec()
}

/// Mostly a list of its own, so that it need not be alike what was there before.
fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    if random.once_in(10) { bytes::mutate(input, donor, random) } else { config(random).into_bytes() }
}

fn config(random: &mut Random) -> String {
    let absurd = random.once_in(4);
    let mut extent = |usual: &[usize]| {
        if absurd && random.once_in(2) { random.pick(&[1, 1000, 4096, 65_535, 65_536]) } else { random.pick(usual) }
    };
    let image = [extent(&[1, 1, 3]), extent(&[1, 2, 8, 15, 32]), extent(&[1, 3, 8, 16, 33])];
    let classes = if absurd && random.once_in(4) { 1_000_000 } else { random.pick(&[1, 2, 10, 100]) };
    let batch = if absurd && random.once_in(2) { 1 << 20 } else { random.pick(&[1, 2, 7, 32]) };
    let kernels = random.pick(&["gpu", "cpu", "naive"]);
    let count = random.few(10);
    let mut layers = list(count, absurd, 0, random);
    if !random.once_in(10) {
        layers.push_str("\"flatten\", { linear = \"classes\" }");
    }
    let [channels, height, width] = image;
    let mut text = format!("# {channels} {height} {width} {classes} {kernels}\n");
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes any text");
    line(format!("[data]\nset = \"digits\"\nbatch = {batch}"));
    line(format!("[model]\nlayers = [{layers}]"));
    if random.once_in(3) {
        line(format!("[loss]\nkind = \"{}\"", random.pick(&["mse", "mae", "bce", "cross-entropy"])));
    }
    let optimizer = random.pick(&["sgd", "adam", "adamw", "rmsprop"]);
    line(format!("[optimizer]\nkind = \"{optimizer}\"\nlr = 0.1"));
    line("[train]\nepochs = 1".to_owned());
    let options = ["accumulate = 3", "clip_norm = 1.0", "precision = \"f16\"", "ema = 0.9"];
    options.iter().filter(|_| random.once_in(4)).for_each(|option| line((*option).to_owned()));
    let stores = [
        "raw",
        "f16",
        "float8",
        "uniform",
        "uniform:1,8",
        "frequency-split",
        "frequency-split:4,1",
        "error-bounded",
        "error-bounded:comet",
        "auto:1MiB",
        "auto:2GiB",
    ];
    line(format!("[store]\ndefault = \"{}{}\"", random.pick(&stores), random.pick(&["", "", "+cheap", "+segments"])));
    text
}

/// So many layers, with a comma after each.
fn list(count: usize, absurd: bool, depth: usize, random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..count {
        write!(text, "{}, ", layer(absurd, depth, random)).expect("a string takes any text");
    }
    text
}

fn layer(absurd: bool, depth: usize, random: &mut Random) -> String {
    let size = |usual: &[usize], random: &mut Random| {
        let edges = [1, 2, 3, 1000, 65_536, (1 << 20) - 1, 1 << 20];
        if absurd && random.once_in(3) { random.pick(&edges) } else { random.pick(usual) }
    };
    let plain = [
        "batch_norm",
        "layer_norm",
        "relu",
        "relu6",
        "leaky_relu",
        "hardtanh",
        "sigmoid",
        "tanh",
        "gelu",
        "silu",
        "global_avg_pool",
        "flatten",
    ];
    match random.below(14) {
        0..=3 => format!("\"{}\"", random.pick(&plain)),
        4 | 5 => {
            let kind = random.pick(&["conv", "conv", "conv_transpose"]);
            let mut text = format!("{{ {kind} = {}", size(&[1, 2, 4, 6, 16], random));
            let mut setting = |name: &str, value: usize| write!(text, ", {name} = {value}").expect("text");
            setting("kernel", size(&[1, 2, 3, 5], random));
            for (name, usual) in [("stride", &[1, 1, 2][..]), ("dilation", &[1, 2]), ("groups", &[1, 2])] {
                if random.once_in(3) {
                    setting(name, size(usual, random));
                }
            }
            if kind == "conv_transpose" && random.once_in(3) {
                setting("output_padding", size(&[0, 1], random));
            }
            if random.once_in(4) {
                text.push_str(", padding = \"same\"");
            } else {
                setting("padding", size(&[0, 1, 2], random));
            }
            text + if random.once_in(3) { ", bias = false }" } else { " }" }
        }
        6 => format!("{{ linear = {} }}", size(&[1, 10, 84], random)),
        7 => format!("{{ group_norm = {} }}", size(&[1, 2, 3], random)),
        8 => {
            let (kernel, stride, padding) = (size(&[2, 3], random), size(&[1, 2], random), size(&[0, 1], random));
            format!("{{ max_pool = {kernel}, stride = {stride}, padding = {padding} }}")
        }
        9 => format!("{{ avg_pool = {} }}", size(&[1, 2], random)),
        10 => format!("{{ adaptive_avg_pool = [{}, {}] }}", size(&[1, 2, 7], random), size(&[1, 3], random)),
        11 => {
            let mode = random.pick(&["nearest", "bilinear"]);
            format!("{{ upsample = {}, mode = \"{mode}\" }}", size(&[1, 2, 3], random))
        }
        12 => "{ dropout = 0.3 }".to_owned(),
        _ => {
            let most = if absurd && random.once_in(20) { 60 } else { 4 };
            if depth >= most {
                return "\"relu\"".to_owned();
            }
            let body = if most > 4 {
                layer(absurd, depth + 1, random)
            } else {
                list(random.few(3), absurd, depth + 1, random)
            };
            let shortcut =
                if random.once_in(3) { list(random.few(2), absurd, depth + 1, random) } else { String::new() };
            format!("{{ residual = [{body}], shortcut = [{shortcut}] }}")
        }
    }
}

fn attempt(path: &Path) -> Result<(), Error> {
    let (config, text) = Config::load(path, &[])?;
    let wanted = || Error::Usage("the first line must be `# channels height width classes gpu`".to_owned());
    let head: Vec<&str> = text.lines().next().unwrap_or_default().split(' ').collect();
    let [_, sizes @ .., kernels] = head.as_slice() else { return Err(wanted()) };
    let sizes: Result<Vec<usize>, _> = sizes.iter().map(|size| size.parse()).collect();
    let Ok(&[channels, height, width, classes]) = sizes.as_deref() else { return Err(wanted()) };
    // The bounds of `frugal plan`.
    if [channels, height, width].iter().any(|extent| !(1..=65_536).contains(extent))
        || classes > 1_000_000
        || classes == 0
    {
        return Err(wanted());
    }
    let set = match *kernels {
        "gpu" => KernelSet::Tiles,
        "cpu" => KernelSet::Registers,
        _ => KernelSet::Naive,
    };
    let request = planning::request(&config, [channels, height, width].into(), classes)?;
    let plans = Plans::new(&request, PlanOptions::unlimited(set).in_precision(request.precision))?;
    let report = plans.report(&request);
    let (text, json) = (report.to_string(), serde_json::to_string(&report));
    assert!(!text.is_empty() && json.is_ok(), "a plan can be shown");
    Ok(())
}
