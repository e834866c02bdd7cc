//! A folder of images per class, as ImageNet and most photo collections are laid out:
//!
//! ```text
//! photos/train/cat/1.jpg  …     or, without parts     photos/cat/1.jpg  …
//! photos/val/cat/8.jpg    …     (val, valid or validation)
//! photos/test/cat/9.jpg   …
//! ```
//!
//! Parts are known by their names in any case. Classes are numbered in the order of their names, or in that of the lines of
//! `photos/classes.txt`, which may name more than there are images of: so a net that knows a thousand classes can be evaluated on a
//! few images. A folder that the list names is a class, even if it is called `test`. Pictures count in folders of a class folder, too;
//! they are decoded when a batch needs them.

use std::path::{Path, PathBuf};

use super::names::{self, Classes, shortened};
use super::tree::{Listing, Walk};
use super::{Found, Frame, HeldOut, Part, Purpose, encoded, own};
use crate::pixels::{ENDINGS, Encoded};
use crate::{Account, DataError, Dataset};

/// The names of the classes, where folders do not say them all.
const CLASSES: &str = "classes.txt";
/// The parts of a set, and what their folders may be called.
const PARTS: [&[&str]; 3] = [&["train"], &["val", "valid", "validation"], &["test"]];

pub(super) fn open(root: &Path, frame: Frame, purpose: Purpose) -> Result<Dataset, DataError> {
    let file = root.join(CLASSES);
    let listed = if file.exists() { Some(Classes::read(&file)?) } else { None };
    let mut walk = Walk::default();
    let mut account = Account::default();
    let Layout { train, validation, test } = Layout::read(root, listed.as_ref(), &mut walk, &mut account)?;

    let folders = [&train, &test, &validation].into_iter().flatten().next();
    let least = if purpose == Purpose::Train && listed.is_none() { 2 } else { 1 };
    let folders = match folders {
        Some(part) if part.classes.len() >= least => part,
        part => {
            let (place, number) = part.map_or((root, 0), |part| (&part.folder, part.classes.len()));
            let mut what = format!("there must be a folder of images for each class, at least two; there are {number}");
            if !account.left_out.is_empty() {
                what += &format!(" (there is: {})", account.left_out.join("; "));
            }
            return Err(own(place, what));
        }
    };
    let (classes, source) = match listed {
        Some(classes) => (classes, file),
        None => {
            let named = folders.classes.iter().map(|folder| (names::of_folder(folder), folder.display()));
            (Classes::new(&folders.folder, named)?, folders.folder.clone())
        }
    };
    let train = train.map(|part| part.samples(&classes, &source, true, &mut walk)).transpose()?;
    let mut held_out = |part: Option<ClassFolders>| {
        let Some(part) = part else { return Ok(None) };
        let samples = part.samples(&classes, &source, false, &mut walk)?;
        Ok(Some(HeldOut { samples, origin: format!("{}/", name(&part.folder)) }))
    };
    let (validation, test) = (held_out(validation)?, held_out(test)?);
    account.left_out.extend(walk.passed_over());
    encoded(root, Found { classes, train, validation, test, account }, frame, purpose)
}

/// The class folders of each part.
struct Layout {
    train: Option<ClassFolders>,
    validation: Option<ClassFolders>,
    test: Option<ClassFolders>,
}

/// The class folders of a part.
struct ClassFolders {
    /// What they are in.
    folder: PathBuf,
    classes: Vec<PathBuf>,
}

impl Layout {
    /// Looks at the folders of a set; what belongs to no part goes into the account.
    fn read(
        root: &Path,
        listed: Option<&Classes>,
        walk: &mut Walk,
        account: &mut Account,
    ) -> Result<Layout, DataError> {
        let mut top = Listing::of(root)?;
        top.files.retain(|file| *file != root.join(CLASSES));
        walk.pass_over(&top);
        loose(root, &top, account);
        let mut parts: [Option<PathBuf>; 3] = Default::default();
        let mut classes = Vec::new();
        for folder in top.folders {
            let name = names::of_folder(&folder);
            let is_class = listed.is_some_and(|classes| classes.label(&name).is_some());
            let part = PARTS.iter().position(|known| known.contains(&name.to_lowercase().as_str()));
            match part.filter(|_| !is_class) {
                None => classes.push(folder),
                Some(part) => {
                    if let Some(other) = parts[part].replace(folder.clone()) {
                        let what = format!(
                            "{} and {} are both folders of the {} part; merge them, or take one away",
                            other.display(),
                            folder.display(),
                            ["training", "validation", "test"][part],
                        );
                        return Err(own(root, what));
                    }
                }
            }
        }
        let [train, validation, test] = parts.map(|folder| {
            folder.map(|folder| ClassFolders::of_part(folder, walk, account)).transpose().map(Option::flatten)
        });
        let (train, validation, test) = (train?, validation?, test?);
        let train = match train {
            Some(train) => {
                if !classes.is_empty() {
                    let folders: Vec<String> = classes.iter().map(|folder| name(folder)).collect();
                    let (s, part) = (if folders.len() == 1 { "" } else { "s" }, name(&train.folder));
                    account.left_out.push(format!("the folder{s} {} beside {part}/", shortened(&folders)));
                }
                Some(train)
            }
            None if classes.is_empty() => None,
            None => Some(ClassFolders { folder: root.to_path_buf(), classes }),
        };
        Ok(Layout { train, validation, test })
    }
}

impl ClassFolders {
    /// Those in the folder of a part; none if it has none, as test parts without labels have it.
    fn of_part(folder: PathBuf, walk: &mut Walk, account: &mut Account) -> Result<Option<ClassFolders>, DataError> {
        let listing = Listing::of(&folder)?;
        walk.pass_over(&listing);
        if !listing.folders.is_empty() {
            loose(&folder, &listing, account);
            return Ok(Some(ClassFolders { folder, classes: listing.folders }));
        }
        let pictures = match listing.pictures.len() {
            0 => "no pictures".to_owned(),
            1 => "a picture without a class".to_owned(),
            several => format!("{several} pictures without a class"),
        };
        account.left_out.push(format!("{}/, which has {pictures} and no class folders", name(&folder)));
        Ok(None)
    }

    /// The images in them; `source` is where the names of classes come from.
    fn samples(&self, classes: &Classes, source: &Path, is_trained: bool, walk: &mut Walk) -> Result<Part, DataError> {
        let mut part = Part::default();
        let mut found = vec![None; classes.len()];
        for folder in &self.classes {
            let label = classes.label(&names::of_folder(folder)).ok_or_else(|| {
                let what = format!(
                    "there is no class of this name in {}; it has: {}",
                    source.display(),
                    shortened(classes.names())
                );
                own(folder, what)
            })?;
            if let Some(other) = found[label as usize].replace(folder) {
                let what = format!("{} and {} are one class", Path::display(other), folder.display());
                return Err(own(&self.folder, format!("{what} by the names that Unicode holds for equal")));
            }
            let files = walk.pictures(folder)?;
            if files.is_empty() && is_trained {
                let endings = ENDINGS.join(", ");
                return Err(own(folder, format!("the class is empty: there is no picture in it ({endings})")));
            }
            part.labels.extend(std::iter::repeat_n(label, files.len()));
            part.images.extend(files.into_iter().map(Encoded::File));
        }
        Ok(part)
    }
}

/// Pictures that lie beside the class folders.
fn loose(folder: &Path, listing: &Listing, account: &mut Account) {
    let place = name(folder);
    match listing.pictures.as_slice() {
        [] => {}
        [_] => account.left_out.push(format!("a picture in {place}/ that is in no class folder")),
        several => account.left_out.push(format!("{} pictures in {place}/ that are in no class folder", several.len())),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
