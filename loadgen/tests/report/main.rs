//! What reports show and keep of runs that were made up for it.

mod comparison;
mod examples;
mod kept;
mod page;
mod progress;
mod summary;
