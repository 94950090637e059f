//! `grenache-put`, with grenache-cli's options.

use std::process::ExitCode;

fn main() -> ExitCode {
    grenache_cli::compatible::put()
}
