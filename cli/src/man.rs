//! `grenache man`: the manual.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Prints the manual page, e.g. `grenache man | man -l -`, or writes a page for every command to a folder
#[derive(Debug, clap::Args)]
pub(crate) struct Manual {
    /// Where to write grenache.1, grenache-announce.1 and so on; the folder is made if need be
    pub(crate) folder: Option<PathBuf>,
}

impl Manual {
    pub(crate) fn run(&self, output: &Output) -> Result<Exit, Failure> {
        let command = Cli::command();
        match &self.folder {
            None => {
                let mut page = Vec::new();
                let rendered = Man::new(command).render(&mut page);
                rendered.map_err(|error| Failure::failed(error.to_string()))?;
                output.bytes(&page)?;
            }
            Some(folder) => std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .map_err(|error| {
                    Failure::failed(format!("{} cannot be written: {error}", folder.display()))
                })?,
        }
        Ok(Exit::Done)
    }
}
