//! How many samples a second the host can make ready for a config, by the number of worker threads: a device that
//! trains on fewer never waits.
//!
//! ```sh
//! cargo run --release -p frugal-trainer --example loader_pace -- configs/cifar10-resnet20.toml 0 1 2
//! ```

use frugal_data::{Loader, LoaderOptions};
use frugal_trainer::config::Config;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give a config, and numbers of workers")?;
    let (config, _) = Config::load(Path::new(&path), &[])?;
    let set = config.data.open()?;
    let plain = LoaderOptions::evaluate(&set, config.data.batch);
    for workers in arguments {
        let augment = config.data.augment.clone();
        let options = LoaderOptions { augment, workers: workers.parse()?, ..plain.clone() }.shuffled(1);
        let loader = Loader::new(set.train.clone(), options)?;
        // The first epoch finds memory cold and the pool empty.
        for epoch in 0..3 {
            let begin = Instant::now();
            for batch in loader.epoch(epoch) {
                batch?;
            }
            let seconds = begin.elapsed().as_secs_f64();
            let pace = loader.samples() as f64 / seconds;
            println!("{workers} workers, epoch {epoch}: {seconds:.2} s, {pace:.0} samples/s");
        }
    }
    Ok(())
}
