//! The npm packages that the Node peers are made of.

use std::fs::File;
use std::process::Command;
use std::sync::Once;

use crate::process::node_folder;

/// Installs the packages of grape/tests/node/package-lock.json unless they are there; once per process, and one process at a time.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let folder = node_folder();
        let lock = File::create(std::env::temp_dir().join("grenache-npm-ci.lock")).expect("a lock file");
        lock.lock().expect("the lock on npm ci");
        // npm writes this file last, as a copy of the lock file that it has installed.
        if folder.join("node_modules/.package-lock.json").exists() {
            return;
        }
        let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).output();
        let npm = npm.unwrap_or_else(|error| {
            panic!("the interop tests need Node 18 or newer with npm on the PATH, and npm does not start: {error}")
        });
        assert!(npm.status.success(), "npm ci failed in {}:\n{}", folder.display(), String::from_utf8_lossy(&npm.stderr));
    });
}
