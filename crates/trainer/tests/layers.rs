//! Nets as lists of layers: what they are, and what is said of lists that are none. Needs an adapter; the software one will
//! do.

mod common;

use common::{DIGITS, Desk};
use frugal_model::{StepShape, training_step};
use frugal_tensor::{Gpu, Graph};
use frugal_trainer::config::{Config, ConfigError};
use frugal_trainer::evaluation::Trained;
use frugal_trainer::evaluation::Which;
use frugal_trainer::planning;
use miette::Diagnostic;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layers").join(name)
}

/// A config with this list.
fn config(layers: &str) -> String {
    DIGITS.replace("net = \"lenet\"", &format!("layers = [{layers}]"))
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("test.toml", text, Path::new("/configs"), &[])
}

#[test]
fn lenet_as_a_list_is_lenet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let [list, named] = ["mnist-lenet-layers.toml", "mnist-lenet.toml"].map(|file| {
        let (config, _) = Config::load(&folder.join(file), &[]).unwrap();
        let shape = StepShape { batch: 64, sample: [1, 28, 28].into(), classes: 10 };
        training_step(&config.model.net().unwrap(), shape, config.training()).unwrap()
    });
    let operators = |graph: &Graph| graph.nodes().iter().map(|node| format!("{:?}", node.operator)).collect::<Vec<_>>();
    assert!(operators(&list) == operators(&named));
    let shapes = |graph: &Graph| graph.values().iter().map(|value| value.shape.to_string()).collect::<Vec<_>>();
    assert!(shapes(&list) == shapes(&named));
    let names: Vec<&str> = list.parameters().map(|(_, value)| value.name.as_str()).collect();
    assert_eq!(names, ["0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias", "9.weight", "9.bias"]);
}

/// The weights, and the logits of eight images, by PyTorch.
#[test]
fn every_kind_of_layer_does_what_pytorchs_does() {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    let trained = Trained::read(&fixture("every_kind.toml"), &Which::Last).unwrap();
    let bytes = std::fs::read(fixture("every_kind_answers.safetensors")).unwrap();
    let answers = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Vec<f32> { bytemuck::pod_collect_to_vec(answers.tensor(name).unwrap().data()) };
    let (images, wanted) = (values("images"), values("logits"));
    let found = trained.open_normalised(8, [1, 8, 8], &gpu).unwrap().logits(&images).unwrap();
    let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let most = wanted.iter().fold(0f32, |most, x| most.max(x.abs()));
    println!("at most {off:.1e} off, of up to {most:.2}");
    assert!(found.len() == 80 && most > 0.1 && off < 1e-5 * most.max(1.0), "{off} off");
}

#[test]
fn a_resolved_list_gives_itself_again() {
    let text = std::fs::read_to_string(fixture("every_kind.toml")).unwrap();
    let config = parse(&text).unwrap();
    let again = parse(&config.to_toml()).unwrap();
    assert!(again == config, "{}", config.to_toml());
    // Also as tables of their own.
    let text =
        DIGITS.replace("net = \"lenet\"", "[[model.layers]]\nlinear = 4\n[[model.layers]]\nlinear = \"classes\"");
    assert!(parse(&text).unwrap().to_toml().contains("linear = 4"));
}

/// The message, the hint, and the text that the error points at.
fn check(layers: &str, message: &str, help: &str, pointed: &str) {
    let refused = |error: ConfigError| {
        let source = error.source_code().expect("points into a text");
        let label = error.labels().unwrap().next().unwrap();
        let contents = source.read_span(label.inner(), 0, 0).unwrap();
        let found_pointed = String::from_utf8_lossy(&contents.data()[..label.len()]);
        let found_help = error.help().map(|help| help.to_string()).unwrap_or_default();
        let found = error.to_string();
        assert!(found.contains(message), "{found}");
        assert!(found_help.contains(help), "{found_help}");
        assert_eq!(found_pointed, pointed);
    };
    match parse(&config(layers)) {
        Err(error) => refused(error),
        Ok(config) => match planning::request(&config, [1, 8, 8].into(), 10) {
            Err(frugal_trainer::Error::Config(error)) => refused(error),
            other => panic!("must be refused, but {other:?}"),
        },
    }
}

#[test]
fn lists_that_cannot_be_read_are_refused_where_they_stand() {
    check("\"relu\", \"rleu\"", "`model.layers[1]`: there is no layer \"rleu\"", "did you mean `relu`?", "\"rleu\"");
    check("{ con = 3 }", "`model.layers[0]` does not say which layer it is", "did you mean `conv`?", "{ con = 3 }");
    check("{ conv = 8, kernal = 3 }", "no setting `model.layers[0].kernal`", "did you mean `kernel`?", "kernal");
    check("{ conv = 8 }", "`model.layers[0].kernel` is missing", "`kernel = 3`", "{ conv = 8 }");
    check("\"conv\"", "the layer \"conv\" needs settings", "{ conv = 16, kernel = 3, padding = 1 }", "\"conv\"");
    check("{ conv = 8.5, kernel = 3 }", "`model.layers[0].conv` must be a whole number from 1", "", "8.5");
    check("{ conv = 8, kernel = 3, padding = \"valid\" }", "must be a whole number, or \"same\"", "", "\"valid\"");
    check("{ relu = 6 }", "`model.layers[0].relu` must be true", "", "6");
    check("{ dropout = 1 }", "`model.layers[0].dropout` must be a number from 0 to 0.9999999", "", "1");
    check("{ linear = \"all\" }", "a number of outputs, or \"classes\"", "", "\"all\"");
    check(
        "{ conv = 8, max_pool = 2 }",
        "two layers at once: conv and max_pool",
        "a place of its own",
        "{ conv = 8, max_pool = 2 }",
    );
    check("7", "must be the name of a layer, or a table", "", "7");
    check("{ residual = [\"relu\", \"gleu\"] }", "`model.layers[0].residual[1]`", "did you mean `gelu`?", "\"gleu\"");
    let both = DIGITS.replace("net = \"lenet\"", "net = \"lenet\"\nlayers = [\"relu\"]");
    assert!(parse(&both).unwrap_err().to_string().contains("both say what the net is"));
}

/// Shapes are those of the data's images, so that this is found after reading.
#[test]
fn layers_that_do_not_fit_are_refused_where_they_stand() {
    check("{ linear = 10 }", "layer `0`", "put \"flatten\"", "{ linear = 10 }");
    check("\"relu\", { conv = 8, kernel = 11 }", "layer `1`", "", "{ conv = 8, kernel = 11 }");
    check("\"flatten\", { linear = 9 }", "a logit for each class", "as many as the data has", "{ linear = 9 }");
    check("\"relu\"", "a logit for each class", "end with \"flatten\"", "\"relu\"");
    let block =
        "{ residual = [\"relu\", { conv = 4, kernel = 3, groups = 2 }] }, \"flatten\", { linear = \"classes\" }";
    check(block, "layer `0.body.1`", "", "{ conv = 4, kernel = 3, groups = 2 }");
    let transposed = "{ conv_transpose = 3, kernel = 2, groups = 2 }";
    let two = "{ conv = 2, kernel = 1 }";
    check(
        &format!("{two}, {transposed}, \"flatten\", {{ linear = \"classes\" }}"),
        "3 filters do not divide into 2 groups",
        "",
        transposed,
    );
    let sum = "{ residual = [{ conv = 4, kernel = 3 }] }";
    check(&format!("{sum}, \"flatten\", {{ linear = \"classes\" }}"), "layer `0`: add", "", sum);
}

/// Each setting is within its range, and what comes of them is beyond what kernels count.
#[test]
fn absurd_sizes_are_refused_where_they_stand() {
    let end = "\"flatten\", { linear = \"classes\" }";
    let large = 1 << 20;
    let cases = [
        (format!("{{ conv = {large}, kernel = {large}, padding = {large} }}"), "a value of 1048576×1×1048576×1048576"),
        (format!("{{ conv_transpose = 4, kernel = 3, stride = {large} }}"), "a value of 50×4×7340035×7340035"),
        (format!("{{ conv_transpose = 4, kernel = {large}, stride = 2 }}"), "a value of 1×4×1048576×1048576"),
        (format!("{{ conv = 4, kernel = 3, padding = {large} }}"), "a value of 50×4×2097158×2097158"),
        (format!("{{ max_pool = {large}, padding = 524288 }}"), "window and stride go up to 65535"),
        (format!("{{ avg_pool = {large} }}"), "window and stride go up to 65535"),
        (format!("{{ upsample = {large} }}"), "at most 32767 rows and columns"),
        (format!("{{ adaptive_avg_pool = {large} }}"), "a value of 50×1×1048576×1048576"),
    ];
    for (layer, message) in &cases {
        check(&format!("\"relu\", {layer}, {end}"), "layer `1", "", layer);
        check(&format!("\"relu\", {layer}, {end}"), message, "", layer);
    }
    let linear = format!("{{ linear = {large} }}");
    let rows = format!("\"flatten\", {linear}, {{ linear = 1048575 }}, {{ linear = \"classes\" }}");
    check(&rows, "layer `2.weight`: a value of 1048575×1048576 has more than the", "", "{ linear = 1048575 }");
}

#[test]
fn a_list_is_planned_trained_resumed_and_looked_at() {
    let desk = Desk::new();
    let list = "{ conv = 4, kernel = 3, padding = 1, bias = false }, \"batch_norm\", \"relu\", { max_pool = 2 }, \"flatten\", \
                { dropout = 0.1 }, { linear = \"classes\" }";
    std::fs::write(desk.path("list.toml"), config(list)).unwrap();
    assert!(desk.ok(&["plan", "list.toml"]).contains("layers"));
    desk.ok(&["train", "list.toml", "--out", "run", "--set", "checkpoint.every_steps=10"]);
    let text = desk.ok(&["inspect", "run"]);
    assert!(text.contains("layers on digits") && text.contains("0.weight"), "{text}");
    assert!(desk.ok(&["eval", "run"]).contains("layers on 360 samples"));

    // Stopped, and gone on with, to the same bits; other layers are refused.
    for file in
        ["summary.json", "weights.safetensors", "checkpoints/best.safetensors", "checkpoints/step-00000029.safetensors"]
    {
        std::fs::rename(desk.path("run").join(file), desk.path("kept").with_extension(file.replace('/', "-"))).unwrap();
    }
    let resolved = std::fs::read_to_string(desk.path("run/config.resolved.toml")).unwrap();
    for (from, to) in [("\"relu\"", "\"gelu\""), ("conv = 4", "conv = 5")] {
        assert!(resolved.contains(from));
        std::fs::write(desk.path("run/config.resolved.toml"), resolved.replace(from, to)).unwrap();
        let text = desk.fails(2, &["resume", "run"]);
        assert!(text.contains("other settings: model.layers"), "{text}");
    }
    std::fs::write(desk.path("run/config.resolved.toml"), &resolved).unwrap();
    desk.ok(&["resume", "run"]);
    let bytes = |path: PathBuf| std::fs::read(path).unwrap();
    assert!(bytes(desk.path("run/weights.safetensors")) == bytes(desk.path("kept.weights.safetensors")));
}
