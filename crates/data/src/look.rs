//! The early look: header and end of every picture, before anything is trained. What cannot be read is known after seconds, and all
//! of it at once; sizes and fingerprints come from the same pass, so that every file is opened once.

use std::fs::File;
use std::io::{BufReader, Cursor, IsTerminal, Read, Seek, SeekFrom, stderr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};

use super::pixels::{self, Encoded};
use super::{DataError, Orientation};

/// Files up to this size are read whole, in bytes: one read costs less than to skip within so little.
const SMALL: u64 = 256 << 10;
/// How much of either end a fingerprint has, in bytes.
const END: usize = 4096;
/// Nobody waits for a bar that is there for less.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a picture that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looked {
    /// Height and width, as it will be decoded.
    pub size: [usize; 2],
    /// SHA-256 of its path below the set's folder, its length, and its first and last bytes.
    pub digest: [u8; 32],
}

/// Looks at all pictures of the set in the folder `root`.
///
/// # Errors
/// [`DataError::Images`] with all that cannot be read, [`DataError::Image`] if it is one.
pub(super) fn look(root: &Path, images: &[&Encoded], orientation: Orientation) -> Result<Vec<Looked>, DataError> {
    let looks = in_parallel(images.len(), "looking at pictures", |index| {
        look_at(root, images[index], orientation).map_err(|reason| (images[index].name(), reason))
    });
    let (mut looked, mut bad) = (Vec::with_capacity(images.len()), Vec::new());
    for look in looks {
        match look {
            Ok(look) => looked.push(look),
            Err(named) => bad.push(named),
        }
    }
    match bad.len() {
        0 => Ok(looked),
        1 => bad.into_iter().map(|(file, what)| Err(DataError::Image { file, what })).collect(),
        _ => Err(DataError::Images { bad, all: images.len() }),
    }
}

fn look_at(root: &Path, image: &Encoded, orientation: Orientation) -> Result<Looked, String> {
    let mut digest = Sha256::new();
    let size = match image {
        Encoded::Bytes { bytes, .. } => look_into(bytes, orientation, &mut digest)?,
        Encoded::File(path) => {
            // With the same separators on all systems.
            for part in path.strip_prefix(root).unwrap_or(path).components() {
                digest.update(part.as_os_str().as_encoded_bytes());
                digest.update(b"/");
            }
            let read = |error: std::io::Error| error.to_string();
            let mut file = crate::input::open(path).map_err(read)?;
            let length = file.metadata().map_err(read)?.len();
            if length <= SMALL {
                let mut bytes = Vec::with_capacity(length as usize);
                file.take(SMALL + 1).read_to_end(&mut bytes).map_err(read)?;
                look_into(&bytes, orientation, &mut digest)?
            } else {
                digest.update(length.to_le_bytes());
                digest_ends(&mut file, &mut digest).map_err(read)?;
                file.rewind().map_err(read)?;
                pixels::size(BufReader::new(&file), length, orientation)?
            }
        }
    };
    Ok(Looked { size, digest: digest.finalize().into() })
}

/// The size of a picture in memory.
fn look_into(bytes: &[u8], orientation: Orientation, digest: &mut Sha256) -> Result<[usize; 2], String> {
    digest.update((bytes.len() as u64).to_le_bytes());
    if bytes.len() <= 2 * END {
        digest.update(bytes);
    } else {
        digest.update(&bytes[..END]);
        digest.update(&bytes[bytes.len() - END..]);
    }
    pixels::size(Cursor::new(bytes), bytes.len() as u64, orientation)
}

/// Of a file that is longer than both ends.
fn digest_ends(file: &mut File, digest: &mut Sha256) -> std::io::Result<()> {
    let mut end = [0; END];
    for from in [SeekFrom::Start(0), SeekFrom::End(-(END as i64))] {
        file.seek(from)?;
        file.read_exact(&mut end)?;
        digest.update(end);
    }
    Ok(())
}

/// Does `work` for each index below `count`, on all cores, with a bar on a terminal if it takes long; what it gives is in order.
pub(super) fn in_parallel<T: Send>(count: usize, what: &'static str, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (begun, is_shown) = (Instant::now(), AtomicBool::new(!stderr().is_terminal()));
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::hidden());
    bar.set_style(ProgressStyle::with_template("{bar:24} {pos}/{len}  {wide_msg}").expect("the template is valid"));
    bar.set_message(what);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let result = work(index);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
            bar.inc(1);
            if begun.elapsed() > PATIENCE && !is_shown.swap(true, Ordering::Relaxed) {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get()).min(count);
    thread::scope(|scope| {
        // This thread works as well, so that it goes on where the system has no threads left.
        for _ in 1..cores {
            let _ = thread::Builder::new().spawn_scoped(scope, worker);
        }
        worker();
    });
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    #[test]
    fn results_are_in_order_whatever_the_threads_do() {
        let results = in_parallel(1000, "counting", |index| {
            thread::sleep(Duration::from_micros((index as u64 * 7919) % 50));
            index * 2
        });
        assert!(results.iter().enumerate().all(|(index, result)| *result == 2 * index) && results.len() == 1000);
        assert!(in_parallel(0, "nothing", |index| index).is_empty());
    }

    /// Small files and large ones, which are read at their ends alone.
    #[test]
    fn a_digest_tells_content_and_place_below_the_root_and_nothing_else() {
        let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for side in [8, 64, 400] {
            let image = RgbImage::from_fn(side, side, |x, y| image::Rgb([x, y, x * y].map(|c| (c % 251) as u8)));
            let look_at = |root: usize, name: &str, change: &dyn Fn(&mut Vec<u8>)| {
                let path = roots[root].path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                image.save_with_format(&path, image::ImageFormat::Bmp).unwrap();
                let mut bytes = std::fs::read(&path).unwrap();
                change(&mut bytes);
                std::fs::write(&path, bytes).unwrap();
                let looked = look(roots[root].path(), &[&Encoded::File(path)], Orientation::Exif).unwrap();
                assert_eq!(looked[0].size, [side as usize; 2]);
                looked[0].digest
            };
            let first = look_at(0, "a/1.bmp", &|_| ());
            assert_eq!(first, look_at(1, "a/1.bmp", &|_| ()));
            let last = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
            let early = |bytes: &mut Vec<u8>| bytes[100] ^= 1;
            let longer = |bytes: &mut Vec<u8>| bytes.push(0);
            let others = [look_at(0, "b/1.bmp", &|_| ()), look_at(0, "a/1.bmp", &last), look_at(0, "a/1.bmp", &early)];
            assert!(!others.contains(&first) && look_at(0, "a/1.bmp", &longer) != first, "{side}");
        }
    }
}
