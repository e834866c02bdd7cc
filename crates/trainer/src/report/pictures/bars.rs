//! Bars of memory: for each store what is kept and what is taken in all.

use super::palette::Palette;
use super::sheet::{Drawing, INK, Sheet, Side, TEXT, WIDTH, label, width_of};
use crate::report::bytes;
use crate::report::comparison::Comparison;
use plotters::prelude::DrawingBackend;

/// Kept and peak bytes of each store.
pub struct Memory<'a> {
    pub comparison: &'a Comparison,
    pub palette: &'a Palette,
}

const MARGIN: i32 = 40;
const LINE: i32 = TEXT * 13 / 10;
const BAR: i32 = 64;
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
        let texts: Vec<[String; 2]> = stores
            .iter()
            .map(|row| {
                let memory = &row.memory;
                let text = |what: &str, size, ratio| format!("{what} {}, {ratio:.1}×", bytes(size));
                [text("kept", memory.kept_bytes, memory.kept_ratio), text("peak", memory.peak_bytes, memory.peak_ratio)]
            })
            .collect();
        let widest = texts.iter().flatten().map(|text| width_of(text, SMALL)).max().unwrap_or(0);
        let room = f64::from(WIDTH - 2 * MARGIN - widest - 30);
        let most = stores.iter().map(|row| row.memory.peak_bytes.max(row.memory.kept_bytes)).max().unwrap_or(1).max(1);
        for (index, (row, texts)) in stores.iter().zip(texts).enumerate() {
            let mut y = MARGIN + LINE + GROUP * index as i32 + 20;
            sheet.text(&label(&row.store), (MARGIN, y + LINE / 2), Side::Right, SMALL, INK);
            y += LINE;
            let look = self.palette.look(&row.store, &[]);
            let sizes = [row.memory.kept_bytes, row.memory.peak_bytes];
            for ((size, text), full) in sizes.into_iter().zip(texts).zip([true, false]) {
                let width = ((size as f64 / most as f64 * room).round() as i32).max(4);
                sheet.bar([(MARGIN, y), (MARGIN + width, y + BAR)], look.colour, full);
                sheet.text(&text, (MARGIN + width + 30, y + BAR / 2), Side::Right, SMALL, INK);
                y += BAR + 16;
            }
        }
    }
}
