//! Tables of all kinds, hostile ones among them.

use std::fs;

use super::*;
use crate::{Batch, CATEGORIES, LABELS, Loader, LoaderOptions, MASK, NUMBERS, TARGETS};

fn options(target: &str) -> TableOptions {
    TableOptions { target: target.to_owned(), rare: 1, ..TableOptions::default() }
}

/// A folder with one file.
fn file(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn parts(train: &str, test: &str) -> tempfile::TempDir {
    let (folder, _) = file("train.csv", train);
    fs::write(folder.path().join("test.csv"), test).unwrap();
    folder
}

fn refusal(content: impl AsRef<[u8]>, options: &TableOptions) -> String {
    let (_folder, path) = file("t.csv", content);
    open(&path, options, Purpose::Train).unwrap_err().to_string().replace(&format!("{}", path.display()), "t.csv")
}

/// The one batch of a split.
fn batch(split: &Arc<Split>, set: &Dataset) -> Batch {
    let options = LoaderOptions { workers: 0, ..LoaderOptions::evaluate(set, split.len()) };
    Loader::new(split.clone(), options).unwrap().epoch(0).next().unwrap().unwrap()
}

#[test]
fn columns_mean_what_training_rows_say() {
    let train = "colour,size,late\nred,1,no\nblue,3,yes\nred,,no\n,2,yes\n";
    let test = "late,size,colour,more\nyes,5,green,x\nno,NA,red,y\n";
    let folder = parts(train, test);
    let set = open(folder.path(), &options("late"), Purpose::Train).unwrap();
    let schema = set.schema.as_deref().unwrap();
    assert_eq!(set.class_names, ["no", "yes"]);
    let vocabulary = ["blue", "red"].map(str::to_owned).to_vec();
    assert_eq!(schema.columns[0].kind, ColumnKind::Category { vocabulary });
    let ColumnKind::Number { mean, std, flagged: true } = schema.columns[1].kind else { panic!("{schema:?}") };
    assert_eq!((mean, std), (2.0, (2.0f64 / 3.0).sqrt()));
    assert_eq!((schema.categories(), schema.embedded_rows(), schema.numbers()), (1, 3, 2));

    let train = batch(&set.train, &set);
    assert_eq!(train.u32s(CATEGORIES), [2, 1, 2, 0]);
    let z = (1.0 / std) as f32;
    assert_eq!(train.f32s(NUMBERS), [-z, 0.0, z, 0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!((train.u32s(LABELS), train.f32s(MASK)), (&[0, 1, 0, 1][..], &[1.0; 4][..]));
    // Columns are found by name; what training rows did not have is unknown.
    let test = batch(&set.test, &set);
    assert_eq!((test.u32s(CATEGORIES), test.u32s(LABELS)), (&[0, 2][..], &[1, 0][..]));
    assert_eq!(test.f32s(NUMBERS), [(3.0 / std) as f32, 0.0, 0.0, 1.0]);
    assert_eq!(set.account.test, "test.csv");
    let notes = set.account.notes.join("\n");
    assert!(notes.contains("2 missing, rare or new categories") && notes.contains("2 missing numbers"), "{notes}");
}

#[test]
fn numbers_are_predicted_standardised() {
    let folder = parts("x,y\n1,10\n2,20\n3,30\n4,\n", "x,y\n5,50\n");
    let set = open(folder.path(), &TableOptions { regression: true, ..options("y") }, Purpose::Train).unwrap();
    let std = (200.0f64 / 3.0).sqrt();
    assert_eq!(set.schema.as_ref().unwrap().target.kind, TargetKind::Number { mean: 20.0, std });
    let of = |value: f64| ((value - 20.0) / std) as f32;
    assert_eq!(batch(&set.train, &set).f32s(TARGETS), [of(10.0), of(20.0), of(30.0)]);
    assert_eq!(batch(&set.test, &set).f32s(TARGETS), [of(50.0)]);
    // The fourth row has no target, and its x is not learned from.
    assert!(set.account.left_out.iter().any(|line| line.starts_with("1 rows of")), "{:?}", set.account);
    assert!(matches!(set.schema.as_ref().unwrap().columns[0].kind, ColumnKind::Number { mean: 2.0, .. }));
}

#[test]
fn of_one_table_a_fifth_is_tested_and_not_learned_from() {
    // The held-out rows alone have large numbers, so that the mean shows whether they were learned from.
    let rows = |held_out: &dyn Fn(u32) -> bool| -> String {
        let row = |row: u32| format!("{},{}\n", if held_out(row) { 1000 } else { row % 7 }, row % 2);
        (0..100).map(row).collect()
    };
    let labels: Vec<u32> = (0..100).map(|row| row % 2).collect();
    let (held_out, _) = draw::divide(&labels, 20, 0);
    let (_folder, path) = file("t.csv", format!("x,y\n{}", rows(&|row| held_out.contains(&row))));
    let set = open(&path, &options("y"), Purpose::Train).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.test.counts(2)), (80, 20, vec![10, 10]));
    let ColumnKind::Number { mean, std, .. } = set.schema.as_ref().unwrap().columns[0].kind else { panic!() };
    assert!(mean < 7.0 && std < 7.0, "{mean} {std}");
    assert!(batch(&set.test, &set).f32s(NUMBERS).iter().all(|x| *x > 100.0));
    // A net that learned from another table sees this one with that one's columns.
    let seen = open_as(&path, set.schema.as_ref().unwrap(), None).unwrap();
    assert_eq!((seen.train.len(), seen.test.len()), (0, 100));
    let predicted = rows_of(&path, set.schema.as_ref().unwrap()).unwrap();
    assert_eq!(predicted.len(), 100);
}

#[test]
fn rare_categories_count_as_unknown_and_useless_columns_are_left_out() {
    let mut train = String::from("id,kind,same,empty,y\n");
    (0..40).for_each(|row| train += &format!("n{row},{},1,,{}\n", if row < 30 { "a" } else { "b" }, row % 2));
    let (_folder, path) = file("t.csv", train);
    let table = TableOptions { rare: 5, ..options("y") };
    let set = open(&path, &table, Purpose::Train).unwrap();
    let columns = &set.schema.as_ref().unwrap().columns;
    assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["kind"]);
    let left_out = set.account.left_out.join("\n");
    for words in
        ["`id`, none of whose 32 categories has 5", "`same`, which has one value", "`empty`, which has no value"]
    {
        assert!(left_out.contains(words), "{left_out}");
    }
}

/// A table that is larger than what may be in memory gives the same batches.
#[test]
fn a_table_need_not_fit_into_memory() {
    let mut rows = String::from("a,b,c,y\n");
    (0..5_000u32).for_each(|row| rows += &format!("{},{},k{},{}\n", row, row * 7 % 13, row % 50, row % 3));
    let (_folder, path) = file("t.csv.gz", {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, rows.as_bytes()).unwrap();
        packed.finish().unwrap()
    });
    let of = |most: Option<usize>| {
        let set = open(&path, &TableOptions { most_in_memory: most, ..options("y") }, Purpose::Train).unwrap();
        let loader = Loader::new(set.train.clone(), LoaderOptions::evaluate(&set, 64).shuffled(3)).unwrap();
        let batches = loader.epoch(1).map(|batch| {
            let batch = batch.unwrap();
            (batch.u32s(CATEGORIES).to_vec(), batch.f32s(NUMBERS).to_vec(), batch.u32s(LABELS).to_vec())
        });
        (set.train.is_on_disk(), set.fingerprint(), batches.collect::<Vec<_>>())
    };
    let (in_memory, on_disk) = (of(None), of(Some(10_000)));
    assert!(!in_memory.0 && on_disk.0);
    assert!(in_memory.1 == on_disk.1 && in_memory.2 == on_disk.2);
    assert_eq!(in_memory.2.len(), 63);
}

#[test]
fn hostile_tables_are_refused_by_line_and_column() {
    let class = options("y");
    let number = TableOptions { regression: true, ..options("y") };
    let cases: [(&[u8], &TableOptions, &str); 14] = [
        (b"", &class, "t.csv, line 1: there is nothing in it"),
        (b"x,y\n", &class, "the target column `y` has no value in any row"),
        (b"x,z\n1,2\n", &class, "t.csv: there is no column `y` (`data.target`); there are: x, z"),
        (b"x,y\n1,0\n2\n", &class, "t.csv, line 3: it has 1 cells, and the header 2"),
        (b"x,y\n1,0\n\"2,1\n3,0\n", &class, "line 3: it has 1 cells"),
        (b"x,y\n1,0\n\xff,1\n", &class, "t.csv, line 3, column `x`: \"\u{fffd}\" is not UTF-8"),
        (b"x,y,x\n1,0,1\n", &class, "two columns are called `x`"),
        (b"x;y\n1;0\n", &class, "its cells seem to be separated by ';'"),
        (b"x,y\n1,0\n2,0\n", &class, "has one value, \"0\", in all rows"),
        (b"x,y\n1,a\n2,3\n", &number, "t.csv, line 2, column `y`: \"a\" is no number"),
        (b"x,y\n1,inf\n2,3\n", &number, "line 2, column `y`: \"inf\" is no number that 32 bits hold"),
        (b"x,y\n1,5\n2,5\n3,5\n4,5\n5,5\n", &number, "has no two different numbers"),
        (b"x,y\n1,a\n1,b\n1,a\n1,b\n1,a\n1,b\n1,a\n1,b\n1,a\n1,b\n", &class, "no column is left to predict from"),
        (b"y\na\nb\na\nb\n", &class, "no column is left to predict from"),
    ];
    for (content, options, wanted) in cases {
        let found = refusal(content, options);
        assert!(found.contains(wanted), "{:?}:\n{found}\n{wanted}", String::from_utf8_lossy(content));
    }
    let floats: String = (0..30).map(|row| format!("{row},{}.5\n", row)).collect();
    assert!(refusal(format!("x,y\n{floats}"), &class).contains("write `task = \"regression\"`"));
    // A quotation mark that is never closed must not take the memory of the whole file.
    let unclosed = [b"x,y\n1,\"".as_slice(), &vec![b'a'; 4 << 20]].concat();
    assert!(refusal(unclosed, &class).contains("line 2: the row has more than 1048576 bytes"));
    // What training rows do not tell, later rows may.
    let folder = parts("x,y\n1,a\n2,b\n", "x,y\nfew,a\n");
    let error = open(folder.path(), &class, Purpose::Train).unwrap_err().to_string();
    assert!(error.contains("line 2, column `x`: \"few\" is no number; if the column holds categories"), "{error}");
    let folder = parts("x,y\n1,a\n2,b\n", "x,y\n1,c\n");
    let error = open(folder.path(), &class, Purpose::Train).unwrap_err().to_string();
    assert!(error.contains("line 2, column `y`: no training row has the class \"c\""), "{error}");
    let named = TableOptions { ignore: vec!["q".to_owned()], ..options("y") };
    assert!(refusal("x,y\n1,a\n2,b\n", &named).contains("there is no column `q` (`data.ignore`)"));
}

#[test]
fn tables_of_no_part_in_a_folder_are_said() {
    let folder = parts("x,y\n1,a\n2,b\n", "x,y\n1,a\n");
    let set = open(folder.path(), &options("y"), Purpose::Train).unwrap();
    assert!(set.account.left_out.is_empty(), "{:?}", set.account);
    // Hidden beside the parts: a table that nobody would miss until much later. What is no table is no matter.
    fs::write(folder.path().join("holdout.csv"), "x,y\n3,a\n").unwrap();
    fs::write(folder.path().join("README.txt"), "flats").unwrap();
    let one = "the file holdout.csv, whose name says no part";
    let set = open(folder.path(), &options("y"), Purpose::Train).unwrap();
    assert_eq!(set.account.left_out, [one]);
    let seen = open_as(folder.path(), set.schema.as_ref().unwrap(), None).unwrap();
    assert_eq!(seen.account.left_out, [one]);
    fs::write(folder.path().join("extra.tsv.gz"), "").unwrap();
    let set = open(folder.path(), &options("y"), Purpose::Train).unwrap();
    assert_eq!(set.account.left_out, ["the files extra.tsv.gz, holdout.csv, whose names say no part"]);
}

#[test]
fn columns_of_numbers_and_texts_are_said_to_count_as_categories() {
    let rows = "mixed,words,size,y\n1,red,1,a\n2,blue,2,b\nunknown,red,3,a\nNA,blue,4,b\n";
    let folder = parts(rows, "mixed,words,size,y\n1,red,1,a\n");
    let set = open(folder.path(), &options("y"), Purpose::Train).unwrap();
    let vocabulary = ["1", "2", "unknown"].map(str::to_owned).to_vec();
    assert_eq!(set.schema.as_ref().unwrap().columns[0].kind, ColumnKind::Category { vocabulary });
    let said = |set: &Dataset| -> Vec<String> {
        set.account.notes.iter().filter(|note| note.starts_with("column")).cloned().collect()
    };
    let note = "column `mixed` counts as categories, as 1 of its 3 cells are no numbers; `numbers` in [data] makes it one of \
                numbers";
    assert_eq!(said(&set), [note]);
    // Nothing is to be said to somebody who chose.
    let chosen = TableOptions { categories: vec!["mixed".to_owned()], ..options("y") };
    assert_eq!(said(&open(folder.path(), &chosen, Purpose::Train).unwrap()), [""; 0]);
    let chosen = TableOptions { numbers: vec!["mixed".to_owned()], ..options("y") };
    let error = open(folder.path(), &chosen, Purpose::Train).unwrap_err().to_string();
    assert!(error.contains("line 4, column `mixed`: \"unknown\" is no number"), "{error}");
}

/// A late text must not turn a long column of numbers into a vocabulary of them.
#[test]
fn a_text_after_too_many_different_numbers_is_an_error() {
    let open_with = |different: usize, text: &str, table: &TableOptions| {
        let numbers: String = (0..different).map(|row| format!("{row},{}\n", row % 2)).collect();
        let folder = parts(&format!("x,y\n{numbers}{text}"), "x,y\n1,0\n");
        open(folder.path(), table, Purpose::Train).map(|set| set.schema.as_ref().unwrap().columns[0].kind.clone())
    };
    let most = learn::MOST_NUMBERS;
    let error = open_with(most + 1, "few,0\n", &options("y")).unwrap_err().to_string();
    let wanted =
        "the column `x` has too many different cells for categories; name it in `numbers` or `ignore` in [data]";
    assert!(error.contains(wanted), "{error}");
    // As many as the limit are counted, numbers alone have none, and neither has a column that is named.
    let categories = |kind: ColumnKind| match kind {
        ColumnKind::Category { vocabulary } => vocabulary.len(),
        ColumnKind::Number { .. } => 0,
    };
    assert_eq!(categories(open_with(most, "few,0\n", &options("y")).unwrap()), most + 1);
    assert_eq!(categories(open_with(most + 1, "", &options("y")).unwrap()), 0);
    let named = TableOptions { categories: vec!["x".to_owned()], ..options("y") };
    assert_eq!(categories(open_with(most + 1, "few,0\n", &named).unwrap()), most + 2);
}

#[test]
fn quoted_cells_marks_and_blank_names_are_read() {
    let text = "\u{feff},name,y\r\n0,\"a, \"\"b\"\"\",1\r\n1,\"c\nd\",0\r\n2,\"a, \"\"b\"\"\",1\r\n3,e,0\r\n4,e,0\r\n";
    let (_folder, path) = file("t.csv", text);
    let set = open(&path, &options("y"), Purpose::Train).unwrap();
    let names: Vec<&str> = set.schema.as_ref().unwrap().columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["name"]);
    assert!(set.account.left_out[0].contains("column 1 of"), "{:?}", set.account);
}

#[test]
fn the_embedded_flights_are_those_of_their_provenance() {
    let set = crate::open("flights", Path::new("")).unwrap();
    assert_eq!((set.train.len(), set.validation.as_ref().unwrap().len(), set.test.len()), (14_000, 2_000, 4_000));
    assert_eq!(set.train.counts(2), [10_685, 3_315]);
    let schema = set.schema.as_ref().unwrap();
    // Two of the three numbers have gaps.
    assert_eq!((schema.categories(), schema.numbers()), (9, 5));
    let text = serde_json::to_string(&**schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), **schema);
    schema.check().unwrap();
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_so_of_tables() {
    let (_folder, path) = file("t.parquet", b"PAR1");
    let error = open(&path, &options("y"), Purpose::Train).unwrap_err().to_string();
    assert!(error.contains("built without Parquet"), "{error}");
}

/// The columns of a Parquet file mean what they would mean in CSV.
#[cfg(feature = "parquet")]
#[test]
fn columns_of_parquet_are_read_by_their_types() {
    use parquet::column::writer::ColumnWriter;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let (_folder, path) = file("t.parquet", b"");
    let schema =
        "message t { optional double x; required binary colour (UTF8); required binary blob; required int64 y; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let written = fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(written, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut texts = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::DoubleColumnWriter(writer) => {
                let values: Vec<f64> = (0..39).map(|row| f64::from(row) / 4.0).collect();
                let levels: Vec<i16> = (0..40).map(|row| i16::from(row < 39)).collect();
                writer.write_batch(&values, Some(&levels), None).unwrap();
            }
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                texts += 1;
                let words = if texts == 1 { ["red", "blue"] } else { ["\u{1}", "\u{2}"] };
                let values: Vec<_> = (0..40).map(|row| words[row % 2].into()).collect();
                writer.write_batch(&values, None, None).unwrap();
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                let values: Vec<i64> = (0..40).map(|row| row % 2).collect();
                writer.write_batch(&values, None, None).unwrap();
            }
            _ => unreachable!("the schema has four columns"),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();

    let set = open(&path, &options("y"), Purpose::Train).unwrap();
    assert_eq!(
        (set.class_names.as_slice(), set.train.len(), set.test.len()),
        (&["0".to_owned(), "1".to_owned()][..], 32, 8)
    );
    let columns = &set.schema.as_ref().unwrap().columns;
    assert!(
        matches!(columns[0].kind, ColumnKind::Number { .. }) && matches!(columns[1].kind, ColumnKind::Category { .. })
    );
    assert_eq!(columns.len(), 2);
    assert!(set.account.left_out.iter().any(|line| line.contains("`blob`, which has no value")), "{:?}", set.account);
    let broken = fs::read(&path).unwrap();
    fs::write(&path, &broken[..broken.len() / 2]).unwrap();
    assert!(matches!(open(&path, &options("y"), Purpose::Train), Err(DataError::Table { .. })));
}
