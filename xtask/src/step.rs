//! One step of a task: a command with a line before and after it.

use std::process::Command;
use std::time::Instant;

/// Why a task failed, in one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) String);

/// A command of cargo in the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(crate::root());
    command
}

/// Runs a command with its output on ours, and says what it is and how long it took.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<(), Failed> {
    println!("==> {name}");
    let began = Instant::now();
    let status = command.status().map_err(|error| {
        Failed(format!("{name}: {:?} does not start: {error}", command.get_program()))
    })?;
    let took = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(Failed(format!("{name} failed after {took:.1} s ({status})")));
    }
    println!("<== {name}: {took:.1} s");
    Ok(())
}

/// Runs a command quietly: what it said last is told only if it fails.
pub(crate) fn output(command: &mut Command) -> Result<(), Failed> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| Failed(format!("{program} does not start: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(Failed(format!("{program} failed ({}): {last}", output.status)))
}

/// The first line that a command prints, if it runs at all.
pub(crate) fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_string())
}
