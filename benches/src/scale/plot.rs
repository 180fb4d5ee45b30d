//! The results as a picture: nodes on the x axis, messages and bytes per node and second on the y axis, both logarithmic.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Measured, Shape, Traffic};

/// Pixels.
const WIDTH: u32 = 1_120;
/// Height of the panels, and of a row of the legend below, pixels.
const PANELS_HEIGHT: u32 = 860;
const ROW_HEIGHT: u32 = 34;
/// Entries in a row.
const ROW: usize = 6;
/// A crowd's line: pixels drawn, pixels left out.
const DASH: i32 = 7;
const GAP: i32 = 4;
/// One for each number of players. People with any common kind of colour blindness can tell them apart (Okabe & Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(230, 159, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
];
/// The y axis is at least this long, so that a line without a slope looks flat.
const DECADES_MIN: f64 = 2.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Fault = Box<dyn std::error::Error>;

/// A panel of the picture: its title, and the value it shows.
struct Panel {
    title: &'static str,
    value: fn(&Measured) -> f64,
}

const PANELS: [Panel; 4] = [
    Panel { title: "messages to peers, per node and second", value: |m| m.rates(Traffic::peer_messages).0 },
    Panel { title: "KB to peers, per node and second", value: |m| m.rates(|node| node.peer_bytes).0 / 1e3 },
    Panel {
        title: "messages to clients, per node and second",
        value: |m| m.rates(|node| node.client_messages).0,
    },
    Panel {
        title: "KB to clients, per node and second",
        value: |m| m.rates(|node| node.client_bytes).0 / 1e3,
    },
];

/// Draws the results as SVG: a line for each number of players, dashed for a crowd.
///
/// # Errors
/// The drawing library fails, though it only writes to memory.
pub(crate) fn svg(all: &[Measured]) -> Result<String, Fault> {
    let mut text = String::new();
    {
        let lines = lines_of(all);
        let height = PANELS_HEIGHT + lines.len().div_ceil(ROW) as u32 * ROW_HEIGHT;
        let whole = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        whole.fill(&WHITE)?;
        let (panels, legend) = whole.split_vertically(PANELS_HEIGHT);
        for (panel, area) in PANELS.iter().zip(panels.split_evenly((2, 2))) {
            draw(panel, &area, &lines, all)?;
        }
        draw_legend(&legend, &lines)?;
        whole.present()?;
    }
    Ok(text)
}

fn draw(panel: &Panel, area: &Area<'_>, lines: &[Line], all: &[Measured]) -> Result<(), Fault> {
    let mut nodes: Vec<u16> = all.iter().map(|m| m.case.nodes).collect();
    nodes.sort_unstable();
    nodes.dedup();
    // A logarithm needs a number above zero: one node has no peers.
    let shown: Vec<(&Measured, f64)> =
        all.iter().map(|m| (m, (panel.value)(m))).filter(|(_, y)| *y > 0.0).collect();
    let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else { return Ok(()) };
    let (left, right) = (f64::from(*first) / 1.3, f64::from(*last) * 1.3);
    let low = shown.iter().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let high = shown.iter().map(|(_, y)| *y).fold(0.0, f64::max);
    if high == 0.0 {
        return Ok(());
    }
    let bottom = 10f64.powf(low.log10().floor());
    let top = (high * 1.3).max(bottom * 10f64.powf(DECADES_MIN));
    let ticks = nodes.iter().map(|n| f64::from(*n)).collect();
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((left..right).log_scale().with_key_points(ticks), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("nodes")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| grouped(*y))
        .label_style(("sans-serif", 16))
        .draw()?;
    for line in lines {
        let of_line = shown.iter().filter(|(m, _)| line.is_of(m));
        let points: Vec<(f64, f64)> = of_line.map(|(m, y)| (f64::from(m.case.nodes), *y)).collect();
        chart.draw_series(points.iter().map(|at| Circle::new(*at, 3, line.colour.filled())))?;
        let style = line.colour.stroke_width(2);
        match line.shape {
            Shape::Spread => chart.draw_series(LineSeries::new(points, style))?,
            Shape::Crowd => chart.draw_series(DashedLineSeries::new(points, DASH, GAP, style))?,
        };
    }
    Ok(())
}

/// Draws the legend under the panels, where it covers no point.
fn draw_legend(area: &Area<'_>, lines: &[Line]) -> Result<(), Fault> {
    /// Length of a sample of a line, pixels.
    const LENGTH: i32 = 3 * DASH + 2 * GAP;
    /// From one entry to the next, pixels.
    const STEP: usize = 175;
    for (index, line) in lines.iter().enumerate() {
        let x = (50 + index % ROW * STEP) as i32;
        let y = (index / ROW) as i32 * ROW_HEIGHT as i32 + ROW_HEIGHT as i32 / 2;
        let style = line.colour.stroke_width(2);
        let piece = |from: i32, to: i32| PathElement::new([(x + from, y), (x + to, y)], style);
        match line.shape {
            Shape::Spread => area.draw(&piece(0, LENGTH))?,
            Shape::Crowd => {
                (0..3).map(|n| n * (DASH + GAP)).try_for_each(|from| area.draw(&piece(from, from + DASH)))?;
            }
        }
        let label = format!("{} {}", grouped(line.players as f64), line.shape);
        area.draw(&Text::new(label, (x + LENGTH + 8, y - 8), ("sans-serif", 17)))?;
    }
    Ok(())
}

/// The results for different numbers of nodes.
struct Line {
    players: usize,
    shape: Shape,
    colour: RGBColor,
}

impl Line {
    fn is_of(&self, measured: &Measured) -> bool {
        (measured.case.players, measured.case.shape) == (self.players, self.shape)
    }
}

/// Every line, in the order of the legend. Each number of players has one colour.
fn lines_of(all: &[Measured]) -> Vec<Line> {
    let mut players: Vec<usize> = all.iter().map(|m| m.case.players).collect();
    players.sort_unstable();
    players.dedup();
    let lines = players.into_iter().zip(COLOURS.into_iter().cycle()).flat_map(|(players, colour)| {
        [Shape::Spread, Shape::Crowd].map(|shape| Line { players, shape, colour })
    });
    lines.filter(|line| all.iter().any(|measured| line.is_of(measured))).collect()
}

/// A label of the y axis: `1 000 000` is read faster than its zeros are counted.
fn grouped(number: f64) -> String {
    if number < 1.0 {
        return number.to_string();
    }
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::Case;

    fn measured(shape: Shape, nodes: u16) -> Measured {
        let node = Traffic {
            bundles: 7,
            peer_bytes: 9_000,
            client_messages: 30,
            client_bytes: 70_000,
            ..Default::default()
        };
        let case = Case { shape, players: 1_000, nodes };
        Measured { case, counted_ms: 1_000, nodes: vec![node; usize::from(nodes)] }
    }

    #[test]
    fn every_panel_has_its_lines() {
        let all: Vec<_> =
            [Shape::Spread, Shape::Crowd].into_iter().flat_map(|s| [3, 10].map(|n| measured(s, n))).collect();
        let svg = svg(&all).expect("it can be drawn");
        assert!(svg.starts_with("<svg"), "{}", &svg[..40]);
        for panel in &PANELS {
            assert!(svg.contains(panel.title));
        }
        assert_eq!(svg.matches("1 000 spread").count(), 1);
        assert_eq!(svg.matches("1 000 crowd").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 4 * PANELS.len());
    }

    #[test]
    fn what_is_nothing_is_not_drawn() {
        let mut one = measured(Shape::Spread, 1);
        (one.nodes[0].bundles, one.nodes[0].peer_bytes) = (0, 0);
        let circles = |all: &[Measured]| svg(all).expect("it can be drawn").matches("<circle").count();
        assert_eq!(circles(&[one.clone()]), 2, "one point to clients in messages, one in bytes");
        assert_eq!(circles(&[one, measured(Shape::Spread, 3)]), 2 + 4);
    }

    #[test]
    fn long_numbers_are_read_in_groups() {
        assert_eq!([0.1, 1.0, 100.0, 1e4, 1e6].map(grouped), ["0.1", "1", "100", "10 000", "1 000 000"]);
    }
}
