//! Node's grape and peers, from the packages and programs of grape/tests/node.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Once;

use serde_json::Value;

use crate::process::Process;

/// Installs the packages unless they are there; once per process, and one process at a time.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let folder = folder();
        // The tests of the grape hold the same lock.
        let lock =
            File::create(std::env::temp_dir().join("grenache-npm-ci.lock")).expect("a lock file");
        lock.lock().expect("the lock on npm ci");
        // npm writes this file last.
        if folder.join("node_modules/.package-lock.json").exists() {
            return;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
        let npm = npm.output().unwrap_or_else(|error| {
            panic!("the tests with Node need Node 18 or newer with npm on the PATH: {error}")
        });
        let err = String::from_utf8_lossy(&npm.stderr);
        assert!(npm.status.success(), "npm ci failed in {}:\n{err}", folder.display());
    });
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../grape/tests/node")
}

/// Starts `node script argument`, the script being one of that folder.
#[track_caller]
pub(crate) fn start(script: &str, argument: &Value) -> Process {
    install();
    let folder = folder();
    let mut command = Command::new("node");
    command.arg("-r").arg(folder.join("leash.js")).arg(folder.join(script));
    command.arg(argument.to_string());
    command.env("DEBUG", "grenache:grape").env_remove("NODE_OPTIONS");
    Process::start(command)
}

/// Awaits the line `{"event": event, ..}`.
#[track_caller]
pub(crate) fn event(process: &Process, event: &str) -> Value {
    process.wait_for(|line| {
        let value: Value = serde_json::from_str(line).ok()?;
        (value["event"] == event).then_some(value)
    })
}
