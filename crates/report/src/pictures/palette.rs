//! One colour and one mark for a store, everywhere.

use crate::comparison::Comparison;
use plotters::style::RGBColor;

/// Okabe and Ito's colours, which people tell apart whatever colours they see; their yellow is too light for lines.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(120, 90, 60),
];
const RAW: RGBColor = RGBColor(70, 70, 70);

/// From dark to light, so that it reads in grey as well: the ends are Cividis', the light one darkened for white paper.
const SCALE: [RGBColor; 3] = [RGBColor(0, 45, 110), RGBColor(125, 124, 120), RGBColor(222, 190, 60)];

/// The shape of the marks on a line: what tells lines apart in grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Circle,
    Square,
    Triangle,
    Diamond,
    Ring,
    Cross,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    pub colour: RGBColor,
    pub mark: Mark,
}

/// The looks of stores.
pub struct Palette {
    stores: Vec<String>,
}

impl Palette {
    /// Of the stores of a comparison, in its order.
    pub fn of(comparison: &Comparison) -> Self {
        let others = comparison.stores.iter().filter(|row| row.store != "raw");
        Self { stores: others.map(|row| row.store.clone()).collect() }
    }

    /// Of a store. A codec looks as the first store that has it, and names of neither take the colours that are left.
    pub fn look(&self, name: &str, among: &[&str]) -> Look {
        if name == "raw" {
            return Look { colour: RAW, mark: Mark::Ring };
        }
        let known = |name: &str| {
            // Settings follow a colon, what is recomputed a plus, the number of rules a space.
            let codec = |store: &String| store.split([':', '+', ' ']).next() == Some(name);
            let stores = || self.stores.iter();
            stores().position(|store| store == name).or_else(|| stores().position(codec))
        };
        let left = || among.iter().filter(|other| known(other).is_none()).position(|other| *other == name);
        let index = known(name).unwrap_or_else(|| self.stores.len() + left().unwrap_or(0));
        let marks = [Mark::Circle, Mark::Square, Mark::Triangle, Mark::Diamond, Mark::Cross];
        Look { colour: COLOURS[index % COLOURS.len()], mark: marks[index % marks.len()] }
    }
}

/// A colour at this share of the way from dark to light.
pub fn scale(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (SCALE.len() - 1) as f64;
    let below = (place as usize).min(SCALE.len() - 2);
    let (a, b, t) = (SCALE[below], SCALE[below + 1], place - below as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t).round() as u8;
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}
