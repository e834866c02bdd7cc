//! What people and programs read: plans, comparisons, adapters, evaluations, speed.
//!
//! ```text
//! records (plain data) ─▶ tables for terminals, Markdown, CSV, JSON
//!                      └▶ pictures as SVG and PNG ─▶ one HTML page
//! ```
//!
//! Plain data in, text and images out: nothing here measures, trains or reads a run's folder.

pub mod check;
pub mod comparison;
pub mod composition;
pub mod convolutions;
pub mod devices;
pub mod evaluation;
pub mod largest_batch;
mod measured;
pub mod operator_times;
pub mod page;
pub mod passes;
pub mod pictures;
pub mod plan;
pub mod records;
pub mod sets;
pub mod slices;
pub mod speed_page;
pub mod step_times;
pub mod text;
pub mod trace;
pub mod tuning;
pub mod units;

pub use units::{bytes, count};

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use std::ops::Range;

/// A table for a terminal or a pipe. The columns in `numbers` stand to the right.
pub fn table(header: &[&str], numbers: Range<usize>) -> Table {
    // The rule under the header is all that is needed.
    let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    let mut table = Table::new();
    table.load_style(style.header_lines(ContentLineStyle::none())).set_header(header.iter().copied());
    // Cells wrap on a narrow terminal; in a pipe nothing does.
    table.set_content_arrangement(ContentArrangement::Dynamic);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { 1 }, 1));
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
