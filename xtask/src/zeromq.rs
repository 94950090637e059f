//! libzmq for Python and for Node: the peers of ZeroMQ's interop tests.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{Failed, first_line, run};
use crate::{debian, setup};

/// What is installed for Node, versions pinned, and the programs that use it.
const FOLDER: &str = "peer/tests/zeromq";

/// What is installed for Python, all versions pinned.
const REQUIREMENTS: &str = "peer/tests/zeromq/requirements.txt";

/// Debian's Python, whose part that makes environments is a package of its own.
const DEBIANS_PYTHON: &str = "/usr/bin/python3";

fn folder() -> PathBuf {
    crate::root().join("target/zeromq")
}

/// Installs npm's zeromq, and pyzmq into `target/zeromq/venv`, unless what is asked for is there.
pub(crate) fn install() -> Result<(), Failed> {
    setup::npm_ci(FOLDER)?;
    let requirements = crate::root().join(REQUIREMENTS);
    let wanted = fs::read(&requirements)
        .map_err(|error| Failed(format!("{}: {error}", requirements.display())))?;
    let installed = folder().join("installed.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("==> pyzmq from PyPI");
    let venv = folder().join("venv");
    run(
        "an environment of Python 3",
        Command::new(python()?).args(["-m", "venv", "--clear"]).arg(&venv),
    )?;
    run(
        "pyzmq",
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements),
    )?;
    fs::write(&installed, wanted)
        .map_err(|error| Failed(format!("{}: {error}", installed.display())))
}

/// A Python 3 that makes environments: the one on the path, or Debian's with what it lacks.
fn python() -> Result<&'static str, Failed> {
    let complete = |python: &&str| first_line(python, &["-c", "import ensurepip, venv"]).is_some();
    let candidates = ["python3", DEBIANS_PYTHON];
    if let Some(python) = candidates.into_iter().find(complete) {
        return Ok(python);
    }
    debian::install(
        &["python3-venv"],
        "put a Python 3 on the PATH that has the modules venv and ensurepip",
    )?;
    Some(DEBIANS_PYTHON).filter(complete).ok_or_else(|| {
        Failed(format!("{DEBIANS_PYTHON} makes no environments in spite of Debian's python3-venv"))
    })
}
