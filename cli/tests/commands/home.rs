//! A home folder of a test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes when this is dropped.
pub(crate) struct Home {
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("home-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a home folder");
        Home { path }
    }

    /// A home with grenache-cli's files in it: the key of BEP44's examples.
    pub(crate) fn with_key() -> Home {
        let home = Home::new();
        home.write("key", SECRET);
        home.write("key.pub", PUBLIC);
        home
    }

    /// The path of one of grenache-cli's files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(".grenache-cli").join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.file("")).expect("a folder");
        fs::write(self.file(name), text).expect("a file");
        self.set_mode(name, 0o600);
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// Who may do what with a file.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.file(name)).expect("it is there").permissions().mode() & 0o7777
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The secret key of BEP44's examples, as grenache-cli keeps it.
pub(crate) const SECRET: &str = "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d\
                                 b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d";

/// Its public key.
pub(crate) const PUBLIC: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
