//! Parquet files.

use super::*;

#[cfg(feature = "parquet")]
#[test]
fn parquet_of_a_hub_is_read() {
    let set = open(&fixture("hub")).unwrap();
    assert_eq!((set.shape, set.class_names.join(" ")), ([3, 6, 5], "ant bee cat".to_owned()));
    holds(&set.train, 0..9);
    holds(&set.test, 9..12);
    let one = fixture("hub/data/train-00000-of-00002.parquet");
    let set = open_with(&one, Frame { size: Some([3, 3]), ..Frame::default() });
    assert_eq!(set.map(|set| (set.shape, set.train.len())).map_err(|error| error.to_string()), Ok(([3, 3, 3], 4)));
    // Two names for three classes.
    refused("single.parquet", &["label 2, but there are 2 classes"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.parquet");
    let whole = fs::read(fixture("single.parquet")).unwrap();
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(refusal(&path, Frame::default()).contains("cut.parquet"));
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_how_to_build_one() {
    refused("hub", &["built without Parquet", "--features parquet"]);
}
