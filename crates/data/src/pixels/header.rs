//! What a picture is before it is decoded: its format, extents and orientation, and whether it keeps the limits.

use std::io::{BufRead, Cursor, Read, Seek};

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::layout::{CUT, Layout, Reason, layout};

/// No photo that a net is trained on is wider or higher, in pixels.
pub(super) const MOST_PIXELS_ASIDE: u32 = 32_768;
/// The most pixels of one picture.
pub(super) const MOST_PIXELS: u64 = 1 << 27;
/// What decoding one picture may take in all, in bytes: the file, the decoder and the planes that are made.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// The formats that are read.
const FORMATS: [ImageFormat; 7] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Gif,
    ImageFormat::Pnm,
];

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Height and width, as stored.
    pub size: [usize; 2],
    /// How the picture is to be turned.
    pub orientation: Orientation,
}

/// What pictures are read from.
pub(crate) trait SeekRead: BufRead + Seek {}

impl<S: BufRead + Seek> SeekRead for S {}

/// Reads the header of a file of `length` bytes and checks that the file is whole and within the limits. The decoder that is
/// given back decodes if the source `is_whole`; else it is there for its header alone.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn open<'a>(
    source: impl BufRead + Seek + 'a,
    length: u64,
    is_whole: bool,
) -> Result<(Header, Box<dyn ImageDecoder + 'a>), Reason> {
    // One type for all sources, so that seven decoders are compiled once and not for each of them.
    let mut source: Box<dyn SeekRead + 'a> = Box::new(source);
    let format = format(&mut source)?;
    let layout = layout(format, &mut source, length)?;
    source.rewind().map_err(|error| error.to_string())?;
    // Extents are checked below, with a message that names the limit.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_BYTES);
    let error = |error: image::ImageError| match error {
        image::ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => CUT.to_owned(),
        other => other.to_string(),
    };
    // The decoder of JPEG reads all that there is at once.
    if format == ImageFormat::Jpeg && !is_whole {
        let mut head = Vec::new();
        source.take(layout.header).read_to_end(&mut head).map_err(|error| error.to_string())?;
        source = Box::new(Cursor::new(head));
    }
    let mut reader = ImageReader::with_format(source, format);
    reader.limits(limits);
    let mut decoder: Box<dyn ImageDecoder + 'a> = Box::new(reader.into_decoder().map_err(error)?);
    check(&*decoder, &layout, length, format)?;
    let (width, height) = decoder.dimensions();
    let orientation = orientation(&mut *decoder, layout.late_exif);
    Ok((Header { size: [height as usize, width as usize], orientation }, decoder))
}

/// By content, not by ending: photos with the wrong ending are common.
fn format(source: &mut (impl BufRead + Seek)) -> Result<ImageFormat, Reason> {
    let mut head = Vec::new();
    source.by_ref().take(64).read_to_end(&mut head).map_err(|error| error.to_string())?;
    source.rewind().map_err(|error| error.to_string())?;
    let known = "it is none of PNG, JPEG, WebP, BMP, TIFF, GIF and PNM";
    if head.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if head.starts_with(b"version https://git-lfs") {
        return Err("it is a pointer of Git LFS in place of the file; `git lfs pull` brings the file".to_owned());
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Err(format!("{known}, but HEIC, AVIF or a film"));
    }
    match image::guess_format(&head) {
        Ok(format) if FORMATS.contains(&format) => Ok(format),
        _ => Err(known.to_owned()),
    }
}

/// Whether a picture keeps the limits, before any memory is taken for it.
fn check(decoder: &dyn ImageDecoder, layout: &Layout, length: u64, format: ImageFormat) -> Result<(), Reason> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width > MOST_PIXELS_ASIDE || height > MOST_PIXELS_ASIDE {
        return Err(format!("it has {height}×{width} pixels, and the limit is {MOST_PIXELS_ASIDE} to a side"));
    }
    if pixels > MOST_PIXELS {
        return Err(format!("it has {height}×{width} pixels, and the limit is {MOST_PIXELS} in all"));
    }
    if pixels == 0 {
        return Err("it has no pixels".to_owned());
    }
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return Err("its values are floating-point numbers; pictures have 8 or 16 bits a channel".to_owned());
    }
    let decoded = decoder.total_bytes();
    let kept = layout.kept.saturating_add(layout.kept_per_pixel * pixels);
    // Three bytes a pixel are what it becomes, and as many again what it is turned and put into planes by.
    let steps = [kept.saturating_add(decoded), decoded + 3 * pixels, 6 * pixels];
    let copies = if format == ImageFormat::Jpeg { 2 } else { 1 };
    let needed = steps.into_iter().max().unwrap_or(0).saturating_add(copies * length);
    if needed > MOST_BYTES {
        let (needed, most) = (needed >> 20, MOST_BYTES >> 20);
        return Err(format!("decoding its {height}×{width} pixels takes {needed} MiB, and the limit is {most} MiB"));
    }
    Ok(())
}

/// How a picture is to be turned; without a word of it, not at all.
fn orientation(decoder: &mut dyn ImageDecoder, late: Option<Vec<u8>>) -> Orientation {
    let exif = late.or_else(|| decoder.exif_metadata().ok().flatten());
    let found = match exif {
        // Some programs put the mark of JPEG's EXIF before that of other formats.
        Some(exif) => Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif)),
        None => decoder.orientation().ok(),
    };
    found.unwrap_or(Orientation::NoTransforms)
}

impl Header {
    /// Height and width when it is turned as it says.
    pub fn upright(&self) -> [usize; 2] {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let [height, width] = self.size;
        match self.orientation {
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => [width, height],
            _ => [height, width],
        }
    }
}
