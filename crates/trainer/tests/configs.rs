//! Every file in `configs` can be read and planned, without a device and without data.

use frugal_tensor::PlanOptions;
use frugal_tensor::ir::KernelSet;
use frugal_trainer::config::Config;
use frugal_trainer::planning;
use frugal_trainer::planning::Plans;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect()
}

#[test]
fn every_config_is_called_as_its_file_and_can_be_planned() {
    let files = files();
    assert!(files.len() >= 13, "{files:?}");
    for path in files {
        let (config, _) = Config::load(&path, &[]).unwrap();
        assert_eq!(path.file_stem().unwrap().to_str(), Some(config.name.as_str()));
        let (image, classes) = config.data.shape().unwrap();
        let request = planning::request(&config, image, classes).unwrap();
        let options = PlanOptions::unlimited(KernelSet::Tiles);
        let raw = Plans::new(&request, options.clone()).unwrap().report(&request);
        if config.name == "flights" {
            // Rows of a table: a net without convolutions, whose config compares no stores.
            assert_eq!(raw.convolutions.ratio(), None);
            continue;
        }
        assert_eq!(raw.convolutions.ratio(), Some(1.0), "{}", config.name);
        assert!(config.compare.stores.len() > 1 && config.compare.stores[0].to_string() == "raw", "{}", config.name);
        for &store in &config.compare.stores[1..] {
            let request =
                frugal_trainer::planning::Request { store: config.store.with_default(store), ..request.clone() };
            let plan = Plans::new(&request, options.clone()).unwrap().report(&request);
            assert!(plan.ratio() > 1.5, "{} with {store} keeps {:?}", config.name, plan.bytes);
            // LeNet's largest moment is its first layer, where nothing is kept yet but images, which are bytes in every store.
            let allowance = if ["lenet", "layers"].contains(&request.net.name) { raw.bytes.peak / 100 } else { 0 };
            assert!(plan.bytes.peak < raw.bytes.peak + allowance, "{} with {store}", config.name);
        }
    }
}
