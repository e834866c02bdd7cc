//! Bars of memory: for each store what is taken in all and what is kept of it.

use super::palette::Palette;
use super::sheet::{Drawing, INK, Sheet, Side, TEXT, WIDTH, label, width_of};
use crate::bytes;
use crate::comparison::{Comparison, Row};
use plotters::prelude::DrawingBackend;

/// Peak and kept bytes of each store.
pub struct Memory<'a> {
    pub comparison: &'a Comparison,
    pub palette: &'a Palette,
}

const MARGIN: i32 = 40;
const LINE: i32 = TEXT * 13 / 10;
const BAR: i32 = 70;
const SMALL: i32 = TEXT * 9 / 10;
/// Of one store: its name, two bars and room.
const GROUP: i32 = LINE + 2 * (BAR + 16) + 40;

impl Drawing for Memory<'_> {
    fn height(&self) -> i32 {
        MARGIN + LINE + GROUP * self.comparison.stores.len() as i32 + MARGIN
    }

    fn draw<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>) {
        let title = format!("Memory at batch {}", self.comparison.batch);
        sheet.text(&title, (MARGIN, MARGIN + LINE / 2), Side::Right, TEXT, INK);
        let stores = &self.comparison.stores;
        let text = |what: &str, size, ratio: f64, raw| match raw {
            true => format!("{what} {}", bytes(size)),
            false => format!("{what} {}, {ratio:.1}× less", bytes(size)),
        };
        let of = |row: &Row| {
            let (memory, raw) = (&row.memory, row.store == "raw");
            let peak = text("peak", memory.peak_bytes, memory.peak_ratio, raw);
            [peak, text("kept", memory.kept_bytes, memory.kept_ratio, raw)]
        };
        let texts: Vec<[String; 2]> = stores.iter().map(of).collect();
        let sizes = |row: &Row| [row.memory.peak_bytes, row.memory.kept_bytes].map(|size| size.max(1) as f64);
        // As wide as the text beside each bar allows.
        let room = f64::from(WIDTH - 2 * MARGIN - 30);
        let beside = |(size, text): (f64, &String)| (room - f64::from(width_of(text, SMALL))).max(100.0) / size;
        let bars = || stores.iter().flat_map(sizes).zip(texts.iter().flatten());
        let per_byte = bars().map(beside).fold(f64::INFINITY, f64::min);
        for (index, (row, texts)) in stores.iter().zip(&texts).enumerate() {
            let mut y = MARGIN + LINE + GROUP * index as i32 + 20;
            sheet.text(&label(&row.store), (MARGIN, y + LINE / 2), Side::Right, SMALL, INK);
            y += LINE;
            let look = self.palette.look(&row.store, &[]);
            for ((size, text), full) in sizes(row).into_iter().zip(texts).zip([false, true]) {
                let width = ((size * per_byte).round() as i32).max(4);
                sheet.bar([(MARGIN, y), (MARGIN + width, y + BAR)], look.colour, full);
                sheet.text(text, (MARGIN + width + 30, y + BAR / 2), Side::Right, SMALL, INK);
                y += BAR + 16;
            }
        }
    }
}
