//! Two processes never work on one run.

use crate::Error;
use std::fs::{File, TryLockError};
use std::path::Path;

/// The file that is locked; it stays when the process is gone, and means nothing then.
const FILE: &str = ".lock";

/// Keeps other processes from training in a folder while it lives. It is the system's lock on a file, so it ends with the
/// process, however that ends. Who only reads the folder needs none.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder of a run.
    ///
    /// # Errors
    /// [`Error::RunInUse`] if another process has it, [`Error::Io`].
    pub fn take(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::RunInUse(folder.to_path_buf())),
            // Some network file systems know no locks. That is no reason not to train there.
            Err(TryLockError::Error(error)) => tracing::warn!("cannot lock {}: {error}", path.display()),
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_lock_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let lock = Lock::take(root.path()).unwrap();
        assert!(matches!(Lock::take(root.path()), Err(Error::RunInUse(folder)) if folder == root.path()));
        drop(lock);
        Lock::take(root.path()).unwrap();
        assert!(matches!(Lock::take(&root.path().join("nothing")), Err(Error::Io { .. })));
    }
}
