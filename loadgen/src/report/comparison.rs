//! Runs side by side: `loadgen compare`.

use std::io::{self, Write};
use std::path::Path;

use super::Run;
use super::conditions::differs;
use super::figures::{GENERATOR, LATENCIES, WORK};
use super::json::{self, Unreadable};
use super::printer::Printer;
use super::{remarks, tables};

/// Reads the runs of some files. Each has the name of its file without the ending, or its path if two have the same.
///
/// # Errors
/// The first of the files that cannot be read.
pub fn read(paths: &[impl AsRef<Path>]) -> Result<Vec<Run>, Unreadable> {
    let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    let named = |path: &Path| {
        let alike = paths.iter().filter(|other| other.file_stem() == path.file_stem()).count();
        match path.file_stem() {
            Some(name) if alike == 1 => Path::new(name).display().to_string(),
            _ => path.display().to_string(),
        }
    };
    paths.iter().map(|path| Ok(Run { name: named(path), outcome: json::read(path)? })).collect()
}

/// Prints the figures of `runs`, and each divided by that of the first. What makes them incomparable goes before.
///
/// # Errors
/// What `out` says.
pub fn write(runs: &[Run], coloured: bool, out: impl Write) -> io::Result<()> {
    let mut printer = Printer::new(coloured, out);
    printer.remarks(&remarks::of_all(runs))?;
    let figures = WORK.iter().chain(&LATENCIES).chain(&GENERATOR);
    printer.table("", &tables::figures(runs, figures))?;
    printer.table("", &tables::requests(runs))?;
    let differing = tables::conditions(runs, |condition| differs(runs, condition));
    printer.table("what differs", &differing)?;
    printer.end()
}
