//! The chart as SVG: no script, no font of its own, and a background of its own, so that it reads well on light and dark pages.

use std::io;

use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::coord::types::RangedCoordi32;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::chart::{Bar, Chart, Panel};

const WIDTH: i32 = 920;
const MARGIN: i32 = 20;
/// Where the bars begin, right of the systems' names, and where they end, left of room for their figures.
const LEFT: i32 = 190;
const RIGHT: i32 = WIDTH - 150;

/// Room that a bar's figures take.
const FIGURES: i32 = 125;

const HEAD: i32 = 112;
const TITLE: i32 = 34;
const ROW: i32 = 20;
const BAR: i32 = 12;
const FOOT: i32 = 40;
const LINE: i32 = 16;
/// Letters of the smallest size that fit into a line.
const LETTERS: usize = 135;

const INK: RGBColor = RGBColor(31, 35, 40);
const FAINT: RGBColor = RGBColor(89, 99, 110);
const GRID: RGBColor = RGBColor(218, 223, 228);
const OURS: RGBColor = RGBColor(9, 105, 218);
const MORE: RGBColor = RGBColor(140, 149, 159);
const LESS: RGBColor = RGBColor(219, 97, 9);

/// Ratios that the axis may name.
const TICKS: [f64; 15] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

type Paper<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Bars<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<LogCoord<f64>, RangedCoordi32>>;
type Failed = DrawingAreaErrorKind<io::Error>;
type Drawn = Result<(), Failed>;

/// Draws `chart`.
pub(crate) fn svg(chart: &Chart) -> Result<String, Failed> {
    let rows: i32 = chart.panels.iter().map(height).sum();
    let notes: Vec<String> = chart.missing.iter().flat_map(|what| wrapped(what)).collect();
    let bottom = HEAD + rows + 8;
    let end = bottom + FOOT + LINE * notes.len() as i32;
    let mut text = String::new();
    {
        let backend = SVGBackend::with_string(&mut text, (WIDTH as u32, end as u32));
        let paper = backend.into_drawing_area();
        paper.fill(&WHITE)?;
        paper.draw(&Rectangle::new([(0, 0), (WIDTH - 1, end - 1)], GRID))?;
        head(&paper, chart)?;
        for (number, note) in notes.iter().enumerate() {
            let at = (MARGIN, bottom + FOOT - 4 + LINE * number as i32);
            write(&paper, note, at, plain(11, FAINT), HPos::Left)?;
        }
        // Downwards in pixels, as on paper.
        let pixels = (LEFT..RIGHT, 0..end);
        let bars =
            paper.apply_coord_spec(Cartesian2d::new(range(chart).log_scale(), 0..end, pixels));
        let area = (&paper, &bars);
        axis(area, bottom)?;
        let mut at = HEAD;
        for panel in &chart.panels {
            write(&paper, &panel.title, (MARGIN, at + 22), bold(13, INK), HPos::Left)?;
            for (number, bar) in panel.bars.iter().enumerate() {
                draw(area, bar, at + TITLE + ROW * number as i32)?;
            }
            at += height(panel);
        }
        paper.present()?;
    }
    Ok(text)
}

fn height(panel: &Panel) -> i32 {
    TITLE + ROW * panel.bars.len() as i32
}

/// What the axis spans: all bars, and a little of both sides in any case.
fn range(chart: &Chart) -> std::ops::Range<f64> {
    let ratios = || chart.panels.iter().flat_map(|panel| &panel.bars).map(|bar| bar.ratio);
    let least = ratios().map(|ratio| ratio.low).fold(0.7, f64::min);
    let most = ratios().map(|ratio| ratio.high).fold(2.0, f64::max);
    let beyond = |ratio: &f64| *ratio >= most;
    // A tick at the end; and so much room on the left that the figures of those that need least fit before their bars.
    let most = TICKS.into_iter().find(beyond).unwrap_or(most) * 1.001;
    let room = f64::from(FIGURES) / f64::from(RIGHT - LEFT);
    ((least.ln() - room * most.ln()) / (1.0 - room)).exp()..most
}

fn head(paper: &Paper<'_>, chart: &Chart) -> Drawn {
    let title = "CPU time of the server per request, in proportion to ours (log axis)";
    write(paper, title, (MARGIN, 24), bold(18, INK), HPos::Left)?;
    write(paper, &chart.machine, (MARGIN, 46), plain(12, FAINT), HPos::Left)?;
    let keys = [(OURS, "ours"), (MORE, "needs more than ours"), (LESS, "needs less than ours")];
    let mut x = MARGIN;
    for (color, meaning) in keys {
        paper.draw(&Rectangle::new([(x, 62), (x + BAR, 62 + BAR)], color.filled()))?;
        write(paper, meaning, (x + 18, 68), plain(12, INK), HPos::Left)?;
        x += 42 + 7 * meaning.len() as i32;
    }
    let line = "line: the middle half of the rounds";
    write(paper, line, (x, 68), plain(12, INK), HPos::Left)
}

fn axis((paper, bars): (&Paper<'_>, &Bars<'_>), bottom: i32) -> Drawn {
    let shown = bars.get_x_range();
    for tick in TICKS.into_iter().filter(|tick| shown.contains(tick)) {
        let color = if tick == 1.0 { FAINT } else { GRID };
        bars.draw(&PathElement::new([(tick, HEAD), (tick, bottom)], color))?;
        let (x, _) = bars.map_coordinate(&(tick, 0));
        for y in [HEAD - 10, bottom + 10] {
            write(paper, &format!("{tick}×"), (x, y), plain(12, FAINT), HPos::Center)?;
        }
    }
    Ok(())
}

fn draw((paper, bars): (&Paper<'_>, &Bars<'_>), bar: &Bar, top: i32) -> Drawn {
    let Bar { name, ours, cpu, ratio } = bar;
    let middle = top + ROW / 2;
    let color = match (ours, ratio.middle < 1.0) {
        (true, _) => OURS,
        (false, true) => LESS,
        (false, false) => MORE,
    };
    let font = if *ours { bold(13, OURS) } else { plain(13, INK) };
    write(paper, name, (LEFT - 10, middle), font, HPos::Right)?;
    let (above, below) = (middle - BAR / 2, middle + BAR / 2);
    bars.draw(&Rectangle::new(
        [(1.0_f64.min(ratio.middle), above), (1.0_f64.max(ratio.middle), below)],
        color.filled(),
    ))?;
    bars.draw(&PathElement::new([(ratio.low, middle), (ratio.high, middle)], INK))?;
    let reference = ratio.low == 1.0 && ratio.high == 1.0;
    if reference {
        // It would be no bar at all.
        bars.draw(&Circle::new((ratio.middle, middle), BAR / 2, color.filled()))?;
    }
    let pixel = |ratio: f64| bars.map_coordinate(&(ratio, middle)).0;
    let cpu = format!("{} µs", short(*cpu));
    let figures = format!("{}×, {cpu}", short(ratio.middle));
    let (figures, x, side) = if reference {
        (cpu, pixel(1.0) + 12, HPos::Left)
    } else if ratio.middle < 1.0 {
        (figures, pixel(ratio.low.min(1.0)) - 8, HPos::Right)
    } else {
        (figures, pixel(ratio.high.max(1.0)) + 8, HPos::Left)
    };
    write(paper, &figures, (x, middle), plain(12, INK), side)
}

/// Three digits at most, where there are that many.
fn short(figure: f64) -> String {
    match figure {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// Letters of so many pixels: plotters takes a size for that of a line.
fn font(size: i32) -> FontDesc<'static> {
    ("sans-serif", f64::from(size) * 1.24).into_font()
}

fn plain(size: i32, color: RGBColor) -> TextStyle<'static> {
    font(size).color(&color)
}

fn bold(size: i32, color: RGBColor) -> TextStyle<'static> {
    font(size).style(FontStyle::Bold).color(&color)
}

fn write(paper: &Paper<'_>, text: &str, at: (i32, i32), style: TextStyle<'_>, side: HPos) -> Drawn {
    paper.draw_text(text, &style.pos(Pos::new(side, VPos::Center)), at)
}

/// A note in lines that fit.
fn wrapped(note: &str) -> Vec<String> {
    let mut lines = vec!["Left out:".to_owned()];
    for word in note.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if last.chars().count() + word.chars().count() < LETTERS {
            *last += " ";
            *last += word;
        } else {
            lines.push(format!("    {word}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn samples(figures: &[f64]) -> serde_json::Value {
        figures.iter().map(|cpu| json!({ "cpu_us": cpu, "rate": 1.0 })).collect()
    }

    fn chart() -> Chart {
        let rounds = json!({
            "ours": samples(&[10.0, 20.0, 10.0]),
            "ours, too": samples(&[20.0, 40.0, 20.0]),
            "four times": samples(&[40.0, 80.0, 40.0]),
            "a <half> & more": samples(&[5.0, 10.0, 5.0]),
            "nothing": samples(&[]),
            "stopped": samples(&[f64::NAN, 0.0, 0.0]),
        });
        let entry =
            |table: &str| json!({ "group": "echo", "table": table, "ours": ["ours", "ours, too"] });
        let result = json!({
            "machine": { "CPU": "a CPU", "kernel": "7.0", "date": "2026-01-02 03:04 UTC", "revision": "abc" },
            "tables": { "a table": rounds, "without ours": { "theirs": samples(&[1.0]) } },
            "charts": [entry("a table"), entry("without ours")],
            "left_out": ["glommio: not installed", { "what": "nginx", "why": "too old" }],
        });
        Chart::of(&[result]).expect("something to draw")
    }

    /// Left edge and width of the bars of a color, in order.
    fn bars(svg: &str, color: RGBColor) -> Vec<(i32, i32)> {
        let fill = format!("fill=\"#{:02X}{:02X}{:02X}\"", color.0, color.1, color.2);
        let height = format!("height=\"{BAR}\"");
        let field = |line: &str, name: &str| {
            let value = line.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
            value.parse().ok()
        };
        svg.lines()
            .filter(|line| {
                line.starts_with("<rect") && line.contains(&fill) && line.contains(&height)
            })
            .map(|line| (field(line, "x").unwrap(), field(line, "width").unwrap()))
            // The first of each color explains it.
            .skip(1)
            .collect()
    }

    #[test]
    fn bars_are_as_long_as_the_logarithm_of_their_ratio() {
        let svg = svg(&chart()).unwrap();
        let [(one, nothing), (same, twice)] = bars(&svg, OURS)[..] else { panic!("{svg}") };
        let [(from, fourfold)] = bars(&svg, MORE)[..] else { panic!("{svg}") };
        let [(left, half)] = bars(&svg, LESS)[..] else { panic!("{svg}") };
        assert!(nothing == 0 && one == same && one == from && left + half == one, "all from 1");
        assert!(
            twice > 50 && (twice - half).abs() <= 1 && (fourfold - 2 * twice).abs() <= 2,
            "{svg}"
        );
        assert!(svg.contains("4.00×, 40.0 µs") && svg.contains("0.50×, 5.00 µs"), "{svg}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let svg = svg(&chart()).unwrap();
        for named in [
            "glommio: not installed",
            "nginx: too old",
            "nothing (a table): no figures",
            "stopped (a table): no figures",
            "without ours: ours is left out",
            "HTTP servers: not measured in this run",
            "a &lt;half&gt; &amp; more",
            "a CPU, Linux 7.0, 2026-01-02, revision abc",
        ] {
            assert!(svg.contains(named), "{named} in {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(
            !svg.contains("<script") && !svg.contains("href") && svg.contains("viewBox"),
            "{svg}"
        );
    }

    #[test]
    fn of_several_runs_the_last_counts() {
        let with = |cpu: f64| {
            json!({
                "machine": {},
                "tables": { "a table": { "ours": samples(&[1.0]), "theirs": samples(&[cpu]) } },
                "charts": [{ "group": "echo", "table": "a table", "ours": ["ours"] }],
            })
        };
        let chart = Chart::of(&[with(2.0), with(3.0)]).unwrap();
        assert_eq!(chart.panels.len(), 1);
        assert_eq!(chart.panels[0].bars[1].ratio.middle, 3.0);
        assert!(Chart::of(&[json!({ "machine": {}, "tables": {} })]).is_none());
    }
}
