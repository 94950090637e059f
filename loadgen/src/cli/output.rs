//! Where what was found goes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::failure::{Exit, Failure};
use crate::knee;
use crate::outcome::{Outcome, Pace};
use crate::report::csv::Csv;
use crate::report::hlog::Hlog;
use crate::report::progress::Progress;
use crate::report::{self, Run, json, page, summary};
use crate::threshold::Threshold;
use crate::tick::Tick;

/// What is kept, and what makes a run fail.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputOptions {
    /// Write what was found as JSON (`loadgen schema` describes it); - writes it to standard output instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write a line of CSV for each second
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Write the latencies of each second as an HdrHistogram log
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,

    /// Write a page with charts that needs no network
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Fail (exit code 6) on a condition: p99>2ms, raw-p50>1ms (uncorrected), max>1s, rate<1000, errors>0.1%, late>1%,
    /// server-cpu>20us. May be repeated
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Threshold>,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// What a run is told to while it lasts.
pub(super) struct Output {
    progress: Progress,
    csv: Option<Csv<File>>,
    hlog: Option<Hlog<File>>,
    warm_up: Duration,
    /// 0 if it ends by something else.
    window: Duration,
}

impl OutputOptions {
    /// Opens what is written while a run lasts, whose window is 0 if it ends by something else.
    pub(super) fn open(
        &self,
        pace: Pace,
        warm_up: Duration,
        window: Duration,
    ) -> Result<Output, Failure> {
        // Nothing has been sent yet.
        self.try_open(pace, warm_up, window)
            .map_err(|failure| Failure { exit: Exit::Usage, ..failure })
    }

    fn try_open(&self, pace: Pace, warm_up: Duration, window: Duration) -> Result<Output, Failure> {
        let csv = self
            .csv
            .as_ref()
            .map(|file| Csv::new(create(file)?).map_err(|error| Failure::of_file(file, &error)));
        let hlog = self.hlog.as_ref().map(|file| {
            let log = Hlog::new(create(file)?, SystemTime::now() + warm_up, &pace);
            log.map_err(|error| Failure::of_file(file, &error))
        });
        // What is written in the end is tried now: nobody wants to hear of it after a long run.
        for file in [&self.json, &self.report].into_iter().flatten().filter(|file| !is_stdout(file))
        {
            create(file)?;
        }
        Ok(Output {
            progress: if self.quiet { Progress::silent() } else { Progress::on_stderr() },
            csv: csv.transpose()?,
            hlog: hlog.transpose()?,
            warm_up,
            window,
        })
    }

    /// Judges what was found, shows it and keeps it.
    pub(super) fn finish(&self, mut outcome: Outcome) -> Result<Exit, Failure> {
        outcome.thresholds = self.fail_if.iter().map(|one| one.judge(&outcome)).collect();
        let exit = self.exit(&outcome);
        let mut printed = false;
        if let Some(file) = &self.json {
            if is_stdout(file) {
                json::write(&outcome, io::stdout().lock()).or_else(unless_reader_is_gone)?;
                printed = true;
            } else {
                let out = BufWriter::new(create(file)?);
                json::write(&outcome, out).map_err(|error| Failure::of_file(file, &error))?;
            }
        }
        if !printed {
            let out = io::stdout().lock();
            let coloured = report::is_coloured(&out);
            summary::write(&outcome, coloured, out).or_else(unless_reader_is_gone)?;
        }
        if let Some(file) = &self.report {
            let name = outcome.load.what.clone();
            let out = BufWriter::new(create(file)?);
            page::write(&[Run { name, outcome }], out)
                .map_err(|error| Failure::of_file(file, &error))?;
        }
        Ok(exit)
    }

    fn exit(&self, outcome: &Outcome) -> Exit {
        let requests = &outcome.requests;
        let errors_are_judged = self.fail_if.iter().any(Threshold::is_about_errors);
        let failed = requests.failures() + requests.unsent;
        // Those are of no request, so no condition is about them.
        let cut_off = requests.connect_failed > 0;
        if outcome.interrupted {
            Exit::Interrupted
        } else if outcome.knee.is_none() && outcome.achieved() == 0 {
            Exit::Failed
        } else if outcome.thresholds.iter().any(|threshold| threshold.failed)
            || outcome.knee.as_ref().is_some_and(|knee| knee.rate.is_none())
        {
            Exit::Missed
        } else if cut_off || (failed > 0 && !errors_are_judged) {
            Exit::Partly
        } else {
            Exit::Done
        }
    }
}

impl Output {
    pub(super) fn begin(&mut self, part: &str) {
        self.progress.begin(part, self.warm_up, self.window);
    }

    pub(super) fn tick(&mut self, tick: &Tick<'_>) -> io::Result<()> {
        self.progress.tick(tick);
        if let Some(csv) = &mut self.csv {
            csv.tick(tick)?;
        }
        if let Some(hlog) = &mut self.hlog {
            hlog.tick(tick)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) {
        self.progress.end();
    }
}

impl knee::Observer for Output {
    fn step(&mut self, number: usize, rate: f64) {
        self.begin(&format!("step {number}: {rate:.0}/s"));
    }

    fn tick(&mut self, tick: &Tick<'_>) -> io::Result<()> {
        Output::tick(self, tick)
    }
}

/// Prints a line on standard output.
pub(super) fn print(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).or_else(unless_reader_is_gone)
}

/// Whoever reads standard output may want no more; that is no failure.
pub(super) fn unless_reader_is_gone(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::failed(format!("standard output cannot be written: {error}"))),
    }
}

/// Makes a file, or empties it.
pub(super) fn create(file: &Path) -> Result<File, Failure> {
    File::create(file).map_err(|error| Failure::of_file(file, &error))
}

fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == "-"
}
