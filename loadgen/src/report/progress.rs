//! How a run is going, second by second, on standard error: one line that is drawn anew on a terminal, a line a second
//! elsewhere.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::units::{count, micros, number};
use crate::tick::Tick;

/// Tells of a run while it lasts.
pub struct Progress {
    view: View,
    /// What runs, if a command runs more than one thing, such as a step of a search.
    part: String,
    warm_up: Duration,
    window: Duration,
    /// How much of the warm-up or of the window is over, s.
    over: f64,
    warming_up: bool,
}

enum View {
    /// One line, drawn anew.
    Live(ProgressBar),
    /// A line a second.
    Lines(Box<dyn Write + Send>),
    Silent,
}

impl Progress {
    /// On standard error, in the way that fits it.
    pub fn on_stderr() -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb {
            Self::live(ProgressDrawTarget::stderr())
        } else {
            Self::lines(io::stderr())
        }
    }

    /// One line that is drawn anew each second.
    pub fn live(terminal: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, terminal);
        Self::new(View::Live(bar))
    }

    /// One line each second.
    pub fn lines(out: impl Write + Send + 'static) -> Self {
        Self::new(View::Lines(Box::new(out)))
    }

    /// Says nothing.
    pub fn silent() -> Self {
        Self::new(View::Silent)
    }

    fn new(view: View) -> Self {
        let (warm_up, window) = (Duration::ZERO, Duration::ZERO);
        Self { view, part: String::new(), warm_up, window, over: 0.0, warming_up: false }
    }

    /// Begins to tell of a run of `window` after `warm_up`; `window` is 0 if the run ends by something else. `part` says which if a command makes several, such as
    /// `step 3: 40,000/s`; it is empty otherwise.
    pub fn begin(&mut self, part: &str, warm_up: Duration, window: Duration) {
        self.part = if part.is_empty() { String::new() } else { format!("{part}  ") };
        self.warm_up = warm_up;
        self.window = window;
        self.over = 0.0;
        self.warming_up = !warm_up.is_zero();
        if let View::Live(bar) = &self.view {
            // What has no known end cannot be a part of it.
            let template = if window.is_zero() { "{wide_msg}" } else { "{bar:20} {wide_msg}" };
            bar.set_style(ProgressStyle::with_template(template).expect("a template"));
            bar.set_position(0);
            bar.set_message(format!("{}begins", self.part));
        }
    }

    /// Tells of a second.
    pub fn tick(&mut self, tick: &Tick<'_>) {
        if tick.warm_up != self.warming_up {
            self.warming_up = tick.warm_up;
            self.over = 0.0;
        }
        self.over += tick.second.length;
        let line = self.line(tick);
        let whole = self.whole().as_secs_f64();
        match &mut self.view {
            View::Live(bar) => {
                bar.set_length((whole * 1e3) as u64);
                bar.set_position((self.over * 1e3) as u64);
                bar.set_message(line);
            }
            // If nobody reads this, there is nobody to tell.
            View::Lines(out) => drop(writeln!(out, "{line}").and_then(|()| out.flush())),
            View::Silent => {}
        }
    }

    /// Leaves the terminal as it was. Done also when it is dropped.
    pub fn end(&mut self) {
        if let View::Live(bar) = &self.view {
            bar.finish_and_clear();
        }
    }

    fn whole(&self) -> Duration {
        if self.warming_up { self.warm_up } else { self.window }
    }

    fn line(&self, tick: &Tick<'_>) -> String {
        let second = tick.second;
        let phase = if tick.warm_up { "warm-up " } else { "" };
        let late =
            if second.late > 0 { format!("  {} late", count(second.late)) } else { String::new() };
        let whole = match self.whole() {
            Duration::ZERO => String::new(),
            whole => format!(" of {}", number(whole.as_secs_f64())),
        };
        // Every answer took its time; publications are no answers.
        if second.rate > 0.0 && second.p50 == 0.0 {
            return format!(
                "{}{phase}{:.0}{whole} s  {}/s  {} failed{late}  {} connections",
                self.part,
                self.over,
                number(second.rate),
                count(second.failed),
                count(second.connections),
            );
        }
        format!(
            "{}{phase}{:.0}{whole} s  {}/s  p50 {}  p99 {}  {} failed{late}  {} in flight",
            self.part,
            self.over,
            number(second.rate),
            micros(second.p50),
            micros(second.p99),
            count(second.failed),
            count(second.in_flight),
        )
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("part", &self.part).finish_non_exhaustive()
    }
}
