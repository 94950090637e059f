//! A chart before it is drawn: its lines get colours and names as they come.
//!
//! With one run each line has a colour of its own. With several the colour tells the run, and dashes tell what a line is of.

use std::io;

use super::Run;
use super::axis::Axis;
use super::chart::{Chart, Colour, Line, Mark, Shape, WANTED};
use super::tables::printable;
use crate::outcome::Outcome;

/// A chart with what is said of it.
#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) title: &'static str,
    pub(super) svg: String,
    pub(super) keys: Vec<Key>,
}

/// What a line or a mark is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    /// Its colour's name in the style sheet.
    pub(super) colour: &'static str,
    /// How it is drawn, likewise.
    pub(super) shape: &'static str,
}

/// A chart before it is drawn.
pub(super) struct Sketch {
    title: &'static str,
    chart: Chart,
    keys: Vec<Key>,
    shows_runs: bool,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
struct Look {
    colour: Colour,
    dashed: bool,
}

impl Sketch {
    pub(super) fn new(title: &'static str, x: Axis, y: Axis) -> Self {
        let chart = Chart { x, y, lines: Vec::new(), marks: Vec::new() };
        Self { title, chart, keys: Vec::new(), shows_runs: false }
    }

    /// Whether there is more on it than what was wanted.
    pub(super) fn shows_runs(&self) -> bool {
        self.shows_runs
    }

    /// A line across the chart at what was wanted.
    pub(super) fn wanted(&mut self, name: &str, height: f64) {
        let (low, high) = self.chart.x.ends();
        let look = Look { colour: WANTED, dashed: true };
        self.line(name, look, vec![vec![(low, height), (high, height)]]);
    }

    /// A line of each kind for each run. `pieces` gives one from a run and the index of the kind.
    pub(super) fn lines(
        &mut self,
        runs: &[Run],
        kinds: &[&str],
        pieces: impl Fn(&Outcome, usize) -> Vec<Vec<(f64, f64)>>,
    ) {
        for (index, run) in runs.iter().enumerate() {
            for (kind, kind_name) in kinds.iter().enumerate() {
                let (name, look) = match (runs, kinds) {
                    ([_], _) => {
                        let look = Look { colour: Colour::of_line(kind), dashed: false };
                        ((*kind_name).to_string(), look)
                    }
                    (_, [_]) => {
                        let look = Look { colour: Colour::of_line(index), dashed: false };
                        (run.name.clone(), look)
                    }
                    _ => {
                        let look = Look { colour: Colour::of_line(index), dashed: kind > 0 };
                        (format!("{} {kind_name}", run.name), look)
                    }
                };
                self.shows_runs |= self.line(&name, look, pieces(&run.outcome, kind));
            }
        }
    }

    /// Whether there was anything to draw.
    fn line(&mut self, name: &str, look: Look, mut pieces: Vec<Vec<(f64, f64)>>) -> bool {
        pieces.retain(|piece| !piece.is_empty());
        if pieces.is_empty() {
            return false;
        }
        let shape = if look.dashed { "dashed" } else { "line" };
        let key = Key { name: printable(name), colour: look.colour.class, shape };
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        self.chart.lines.push(Line { pieces, colour: look.colour, dashed: look.dashed });
        true
    }

    /// Points that stand out, for one reason.
    pub(super) fn marks(
        &mut self,
        name: &str,
        shape: Shape,
        colour: Colour,
        points: Vec<(f64, f64)>,
    ) {
        if points.is_empty() {
            return;
        }
        self.keys.push(Key { name: name.into(), colour: colour.class, shape: shape.class() });
        self.chart.marks.extend(points.into_iter().map(|at| Mark { at, shape, colour }));
    }

    /// # Errors
    /// None that is known of.
    pub(super) fn draw(self) -> io::Result<Drawing> {
        Ok(Drawing { title: self.title, svg: self.chart.draw()?, keys: self.keys })
    }
}
