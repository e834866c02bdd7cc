//! What runs and measurements leave, as plain data: the formats of `metrics.jsonl`, `summary.json` and the other files of a run's
//! folder, and what reports read of them. The program fills them; nothing here measures or trains.

mod budget;
mod environment;
mod evaluation;
mod gradient_error;
mod measure;
mod roofline;
mod run;
mod spread;

pub use budget::{Chosen, Share, Single};
pub use environment::{AdapterFacts, Environment, Git};
pub use evaluation::{
    ClassEvaluation, Classification, Confused, Evaluation, MOST_CONFUSED, MOST_DENSE, Reconstruction, Regression,
    confused,
};
pub use gradient_error::{GradientError, GradientStudy, Prediction, RatePoint, StudiedStore, ValueError};
pub use measure::{Measure, psnr};
pub use roofline::{Bound, Copied, Rate, Roofline};
pub use run::{
    Coded, CodedValue, Discarded, Divergence, EpochRecord, Record, RunBytes, StepRecord, StoreRecord, Summary, median,
};
pub use spread::Spread;
