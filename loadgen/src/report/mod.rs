//! How what a run found is shown and kept.
//!
//! While a run lasts, [`progress`] shows every second of it, and [`csv`] and [`hlog`] write it down. Afterwards there is an
//! [`Outcome`], which [`summary`] prints, [`json`] keeps, [`page`] draws, and [`comparison`] sets beside
//! others.

mod axis;
mod chart;
mod conditions;
mod curves;
mod figures;
mod printer;
mod remarks;
mod sketch;
mod tables;
mod units;

pub mod comparison;
pub mod csv;
pub mod hlog;
pub mod json;
pub mod page;
pub mod progress;
pub mod summary;

use std::env;
use std::io::IsTerminal;

use crate::outcome::Outcome;

/// A run among others, under the name that tells it from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name, such as that of its file.
    pub name: String,
    /// What it found.
    pub outcome: Outcome,
}

/// Colour is for people at a terminal that has not said no (<https://no-color.org>).
pub fn is_coloured(stream: &impl IsTerminal) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|term| term == "dumb");
    !refused && stream.is_terminal()
}
