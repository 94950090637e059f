//! Lines and tables for a terminal, or for a file that people read.

use std::fmt::Display;
use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{CellAlignment, LineStyle, TableStyle};

use super::remarks::Remark;
use super::tables::{Table, printable};

const HEADING: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();

/// A line under the head, and nothing else that is not text.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// Prints to `out`.
pub(super) struct Printer<W> {
    coloured: bool,
    out: W,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(coloured: bool, out: W) -> Self {
        Self { coloured, out }
    }

    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.styled(HEADING, printable(text));
        writeln!(self.out, "{text}")
    }

    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", printable(text))
    }

    /// The remarks, set apart, so that nobody takes the figures without them.
    pub(super) fn remarks(&mut self, remarks: &[Remark]) -> io::Result<()> {
        if !remarks.is_empty() {
            writeln!(self.out)?;
        }
        for remark in remarks {
            let style = if remark.serious { WARNING } else { NOTE };
            let kind = self.styled(style, format!("{}:", remark.kind()));
            writeln!(self.out, "{kind} {}", remark.text)?;
        }
        Ok(())
    }

    /// A table, after an empty line; nothing if it has no rows.
    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        if table.rows.is_empty() {
            return Ok(());
        }
        let mut text = comfy_table::Table::new();
        text.load_style(LINES);
        if table.is_headed() {
            text.set_header(table.head.iter().map(|column| column.name.as_str()));
        }
        text.add_rows(&table.rows);
        for (index, (column, head)) in text.column_iter_mut().zip(&table.head).enumerate() {
            column.set_padding((0, if index + 1 < table.head.len() { 3 } else { 0 }));
            if head.figures {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(self.out, "\n{}", text.trim_fmt())
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn styled(&self, style: Style, text: impl Display) -> String {
        if self.coloured { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
