//! A sheet of paper to draw on, the same for SVG and PNG.

use super::palette::{Look, Mark};
use crate::text::shown;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::sync::Once;

/// Wide enough for a sharp PNG; pages scale the SVG to their width. Texts are large, so that they can be read on a phone.
pub const WIDTH: i32 = 1920;
pub const TEXT: i32 = 82;
/// The colours of texts and of lines that carry no data.
pub const INK: RGBColor = RGBColor(34, 34, 34);
pub const FAINT: RGBColor = RGBColor(222, 222, 222);
const FONT: &str = "sans-serif";

/// Something that can be drawn.
pub trait Drawing {
    /// Of the sheet that it needs.
    fn height(&self) -> i32;
    /// Draws it.
    fn draw<DB: DrawingBackend>(&self, sheet: &Sheet<'_, DB>);
}

/// Where to draw. Drawing in memory cannot fail, so nothing here returns an error.
pub struct Sheet<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    /// By how much texts stand too high, as a share of their size.
    lift: f64,
}

/// The side of a point on which a text stands.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    Left,
    Centre,
    Right,
}

pub type Point = (i32, i32);

impl<DB: DrawingBackend> Sheet<'_, DB> {
    pub fn line(&self, points: impl IntoIterator<Item = Point>, colour: RGBAColor, width: u32) {
        let points: Vec<Point> = points.into_iter().collect();
        let _ = self.area.draw(&PathElement::new(points, colour.stroke_width(width)));
    }

    /// A bar; hollow ones have an outline.
    pub fn bar(&self, corners: [Point; 2], colour: RGBColor, full: bool) {
        if full {
            let _ = self.area.draw(&Rectangle::new(corners, colour.filled()));
            return;
        }
        let [(left, top), (right, bottom)] = corners;
        let _ = self.area.draw(&Rectangle::new(corners, colour.mix(0.18).filled()));
        self.line([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], colour.to_rgba(), 4);
    }

    /// What a line encloses.
    pub fn area(&self, outline: Vec<Point>, colour: RGBColor) {
        let _ = self.area.draw(&Polygon::new(outline, colour.filled()));
    }

    pub fn disc(&self, centre: Point, radius: i32, colour: RGBColor) {
        let _ = self.area.draw(&Circle::new(centre, radius, colour.filled()));
    }

    /// `at` is the middle of the text's height.
    pub fn text(&self, text: &str, at: Point, side: Side, size: i32, colour: RGBColor) {
        let horizontal = match side {
            Side::Left => HPos::Right,
            Side::Centre => HPos::Center,
            Side::Right => HPos::Left,
        };
        let at = (at.0, at.1 + (f64::from(size) * self.lift) as i32);
        let style = TextStyle::from((FONT, size).into_font()).color(&colour).pos(Pos::new(horizontal, VPos::Center));
        let _ = self.area.draw(&Text::new(text.to_owned(), at, style));
    }

    pub fn mark(&self, (x, y): Point, look: Look, radius: i32) {
        let (colour, r) = (look.colour, radius);
        let polygon = |points: Vec<Point>| drop(self.area.draw(&Polygon::new(points, colour.filled())));
        match look.mark {
            Mark::Circle => drop(self.area.draw(&Circle::new((x, y), r, colour.filled()))),
            Mark::Ring => {
                let _ = self.area.draw(&Circle::new((x, y), r, colour.filled()));
                let _ = self.area.draw(&Circle::new((x, y), r / 2, WHITE.filled()));
            }
            Mark::Square => {
                let r = r * 9 / 10;
                let _ = self.area.draw(&Rectangle::new([(x - r, y - r), (x + r, y + r)], colour.filled()));
            }
            Mark::Triangle => polygon(vec![(x, y - r * 5 / 4), (x + r * 5 / 4, y + r), (x - r * 5 / 4, y + r)]),
            Mark::Diamond => {
                polygon(vec![(x, y - r * 4 / 3), (x + r * 4 / 3, y), (x, y + r * 4 / 3), (x - r * 4 / 3, y)])
            }
            Mark::Cross => {
                self.line([(x - r, y - r), (x + r, y + r)], colour.to_rgba(), 8);
                self.line([(x - r, y + r), (x + r, y - r)], colour.to_rgba(), 8);
            }
        }
    }
}

/// The width of a text, rather more than less: pages use a font of their own, which may be wider.
pub fn width_of(text: &str, size: i32) -> i32 {
    fonts();
    let width = TextStyle::from((FONT, size).into_font()).font.box_size(text).map_or(0, |(width, _)| width);
    (f64::from(width) * 1.15) as i32
}

/// A name as it may stand in a picture: short, and of characters that XML allows.
pub fn label(name: &str) -> String {
    const MOST: usize = 36;
    let plain: Vec<char> = shown(name).chars().filter(|c| !matches!(c, '\n' | '\u{FFFE}' | '\u{FFFF}')).collect();
    match plain.len() > MOST {
        true => plain[..MOST - 1].iter().chain(&['…']).collect(),
        false => plain.into_iter().collect(),
    }
}

/// As text for a page or a file. `caption` is for people who cannot see it.
pub fn svg(drawing: &impl Drawing, caption: &str) -> String {
    let mut text = String::new();
    paint(drawing, SVGBackend::with_string(&mut text, size(drawing)), 0.0);
    let title = minijinja::HtmlEscape(&shown(caption));
    let (head, body) = text.split_once(">\n").unwrap_or((&text, ""));
    format!("{head} role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n{body}")
}

/// As a file.
pub fn png(drawing: &impl Drawing) -> Vec<u8> {
    let (width, height) = size(drawing);
    let mut pixels = vec![0; (3 * width * height) as usize];
    // The library puts the middle of a line of text, not that of its letters, where it is told.
    paint(drawing, BitMapBackend::with_buffer(&mut pixels, (width, height)), 0.16);
    encode_png(&pixels, [height, width].map(|extent| extent as usize), true)
}

/// A PNG file of rows of pixels, of one byte each (grey) or three (`colour`).
///
/// # Panics
/// If there are not as many bytes as `[height, width]` says.
pub fn encode_png(pixels: &[u8], [height, width]: [usize; 2], colour: bool) -> Vec<u8> {
    let colour = if colour { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let mut file = Vec::new();
    // The encoder itself: a choice among formats would compile all of them.
    let encoder = PngEncoder::new(&mut file);
    encoder.write_image(pixels, width as u32, height as u32, colour).expect("memory takes all bytes");
    file
}

fn size(drawing: &impl Drawing) -> (u32, u32) {
    (WIDTH as u32, drawing.height() as u32)
}

fn paint<DB: DrawingBackend>(drawing: &impl Drawing, backend: DB, lift: f64) {
    fonts();
    let area = backend.into_drawing_area();
    let _ = area.fill(&WHITE);
    drawing.draw(&Sheet { area: &area, lift });
    let _ = area.present();
}

/// A PNG is lettered without any font of the system, so that it looks the same everywhere.
fn fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = plotters::style::register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}
