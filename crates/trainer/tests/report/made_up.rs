//! Comparisons of runs that never were.

use frugal_model::{Net, StepShape};
use frugal_report::comparison::{Comparison, Memory, Row};
use frugal_report::convolutions::Convolutions;
use frugal_report::page::Page;
use frugal_report::pictures::{Picture, pictures};
use frugal_report::plan::PlanReport;
use frugal_report::records::Divergence;
use frugal_report::records::Summary;
use frugal_report::records::{AdapterFacts, Environment};
use frugal_report::records::{EpochRecord, Record, RunBytes, StepRecord, StoreRecord};
use frugal_report::records::{GradientError, GradientStudy, Prediction, RatePoint, StudiedStore, ValueError};
use frugal_report::trace::Trace;
use frugal_tensor::PlanOptions;
use frugal_tensor::ir::{KernelSet, Precision};
use frugal_trainer::config::{CodecSpec, Optimizer, PolicySpec};
use frugal_trainer::planning::Plans;
use frugal_trainer::planning::Request;
use std::sync::OnceLock;

/// What nobody should call anything.
pub const HOSTILE: &str = "</td><script>alert(\"1\")</script> & 'more'\u{0}\u{1b}[31m";

/// What a comparison of these stores leaves behind. The one called `wild` diverges.
pub struct Fixture {
    pub comparison: Comparison,
    pub traces: Vec<Trace>,
    pub study: GradientStudy,
}

fn adapter(name: &str) -> AdapterFacts {
    let none = String::new;
    AdapterFacts { name: name.into(), driver: none(), driver_info: none(), backend: "vulkan".into(), r#type: none() }
}

pub fn summary(store: &str, seed: u32, test_accuracy: f64) -> Summary {
    Summary {
        name: "made-up".into(),
        seed,
        store: store.into(),
        loss: "cross-entropy".to_owned(),
        test_accuracy: Some(test_accuracy),
        test_loss: 0.5,
        test_psnr: None,
        validation_accuracy: None,
        validation_loss: None,
        train_loss: 0.4,
        steps: 900,
        stopped_early: false,
        best: (100, test_accuracy),
        since_best: None,
        seconds_per_step: if store == "raw" { 0.1 } else { 0.125 },
        data_wait_ms: 0.0,
        seconds: 90.0,
        bytes: RunBytes { planned: Default::default(), allocated: 0, most_allocated: 0, counted_by_wgpu: 0 },
        coded: None,
        adapter: adapter("Test GPU"),
        evaluation: None,
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
        let record = StepRecord {
            step,
            epoch,
            loss,
            accuracy: Some(0.5),
            learning_rate: 0.1,
            loss_scale: None,
            skipped: false,
            samples_per_second: 1.0,
            data_wait_ms: 0.0,
        };
        records.push(Record::Step(record));
        if step % 150 == 0 {
            let test_accuracy = 0.9 - 0.4 / epoch as f64 - 0.02 * index as f64 + 0.02 * noise(epoch + u64::from(seed));
            let epoch = EpochRecord {
                epoch,
                step,
                train_loss: 0.5,
                train_accuracy: Some(0.8),
                validation_loss: None,
                validation_accuracy: None,
                validation_psnr: None,
                test_loss: Some(0.6),
                test_accuracy: Some(test_accuracy),
                test_psnr: None,
                seconds: 10.0,
                ..EpochRecord::default()
            };
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
            raw_share: Some(0.0),
        };
        Record::Stores { step, values: (0..layers).map(value).collect() }
    };
    (1..=900).step_by(50).map(at).collect()
}

/// Of values in a codec's form; one serves no convolution.
fn values(store: &str) -> Vec<ValueError> {
    let value = |(name, weights): (&str, &[&str])| ValueError {
        name: name.into(),
        form: store.into(),
        raw_bytes: 1_605_632,
        stored_bytes: 65_000,
        bound: store.starts_with("error-bounded").then_some(0.0123),
        // Of one of them.
        raw_share: store.starts_with("error-bounded").then_some(if weights.is_empty() { 0.0123 } else { 0.0 }),
        max_error: 0.0122,
        rms_error: 7.1e-5,
        weights: weights.iter().map(|&weight| weight.to_owned()).collect(),
    };
    let served: &[&str] = &["layer1.0.conv1.weight", "layer2.0.downsample.0.weight"];
    let values = [("layer1.0.bn1.relu", served), ("layer1.0.conv1.convolved", &[])];
    if store == "raw" { Vec::new() } else { values.into_iter().map(value).collect() }
}

fn predictions(error: f64) -> Vec<Prediction> {
    let of = |layer: u64| {
        let predicted = error * (1.0 - 0.1 * layer as f64);
        let (value, parameter) = (format!("layer{layer}.relu"), format!("layer{layer}.weight"));
        Prediction { value, parameter, predicted, measured: predicted * (1.0 + 0.1 * noise(layer)) }
    };
    (0..7).map(of).collect()
}

pub fn fixture(stores: &[&str], seeds: &[u32]) -> Fixture {
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
            convolutions: Convolutions::default(),
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
        measure: Default::default(),
        seeds: seeds.to_vec(),
        adapter: "Test GPU".into(),
        budget: 8 << 30,
        stores: rows,
    };
    Fixture { comparison: comparison.related(&GradientStudy::default()), traces, study: GradientStudy::default() }
}

impl Fixture {
    pub fn examined(mut self) -> Self {
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
        let studied = |(index, row): (usize, &Row)| StudiedStore {
            store: row.store.clone(),
            gradient: gradient(index),
            values: values(&row.store),
        };
        self.study.stores = stores.map(studied).collect();
        (self.study.batches, self.study.weights) = (8, Some("raw".into()));
        for (codec, quality) in [("uniform", 1.0), ("frequency-split", 0.7), ("error-bounded", 0.4)] {
            for bits in [1.0f64, 2.0, 4.0, 8.0] {
                let error = quality * 2.0 / (2f64.powf(bits) - 1.0);
                let store = format!("{codec}:{bits}");
                let bits_per_value = bits + quality * 0.3;
                self.study.points.push(RatePoint {
                    codec: codec.into(),
                    store,
                    bits_per_value,
                    error_over_noise: error,
                    worst: 3.0 * error,
                    predictions: if codec == "error-bounded" { predictions(error) } else { Vec::new() },
                });
            }
        }
        self.comparison = self.comparison.related(&self.study);
        self
    }

    pub fn pictures(&self) -> Vec<Picture> {
        pictures(&self.comparison, &self.plans(), &self.traces, &self.study.points)
    }

    fn plans(&self) -> Vec<PlanReport> {
        static PLANS: OnceLock<[PlanReport; 2]> = OnceLock::new();
        let plans = PLANS.get_or_init(|| [CodecSpec::Raw, CodecSpec::F16].map(plan)).iter().cycle().cloned();
        let stores = self.comparison.stores.iter().zip(plans);
        let named = stores.map(|(row, plan)| PlanReport { store: row.store.clone(), ..plan });
        named
            .map(|mut plan| {
                plan.layers[0].name = HOSTILE.to_owned();
                plan.largest_moments[0].layer = HOSTILE.to_owned();
                plan
            })
            .collect()
    }

    pub fn html(&self) -> String {
        let environment = Environment {
            tiles: None,
            started: "2026-01-31T23:59:59Z".into(),
            command: ["/usr/bin/frugal", "compare", HOSTILE].map(str::to_owned).to_vec(),
            adapter: adapter(HOSTILE),
            kernel_set: "gpu".into(),
            frugal: "0.1.0".into(),
            wgpu: "30".into(),
            rustc: "rustc".into(),
            system: "linux x86_64".into(),
            cores: 2,
            git: None,
        };
        let page = Page {
            comparison: &self.comparison,
            pictures: &self.pictures(),
            plans: &self.plans(),
            study: &self.study,
            environment: &environment,
            config: HOSTILE,
        };
        page.to_html()
    }
}

pub fn plan(store: CodecSpec) -> PlanReport {
    plan_of(&store.to_string())
}

pub fn plan_of(store: &str) -> PlanReport {
    let shape = StepShape { batch: 64, sample: [1, 28, 28].into(), classes: 10 };
    let (net, training) = (Net::find("resnet8").unwrap(), Optimizer::default().operator().into());
    let request =
        Request { net, shape, training, precision: Precision::F32, store: PolicySpec::parse(store).unwrap().into() };
    Plans::new(&request, PlanOptions::unlimited(KernelSet::Tiles)).unwrap().report(&request)
}
