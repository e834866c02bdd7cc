//! `report.html` and the pictures, from made-up runs.

use frugal_model::{Net, StepShape};
use frugal_tensor::PlanOptions;
use frugal_tensor::ops::KernelSet;
use frugal_tensor::plan::KeptValue;
use frugal_trainer::config::{Form, Optimizer};
use frugal_trainer::report::comparison::{Comparison, Divergence, Memory, Row};
use frugal_trainer::report::page::Page;
use frugal_trainer::report::pictures::{Picture, pictures};
use frugal_trainer::report::plan::PlanReport;
use frugal_trainer::report::trace::Trace;
use frugal_trainer::run::environment::{AdapterFacts, Environment};
use frugal_trainer::run::examine::{Examination, GradientError, RatePoint};
use frugal_trainer::run::record::{EpochRecord, Record, RunBytes, StepRecord, StoreRecord};
use frugal_trainer::run::{Plans, Request, Summary};

const HOSTILE: &str = "</td><script>alert(\"1\")</script> & 'more'\u{0}\u{1b}[31m";

/// What a comparison of these stores leaves behind. The one called `wild` diverges.
struct Fixture {
    comparison: Comparison,
    traces: Vec<Trace>,
    rates: Vec<RatePoint>,
    examinations: Vec<Examination>,
}

fn adapter(name: &str) -> AdapterFacts {
    let none = String::new;
    AdapterFacts { name: name.into(), driver: none(), driver_info: none(), backend: "vulkan".into(), r#type: none() }
}

fn summary(store: &str, seed: u32, test_accuracy: f64) -> Summary {
    Summary {
        name: "made-up".into(),
        seed,
        store: store.into(),
        test_accuracy,
        test_loss: 0.5,
        train_loss: 0.4,
        steps: 900,
        seconds_per_step: if store == "raw" { 0.1 } else { 0.125 },
        seconds: 90.0,
        bytes: RunBytes { planned: Default::default(), allocated: 0, counted_by_wgpu: 0 },
        adapter: adapter("Test GPU"),
    }
}

/// A number between -1 and 1 that looks like chance.
fn noise(n: u64) -> f64 {
    (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn records(index: usize, seed: u32, steps: u64) -> Vec<Record> {
    let mut records = Vec::new();
    for step in 1..=steps {
        let course = 2.3 / (1.0 + step as f64 / 120.0) + 0.06 * index as f64;
        let loss = (course + 0.25 * noise(step + u64::from(seed) * 7919)).max(0.01) as f32;
        let epoch = step.div_ceil(150);
        let record = StepRecord { step, epoch, loss, accuracy: 0.5, learning_rate: 0.1, samples_per_second: 1.0 };
        records.push(Record::Step(record));
        if step % 150 == 0 {
            let test_accuracy = 0.9 - 0.4 / epoch as f64 - 0.02 * index as f64 + 0.02 * noise(epoch + u64::from(seed));
            let [train_loss, train_accuracy, test_loss, seconds] = [0.5, 0.8, 0.6, 10.0];
            let epoch = EpochRecord { epoch, step, train_loss, train_accuracy, test_loss, test_accuracy, seconds };
            records.push(Record::Epoch(epoch));
        }
    }
    records
}

fn adaptive(layers: usize) -> Vec<Record> {
    let at = |step: u64| {
        let value = |layer: usize| StoreRecord {
            name: format!("layer{}.{}.conv{}", layer / 6 + 1, layer / 2 % 3, layer % 2 + 1),
            form: "error-bounded".into(),
            raw_bytes: 1_000_000,
            stored_bytes: 60_000 + 9_000 * layer as u64 + 40 * step,
            bound: Some(0.02 / (1.0 + layer as f64) * (1.0 + noise(step / 50) * 0.3) * 100.0 / (100.0 + step as f64)),
            density: None,
        };
        Record::Stores { step, values: (0..layers).map(value).collect() }
    };
    (1..=900).step_by(50).map(at).collect()
}

fn fixture(stores: &[&str], seeds: &[u32]) -> Fixture {
    let mut rows = Vec::new();
    let mut traces = Vec::new();
    for (index, &store) in stores.iter().enumerate() {
        let mut runs = Vec::new();
        for &seed in seeds {
            let wild = store == "wild";
            runs.push(match wild {
                true => Err(Divergence { seed, step: 12, finding: format!("`conv1` has 3 NaN; {HOSTILE}") }),
                false => Ok(summary(store, seed, 0.8 - 0.001 * index as f64 + 0.002 * f64::from(seed))),
            });
            let mut all = records(index, seed, if wild { 11 } else { 900 });
            all.extend(if store.starts_with("error-bounded") { adaptive(14) } else { Vec::new() });
            traces.push(Trace::new(store, all));
        }
        let part = 1.0 + 3.0 * index as f64;
        let memory = Memory {
            kept_bytes: (3e7 / part) as u64,
            kept_ratio: part,
            kept_ratio_convolutions: Some(1.2 * part),
            peak_bytes: (3e7 / part + 9e6) as u64,
            peak_ratio: 3.9e7 / (3e7 / part + 9e6),
            largest_batch: Some(10_000 * (index + 1)),
        };
        rows.push(Row::new(store.to_string(), memory, &runs));
    }
    let comparison = Comparison {
        name: "made-up".into(),
        set: "digits".into(),
        net: "lenet".into(),
        batch: 64,
        epochs: 6,
        seeds: seeds.to_vec(),
        adapter: "Test GPU".into(),
        budget: 8 << 30,
        stores: rows,
    };
    Fixture { comparison: comparison.related(&[]), traces, rates: Vec::new(), examinations: Vec::new() }
}

impl Fixture {
    fn examined(mut self) -> Self {
        let weights = ["conv1.weight", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight", "fc.weight"];
        let gradient = |index: usize| {
            let weight = |(number, name): (usize, &&str)| GradientError {
                parameter: (*name).to_owned(),
                error: 1e-4 * (index * (number + 1)) as f64,
                noise: 2e-3,
            };
            weights.iter().enumerate().map(weight).collect()
        };
        let stores = self.comparison.stores.iter().enumerate();
        let examination = |(index, row): (usize, &Row)| Examination {
            store: row.store.clone(),
            gradient: gradient(index),
            values: Vec::new(),
        };
        self.examinations = stores.map(examination).collect();
        for (codec, quality) in [("uniform", 1.0), ("frequency-split", 0.7), ("error-bounded", 0.4)] {
            for bits in [1.0f64, 2.0, 4.0, 8.0] {
                let error = quality * 2.0 / (2f64.powf(bits) - 1.0);
                let store = format!("{codec}:{bits}");
                let bits_per_value = bits + quality * 0.3;
                self.rates.push(RatePoint {
                    codec: codec.into(),
                    store,
                    bits_per_value,
                    error_over_noise: error,
                    worst: 3.0 * error,
                });
            }
        }
        self.comparison = self.comparison.related(&self.examinations);
        self
    }

    fn pictures(&self) -> Vec<Picture> {
        pictures(&self.comparison, &self.traces, &self.rates)
    }

    fn html(&self) -> String {
        let environment = Environment {
            started: "2026-01-31T23:59:59Z".into(),
            command: ["/usr/bin/frugal", "compare", HOSTILE].map(str::to_owned).to_vec(),
            adapter: adapter(HOSTILE),
            kernel_set: "gpu",
            frugal: "0.1.0",
            wgpu: "30",
            rustc: "rustc",
            system: "linux x86_64".into(),
            cores: 2,
            git: None,
        };
        let forms = [Form::Raw, Form::F16].into_iter().cycle().take(self.comparison.stores.len());
        let mut plans: Vec<PlanReport> = forms.map(plan).collect();
        plans.iter_mut().for_each(|plan| plan.layers[0].name = HOSTILE.to_owned());
        let page = Page {
            comparison: &self.comparison,
            pictures: &self.pictures(),
            plans: &plans,
            examinations: &self.examinations,
            environment: &environment,
            config: HOSTILE,
        };
        page.to_html()
    }
}

fn plan(store: Form) -> PlanReport {
    let shape = StepShape { batch: 64, image: [1, 28, 28], classes: 10 };
    let (net, optimizer) = (Net::find("resnet8").unwrap(), Optimizer::default().operator());
    let request = Request { net, shape, optimizer, store: store.into() };
    PlanReport::new(&request, &Plans::new(&request, PlanOptions::unlimited(KernelSet::Tiles)).unwrap())
}

/// Whether tags are closed in the order in which they were opened, and all else is text.
fn check(html: &str) {
    let (begin, end) = (html.find("<style>").unwrap() + 7, html.find("</style>").unwrap());
    let html = format!("{}{}", &html[..begin], &html[end..]);
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "{text}");
        for (at, _) in text.match_indices('&') {
            let entity = text[at..].split(';').next().unwrap();
            assert!(text[at..].contains(';') && entity.len() < 8, "{text}");
        }
        let length = rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..start + length];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && tag.matches('"').count() % 2 == 0, "<{tag}>");
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "</{name}> after {text}"),
            false if tag.ends_with('/') || ["meta", "br"].contains(&name) => {}
            false => open.push(name),
        }
        rest = &rest[start + length + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("href="), "a page of its own");
    assert!(html.chars().all(|c| c == '\n' || !c.is_control()));
}

/// For people who want to look at it.
fn keep(name: &str, fixture: &Fixture) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let html = fixture.html();
    std::fs::write(folder.join(format!("{name}.html")), &html).unwrap();
    for picture in fixture.pictures() {
        std::fs::write(folder.join(format!("{name}-{}.png", picture.name)), picture.png).unwrap();
    }
    html
}

#[test]
fn a_full_report_has_every_section_and_picture() {
    let stores = ["raw", "f16", "uniform:4", "frequency-split", "error-bounded", "wild"];
    let fixture = fixture(&stores, &[1, 2, 3]).examined();
    let html = keep("full", &fixture);
    check(&html);
    let names: Vec<&str> = fixture.pictures().iter().map(|picture| picture.name).collect();
    assert_eq!(names, ["accuracy", "loss", "memory", "bounds", "ratios", "rates"]);
    assert_eq!(html.matches("<figure>").count(), 6);
    assert_eq!(html.matches("role=\"img\" aria-label=").count(), 6);
    for text in ["id=\"stores\"", "id=\"layers\"", "id=\"weights\"", "diverged at step 12", "3 of 18 runs diverged"] {
        assert!(html.contains(text), "{text}");
    }
    assert!(html.contains("<code>frugal compare"), "the folder of the program is nobody's business");
    for picture in fixture.pictures() {
        let image = image::load_from_memory(&picture.png).unwrap();
        assert_eq!(image.width(), 1920);
        assert!(image.to_rgb8().pixels().any(|pixel| pixel.0 == [34, 34, 34]), "{} has no text", picture.name);
    }
}

#[test]
fn what_is_not_there_is_not_shown() {
    let fixture = fixture(&["raw", "frequency-split"], &[1]);
    let html = keep("plain", &fixture);
    check(&html);
    let names: Vec<&str> = fixture.pictures().iter().map(|picture| picture.name).collect();
    assert_eq!(names, ["accuracy", "loss", "memory"]);
    for text in ["id=\"weights\"", "gradient error", "runs diverged", "if all is raw"] {
        assert!(!html.contains(text), "{text}");
    }
}

#[test]
fn names_of_others_are_text_and_nothing_else() {
    let mut fixture = fixture(&[HOSTILE, "f16"], &[1, 2]).examined();
    fixture.comparison.name = HOSTILE.to_owned();
    fixture.rates.iter_mut().for_each(|point| point.codec = HOSTILE.to_owned());
    let last = fixture.traces.last_mut().unwrap();
    last.stores = vec![(
        1,
        vec![StoreRecord {
            name: HOSTILE.into(),
            form: HOSTILE.into(),
            raw_bytes: 0,
            stored_bytes: 0,
            bound: Some(f64::NAN),
            density: None,
        }],
    )];
    let html = keep("hostile", &fixture);
    check(&html);
    assert!(html.contains("&lt;script&gt;"));
    assert!(html.contains("if all is raw"), "without raw there is a column for it");
}

#[test]
fn when_every_run_diverges_the_report_still_comes() {
    let mut fixture = fixture(&["raw", "wild"], &[1]);
    for row in &mut fixture.comparison.stores {
        let diverged = Divergence { seed: 1, step: 1, finding: "the input has 3 NaN".into() };
        *row = Row::new(row.store.clone(), row.memory.clone(), &[Err(diverged)]);
    }
    fixture.traces.iter_mut().for_each(|trace| *trace = Trace::new(&trace.store, []));
    let html = keep("diverged", &fixture);
    check(&html);
    assert!(html.contains("No store went through beside raw"), "{html}");
    assert_eq!(fixture.pictures().len(), 1, "memory is known from plans");
}

#[test]
fn one_store_has_one_colour_in_every_picture() {
    let fixture = fixture(&["raw", "f16", "frequency-split"], &[1]).examined();
    for picture in fixture.pictures().iter().filter(|picture| picture.name != "rates") {
        assert!(picture.svg.contains("#D55E00"), "{}", picture.name);
    }
    assert!(fixture.pictures().last().unwrap().svg.contains("#D55E00"), "the codec is called as the store");
}

#[test]
fn papers_count_what_convolutions_read_and_we_count_everything() {
    let raw = plan(Form::Raw);
    assert_eq!(raw.ratio_convolutions(), Some(1.0));
    let stored = plan(Form::usual("uniform").unwrap());
    let kept: Vec<&KeptValue> = stored.layers.iter().flat_map(|layer| &layer.kept).collect();
    let (read, others): (Vec<&KeptValue>, Vec<&KeptValue>) = kept.into_iter().partition(|kept| kept.convolution_input);
    // Nine convolutions; a block that halves the image and its shortcut read the same values.
    assert_eq!(read.len(), 7, "{read:?}");
    assert!(read.iter().all(|kept| kept.form == "uniform"), "{read:?}");
    assert!(others.iter().any(|kept| kept.form == "mask") && others.iter().any(|kept| kept.form == "uniform"));
    assert!(stored.ratio_convolutions().unwrap() > stored.ratio(), "masks and the rest take room as well");
}
