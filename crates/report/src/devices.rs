//! Adapters as a report.

use super::units::{bytes, count};
use crate::records::AdapterFacts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// An adapter as a report.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceReport {
    /// What `--device` takes.
    pub index: usize,
    /// Name, driver, backend, type.
    #[serde(flatten)]
    pub facts: AdapterFacts,
    /// The family of kernels that it gets.
    pub kernel_set: &'static str,
    /// How it multiplies f16, if it does.
    pub f16: Option<String>,
    /// The limits that matter to a training step.
    pub limits: BTreeMap<&'static str, u64>,
    /// What it can do beyond the common ground.
    pub features: Vec<String>,
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AdapterFacts { name, driver, driver_info, backend, r#type } = &self.facts;
        writeln!(f, "{}: {name}", self.index)?;
        writeln!(f, "   type        {type}, over {backend}")?;
        writeln!(f, "   driver      {driver} {driver_info}")?;
        writeln!(f, "   kernels     {}", self.kernel_set)?;
        writeln!(f, "   f16         {}", self.f16.as_deref().unwrap_or("not in shaders"))?;
        for (limit, value) in &self.limits {
            let value = if limit.ends_with("_size") { bytes(*value) } else { count(*value) };
            writeln!(f, "   limit       {} {value}", limit.trim_start_matches("max_").replace('_', " "))?;
        }
        let known = ["shader_f16", "subgroup", "timestamp_query", "pipeline_cache"];
        let has: Vec<&str> = known.into_iter().filter(|known| self.features.iter().any(|f| f == known)).collect();
        let others = self.features.len() - has.len();
        let has = if has.is_empty() { "none of use here".to_owned() } else { has.join(", ") };
        write!(f, "   features    {has}; {others} others (--json lists all)")
    }
}
