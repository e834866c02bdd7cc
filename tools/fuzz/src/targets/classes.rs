//! Folders of pictures with their `classes.txt`. An input describes one, a line for each thing in it:
//!
//! ```text
//! picture train/cat/1.png
//! text classes.txt cat\ndog\n
//! folder train/empty
//! link train/cat/loop ..
//! pipe train/cat/2.png
//! ```

use super::Target;
use crate::bytes;
use crate::random::Random;
use frugal_trainer::Error;
use image::{DynamicImage, ImageFormat};
use std::fs;
use std::io::Cursor;
use std::path::{Component, Path};
use std::sync::LazyLock;

pub const TARGET: Target = Target { name: "classes", file: "tree.txt", seeds, mutate, attempt };

fn seeds() -> Vec<Vec<u8>> {
    let pictures = |paths: &[&str]| paths.iter().map(|path| format!("picture {path}\n")).collect::<String>();
    let parts =
        pictures(&["train/ant/1.png", "train/ant/2.png", "train/bee/1.png", "test/ant/3.png", "test/bee/4.png"]);
    let plain = pictures(&["ant/1.png", "ant/2.png", "ant/3.png", "bee/1.png", "bee/2.png", "bee/3.png"]);
    let named = format!("text classes.txt ant\\nbee\\ncat\\n\n{}", pictures(&["test/ant/1.png", "test/bee/1.png"]));
    [parts, plain, named].map(String::into_bytes).to_vec()
}

fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    if random.once_in(6) {
        return bytes::mutate(input, donor, random);
    }
    let mut lines: Vec<String> = String::from_utf8_lossy(input).lines().map(str::to_owned).collect();
    for _ in 0..random.few(5) {
        let at = random.below(lines.len());
        match random.below(7) {
            0 if !lines.is_empty() => drop(lines.remove(at)),
            1 => lines.insert(at, format!("text classes.txt {}", names(random))),
            2 => lines.insert(at, format!("folder {}", path(random))),
            3 => {
                let target = random.pick(&["..", ".", "1.png", "nothing", "/dev/zero", "loop"]);
                lines.insert(at, format!("link {} {target}", path(random)));
            }
            4 => lines.insert(at, format!("pipe {}", path(random))),
            5 => lines
                .insert(at, format!("text {} {}", path(random), random.pick(&["", "x", "version https://git-lfs"]))),
            _ => lines.insert(at, format!("picture {}", path(random))),
        }
    }
    lines.truncate(60);
    (lines.join("\n") + "\n").into_bytes()
}

/// What a `classes.txt` may hold.
fn names(random: &mut Random) -> String {
    let words = [
        "ant",
        "bee",
        "cat",
        "Ant",
        "ant ",
        "\u{feff}ant",
        "e\u{301}",
        "é",
        "a\u{1b}[2Jb",
        "test",
        "0",
        "",
        " ",
        "../x",
    ];
    let mut text = String::new();
    let ending = random.pick(&["\\n", "\\n", "\\r\\n", "\\n\\n"]);
    for _ in 0..random.few(8) {
        text.push_str(random.pick(&words));
        text.push_str(ending);
    }
    if random.once_in(60) {
        (0..100_000).for_each(|number| text.push_str(&format!("{number}\\n")));
    }
    if random.once_in(60) {
        text.push_str(&"n".repeat(1 << 20));
    }
    text
}

/// Some path, often one that is there already.
fn path(random: &mut Random) -> String {
    let parts = ["train", "train", "test", "val", "valid", "Validation", "TEST", "other", ""];
    let classes = ["ant", "bee", "cat", "é", "e\u{301}", ".hidden", "a b", "ant/deep/deeper", ""];
    let files =
        ["1.png", "2.PNG", "3.jpg", "4.webp", "5", "notes.txt", ".DS_Store", "6.jpeg", "7.tif", "x.png.txt", "loop"];
    let path = [random.pick(&parts), random.pick(&classes), random.pick(&files)];
    path.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// A picture of a few pixels.
static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(3, 2).write_to(&mut file, ImageFormat::Png).expect("a picture in memory");
    file.into_inner()
});

fn attempt(path: &Path) -> Result<(), Error> {
    let folder = path.parent().expect("a file is in a folder").join("tree");
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the fuzzer's own folder");
    }
    fs::create_dir(&folder).expect("the fuzzer's own folder");
    let text = String::from_utf8_lossy(&fs::read(path).expect("just written")).into_owned();
    // What cannot be made, such as a file where a folder is, is left out.
    for line in text.lines() {
        let _ = make(&folder, line);
    }
    super::open_and_read(&folder, Some([4, 4]))
}

fn make(root: &Path, line: &str) -> Option<()> {
    let (what, rest) = line.split_once(' ')?;
    let (place, content) = match what {
        "text" | "link" => rest.split_once(' ')?,
        _ => (rest, ""),
    };
    // Nothing is made outside the folder.
    let inside = |place: &str| Path::new(place).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside(place) || place.contains("loop/") {
        return None;
    }
    let place = root.join(place);
    fs::create_dir_all(place.parent()?).ok()?;
    // Never through a link to elsewhere, nor into a pipe.
    if place.exists() && !place.is_file() {
        return None;
    }
    if !place.parent()?.canonicalize().ok()?.starts_with(root.canonicalize().ok()?) || place.is_symlink() {
        return None;
    }
    match what {
        "picture" => fs::write(place, &*PICTURE).ok(),
        "text" => fs::write(place, content.replace("\\r", "\r").replace("\\n", "\n")).ok(),
        "folder" => fs::create_dir(place).ok(),
        #[cfg(unix)]
        "link" => std::os::unix::fs::symlink(content, place).ok(),
        #[cfg(target_os = "linux")]
        "pipe" => {
            use rustix::fs::{CWD, FileType, Mode, mknodat};
            mknodat(CWD, &place, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).ok()
        }
        _ => None,
    }
}
