//! The seconds of a run as comma-separated values: a head, then a line for each second of the window as it comes.

use std::io::{self, Write};

use crate::tick::Tick;

/// The columns are those of [`Second`](crate::outcome::Second), with their units.
const HEAD: [&str; 10] = [
    "at_s",
    "length_s",
    "rate_per_s",
    "failed",
    "late",
    "in_flight",
    "connections",
    "p50_us",
    "p99_us",
    "max_us",
];

/// A file that grows by a line each second. A run that is killed leaves those it had.
#[derive(Debug)]
pub struct Csv<W: Write> {
    rows: csv::Writer<W>,
}

impl<W: Write> Csv<W> {
    /// Writes the head.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(out: W) -> io::Result<Self> {
        let mut rows = csv::WriterBuilder::new().has_headers(false).from_writer(out);
        rows.write_record(HEAD)?;
        rows.flush()?;
        Ok(Self { rows })
    }

    /// What it writes to.
    pub fn get_ref(&self) -> &W {
        self.rows.get_ref()
    }

    /// Writes a second, unless it is of the warm-up.
    ///
    /// # Errors
    /// What `out` says.
    pub fn tick(&mut self, tick: &Tick<'_>) -> io::Result<()> {
        if tick.warm_up {
            return Ok(());
        }
        self.rows.serialize(tick.second)?;
        self.rows.flush()
    }
}
