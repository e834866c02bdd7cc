//! Tables: cells, rows and quotation marks of CSV, and bytes, also within gzip.

use super::Target;
use crate::bytes;
use crate::random::Random;
use frugal_data::table::{self, TableOptions};
use frugal_data::{DataError, Loader, LoaderOptions, Purpose};
use frugal_trainer::Error;
use std::path::Path;

pub const TARGET: Target = Target { name: "table", file: "set.csv", seeds, mutate, attempt };

fn seeds() -> Vec<Vec<u8>> {
    let mut mixed = String::from("size,colour,y\n");
    (0..12).for_each(|row| mixed += &format!("{}.5,{},{}\n", row * 3 % 7, ["red", "green", ""][row % 3], row % 2));
    let quoted =
        "\u{feff}name,x,y\r\n\"a, b\",1,0\r\n\"c \"\"d\"\"\",NA,1\r\n\"a, b\",3,0\r\ne,4,1\r\nf,5,0\r\ng,6,1\r\n";
    vec![mixed.into_bytes(), quoted.as_bytes().to_vec()]
}

fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    if random.once_in(3) {
        return bytes::mutate(input, donor, random);
    }
    let text = String::from_utf8_lossy(input);
    let mut rows: Vec<Vec<String>> =
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).take(200).collect();
    for _ in 0..random.few(4) {
        if rows.is_empty() {
            break;
        }
        let at = random.below(rows.len());
        match random.below(8) {
            0 => drop(rows.remove(at)),
            1 => {
                let copy = rows[at].clone();
                rows.insert(random.below(rows.len()), copy);
            }
            2 => rows[at].push("1".to_owned()),
            3 => drop(rows[at].pop()),
            _ if rows[at].is_empty() => {}
            _ => {
                let cell = random.below(rows[at].len());
                let cells = [
                    "",
                    "0",
                    "1",
                    "-1",
                    "NaN",
                    "inf",
                    "1e400",
                    "1e-400",
                    "NA",
                    "y",
                    "x",
                    "\"",
                    "\"\"",
                    "\"a",
                    "é",
                    " 1 ",
                    "99999999999999999999",
                    "0x10",
                    "a;b",
                    "\t",
                ];
                rows[at][cell] = random.pick(&cells).to_owned();
            }
        }
    }
    rows.iter().map(|row| row.join(",") + "\n").collect::<String>().into_bytes()
}

/// Opens the table for classes and for numbers, whatever comes of the first, and goes through an epoch of it. One of the two must be
/// accepted.
fn attempt(path: &Path) -> Result<(), Error> {
    let read = |regression: bool| -> Result<(), DataError> {
        let options = TableOptions { target: "y".to_owned(), regression, rare: 1, ..TableOptions::default() };
        let set = table::open(path, &options, Purpose::Train)?;
        let schema = set.schema.as_deref().expect("tables have a schema");
        schema.check().expect("a schema that was learned is one that can be read back");
        let loader = Loader::new(set.train.clone(), LoaderOptions::evaluate(&set, 4).shuffled(1))?;
        for batch in loader.epoch(0) {
            let batch = batch.expect("rows that were read once are there again");
            let rows = schema.embedded_rows() as u32;
            assert!(batch.u32s(frugal_data::CATEGORIES).iter().all(|&row| row < rows), "rows are those of the table");
            assert!(batch.f32s(frugal_data::NUMBERS).iter().all(|number| number.is_finite()), "numbers are finite");
            assert!(batch.f32s(frugal_data::TARGETS).iter().all(|number| number.is_finite()), "targets are finite");
        }
        Ok(())
    };
    let (classes, numbers) = (read(false), read(true));
    classes.or(numbers).map_err(Error::from)
}
