//! What tuning found, as a table.

use frugal_tensor::ir::tiles::{Choice, Pixels, Registers, Strip, Work};
use std::fmt;

/// What was measured.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// What each kind of work takes, the longest first.
    pub rows: Vec<Row>,
    /// Kinds of work that the time did not suffice for.
    pub left: usize,
    /// Seconds that all of it took.
    pub seconds: f64,
}

/// One kind of work of a net.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is.
    pub work: Work,
    /// How many nodes of the step do it.
    pub nodes: usize,
    /// Ways to do it that were measured, the usual one included.
    pub candidates: usize,
    /// Milliseconds with the usual tile.
    pub usual_ms: f64,
    /// The tile that was faster, and its milliseconds.
    pub best: Option<(Choice, f64)>,
}

impl Row {
    /// Milliseconds from now on.
    pub fn tuned_ms(&self) -> f64 {
        self.best.map_or(self.usual_ms, |(_, milliseconds)| milliseconds)
    }
}

/// What is said of a measurement beside its kernels.
pub(super) fn tuned(tiles: Option<usize>) -> String {
    tiles.map_or(String::new(), |choices| format!(", with {choices} tuned tiles"))
}

/// A tile in a few words.
fn tile(choice: Choice) -> String {
    match choice {
        Choice::Tile(tile) => format!(
            "{}×{}×{} by {}×{}",
            tile.rows, tile.columns, tile.depth, tile.rows_per_invocation, tile.columns_per_invocation
        ),
        Choice::Registers(Registers { rows, columns }) => format!("{rows}×{columns}"),
        Choice::Pixels(Pixels { width, height, channel_blocks }) => {
            format!("{width}×{height}, {}", blocks(channel_blocks))
        }
        Choice::Strip(Strip { width, out_blocks, in_channels }) => {
            format!("{width} wide, {}, {in_channels} channels", blocks(out_blocks))
        }
        _ => format!("{choice:?}"),
    }
}

fn blocks(count: usize) -> String {
    if count == 1 { "1 block".to_owned() } else { format!("{count} blocks") }
}

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["work", "nodes", "tried", "usual ms", "tuned ms", "", "tile"];
        let mut table = super::table(&head, 1..6);
        for row in &self.rows {
            let Row { work, nodes, candidates, usual_ms, best, .. } = row;
            table.add_row(vec![
                work.to_string(),
                nodes.to_string(),
                candidates.to_string(),
                format!("{usual_ms:.3}"),
                format!("{:.3}", row.tuned_ms()),
                best.map_or(String::new(), |_| format!("{:.0} %", 100.0 * (row.tuned_ms() / usual_ms - 1.0))),
                best.map_or("as usual".to_owned(), |(choice, _)| tile(choice)),
            ]);
        }
        writeln!(f, "{table}\n")?;
        let all = |of: &dyn Fn(&Row) -> f64| self.rows.iter().map(|row| row.nodes as f64 * of(row)).sum::<f64>();
        let (usual, tuned) = (all(&|row| row.usual_ms), all(&Row::tuned_ms));
        let better = self.rows.iter().filter(|row| row.best.is_some()).count();
        let share = 100.0 * (1.0 - tuned / usual.max(f64::MIN_POSITIVE));
        write!(
            f,
            "{better} of {} have a faster tile than the usual one: {usual:.2} ms a step become {tuned:.2} ({share:.1} % less); measured in \
             {:.0} s",
            self.rows.len(),
            self.seconds
        )?;
        match self.left {
            0 => Ok(()),
            left => write!(f, "\n{left} others were left for lack of time: give more with --seconds"),
        }
    }
}
