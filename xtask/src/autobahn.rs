//! Autobahn's test suite for WebSocket, which is written for Python 2.7.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{Failed, run};

/// The last release that makes environments for Python 2.7, with a Python 3.
const VIRTUALENV: &str = "virtualenv==20.15.1";

/// What the suite's environment holds, all versions pinned.
const REQUIREMENTS: &str = "peer/tests/autobahn/requirements.txt";

fn folder() -> PathBuf {
    crate::root().join("target/autobahn")
}

/// Installs the suite into `target/autobahn/venv`, unless what is asked for is there.
pub(crate) fn install() -> Result<(), Failed> {
    let requirements = crate::root().join(REQUIREMENTS);
    let wanted = fs::read(&requirements)
        .map_err(|error| Failed(format!("{}: {error}", requirements.display())))?;
    let installed = folder().join("installed.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("==> Autobahn's test suite from PyPI");
    let python2 = python2()?;
    let (tool, venv) = (folder().join("virtualenv"), folder().join("venv"));
    run(
        "virtualenv",
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"])
            .arg("--target")
            .args([&tool])
            .arg(VIRTUALENV),
    )?;
    run(
        "an environment of Python 2.7",
        Command::new("python3")
            .args(["-m", "virtualenv", "--quiet", "-p"])
            .args([&python2, &venv])
            .env("PYTHONPATH", &tool),
    )?;
    run(
        "Autobahn's test suite",
        Command::new(venv.join("bin/pip"))
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-python-version-warning",
            ])
            .arg("-r")
            .arg(&requirements),
    )?;
    fs::write(&installed, wanted)
        .map_err(|error| Failed(format!("{}: {error}", installed.display())))
}

/// A Python 2.7: the one on the path, or one of pyenv's, whose programs on the path work only where it is chosen.
fn python2() -> Result<PathBuf, Failed> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    let versions = fs::read_dir(pyenv.join("versions")).into_iter().flatten().flatten();
    let candidates = ["python2.7", "python2"].map(PathBuf::from).into_iter();
    let candidates = candidates.chain(versions.map(|version| version.path().join("bin/python2.7")));
    for candidate in candidates {
        let asked =
            Command::new(&candidate).args(["-c", "import sys; print(sys.executable)"]).output();
        let Ok(version) = asked else { continue };
        if version.status.success() {
            return Ok(PathBuf::from(String::from_utf8_lossy(&version.stdout).trim()));
        }
    }
    let why = "missing: Python 2.7, for Autobahn's test suite; `pyenv install 2.7.18` gives one";
    Err(Failed(why.into()))
}
