//! Keys of masks.

use std::cell::RefCell;
use std::fmt;

use grenache_engine::fill_random;
use grenache_transports::ws::Mask;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Keys that nobody can foresee (RFC 6455 section 5.3), from a generator that the engine seeds.
pub(crate) struct Masks(RefCell<StdRng>);

impl Masks {
    /// Needs to run on a core.
    pub(crate) fn new() -> Masks {
        let mut seed = [0; 32];
        fill_random(&mut seed);
        Masks(RefCell::new(StdRng::from_seed(seed)))
    }

    /// The next key.
    pub(crate) fn draw(&self) -> Mask {
        self.0.borrow_mut().random()
    }

    /// What a request for a WebSocket proves itself by.
    pub(crate) fn nonce(&self) -> [u8; 16] {
        self.0.borrow_mut().random()
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks")
    }
}
