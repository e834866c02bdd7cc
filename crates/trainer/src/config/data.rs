//! The section `data`: which set, how it is divided, and what chance does to its training images.

use super::reader::{Reader, wrong};
use super::source::{Node, Value};
use super::{ConfigError, Data};
use crate::data::{self, Augment, Jitter, ResizedCrop, Share};
use std::path::Path;

type Result<T> = std::result::Result<T, ConfigError>;

/// Reads the section.
pub(super) fn data(root: &Reader<'_>, folder: &Path) -> Result<Data> {
    let section = root.section("data", &["set", "batch", "root", "validation", "augment", "workers"])?;
    let data_root = section.text("root")?.map(|root| folder.join(root));
    let data_root = data_root.unwrap_or_else(data::default_root);
    let sets: Vec<&'static str> = data::catalogue(&data_root).into_iter().map(|entry| entry.name).collect();
    let set = section.choice("set", &sets).map_err(|error| match section.get("set").map(|node| &node.value) {
        Some(Value::Text(name)) => match data::absent(name) {
            Some(advice) => error.help(advice),
            None => error,
        },
        _ => error,
    })?;
    Ok(Data {
        set: section.required("set", "\"fashion-mnist-small\"", set)?.to_owned(),
        batch: section.integer("batch", 1, 1 << 20)?.unwrap_or(64) as usize,
        // Absolute, so that the resolved config means the same from any folder.
        root: std::path::absolute(&data_root).unwrap_or(data_root),
        validation: validation(&section)?,
        workers: section.integer("workers", 0, 256)?.map(|workers| workers as usize),
        augment: augment(&section)?,
    })
}

/// A fraction of the training samples, or a number of them.
fn validation(section: &Reader<'_>) -> Result<Option<Share>> {
    let Some(node) = section.get("validation") else { return Ok(None) };
    match node.value {
        Value::Integer(count) if count > 0 => Ok(Some(Share::Count(count as usize))),
        Value::Float(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(Some(Share::Fraction(fraction))),
        _ => Err(section.wrong("validation", node, "a fraction between 0 and 1, or a number of samples")),
    }
}

fn augment(data: &Reader<'_>) -> Result<Augment> {
    let section = data.section("augment", &["pad_crop", "resized_crop", "flip", "jitter", "cutout"])?;
    let pixels = |key| Ok(section.integer(key, 1, 1 << 15)?.map(|pixels| pixels as usize));
    let augment = Augment {
        pad_crop: pixels("pad_crop")?,
        resized_crop: resized_crop(&section)?,
        flip: section.flag("flip")?.unwrap_or(false),
        jitter: jitter(&section)?,
        cutout: pixels("cutout")?,
    };
    match section.get("pad_crop") {
        Some(node) if augment.pad_crop.is_some() && augment.resized_crop.is_some() => {
            let message = "`data.augment.pad_crop` and `data.augment.resized_crop` both choose a part of the image";
            Err(ConfigError::at(&node.place, message, "the other one").help("remove one of them"))
        }
        _ => Ok(augment),
    }
}

/// `true`, or a table with the limits.
fn resized_crop(augment: &Reader<'_>) -> Result<Option<ResizedCrop>> {
    let Some(node) = augment.get("resized_crop") else { return Ok(None) };
    let usual = ResizedCrop::default();
    match node.value {
        Value::Flag(on) => Ok(on.then_some(usual)),
        Value::Table(_) => {
            let section = augment.section("resized_crop", &["scale", "ratio"])?;
            let scale =
                range(&section, "scale", "two shares of the area, the lesser first, above 0 and at most 1", 1.0)?;
            let ratio = range(&section, "ratio", "two numbers of width over height, the lesser first, above 0", 100.0)?;
            Ok(Some(ResizedCrop { scale: scale.unwrap_or(usual.scale), ratio: ratio.unwrap_or(usual.ratio) }))
        }
        _ => Err(augment.wrong("resized_crop", node, "true, false or a table with `scale` and `ratio`")),
    }
}

fn range(section: &Reader<'_>, key: &str, wanted: &str, limit: f64) -> Result<Option<[f64; 2]>> {
    let Some(node) = section.get(key) else { return Ok(None) };
    let number = |node: &Node| match node.value {
        Value::Integer(number) => number as f64,
        Value::Float(number) => number,
        _ => f64::NAN,
    };
    match &node.value {
        Value::List(items) => match items.iter().map(number).collect::<Vec<_>>()[..] {
            [least, most] if 0.0 < least && least <= most && most <= limit => Ok(Some([least, most])),
            _ => Err(section.wrong(key, node, wanted)),
        },
        _ => Err(section.wrong(key, node, wanted)),
    }
}

fn jitter(augment: &Reader<'_>) -> Result<Option<Jitter>> {
    let section = augment.section("jitter", &["brightness", "contrast", "saturation"])?;
    let Some(node) = augment.get("jitter") else { return Ok(None) };
    let spread = |key| {
        let most = 10.0;
        Ok(section.float(key, "from 0 to 10", |value| (0.0..=most).contains(&value))?.unwrap_or(0.0))
    };
    let jitter =
        Jitter { brightness: spread("brightness")?, contrast: spread("contrast")?, saturation: spread("saturation")? };
    if jitter == Jitter::default() {
        return Err(wrong(
            &augment.path_of("jitter"),
            node,
            "a table with at least one of brightness, contrast and saturation above 0",
        ));
    }
    Ok(Some(jitter))
}
