//! The fuzz targets, built on any toolchain: libFuzzer needs only the compiler's coverage counters, not nightly.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup;
use crate::step::{self, Failed, cargo};

/// What makes the compiler count edges and comparisons for libFuzzer, as cargo-fuzz asks for it.
const COVERAGE: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions";

/// Runs each target whose name contains `only` for so many seconds.
pub(crate) fn run(seconds: u64, only: Option<&str>) -> Result<(), Failed> {
    let targets: Vec<String> = targets()?
        .into_iter()
        .filter(|target| only.is_none_or(|only| target.contains(only)))
        .collect();
    if targets.is_empty() {
        return Err(Failed(format!("no fuzz target is called {}", only.unwrap_or("anything"))));
    }
    let binaries = build()?;
    for target in targets {
        // What is found goes to a folder of its own; the corpus in the repository stays small and is only read.
        let found = crate::root().join("target/fuzz-corpus").join(&target);
        create(&found)?;
        let mut command = fuzzer(&binaries, &target)?;
        command.arg(format!("-max_total_time={seconds}")).arg(found);
        start(&target, command)?;
    }
    Ok(())
}

/// Builds every target and runs it over its corpus once. Needs a C++ compiler; says so where there is none.
pub(crate) fn replay() -> Result<(), Failed> {
    if let Err(Failed(why)) = setup::cxx() {
        println!("==> fuzz targets: not built, because libFuzzer {why}");
        return Ok(());
    }
    let targets = targets()?;
    let binaries = build()?;
    for target in targets {
        let mut command = fuzzer(&binaries, &target)?;
        command.arg("-runs=0");
        start(&target, command)?;
    }
    Ok(())
}

fn start(target: &str, mut command: Command) -> Result<(), Failed> {
    let corpus = crate::root().join("fuzz/corpus").join(target);
    if corpus.exists() {
        command.arg(corpus);
    }
    step::run(&format!("fuzz {target}"), &mut command)
}

/// The names of the targets: the files in fuzz/fuzz_targets.
fn targets() -> Result<Vec<String>, Failed> {
    let folder = crate::root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| Failed(format!("{}: {error}", folder.display())))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> =
        sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_string())).collect();
    names.sort();
    Ok(names)
}

/// Builds all targets with coverage and gives the folder of the binaries.
fn build() -> Result<PathBuf, Failed> {
    let host = host()?;
    let folder = crate::root().join("target/fuzz");
    let manifest = crate::root().join("fuzz/Cargo.toml");
    let mut command = cargo(&["build", "--release", "--bins", "--target", &host]);
    // With --target, build scripts and procedural macros are spared the flags.
    command
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", COVERAGE);
    step::run("build of the fuzz targets", &mut command)?;
    Ok(folder.join(host).join("release"))
}

fn host() -> Result<String, Failed> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| Failed(format!("rustc does not start: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_string).ok_or_else(|| Failed("rustc does not name its host".to_string()))
}

/// A target with its limits: bounded memory and time for one input, and a place for what breaks it.
fn fuzzer(binaries: &Path, target: &str) -> Result<Command, Failed> {
    let artifacts = crate::root().join("fuzz/artifacts").join(target);
    create(&artifacts)?;
    let mut command = Command::new(binaries.join(target));
    command.args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    Ok(command)
}

fn create(folder: &Path) -> Result<(), Failed> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failed(format!("{}: {error}", folder.display())))
}
