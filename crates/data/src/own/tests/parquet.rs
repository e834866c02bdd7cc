//! Parquet files.

use super::*;

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_how_to_build_one() {
    refused("hub", &["built without Parquet", "--features parquet"]);
}

#[cfg(feature = "parquet")]
mod with_parquet {
    use std::io::Cursor;
    use std::sync::Arc;

    use ::parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    use super::*;

    /// Image `n` of the fixtures as PNG.
    fn png(n: usize) -> Vec<u8> {
        let image = image::RgbImage::from_fn(5, 6, |x, y| {
            image::Rgb([0, 1, 2].map(|c| ((31 * n + 70 * c + 5 * y as usize + 3 * x as usize) % 256) as u8))
        });
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// Writes the images 0, 1 … with these labels.
    fn write(path: &Path, labels: &[Option<i64>], names: Option<&[&str]>, compression: Compression) {
        let schema = "message set { required group image { optional binary bytes; } optional int64 label; }";
        let features = |names| serde_json::json!({ "info": { "features": { "label": { "names": names } } } });
        let named = names.map(|names| vec![KeyValue::new("huggingface".to_owned(), features(names).to_string())]);
        let properties = WriterProperties::builder().set_compression(compression).set_key_value_metadata(named).build();
        let file = fs::File::create(path).unwrap();
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        while let Some(mut column) = group.next_column().unwrap() {
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    let images: Vec<_> = (0..labels.len()).map(|n| png(n).into()).collect();
                    writer.write_batch(&images, Some(&vec![1; labels.len()]), None).unwrap();
                }
                ColumnWriter::Int64ColumnWriter(writer) => {
                    let known: Vec<i64> = labels.iter().flatten().copied().collect();
                    let levels: Vec<i16> = labels.iter().map(|label| label.is_some().into()).collect();
                    writer.write_batch(&known, Some(&levels), None).unwrap();
                }
                _ => unreachable!("the schema has two columns"),
            }
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    }

    const PLAIN: Compression = Compression::UNCOMPRESSED;

    /// A folder of files with these labels.
    fn hub(files: &[(&str, &[i64])], names: Option<&[&str]>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, labels) in files {
            let labels: Vec<_> = labels.iter().copied().map(Some).collect();
            write(&root.path().join(file), &labels, names, PLAIN);
        }
        root
    }

    #[test]
    fn parquet_of_a_hub_is_read() {
        let set = open(&fixture("hub")).unwrap();
        assert_eq!((set.shape, set.class_names.join(" ")), ([3, 6, 5], "ant bee cat".to_owned()));
        assert!(!set.numbered && set.account.left_out.is_empty() && set.account.warnings.is_empty());
        holds(&set.train, 0..9);
        holds(&set.test, 9..12);
        let one = fixture("hub/data/train-00000-of-00002.parquet");
        let set = open_with(&one, Frame { size: Some([3, 3]), ..Frame::default() }).unwrap();
        assert_eq!((set.shape, set.train.len()), ([3, 3, 3], 4));
        let warnings = set.account.warnings.join("; ");
        assert!(warnings.contains("1 of 2 files of the part are there"), "{warnings}");
        // Two names for three classes.
        refused("single.parquet", &["label 2, but there are 2 classes"]);
    }

    #[test]
    fn files_of_every_usual_compression_are_read() {
        let levels = [GzipLevel::default()].map(Compression::GZIP).into_iter();
        let all = levels.chain([
            PLAIN,
            Compression::SNAPPY,
            Compression::ZSTD(ZstdLevel::default()),
            Compression::LZ4_RAW,
            Compression::BROTLI(BrotliLevel::default()),
        ]);
        for compression in all {
            let root = tempfile::tempdir().unwrap();
            let labels: Vec<_> = (0..6).map(|n| Some(n % 3)).collect();
            write(&root.path().join("test.parquet"), &labels, None, compression);
            let set = evaluated(&root.path().join("test.parquet")).unwrap();
            holds(&set.test, 0..6);
            assert!(set.numbered, "{compression:?}");
        }
    }

    #[test]
    fn every_file_is_of_a_part_or_said() {
        let root = hub(
            &[
                ("train.parquet", &[0, 1, 0, 1]),
                ("validation-00000-of-00001.parquet", &[0, 1, 0]),
                ("Test.parquet", &[0, 1]),
                ("extra.parquet", &[0]),
                ("testing.parquet", &[0]),
            ],
            None,
        );
        let set = open(root.path()).unwrap();
        assert_eq!((set.train.len(), set.validation.as_ref().unwrap().len(), set.test.len()), (4, 3, 2));
        assert_eq!(set.account.validation, "validation-00000-of-00001.parquet");
        assert_eq!(set.account.left_out, ["the files extra.parquet, testing.parquet, whose names begin with no part"]);
        // Without the test part, the validation part is it.
        fs::remove_file(root.path().join("Test.parquet")).unwrap();
        assert_eq!(open(root.path()).unwrap().test.len(), 3);
    }

    #[test]
    fn a_test_part_without_labels_is_left_out() {
        let root = hub(&[("train.parquet", &[0, 1, 0, 1, 0, 1]), ("test.parquet", &[-1, -1])], Some(&["a", "b"]));
        let set = open(root.path()).unwrap();
        assert_eq!((set.train.len(), set.test.len(), set.class_names.join("")), (5, 1, "ab".to_owned()));
        assert_eq!(set.account.left_out, ["test.parquet, as all labels are -1 or none"]);
        write(&root.path().join("test.parquet"), &[None, None], None, PLAIN);
        assert_eq!(open(root.path()).unwrap().account.left_out, ["test.parquet, as all labels are -1 or none"]);
        write(&root.path().join("test.parquet"), &[Some(0), None], None, PLAIN);
        let text = refusal(root.path(), Frame::default());
        assert!(text.contains("test.parquet, row 1"), "{text}");
        write(&root.path().join("test.parquet"), &[Some(-2)], None, PLAIN);
        assert!(refusal(root.path(), Frame::default()).contains("-2 is not the label of a class"));
        // Names that differ would give labels another meaning.
        write(&root.path().join("test.parquet"), &[Some(0)], Some(&["b", "a"]), PLAIN);
        assert!(refusal(root.path(), Frame::default()).contains("its classes are not named as those of"));
    }

    /// The reader of the format panics at some of these.
    #[test]
    fn damaged_files_are_errors_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.parquet");
        let whole = fs::read(fixture("single.parquet")).unwrap();
        for length in (0..whole.len()).step_by(97) {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(refusal(&path, Frame::default()).contains("cut.parquet"));
        }
        let mut caught = 0;
        for labels in [PLAIN, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
            write(&path, &(0..12).map(|n| Some(n % 3)).collect::<Vec<_>>(), Some(&["a", "b", "c"]), labels);
            let whole = fs::read(&path).unwrap();
            for at in (0..whole.len()).step_by(7) {
                for flip in [0x01, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] ^= flip;
                    fs::write(&path, bytes).unwrap();
                    if let Err(error) = open(&path) {
                        let text = error.to_string();
                        assert!(text.contains("cut.parquet"), "{text}");
                        caught += usize::from(text.contains("its pages are damaged"));
                    }
                }
            }
        }
        assert!(caught > 0, "no panic was caught: is there still one?");
    }
}
