use super::*;

use image::codecs::webp::WebPEncoder;
use image::{ImageFormat, Rgb, RgbImage};

fn encoded(bytes: &[u8]) -> Encoded {
    Encoded::Bytes { name: "x.png".into(), bytes: bytes.into() }
}

fn size(bytes: &[u8], orientation: Orientation) -> Result<[usize; 2], String> {
    super::size(Cursor::new(bytes), bytes.len() as u64, orientation)
}

#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let look = size(bytes, Orientation::Exif).unwrap_err();
    let decode = encoded(bytes).decode(3, Orientation::Exif).unwrap_err().to_string();
    assert_eq!(decode, format!("x.png cannot be read as an image: {look}"));
    look
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

const ALL: [ImageFormat; 7] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Gif,
    ImageFormat::Pnm,
];

/// Blocks of 16×16 pixels, three in a row and two rows, each of its own grey: what JPEG keeps.
fn blocks() -> RgbImage {
    RgbImage::from_fn(48, 32, |x, y| Rgb([(40 * (x / 16 + 3 * (y / 16)) + 20) as u8; 3]))
}

/// The tag of an orientation, as TIFF and EXIF have it.
fn exif(value: u8) -> Vec<u8> {
    [&b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[value, 0, 0, 0, 0, 0, 0]].concat()
}

/// A chunk of PNG; decoders want its checksum.
fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

fn riff_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let padding = &[0][..data.len() % 2];
    [&kind[..], &(data.len() as u32).to_le_bytes(), data, padding].concat()
}

/// The blocks in each format that has an orientation, with this one.
fn turned(value: u8) -> Vec<(&'static str, Vec<u8>)> {
    let (image, exif) = (DynamicImage::ImageRgb8(blocks()), exif(value));
    let marked = [b"Exif\0\0", &exif[..]].concat();
    let jpeg = written(&image, ImageFormat::Jpeg);
    let app1 = [&[0xff, 0xe1][..], &(marked.len() as u16 + 2).to_be_bytes(), &marked].concat();
    let jpeg = [&jpeg[..2], &app1, &jpeg[2..]].concat();
    let png = written(&image, ImageFormat::Png);
    let chunk = png_chunk(b"eXIf", &exif);
    // Its header has 8 + 25 bytes, its end 12.
    let (early, late) =
        ([&png[..33], &chunk, &png[33..]].concat(), [&png[..png.len() - 12], &chunk, &png[png.len() - 12..]].concat());
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp).encode(image.as_bytes(), 48, 32, image::ExtendedColorType::Rgb8).unwrap();
    let webp = |exif: &[u8]| {
        const EXIF: u8 = 8;
        let extended = riff_chunk(b"VP8X", &[EXIF, 0, 0, 0, 47, 0, 0, 31, 0, 0]);
        let chunks = [b"WEBP", &extended[..], &webp[12..], &riff_chunk(b"EXIF", exif)].concat();
        riff_chunk(b"RIFF", &chunks)
    };
    let mut file = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    let mut tiff = encoder.new_image::<tiff::encoder::colortype::RGB8>(48, 32).unwrap();
    tiff.encoder().write_tag(tiff::tags::Tag::Orientation, u16::from(value)).unwrap();
    tiff.write_data(image.as_bytes()).unwrap();
    vec![
        ("jpeg", jpeg),
        ("png", early),
        ("png, EXIF behind the pixels", late),
        ("webp", webp(&exif)),
        ("webp, EXIF as in JPEG", webp(&marked)),
        ("tiff", file.into_inner()),
    ]
}

/// By the words of the EXIF standard: where the picture's first row and first column are stored.
#[test]
fn pictures_are_turned_as_their_exif_says_in_each_format_that_has_it() {
    let stored = blocks();
    let (h, w) = (32, 48);
    for value in 1..=8 {
        let place = |y: u32, x: u32| match value {
            1 => (y, x),
            2 => (y, w - 1 - x),
            3 => (h - 1 - y, w - 1 - x),
            4 => (h - 1 - y, x),
            5 => (x, y),
            6 => (h - 1 - x, y),
            7 => (h - 1 - x, w - 1 - y),
            _ => (x, w - 1 - y),
        };
        let [height, width] = if value < 5 { [h, w] } else { [w, h] };
        for (format, bytes) in turned(value) {
            let file = encoded(&bytes);
            let seen = file.decode(1, Orientation::Exif).unwrap();
            assert_eq!(size(&bytes, Orientation::Exif).unwrap(), [height, width].map(|extent| extent as usize));
            assert_eq!([seen.height as u32, seen.width as u32], [height, width], "{format} {value}");
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                let (row, column) = place(y, x);
                let expected = stored.get_pixel(column, row).0[0];
                let found = seen.bytes[(y * width + x) as usize];
                assert!(found.abs_diff(expected) <= 2, "{format} {value}: {found} at {y}, {x} and not {expected}");
            }
            let plain = file.decode(1, Orientation::Ignore).unwrap();
            assert_eq!((plain.height, plain.width, size(&bytes, Orientation::Ignore).unwrap()), (32, 48, [32, 48]));
            assert!(plain.bytes.iter().zip(stored.pixels()).all(|(a, b)| a.abs_diff(b.0[0]) <= 2), "{format} {value}");
        }
    }
    // What is no orientation turns nothing.
    for value in [0, 9, 255] {
        let seen = |(_, bytes): &(&str, Vec<u8>)| size(bytes, Orientation::Exif).unwrap();
        assert!(turned(value).iter().map(seen).all(|size| size == [32, 48]), "{value}");
    }
}

/// Made by Pillow 13: `Image.new('RGB', …)` with these colours, `convert('L')`.
#[test]
fn grey_is_that_of_pil() {
    let colours = [
        ([255, 0, 0], 76),
        ([0, 255, 0], 150),
        ([0, 0, 255], 29),
        ([10, 20, 30], 18),
        ([200, 100, 50], 124),
        ([1, 2, 3], 2),
        ([254, 255, 253], 254),
        ([128, 128, 128], 128),
        ([17, 99, 201], 86),
    ];
    let image = RgbImage::from_fn(9, 1, |x, _| Rgb(colours[x as usize].0));
    let grey = encoded(&written(&image.into(), ImageFormat::Png)).decode(1, Orientation::Exif).unwrap();
    assert_eq!(*grey.bytes, colours.map(|(_, grey)| grey));
    for grey in 0..=255 {
        assert_eq!(luma([grey; 3]), grey);
    }
}

/// As `convert('RGB')` and `convert('L')` of Pillow 13 do; sixteen bits are rounded to eight.
#[test]
fn alpha_is_dropped_and_grey_stays_grey() {
    let decoded = |image: DynamicImage, channels| {
        encoded(&written(&image, ImageFormat::Png)).decode(channels, Orientation::Exif).unwrap().bytes.into_owned()
    };
    let colours = || image::RgbaImage::from_raw(2, 1, vec![200, 100, 50, 0, 17, 99, 201, 100]).unwrap();
    assert_eq!(decoded(colours().into(), 3), [200, 17, 100, 99, 50, 201]);
    assert_eq!(decoded(colours().into(), 1), [124, 86]);
    let grey = || image::GrayAlphaImage::from_raw(3, 1, vec![5, 0, 100, 128, 250, 255]).unwrap();
    assert_eq!(decoded(grey().into(), 1), [5, 100, 250]);
    assert_eq!(decoded(grey().into(), 3), [5, 100, 250].repeat(3));
    let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(3, 1, vec![0, 257 * 77 + 100, 65535]).unwrap();
    assert_eq!(decoded(deep.into(), 1), [0, 77, 255]);
    // Two frames of four by two pixels, the second colour transparent: `convert('RGB')` of the first.
    let gif = b"GIF89a\x04\0\x02\0\x81\0\0\x0a\x14\x1e\xc8\x64\x32\x01\x02\x03\0\0\0\x21\xf9\x04\x01\0\0\x01\0\
        \x2c\0\0\0\0\x04\0\x02\0\0\x08\x0b\0\x01\x04\x10\x20\x30\0\0\x01\x01\x01\0\
        \x2c\0\0\0\0\x04\0\x02\0\0\x08\x0b\0\x01\x04\x10\x20\x30\0\0\x01\x01\x01\0\x3b";
    let seen = encoded(gif).decode(3, Orientation::Exif).unwrap();
    assert_eq!((seen.height, seen.width), (2, 4));
    assert_eq!(seen.bytes[..8], [10, 200, 1, 10, 200, 200, 10, 1]);
}

/// Two halves, each of one colour, as `convert('RGB')` of Pillow 13 has them (`tools/fixtures/own_sets.py` made the file).
#[test]
fn cmyk_becomes_rgb() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/own/cmyk.jpg");
    let seen = Encoded::File(path).decode(3, Orientation::Exif).unwrap();
    assert_eq!((seen.height, seen.width), (16, 32));
    for (column, colour) in [(8, [51, 207, 180]), (24, [159, 23, 87])] {
        for (channel, value) in colour.into_iter().enumerate() {
            let found: u8 = seen.bytes[channel * 16 * 32 + 8 * 32 + column];
            assert!(found.abs_diff(value) <= 3, "{found} in channel {channel} of column {column}, not {value}");
        }
    }
}

#[test]
fn every_format_is_read_and_none_is_read_where_it_is_cut() {
    let noise = RgbImage::from_fn(64, 48, |x, y| Rgb([0, 1, 2].map(|c| ((x * y * (7 + c)) % 251) as u8)));
    let grey = DynamicImage::from(image::imageops::grayscale(&noise));
    let colour = DynamicImage::from(noise);
    for format in ALL {
        for image in [&colour, &grey] {
            // The encoders of WebP and GIF take colours alone.
            let bytes = match format {
                ImageFormat::WebP | ImageFormat::Gif => written(&colour, format),
                _ => written(image, format),
            };
            let seen = encoded(&bytes).decode(3, Orientation::Exif).unwrap();
            assert_eq!((seen.height, seen.width, seen.bytes.len()), (48, 64, 3 * 64 * 48), "{format:?}");
            assert_eq!(size(&bytes, Orientation::Exif).unwrap(), [48, 64]);
            for length in (1..bytes.len() - 2).step_by(bytes.len() / 300 + 1) {
                let text = refusal(&bytes[..length]);
                // Before that there is too little to tell the format by.
                assert!(
                    length < 80 || text.contains("ends within") || format == ImageFormat::Tiff,
                    "{format:?} {length}: {text}"
                );
            }
        }
    }
}

#[test]
fn plain_pictures_in_bits_bytes_and_digits_are_read() {
    for (pnm, grey) in [
        (&b"P1\n# a comment\n3 2\n101\n0 1 0\n"[..], [0, 255, 0, 255, 0, 255]),
        (b"P4\n3 2\n\xa0\x40", [0, 255, 0, 255, 0, 255]),
        (b"P2\n3 2\n255\n1 2 3 40 50 255", [1, 2, 3, 40, 50, 255]),
        (b"P5\n3 2\n255\n\x01\x02\x03\x28\x32\xff", [1, 2, 3, 40, 50, 255]),
        (b"P5\n3 2\n15\n\x00\x01\x02\x03\x04\x0f", [0, 17, 34, 51, 68, 255]),
        (b"P6\n1 2\n255\n\xff\0\0\0\xff\0", [255, 0, 0, 255, 0, 0]),
    ] {
        let channels = if pnm[1] == b'6' { 3 } else { 1 };
        let seen = encoded(pnm).decode(channels, Orientation::Exif).unwrap();
        assert_eq!(*seen.bytes, grey, "{}", String::from_utf8_lossy(pnm));
        // Of digits nobody knows how many are missing before they are read.
        assert!(pnm[1] < b'4' || refusal(&pnm[..pnm.len() - 1]).contains("ends within"));
    }
}

#[test]
fn what_is_no_picture_says_what_it_is() {
    assert!(refusal(b"").contains("the file is empty"));
    assert!(refusal(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n").contains("git lfs pull"));
    assert!(refusal(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").contains("HEIC"));
    assert!(refusal(b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0").contains("none of PNG, JPEG, WebP, BMP"));
    let floats = image::Rgb32FImage::from_raw(1, 1, vec![0.5, 100.0, 2.0]).unwrap();
    assert!(refusal(&written(&floats.into(), ImageFormat::Tiff)).contains("floating-point"));
}

/// A progressive JPEG of three components with so many pixels that has the first scan alone: zeros, eight blocks to a byte.
fn progressive(height: u16, width: u16, bytes: usize) -> Vec<u8> {
    let part = |kind: u8, data: &[u8]| [&[0xff, kind][..], &(data.len() as u16 + 2).to_be_bytes(), data].concat();
    let extents = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let components = [1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    [
        &[0xff, 0xd8][..],
        &part(0xdb, &[&[0][..], &[1; 64]].concat()),
        &part(0xc2, &[&[8][..], &extents, &[3], &components].concat()),
        // One code of a bit, for a difference of 0.
        &part(0xc4, &[&[0, 1][..], &[0; 15], &[0]].concat()),
        &part(0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 0, 0]),
        &vec![0; bytes],
        &[0xff, 0xd9],
    ]
    .concat()
}

/// A palette that is no whole number of colours, of which the decoder of PNG panics (0.18).
#[test]
fn what_a_decoder_panics_of_is_an_error_about_the_file() {
    let header = [&1u32.to_be_bytes()[..], &1u32.to_be_bytes(), &[8, 3, 0, 0, 0]].concat();
    let mut pixels = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut pixels, &[0, 0]).unwrap();
    let chunks = [
        png_chunk(b"IHDR", &header),
        png_chunk(b"PLTE", &[1, 2, 3, 4]),
        png_chunk(b"IDAT", &pixels.finish().unwrap()),
        png_chunk(b"IEND", &[]),
    ];
    let png = [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat();
    let text = encoded(&png).decode(3, Orientation::Exif).unwrap_err().to_string();
    assert!(text.contains("x.png cannot be read as an image"), "{text}");
}

/// Seen from outside: what the process had at most. Nextest gives each test a process of its own.
#[cfg(target_os = "linux")]
#[test]
fn decoding_takes_no_more_memory_than_is_reckoned_with() {
    let most = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    };
    let (side, before) = (6000u16, most());
    let pixels = u64::from(side) * u64::from(side);
    let file = progressive(side, side, (3 * 750 * 750usize).div_ceil(8));
    let seen = encoded(&file).decode(3, Orientation::Exif).unwrap();
    assert_eq!(seen.bytes.len() as u64, 3 * pixels);
    // Coefficients and pixels, as the limit counts them, and 32 MiB for all that is small.
    let taken = most() - before;
    assert!(taken <= 9 * pixels + (32 << 20), "{} MiB", taken >> 20);
}

#[test]
fn limits_are_named_before_memory_is_taken() {
    let blocks = |height: u16, width: u16| 3 * usize::from(height).div_ceil(8) * usize::from(width).div_ceil(8);
    let whole = |height, width| progressive(height, width, blocks(height, width).div_ceil(8));
    let small = encoded(&whole(64, 80)).decode(3, Orientation::Exif).unwrap();
    assert_eq!((small.height, small.width), (64, 80));

    let begun = std::time::Instant::now();
    assert!(refusal(&whole(10, 40_000)).contains("the limit is 32768 to a side"));
    assert!(refusal(&whole(16_000, 16_000)).contains("the limit is 134217728 in all"));
    // Coefficients of a progressive JPEG take six bytes a pixel.
    let text = refusal(&whole(11_500, 11_500));
    assert!(text.contains("decoding its 11500×11500 pixels takes") && text.contains("the limit is 1024 MiB"), "{text}");
    let text = refusal(&progressive(10_000, 10_000, 1000));
    assert!(text.contains("100000000 pixels, which cannot come from"), "{text}");
    let png = |width: u32, height: u32| {
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        let chunks = [png_chunk(b"IHDR", &header), png_chunk(b"IDAT", &[0; 100]), png_chunk(b"IEND", &[])].concat();
        [&b"\x89PNG\r\n\x1a\n"[..], &chunks].concat()
    };
    let text = refusal(&png(1000, 1000));
    assert!(text.contains("3000000 bytes of pixels, which cannot come from"), "{text}");
    assert!(refusal(&png(u32::MAX >> 1, u32::MAX >> 1)).contains("cannot come from"));
    // A frame that is larger than its picture.
    let gif = b"GIF89a\x04\0\x02\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0\x3b";
    assert!(refusal(gif).contains("the limit is 1024 MiB"), "{}", refusal(gif));
    // Nothing was decoded.
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn what_is_no_image_is_named() {
    let mut png = Cursor::new(Vec::new());
    let pixels: Vec<u8> = (0..5 * 4 * 3).map(|at| at as u8 * 4).collect();
    let image = image::RgbImage::from_raw(5, 4, pixels.clone()).unwrap();
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let decoded = encoded(&png).decode(3, Orientation::Exif).unwrap();
    assert_eq!((decoded.height, decoded.width), (4, 5));
    assert_eq!((decoded.bytes[1], decoded.bytes[20]), (pixels[3], pixels[1]));
    assert_eq!(size(&png, Orientation::Exif).unwrap(), [4, 5]);
    assert_eq!(encoded(&png).decode(1, Orientation::Exif).unwrap().bytes.len(), 20);
    for bytes in [&b""[..], b"not a picture", &png[..30], &png[..png.len() / 2]] {
        let error = encoded(bytes).decode(3, Orientation::Exif).unwrap_err();
        assert!(matches!(&error, DataError::Image { file, .. } if file == "x.png"), "{error}");
    }
    // JPEG decoders like to fill what is missing with grey.
    let noise = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([0, 1, 2].map(|c| (x * y * (7 + c)) as u8)));
    let mut jpeg = Cursor::new(Vec::new());
    noise.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    encoded(&jpeg).decode(3, Orientation::Exif).unwrap();
    // Cameras append things.
    encoded(&[&jpeg[..], &[0; 100]].concat()).decode(3, Orientation::Exif).unwrap();
    for length in [jpeg.len() / 4, jpeg.len() / 2, jpeg.len() - 100, jpeg.len() - 2] {
        let error = encoded(&jpeg[..length]).decode(3, Orientation::Exif).map(|_| length).unwrap_err();
        assert!(matches!(&error, DataError::Image { .. }), "{length}: {error}");
    }
    let nowhere = Encoded::File("there is no such file".into());
    assert!(matches!(nowhere.decode(3, Orientation::Exif), Err(DataError::Io { .. })));
}
