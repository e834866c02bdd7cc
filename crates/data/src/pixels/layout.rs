//! The layout of picture files, as far as decoders do not tell it: whether a file is whole, and what its decoder will need.
//!
//! Only headers are read, and of JPEG the end; what lies between is skipped, so that large files cost no more than small
//! ones. Extents that cannot come from so few bytes are refused here, before memory is taken for them.

use std::io::{BufRead, ErrorKind, Read, Seek, SeekFrom};

use image::ImageFormat;
use image::codecs::pnm::{PnmDecoder, PnmSubtype, SampleEncoding};
use tiff::tags::Tag;

/// Why a file is no picture.
pub(super) type Reason = String;
type Result<T> = std::result::Result<T, Reason>;

pub(super) const CUT: &str = "the file ends within the image";
/// Where the mark of a JPEG's end is looked for first, in bytes from the end: cameras append things.
const TAIL: u64 = 64 << 10;
/// The most pixels that a byte of JPEG gives. Each block of 8×8 values takes at least a bit, and no sampling leaves fewer blocks
/// than that of two components with 4×1 and 1×4 of them: eight for 32×32 pixels.
const PIXELS_A_BYTE_OF_JPEG: u64 = 1024;
/// The most bytes that a byte of deflate gives: 258 for two bits.
const BYTES_A_BYTE_OF_DEFLATE: u64 = 1032;
/// The most that a header of PNM may have, comments included.
const PNM_HEADER: u64 = 64 << 10;
/// The most that orientation is looked for in.
const EXIF: u32 = 1 << 20;

/// What a file's layout says.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Where a JPEG's header ends, in bytes.
    pub header: u64,
    /// What the decoder keeps besides the picture that it makes, in bytes.
    pub kept: u64,
    /// The same for each pixel.
    pub kept_per_pixel: u64,
    /// EXIF that the decoder does not give, because it comes after the pixels.
    pub late_exif: Option<Vec<u8>>,
}

/// Reads the layout of a file of `length` bytes from its beginning.
///
/// # Errors
/// If the file is cut, or its extents cannot come from so few bytes.
pub(super) fn layout(format: ImageFormat, source: &mut (impl BufRead + Seek), length: u64) -> Result<Layout> {
    match format {
        ImageFormat::Jpeg => jpeg(source, length),
        ImageFormat::Png => png(source, length),
        ImageFormat::WebP => webp(source, length),
        ImageFormat::Gif => gif(source),
        ImageFormat::Bmp => bmp(source, length),
        ImageFormat::Tiff => tiff(source, length),
        ImageFormat::Pnm => pnm(source, length),
        _ => Ok(Layout::default()),
    }
}

fn jpeg(source: &mut (impl BufRead + Seek), length: u64) -> Result<Layout> {
    let [_, _] = take(source)?;
    let (mut frame, mut kept) = (None, 0);
    loop {
        let [kind] = marker(source)?;
        match kind {
            // Marks that stand alone.
            0x01 | 0xd0..=0xd8 => continue,
            0xd9 => return Err("it has no image".to_owned()),
            _ => {}
        }
        let size = u64::from(u16::from_be_bytes(take(source)?));
        let Some(rest) = size.checked_sub(2) else {
            return Err("a part of its header is shorter than its own length".to_owned());
        };
        match kind {
            0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&kind) => {
                let mut bytes = vec![0; rest as usize];
                source.read_exact(&mut bytes).map_err(reason)?;
                frame = Some(Frame::read(kind, &bytes)?);
            }
            0xda => {
                let Some(frame) = &frame else { return Err("its pixels come before its extents".to_owned()) };
                let [components] = take(source)?;
                // Those that come scan by scan are kept as coefficients until the last scan.
                if frame.is_progressive || usize::from(components) < frame.components {
                    kept = frame.coefficients * 2;
                }
                skip(source, rest.saturating_sub(1))?;
                break;
            }
            _ => skip(source, rest)?,
        }
    }
    let header = source.stream_position().map_err(reason)?;
    let Frame { pixels, .. } = frame.expect("a scan has a frame");
    if pixels > PIXELS_A_BYTE_OF_JPEG.saturating_mul(length) {
        return Err(unlikely(pixels, "pixels", length));
    }
    let near = header.max(length.saturating_sub(TAIL));
    if !has_end(source, near)? && (near == header || !has_end(source, header)?) {
        return Err(CUT.to_owned());
    }
    Ok(Layout { header, kept, ..Layout::default() })
}

/// The kind of the next part of a JPEG.
fn marker(source: &mut impl Read) -> Result<[u8; 1]> {
    loop {
        while take(source)? != [0xff] {}
        let mut kind = [0xff];
        while kind == [0xff] {
            kind = take(source)?;
        }
        if kind != [0] {
            return Ok(kind);
        }
    }
}

/// Whether the mark of a JPEG's end is at `from` or later. Within the codes of a scan it cannot be.
fn has_end(source: &mut (impl BufRead + Seek), from: u64) -> Result<bool> {
    source.seek(SeekFrom::Start(from)).map_err(reason)?;
    let mut last = 0;
    loop {
        let bytes = source.fill_buf().map_err(reason)?;
        if bytes.is_empty() {
            return Ok(false);
        }
        if (last == 0xff && bytes[0] == 0xd9) || bytes.windows(2).any(|pair| pair == [0xff, 0xd9]) {
            return Ok(true);
        }
        last = bytes[bytes.len() - 1];
        let read = bytes.len();
        source.consume(read);
    }
}

/// What the header of a JPEG's frame says.
struct Frame {
    is_progressive: bool,
    components: usize,
    pixels: u64,
    /// How many values all blocks have.
    coefficients: u64,
}

impl Frame {
    fn read(kind: u8, bytes: &[u8]) -> Result<Frame> {
        let &[_, h1, h0, w1, w0, _, ref components @ ..] = bytes else {
            return Err("its frame has no extents".to_owned());
        };
        let (height, width) = (u64::from(u16::from_be_bytes([h1, h0])), u64::from(u16::from_be_bytes([w1, w0])));
        let factors =
            || components.chunks_exact(3).map(|component| (u64::from(component[1] >> 4), u64::from(component[1] & 15)));
        let most = factors().fold((1, 1), |most, (h, v)| (most.0.max(h), most.1.max(v)));
        let units = width.div_ceil(8 * most.0) * height.div_ceil(8 * most.1);
        Ok(Frame {
            is_progressive: [0xc2, 0xc6, 0xca, 0xce].contains(&kind),
            components: components.len() / 3,
            pixels: height * width,
            coefficients: units * 64 * factors().map(|(h, v)| h * v).sum::<u64>(),
        })
    }
}

fn png(source: &mut (impl BufRead + Seek), length: u64) -> Result<Layout> {
    let [..]: [u8; 8] = take(source)?;
    let (mut late_exif, mut has_pixels) = (None, false);
    loop {
        let size = u32::from_be_bytes(take(source)?);
        let mut rest = u64::from(size) + 4;
        match &take::<4>(source)? {
            b"IEND" => return Ok(Layout { late_exif, ..Layout::default() }),
            b"IHDR" if size == 13 => {
                let [w3, w2, w1, w0, h3, h2, h1, h0, depth, kind] = take(source)?;
                rest -= 10;
                let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
                let samples = match kind {
                    2 => 3,
                    4 => 2,
                    6 => 4,
                    _ => 1,
                };
                let row = (u64::from(width) * samples * u64::from(depth)).div_ceil(8);
                let bytes = row.saturating_mul(height.into());
                if bytes > BYTES_A_BYTE_OF_DEFLATE.saturating_mul(length) {
                    return Err(unlikely(bytes, "bytes of pixels", length));
                }
            }
            b"IDAT" => has_pixels = true,
            b"eXIf" if has_pixels && size <= EXIF => {
                let mut exif = vec![0; size as usize];
                source.read_exact(&mut exif).map_err(reason)?;
                late_exif = Some(exif);
                rest = 4;
            }
            _ => {}
        }
        skip(source, rest)?;
    }
}

fn webp(source: &mut (impl BufRead + Seek), length: u64) -> Result<Layout> {
    let [_, _, _, _, size @ .., _, _, _, _]: [u8; 12] = take(source)?;
    // The last byte may be one that fills up to an even number.
    if 8 + u64::from(u32::from_le_bytes(size)) > length + 1 {
        return Err(CUT.to_owned());
    }
    const ANIMATED: u8 = 2;
    let [kind @ .., _, _, _, _, flags]: [u8; 9] = take(source)?;
    // What the decoder keeps: planes of luma and chroma, or four channels; of an animation also its canvas.
    let kept_per_pixel = match &kind {
        b"VP8 " => 2,
        b"VP8L" => 4,
        _ if flags & ANIMATED != 0 => 16,
        _ => 8,
    };
    Ok(Layout { kept_per_pixel, ..Layout::default() })
}

/// Up to the end of the first frame, the one that is taken.
fn gif(source: &mut (impl BufRead + Seek)) -> Result<Layout> {
    let colours = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let [.., flags, _, _]: [u8; 13] = take(source)?;
    skip(source, colours(flags))?;
    loop {
        match take(source)? {
            [0x21] => {
                let [_] = take(source)?;
                skip_blocks(source)?;
            }
            [0x2c] => {
                let [_, _, _, _, w0, w1, h0, h1, flags] = take(source)?;
                skip(source, colours(flags))?;
                let [_] = take(source)?;
                skip_blocks(source)?;
                // A frame may be larger than the picture.
                let pixels = u64::from(u16::from_le_bytes([w0, w1])) * u64::from(u16::from_le_bytes([h0, h1]));
                return Ok(Layout { kept: 4 * pixels, ..Layout::default() });
            }
            [0x3b] => return Err("it has no image".to_owned()),
            [_] => return Err("it has a block of an unknown kind".to_owned()),
        }
    }
}

fn skip_blocks(source: &mut (impl BufRead + Seek)) -> Result<()> {
    loop {
        match take(source)? {
            [0] => return Ok(()),
            [size] => skip(source, size.into())?,
        }
    }
}

fn bmp(source: &mut (impl BufRead + Seek), length: u64) -> Result<Layout> {
    let [.., o0, o1, o2, o3, s0, s1, s2, s3]: [u8; 18] = take(source)?;
    let (width, height, bits, packed) = if u32::from_le_bytes([s0, s1, s2, s3]) == 12 {
        let [w0, w1, h0, h1, _, _, b0, b1] = take(source)?;
        let extent = |bytes| u64::from(u16::from_le_bytes(bytes));
        (extent([w0, w1]), extent([h0, h1]), u16::from_le_bytes([b0, b1]), false)
    } else {
        let [w0, w1, w2, w3, h0, h1, h2, h3, _, _, b0, b1, c0, c1, c2, c3] = take(source)?;
        let extent = |bytes| u64::from(i32::from_le_bytes(bytes).unsigned_abs());
        // All kinds but plain ones and those with masks are run lengths.
        let packed = ![0, 3, 6].contains(&u32::from_le_bytes([c0, c1, c2, c3]));
        (extent([w0, w1, w2, w3]), extent([h0, h1, h2, h3]), u16::from_le_bytes([b0, b1]), packed)
    };
    let bits = width * u64::from(bits);
    let rows = (bits.div_ceil(32) * 4).saturating_mul(height.saturating_sub(1)).saturating_add(bits.div_ceil(8));
    if !packed && rows.saturating_add(u32::from_le_bytes([o0, o1, o2, o3]).into()) > length {
        return Err(CUT.to_owned());
    }
    Ok(Layout::default())
}

fn tiff(source: &mut (impl BufRead + Seek), length: u64) -> Result<Layout> {
    let error = |error: tiff::TiffError| match error {
        tiff::TiffError::IoError(error) => reason(error),
        other => other.to_string(),
    };
    let mut decoder = tiff::decoder::Decoder::new(&mut *source).map_err(error)?;
    let tiles = decoder.find_tag(Tag::TileOffsets).map_err(error)?.is_some();
    let (offsets, counts) = match tiles {
        true => (Tag::TileOffsets, Tag::TileByteCounts),
        false => (Tag::StripOffsets, Tag::StripByteCounts),
    };
    let (offsets, counts) =
        (decoder.get_tag_u64_vec(offsets).map_err(error)?, decoder.get_tag_u64_vec(counts).map_err(error)?);
    if offsets.iter().zip(&counts).any(|(offset, count)| offset.saturating_add(*count) > length) {
        return Err(CUT.to_owned());
    }
    // The picture once more, before its channels are put in order.
    Ok(Layout { kept_per_pixel: 8, ..Layout::default() })
}

fn pnm(source: &mut (impl BufRead + Seek), length: u64) -> Result<Layout> {
    let decoder = PnmDecoder::new(source.by_ref().take(PNM_HEADER)).map_err(|error| error.to_string())?;
    let (_, header) = decoder.into_inner();
    let (width, height) = (u64::from(header.width()), u64::from(header.height()));
    let wide = if header.maximal_sample() > 255 { 2 } else { 1 };
    let depth = header.as_arbitrary().map_or(1, |map| map.depth.into());
    let (row, least) = match header.subtype() {
        PnmSubtype::Bitmap(SampleEncoding::Binary) => (width.div_ceil(8), 0),
        PnmSubtype::Bitmap(SampleEncoding::Ascii) => (width, 0),
        // A digit and what separates it from the next one.
        PnmSubtype::Graymap(SampleEncoding::Ascii) => (2 * width, 1),
        PnmSubtype::Pixmap(SampleEncoding::Ascii) => (6 * width, 1),
        PnmSubtype::Graymap(SampleEncoding::Binary) => (wide * width, 0),
        PnmSubtype::Pixmap(SampleEncoding::Binary) => (3 * wide * width, 0),
        PnmSubtype::ArbitraryMap => (width.saturating_mul(depth).saturating_mul(wide), 0),
    };
    let begin = source.stream_position().map_err(reason)?;
    if row.saturating_mul(height).saturating_sub(least) > length.saturating_sub(begin) {
        return Err(CUT.to_owned());
    }
    Ok(Layout::default())
}

/// What is said of extents that so few bytes cannot hold.
fn unlikely(count: u64, of: &str, length: u64) -> Reason {
    format!("its header says {count} {of}, which cannot come from {length} bytes")
}

fn take<const N: usize>(source: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes).map_err(reason)?;
    Ok(bytes)
}

fn skip(source: &mut impl Seek, bytes: u64) -> Result<()> {
    source.seek_relative(bytes as i64).map_err(reason)
}

fn reason(error: std::io::Error) -> Reason {
    if error.kind() == ErrorKind::UnexpectedEof { CUT.to_owned() } else { error.to_string() }
}
