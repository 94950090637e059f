//! What may go wrong with a runtime.

use std::fmt;
use std::io;

use crate::net::bind::BindError;

/// Why a runtime did not start.
#[derive(Debug)]
pub enum StartError {
    /// `Config::cores` is zero.
    NoCores,
    /// An address is taken or not there.
    Bind(BindError),
    /// io_uring was asked for and the system refuses it.
    Uring(io::Error),
    /// The system refused anything else: a thread, a descriptor, the steering program.
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCores => f.write_str("a runtime needs at least one core"),
            Self::Bind(error) => error.fmt(f),
            Self::Uring(error) => write!(f, "io_uring is not available: {error}"),
            Self::System { doing, source } => write!(f, "{doing} failed: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoCores => None,
            Self::Bind(error) => Some(error),
            Self::Uring(error) | Self::System { source: error, .. } => Some(error),
        }
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

/// `main` of a core, or the engine below it, panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorePanicked {
    /// The first such core.
    pub core: usize,
}

impl fmt::Display for CorePanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {} panicked", self.core)
    }
}

impl std::error::Error for CorePanicked {}
