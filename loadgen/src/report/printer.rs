//! Lines and tables for a terminal, or for a file that people read.

use std::fmt::Display;
use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{CellAlignment, ColumnConstraint, LineStyle, TableStyle, Width};

use super::remarks::Remark;
use super::tables::{Table, printable};

const HEADING: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();

/// A line under the head, and nothing else that is not text.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// Longer texts in tables go on in the next line.
const MAX_TEXT: u16 = 60;

/// Prints to `out`.
pub(super) struct Printer<W> {
    coloured: bool,
    out: W,
    /// Something was printed, from which the next has to stand apart.
    begun: bool,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(coloured: bool, out: W) -> Self {
        Self { coloured, out, begun: false }
    }

    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.styled(HEADING, printable(text));
        self.line(&text)
    }

    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.begun = true;
        writeln!(self.out, "{text}")
    }

    /// The remarks, set apart, so that nobody takes the figures without them.
    pub(super) fn remarks(&mut self, remarks: &[Remark]) -> io::Result<()> {
        if !remarks.is_empty() {
            self.gap()?;
        }
        for remark in remarks {
            let style = if remark.serious { WARNING } else { NOTE };
            let kind = self.styled(style, format!("{}:", remark.kind()));
            self.line(&format!("{kind} {}", remark.text))?;
        }
        Ok(())
    }

    /// A table, set apart, under a title if there is one; nothing at all if it has no rows.
    pub(super) fn table(&mut self, title: &str, table: &Table) -> io::Result<()> {
        if table.rows.is_empty() {
            return Ok(());
        }
        self.gap()?;
        if !title.is_empty() {
            self.heading(title)?;
        }
        let mut text = comfy_table::Table::new();
        text.load_style(LINES);
        if table.is_headed() {
            text.set_header(table.head.iter().map(|column| column.name.as_str()));
        }
        text.add_rows(&table.rows);
        let last = table.head.len() - 1;
        for (index, (column, head)) in text.column_iter_mut().zip(&table.head).enumerate() {
            column.set_padding((0, if index < last { 3 } else { 0 }));
            if head.figures {
                column.set_cell_alignment(CellAlignment::Right);
            } else {
                column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(MAX_TEXT)));
            }
        }
        self.line(&text.trim_fmt())
    }

    fn gap(&mut self) -> io::Result<()> {
        if self.begun { writeln!(self.out) } else { Ok(()) }
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn styled(&self, style: Style, text: impl Display) -> String {
        if self.coloured { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
