//! Forms that are chosen for a budget. Needs no adapter.

use frugal_model::{Net, StepShape};
use frugal_tensor::PlanOptions;
use frugal_tensor::codec::Slices;
use frugal_tensor::ir::{KernelSet, Precision};
use frugal_trainer::Error;
use frugal_trainer::config::{Optimizer, PolicySpec, SavePolicy};
use frugal_trainer::planning::Plans;
use frugal_trainer::planning::Request;

fn request(net: &str, shape: StepShape, store: &str) -> Request {
    let (store, slices) = match store.strip_suffix(" in 8 slices") {
        Some(store) => (store, Some(Slices::Count(8))),
        None => (store, (!store.starts_with("auto")).then_some(Slices::Off)),
    };
    let store = SavePolicy { slices, ..PolicySpec::parse(store).unwrap().into() };
    let (net, training) = (Net::find(net).unwrap(), Optimizer::default().operator().into());
    Request { net, shape, training, precision: Precision::F32, store }
}

fn plans(net: &str, shape: StepShape, store: &str) -> Result<Plans, Error> {
    Plans::new(&request(net, shape, store), PlanOptions::unlimited(KernelSet::Tiles))
}

/// A budget is kept to the byte at no more cost than any single store that keeps to it, or the least is said and is true.
fn check(net: &str, shape: StepShape, parts: &[u64]) {
    let raw = plans(net, shape, "raw").unwrap().bytes.peak;
    for part in parts {
        let budget = raw / part;
        let made = match plans(net, shape, &format!("auto:{budget}")) {
            Ok(made) => made,
            Err(Error::OverBudget { least, .. }) => {
                println!("{net}, 1/{part} of {raw}: {budget}, the least is {least}");
                assert!(least > budget);
                plans(net, shape, &format!("auto:{least}")).unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        let chosen = made.chosen.as_ref().unwrap();
        println!("{net}, 1/{part} of {raw}:\n{chosen}");
        assert!(chosen.peak <= chosen.budget && made.bytes.peak == chosen.peak);
        assert!(made.warnings().is_empty(), "{:?}", made.warnings());
        // Where everything fits raw, only the forms were planned that show which values are open.
        assert_eq!(chosen.singles.len(), if *part == 1 { 3 } else { 39 });
        assert_eq!(chosen.cost == 0.0, *part == 1);
        for single in &chosen.singles {
            println!("    {:24} {:>12} {:.4} {:.6}", single.store, single.peak, single.error_over_noise, single.cost);
            assert_eq!(single.peak, plans(net, shape, &single.store).unwrap().bytes.peak, "{}", single.store);
            assert!(single.peak > chosen.budget || chosen.cost <= single.cost, "{single:?}");
        }
        // What was chosen is a store like any other.
        let again = Request { store: made.store.clone(), ..request(net, shape, "raw") };
        let again = Plans::new(&again, PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
        assert_eq!((again.bytes, again.chosen), (made.bytes, None));
    }
}

#[test]
fn budgets_of_resnet20() {
    check("resnet20", StepShape { batch: 128, sample: [3, 32, 32].into(), classes: 10 }, &[1, 2, 4, 6, 8]);
}

#[test]
fn budgets_of_vgg16() {
    let shape = StepShape { batch: 64, sample: [3, 224, 224].into(), classes: 1000 };
    check("vgg16", shape, &[1, 2, 4, 8]);
}

#[test]
fn rules_hold_beside_a_budget() {
    let shape = StepShape { batch: 128, sample: [3, 32, 32].into(), classes: 10 };
    let mut request = request("resnet20", shape, "auto:64MiB");
    let rule = Request { store: PolicySpec::parse("f16").unwrap().into(), ..request.clone() };
    request.store.rules.push(frugal_trainer::config::SaveRule {
        layer: Some("images".into()),
        value: None,
        made_by: None,
        read_by: None,
        min_elements: None,
        store: rule.store.default,
    });
    let made = Plans::new(&request, PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
    let images = made.train.stored.iter().find(|stored| stored.rule == Some(0)).unwrap();
    assert_eq!((images.form, made.bytes.peak <= 64 << 20), ("f16", true));
}
