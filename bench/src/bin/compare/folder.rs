//! A folder for the time of a run.

use std::io;
use std::path::{Path, PathBuf};

/// A folder among the temporary files, removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// One for `what`, which no other folder of this process is for.
    pub(crate) fn new(what: &str) -> io::Result<Self> {
        let name = format!("grenache-bench-{}-{what}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing in it is worth more than a look; the folder for temporary files is emptied anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
