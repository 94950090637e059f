//! What a fresh machine needs besides cargo.

use std::process::Command;

use crate::step::{Failed, first_line, run};
use crate::{autobahn, debian, zeromq};

/// The oldest Node that runs the published packages and our peers (`fetch` came with 18).
const OLDEST_NODE: u32 = 18;

/// Checks the tools and installs the npm packages.
fn check_tools() -> Result<(), Failed> {
    let mut missing = Vec::new();
    let node = first_line("node", &["--version"]);
    match node.as_deref().map(major) {
        Some(Some(version)) if version >= OLDEST_NODE => {}
        Some(_) => missing.push(format!(
            "Node {OLDEST_NODE} or newer (this is {})",
            node.as_deref().unwrap_or_default()
        )),
        None => missing.push(format!("Node {OLDEST_NODE} or newer")),
    }
    if first_line("npm", &["--version"]).is_none() {
        missing.push("npm".to_string());
    }
    // mimalloc is written in C, and the `cc` crate looks for CC first.
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_string());
    if first_line(&compiler, &["--version"]).is_none() {
        missing.push(format!("a C compiler ({compiler})"));
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failed(format!("missing: {}", missing.join(", "))))
    }
}

/// Checks that there is a C++ compiler, which only some parts need. The error says what was looked for.
pub(crate) fn cxx() -> Result<(), Failed> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_string());
    match first_line(&compiler, &["--version"]) {
        Some(_) => Ok(()),
        None => Err(Failed(format!("needs a C++ compiler, and {compiler} is none"))),
    }
}

/// All that tests need.
pub(crate) fn install_for_tests() -> Result<(), Failed> {
    install()?;
    debian::install_tools()?;
    // Only their own tests need these, and they say so.
    if let Err(Failed(why)) = autobahn::install() {
        eprintln!("Autobahn's test suite is not there, and its tests will fail: {why}");
    }
    if let Err(Failed(why)) = zeromq::install() {
        eprintln!("ZeroMQ's peers are not there, and their tests will fail: {why}");
    }
    Ok(())
}

/// Checks the tools, then installs the npm packages of Grenache.
pub(crate) fn install() -> Result<(), Failed> {
    check_tools()?;
    npm_ci("grape/tests/node")
}

/// Installs the npm packages of a folder of the repository, unless its lock file's are there.
pub(crate) fn npm_ci(folder: &str) -> Result<(), Failed> {
    let folder = crate::root().join(folder);
    let written = |file: &str| folder.join(file).metadata().and_then(|of| of.modified()).ok();
    // npm writes its own copy of the lock file when all is installed.
    let installed = written("node_modules/.package-lock.json");
    if installed.is_some() && installed >= written("package-lock.json") {
        return Ok(());
    }
    run("npm ci", Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))
}

/// `v20.20.2` is 20.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn reads_node_versions() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("v8.0.0"), Some(8));
        assert_eq!(major("something else"), None);
    }
}
