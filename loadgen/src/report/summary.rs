//! What a run found, for people at a terminal.

use std::io::{self, Write};

use super::Run;
use super::conditions::{headline, load_line};
use super::figures::{GENERATOR, WORK};
use super::printer::Printer;
use super::remarks;
use super::tables::{self, printable};
use crate::outcome::Outcome;

/// Prints what a run found: what has to be known first, then what it cost, how long it took, and what became of the requests.
///
/// # Errors
/// What `out` says.
pub fn write(outcome: &Outcome, coloured: bool, out: impl Write) -> io::Result<()> {
    let run = [Run { name: String::new(), outcome: outcome.clone() }];
    let mut printer = Printer::new(coloured, out);
    printer.heading(&headline(outcome))?;
    printer.line(&printable(&load_line(outcome)))?;
    printer.remarks(&remarks::of(outcome))?;
    printer.table("", &tables::figures(&run, WORK.iter().chain(&GENERATOR)))?;
    if outcome.is_of_publications() {
        printer.table("", &tables::publications(outcome))?;
    } else {
        printer.table("", &tables::percentiles(&run))?;
        printer.table("", &tables::requests(&run))?;
    }
    printer.table("", &tables::failures(&outcome.requests))?;
    if let Some(knee) = &outcome.knee {
        printer.table(&format!("search for {}", knee.slo), &tables::steps(knee))?;
    }
    printer.table("", &tables::thresholds(outcome))?;
    printer.end()
}
