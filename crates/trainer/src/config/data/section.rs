//! The section `data`: which set, how it is divided, and what chance does to its training images.

use super::{Data, Normalisation, Table};
use crate::config::ConfigError;
use crate::config::reader::{Reader, size, wrong};
use crate::config::source::{Node, Value};
use frugal_data::table::Schema;
use frugal_data::{Augment, Dataset, Frame, Jitter, Orientation, ResizedCrop, Share};
use frugal_model::{Row, Sample};
use serde::Serializer;
use serde::ser::SerializeMap;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, ConfigError>;

/// Reads the section.
pub(in crate::config) fn data(root: &Reader<'_>, folder: &Path) -> Result<Data> {
    let keys = [
        "set",
        "target",
        "task",
        "categories",
        "numbers",
        "ignore",
        "rare",
        "memory",
        "size",
        "grey",
        "orientation",
        "mean",
        "std",
        "batch",
        "root",
        "validation",
        "noise",
        "augment",
        "workers",
    ];
    let section = root.section("data", &keys)?;
    let data_root = section.text("root")?.map(|root| folder.join(root));
    let data_root = data_root.unwrap_or_else(frugal_data::default_root);
    let set = set(&section, folder, &data_root)?;
    let table = table(&section, &set)?;
    Ok(Data {
        frame: read_frame(&section, &set, &table)?,
        table,
        normalisation: normalisation(&section)?,
        set,
        batch: section.integer("batch", 1, 1 << 20)?.unwrap_or(64) as usize,
        root: absolute(data_root),
        validation: validation(&section)?,
        workers: section.integer("workers", 0, 256)?.map(|workers| workers as usize),
        noise: section.float("noise", "from 1e-6 to 10", |deviation| (1e-6..=10.0).contains(&deviation))?,
        augment: augment(root, &section)?,
    })
}

/// What a sample of a set is.
pub(crate) fn sample_of(data: &Dataset) -> Sample {
    sample_with(data.shape, data.schema.as_deref())
}

/// An image of this shape, or a row with this schema.
pub(crate) fn sample_with(image: [usize; 3], schema: Option<&Schema>) -> Sample {
    let row = |schema: &Schema| {
        let (numbers, categories, vocabulary) = (schema.numbers(), schema.categories(), schema.embedded_rows());
        Sample::Row(Row { numbers, categories, vocabulary })
    };
    schema.map_or(Sample::Image(image), row)
}

/// So that the resolved config means the same from any folder.
pub(in crate::config) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// A name of the catalogue, or a path.
fn set(section: &Reader<'_>, folder: &Path, data_root: &Path) -> Result<String> {
    const OWN: &str = "a set of your own is named by its path, with a `/` in it: `set = \"./photos\"` (docs/data.md)";
    let named = section.text("set")?;
    if let Some(path) = named.filter(|set| frugal_data::is_path(set)) {
        return Ok(absolute(folder.join(path)).to_string_lossy().into_owned());
    }
    let sets: Vec<&'static str> = frugal_data::catalogue(data_root).into_iter().map(|entry| entry.name).collect();
    let set = section.choice("set", &sets).map_err(|error| match named {
        Some(name) if folder.join(name).exists() => error.help(OWN),
        Some(name) => match frugal_data::absent(name) {
            Some(advice) => error.help(advice),
            None => error,
        },
        None => error,
    })?;
    Ok(section.required("set", "\"fashion-mnist-small\"", set)?.to_owned())
}

/// What images of the user's own are brought to: `size = 224` or `size = [height, width]`.
fn read_frame(section: &Reader<'_>, set: &str, table: &Table) -> Result<Frame> {
    let (own, rows) = (frugal_data::is_path(set), is_table(set, table));
    let of_images = ["mean", "std", "noise", "augment"].into_iter().filter(|_| rows);
    for key in ["size", "grey", "orientation"].into_iter().chain(of_images) {
        if let Some(node) = section.get(key)
            && (!own || rows)
        {
            let message = match rows {
                true => format!("`data.{key}` is for images, and `{set}` is a table"),
                false => format!("`data.{key}` is for images of your own; those of `{set}` have their form"),
            };
            return Err(ConfigError::at(&node.place, message, "not possible").help("remove it"));
        }
    }
    let extents = |node: &Node| match &node.value {
        Value::Integer(side) => vec![*side, *side],
        Value::List(items) => items
            .iter()
            .map(|item| match item.value {
                Value::Integer(extent) => extent,
                _ => 0,
            })
            .collect(),
        _ => Vec::new(),
    };
    let size = section.get("size").map(|node| match extents(node)[..] {
        [height, width] if [height, width].iter().all(|extent| (1..=1 << 15).contains(extent)) => {
            Ok([height as usize, width as usize])
        }
        _ => Err(section.wrong("size", node, "a number of pixels, or a list of height and width")),
    });
    let orientation = match section.choice("orientation", &["exif", "ignore"])? {
        Some("ignore") => Orientation::Ignore,
        _ => Orientation::Exif,
    };
    Ok(Frame { size: size.transpose()?, grey: section.flag("grey")?.unwrap_or(false), orientation })
}

/// Whether a set is a table and has no images.
pub(super) fn is_table(set: &str, table: &Table) -> bool {
    set == frugal_data::table::EMBEDDED || !table.target.is_empty()
}

/// What is said of a table's columns.
fn table(section: &Reader<'_>, set: &str) -> Result<Table> {
    let names = |key: &str| -> Result<Vec<String>> {
        let name = |(path, node): (String, &Node)| match &node.value {
            Value::Text(text) if !text.is_empty() => Ok(text.clone()),
            _ => Err(wrong(&path, node, "the name of a column")),
        };
        section.list(key)?.unwrap_or_default().into_iter().map(name).collect()
    };
    let table = Table {
        target: section.text("target")?.unwrap_or_default().to_owned(),
        regression: section.choice("task", &["classification", "regression"])? == Some("regression"),
        categories: names("categories")?,
        numbers: names("numbers")?,
        ignore: names("ignore")?,
        rare: section.integer("rare", 1, 1 << 30)?.map(|rows| rows as usize),
        memory: size(section, "memory")?,
    };
    let embedded = set == frugal_data::table::EMBEDDED;
    if let (Some(node), false, true) = (section.get("set"), embedded, table.target.is_empty())
        && frugal_data::table::is_table(Path::new(set))
    {
        let message = format!("`{set}` is a table, and nothing says which of its columns is predicted");
        return Err(ConfigError::at(&node.place, message, "which column?").help("add for example `target = \"price\"`"));
    }
    for key in ["target", "task", "categories", "numbers", "ignore", "rare", "memory"] {
        if let Some(node) = section.get(key)
            && !is_table(set, &table)
        {
            let message = format!("`data.{key}` is for tables, and no column of `{set}` is the target");
            return Err(ConfigError::at(&node.place, message, "of which table?")
                .help("remove it, or name the column that is predicted, for example `target = \"price\"`"));
        }
        if key == "target"
            && let (Some(node), true) = (section.get(key), !embedded && !frugal_data::is_path(set))
        {
            let message = format!("`data.target` is for tables, and `{set}` has images");
            return Err(ConfigError::at(&node.place, message, "of which table?").help("remove it"));
        }
    }
    Ok(table)
}

/// For serde: the task of a table whose target is a number.
pub(super) fn task<S: Serializer>(_: &bool, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str("regression")
}

/// The least deviation that pixels are divided by: beyond a million, normalised pixels leave the numbers that nets work with.
const LEAST_STD: f64 = 1e-6;

/// `mean = [0.5, 0.5, 0.5]` with `std`: a number per channel, of pixels from 0 to 1.
fn normalisation(section: &Reader<'_>) -> Result<Option<Normalisation>> {
    let numbers = |key: &str, least: f64| -> Result<Option<Vec<f32>>> {
        let Some(items) = section.list(key)? else { return Ok(None) };
        let number = |(path, node): (String, &Node)| match node.value {
            Value::Integer(number) if number as f64 >= least && number <= 1 => Ok(number as f32),
            Value::Float(number) if number >= least && number <= 1.0 => Ok(number as f32),
            _ => Err(wrong(&path, node, &format!("a number from {least} to 1, as pixels count from 0 to 1"))),
        };
        items.into_iter().map(number).collect::<Result<_>>().map(Some)
    };
    match (numbers("mean", 0.0)?, numbers("std", LEAST_STD)?) {
        (Some(mean), Some(std)) if mean.len() == std.len() => Ok(Some(Normalisation { mean, std })),
        (Some(_), Some(_)) => {
            let node = section.get("std").expect("it was just read");
            Err(section.wrong("std", node, "as long as `data.mean`"))
        }
        (None, None) => Ok(None),
        (mean, _) => section.required(if mean.is_some() { "std" } else { "mean" }, "[0.5, 0.5, 0.5]", None),
    }
}

/// For serde: what a config says of the frame.
pub(super) fn frame<S: Serializer>(frame: &Frame, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(size) = frame.size {
        map.serialize_entry("size", &size)?;
    }
    if frame.grey {
        map.serialize_entry("grey", &true)?;
    }
    if frame.orientation != Orientation::default() {
        map.serialize_entry("orientation", &frame.orientation)?;
    }
    map.end()
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

fn augment(root: &Reader<'_>, data: &Reader<'_>) -> Result<Augment> {
    let section = data.section("augment", &["pad_crop", "resized_crop", "flip", "jitter", "cutout", "mixup"])?;
    let pixels = |key| Ok(section.integer(key, 1, 1 << 15)?.map(|pixels| pixels as usize));
    let augment = Augment {
        pad_crop: pixels("pad_crop")?,
        resized_crop: resized_crop(&section)?,
        flip: section.flag("flip")?.unwrap_or(false),
        jitter: jitter(&section)?,
        cutout: pixels("cutout")?,
        mixup: section.float("mixup", "from 0.001 to 100", |alpha| (1e-3..=100.0).contains(&alpha))?,
    };
    if let Some(node) = section.get("mixup")
        && root
            .kind("loss", crate::config::sections::LOSSES)?
            .is_some_and(|kind| kind != crate::config::sections::LOSSES[0])
    {
        let message = "`data.augment.mixup` mixes labels, and of the losses only cross-entropy takes a mix";
        return Err(ConfigError::at(&node.place, message, "not with this loss").help("remove it, or `loss.kind`"));
    }
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
                range(&section, "scale", "two shares of the area, the lesser first, from 1e-6 to 1", [1e-6, 1.0])?;
            let ratio = range(
                &section,
                "ratio",
                "two numbers of width over height, the lesser first, from 0.01 to 100",
                [0.01, 100.0],
            )?;
            Ok(Some(ResizedCrop { scale: scale.unwrap_or(usual.scale), ratio: ratio.unwrap_or(usual.ratio) }))
        }
        _ => Err(augment.wrong("resized_crop", node, "true, false or a table with `scale` and `ratio`")),
    }
}

fn range(section: &Reader<'_>, key: &str, wanted: &str, limits: [f64; 2]) -> Result<Option<[f64; 2]>> {
    let Some(node) = section.get(key) else { return Ok(None) };
    let number = |node: &Node| match node.value {
        Value::Integer(number) => number as f64,
        Value::Float(number) => number,
        _ => f64::NAN,
    };
    match &node.value {
        Value::List(items) => match items.iter().map(number).collect::<Vec<_>>()[..] {
            [least, most] if limits[0] <= least && least <= most && most <= limits[1] => Ok(Some([least, most])),
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
