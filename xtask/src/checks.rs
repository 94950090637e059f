//! Tests, and what else must hold before a change lands.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::step::{Failed, cargo, run};
use crate::{debian, fuzz, peers};

/// All tests of the workspace, those against the real Node packages and those in the documentation among them.
pub(crate) fn test(arguments: &[String]) -> Result<(), Failed> {
    let mut command = cargo(&["test", "--no-fail-fast"]);
    if !arguments.iter().any(|argument| argument == "-p" || argument == "--package") {
        command.arg("--workspace");
    }
    let counts = run_counted("tests", command.args(arguments))?;
    println!(
        "tests: {} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.ignored
    );
    Ok(())
}

/// Autobahn's whole test suite; the tests run a part of it.
pub(crate) fn autobahn() -> Result<(), Failed> {
    run("examples", &mut cargo(&["build", "-p", "grenache-peer", "--examples"]))?;
    let mut test = cargo(&["test", "-p", "grenache-peer", "--test", "autobahn", "--no-fail-fast"]);
    run_counted("Autobahn", test.env("AUTOBAHN", "all")).map(drop)
}

/// The whole of continuous integration. The tests come last, so that the log ends with their result.
pub(crate) fn ci() -> Result<(), Failed> {
    let began = Instant::now();
    run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    run(
        "format of the peers",
        &mut cargo(&["fmt", "--all", "--check", "--manifest-path", "bench/peers/Cargo.toml"]),
    )?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(
        "documentation",
        cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    fuzz::replay()?;
    run("benches, once each", &mut cargo(&["test", "--workspace", "--bench", "*"]))?;
    let absent = bench(&["--quick", "--out", "target/bench-quick"].map(String::from))?;
    peers::test(&absent)?;
    test(&[])?;
    println!("all of it took {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// The comparison with Node's Grenache and others. Gives what could not be had for it, as `<system>: <why>`.
pub(crate) fn bench(arguments: &[String]) -> Result<Vec<String>, Failed> {
    let mut absent = Vec::new();
    if peers::are_needed(arguments) {
        absent.extend(debian::fetch_servers());
        absent.extend(peers::build());
    }
    let packages =
        ["--release", "-p", "grenache-bench", "-p", "grenache-grape", "-p", "grenache-peer"];
    run("release build", cargo(&["build", "--bins", "--examples"]).args(packages))?;
    let mut command =
        cargo(&["run", "--release", "-p", "grenache-bench", "--bin", "compare", "--"]);
    command.args(arguments).env("PATH", debian::path());
    command.args(absent.iter().flat_map(|absent| ["--absent", absent]));
    run("comparison", &mut command)?;
    Ok(absent)
}

/// What cargo's test runners counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; ...`.
    fn add(&mut self, line: &str) {
        let Some(counts) =
            line.trim_start().strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.1.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// Runs test binaries with their output on ours, and counts.
fn run_counted(name: &str, command: &mut Command) -> Result<Counts, Failed> {
    println!("==> {name}");
    let began = Instant::now();
    let does_not_run = |error: std::io::Error| Failed(format!("{name} does not run: {error}"));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(does_not_run)?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.map_err(does_not_run)?;
        println!("{line}");
        counts.add(&line);
    }
    let status = child.wait().map_err(does_not_run)?;
    println!("<== {name}: {:.1} s", began.elapsed().as_secs_f64());
    match counts {
        _ if !status.success() => Err(Failed(format!(
            "{name} failed: {} passed, {} failed",
            counts.passed, counts.failed
        ))),
        Counts { passed: 0, .. } => Err(Failed(format!("{name}: none ran"))),
        counts => Ok(counts),
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn counts_results_of_all_binaries() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add("test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        counts.add("test result: FAILED. 10 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s");
        assert_eq!(counts, Counts { passed: 12, failed: 4, ignored: 1 });
    }
}
