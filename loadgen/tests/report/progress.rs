//! What is told while a run lasts.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grenache_loadgen::outcome::Second;
use grenache_loadgen::report::progress::Progress;
use grenache_loadgen::tick::Tick;
use hdrhistogram::Histogram;
use indicatif::{InMemoryTerm, ProgressDrawTarget};

/// What was written, for the test to see while the writer is in use.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(Into::into).collect()
    }
}

fn second(failed: u64, late: u64) -> Second {
    Second {
        length: 1.0,
        rate: 182_431.0,
        failed,
        late,
        in_flight: 64,
        p50: 84.2,
        p99: 1_310.0,
        ..Second::default()
    }
}

fn tick(progress: &mut Progress, warm_up: bool, second: &Second) {
    let none = Histogram::new(3).unwrap();
    progress.tick(&Tick { warm_up, second, corrected: &none, uncorrected: &none });
}

const WARM_UP: Duration = Duration::from_secs(2);
const WINDOW: Duration = Duration::from_secs(30);

#[test]
fn elsewhere_than_on_a_terminal_each_second_is_a_line() {
    let written = Written::default();
    let mut progress = Progress::lines(written.clone());
    progress.begin("", WARM_UP, WINDOW);
    tick(&mut progress, true, &second(0, 0));
    tick(&mut progress, true, &second(0, 0));
    tick(&mut progress, false, &second(0, 0));
    tick(&mut progress, false, &second(3, 1_200));
    let nothing = Second { length: 1.0, ..Second::default() };
    tick(&mut progress, false, &nothing);
    assert_eq!(
        written.lines(),
        [
            "warm-up 1 of 2 s  182,431/s  p50 84.2 µs  p99 1.31 ms  0 failed  64 in flight",
            "warm-up 2 of 2 s  182,431/s  p50 84.2 µs  p99 1.31 ms  0 failed  64 in flight",
            "1 of 30 s  182,431/s  p50 84.2 µs  p99 1.31 ms  0 failed  64 in flight",
            "2 of 30 s  182,431/s  p50 84.2 µs  p99 1.31 ms  3 failed  1,200 late  64 in flight",
            "3 of 30 s  0/s  p50 –  p99 –  0 failed  0 in flight",
        ]
    );
}

#[test]
fn a_part_is_named_and_counts_its_own_seconds() {
    let written = Written::default();
    let mut progress = Progress::lines(written.clone());
    for part in ["step 1: 10,000/s", "step 2: 20,000/s"] {
        progress.begin(part, Duration::ZERO, WINDOW);
        tick(&mut progress, false, &second(0, 0));
    }
    let lines = written.lines();
    assert!(lines[0].starts_with("step 1: 10,000/s  1 of 30 s  182,431/s"), "{lines:?}");
    assert!(lines[1].starts_with("step 2: 20,000/s  1 of 30 s  182,431/s"), "{lines:?}");
}

#[test]
fn a_run_without_a_known_end_tells_only_how_long_it_has_lasted() {
    let written = Written::default();
    let mut progress = Progress::lines(written.clone());
    progress.begin("", Duration::ZERO, Duration::ZERO);
    tick(&mut progress, false, &second(0, 0));
    assert!(written.lines()[0].starts_with("1 s  182,431/s"), "{:?}", written.lines());
}

#[test]
fn on_a_terminal_there_is_one_line_which_goes_in_the_end() {
    let terminal = InMemoryTerm::new(10, 110);
    let mut progress = Progress::live(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
    progress.begin("", WARM_UP, WINDOW);
    for _ in 0..2 {
        tick(&mut progress, true, &second(0, 0));
    }
    assert!(terminal.contents().contains("warm-up 2 of 2 s"), "{}", terminal.contents());
    for _ in 0..15 {
        tick(&mut progress, false, &second(0, 0));
    }
    let contents = terminal.contents();
    assert_eq!(contents.lines().count(), 1, "{contents}");
    assert!(contents.starts_with("██████████░"), "half of it is over: {contents}");
    assert!(
        contents
            .ends_with("15 of 30 s  182,431/s  p50 84.2 µs  p99 1.31 ms  0 failed  64 in flight"),
        "{contents}"
    );
    progress.end();
    assert_eq!(terminal.contents(), "");
}

#[test]
fn a_narrow_terminal_keeps_one_line() {
    let terminal = InMemoryTerm::new(10, 50);
    let mut progress = Progress::live(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
    progress.begin("step 12: 1,234,567/s", WARM_UP, WINDOW);
    tick(&mut progress, false, &second(0, 0));
    assert_eq!(terminal.contents().lines().count(), 1, "{}", terminal.contents());
}
