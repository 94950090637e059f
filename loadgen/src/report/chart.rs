//! Charts as SVG, for people who see light or dark.
//!
//! A chart is drawn in the colours for light. Each of them is used for one thing only, so that the page's style sheet can give it
//! another colour for dark.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::Axis;

/// A chart is twice as large as it is shown: plotters draws at whole coordinates.
const SIZE: (u32, u32) = (1840, 680);
/// plotters makes letters smaller than it was told by 1.24, so these are 26 high, and 13 where they are shown.
const LETTERS: f64 = 26.0 * 1.24;

const INK: RGBColor = RGBColor(0x55, 0x5b, 0x66);
const AXIS: RGBColor = RGBColor(0x9a, 0xa1, 0xad);
const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);

/// The colours of lines, which also people who see few colours tell apart.
const LINES: [Colour; 6] = [
    Colour { class: "c0", light: RGBColor(0x00, 0x72, 0xb2) },
    Colour { class: "c1", light: RGBColor(0xd5, 0x5e, 0x00) },
    Colour { class: "c2", light: RGBColor(0x00, 0x8e, 0x67) },
    Colour { class: "c3", light: RGBColor(0xb8, 0x55, 0x8a) },
    Colour { class: "c4", light: RGBColor(0x8a, 0x6d, 0x00) },
    Colour { class: "c5", light: RGBColor(0x5b, 0x5f, 0xc7) },
];
/// What was asked for.
pub(super) const WANTED: Colour = Colour { class: "wanted", light: RGBColor(0x6b, 0x72, 0x80) };
/// Something was late.
pub(super) const LATE: Colour = Colour { class: "late", light: RGBColor(0xb4, 0x74, 0x00) };
/// Something failed.
pub(super) const BAD: Colour = Colour { class: "bad", light: RGBColor(0xc8, 0x10, 0x2e) };

/// A colour under the name that the style sheet has for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colour {
    pub(super) class: &'static str,
    light: RGBColor,
}

impl Colour {
    /// That of line `index`. They come round again.
    pub(super) fn of_line(index: usize) -> Self {
        LINES[index % LINES.len()]
    }
}

/// What is drawn.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    pub(super) marks: Vec<Mark>,
}

/// A line, which may have gaps.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) pieces: Vec<Vec<(f64, f64)>>,
    pub(super) colour: Colour,
    pub(super) dashed: bool,
}

/// A point that stands out.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) at: (f64, f64),
    pub(super) shape: Shape,
    pub(super) colour: Colour,
}

/// How a point stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Dot,
    Ring,
    Cross,
}

impl Shape {
    /// Its name in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::Ring => "ring",
            Self::Cross => "cross",
        }
    }
}

type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

impl Chart {
    /// The chart as an `svg` element.
    ///
    /// # Errors
    /// None that is known of: it is drawn in memory.
    pub(super) fn draw(&self) -> io::Result<String> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw_on(&area).map_err(|error| io::Error::other(error.to_string()))?;
        drop(area);
        Ok(svg)
    }

    fn draw_on(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
        let mut plane = ChartBuilder::on(area)
            .margin(12)
            .margin_right(84)
            .x_label_area_size(96)
            .y_label_area_size(190)
            .build_cartesian_2d(&self.x, &self.y)?;
        let letters = TextStyle::from(("sans-serif", LETTERS).into_font()).color(&INK);
        plane
            .configure_mesh()
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(AXIS.stroke_width(2))
            .set_all_tick_mark_size(8)
            .label_style(letters.clone())
            .axis_desc_style(letters)
            .x_desc(&self.x.name)
            .y_desc(&self.y.name)
            .draw()?;

        for line in &self.lines {
            let style = line.colour.light.stroke_width(if line.dashed { 3 } else { 4 });
            for piece in &line.pieces {
                match piece.as_slice() {
                    // A line of one point would not be seen.
                    [point] => {
                        plane.draw_series([Circle::new(*point, 4, line.colour.light.filled())])?;
                    }
                    points if line.dashed => {
                        let points = points.iter().copied();
                        plane.draw_series(DashedLineSeries::new(points, 12, 9, style))?;
                    }
                    points => {
                        plane.draw_series(LineSeries::new(points.iter().copied(), style))?;
                    }
                }
            }
        }
        for Mark { at, shape, colour } in &self.marks {
            let colour = colour.light;
            match shape {
                Shape::Dot => plane.draw_series([Circle::new(*at, 8, colour.filled())])?,
                Shape::Ring => plane.draw_series([Circle::new(*at, 9, colour.stroke_width(3))])?,
                Shape::Cross => plane.draw_series([Cross::new(*at, 9, colour.stroke_width(4))])?,
            };
        }
        area.present()
    }
}
