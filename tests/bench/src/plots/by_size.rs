//! The ratio of one call above what it carries: each part and way a line.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Axis, Fault, GRID, Head, INK, Look, MARGIN, WIDTH};
use super::{Point, RATIO, label};
use crate::contest::Row;

/// Height of what is below the head.
const BODY: i32 = 420;
/// Room for the ticks.
const TICKS: i32 = 80;
/// Sizes, and the name of the axis.
const FOOT: i32 = 56;
/// Lines are drawn so far apart.
const STEP: i32 = 12;

/// A line.
pub(super) struct Series {
    name: String,
    look: Look,
    /// By size.
    points: Vec<(u64, Point)>,
}

/// The parts and ways of the cases with a number between these two texts.
pub(super) fn series(rows: &[Row], before: &str, after: &str) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for row in rows.iter().filter(|row| row.section == "bare" || row.section == "as shipped") {
        let size = label(&row.case).strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let Some(size) = size.and_then(|size| size.parse().ok()) else { continue };
        let Some(point) = Point::of(row, rows) else { continue };
        let name = format!("{}, {}", row.section, row.way);
        match all.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push((size, point)),
            None => {
                let mut look = Look::of(&row.way);
                look.hollow = row.section == "as shipped";
                all.push(Series { name, look, points: vec![(size, point)] });
            }
        }
    }
    for series in &mut all {
        // The largest may have been measured last.
        series.points.sort_by_key(|(size, _)| *size);
    }
    all
}

/// Draws them.
pub(super) fn draw(title: &str, axis_name: &str, all: &[Series]) -> Result<String, Fault> {
    let points = || all.iter().flat_map(|series| &series.points);
    let mut sizes: Vec<u64> = points().map(|(size, _)| *size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let ways = all.iter().map(|series| (series.look, series.name.clone())).collect();
    let target = points().any(|(_, point)| point.target.is_some());
    let target = target.then_some(([(-6, 0), (6, 0)], "targets: bare, and as shipped above it"));
    let head = Head { title, ways, target };
    let axis = Axis::of(points().flat_map(|(_, point)| point.extent()));
    let top = head.bottom() + 14;
    canvas::picture(top + BODY + FOOT, |canvas| {
        head.draw(canvas)?;
        let mut builder = ChartBuilder::on(canvas);
        builder.margin_top(top).margin_right(MARGIN + 10);
        builder.set_label_area_size(LabelAreaPosition::Left, TICKS).x_label_area_size(FOOT);
        let ratios = (axis.low..axis.high).log_scale().with_key_points(axis.ticks.clone());
        let mut chart = builder.build_cartesian_2d(0.0..sizes.len() as f64, ratios)?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().x_labels(0).bold_line_style(GRID).axis_style(INK);
        mesh.y_label_formatter(&Axis::tick).label_style(("sans-serif", 15.0, &INK)).draw()?;
        let place = |index: usize, ratio: f64| chart.plotting_area().map_coordinate(&(index as f64 + 0.5, ratio));
        let (left, right, one) = (TICKS, WIDTH - MARGIN - 10, place(0, 1.0).1);
        canvas.draw(&PathElement::new(vec![(left, one), (right, one)], INK.stroke_width(1)))?;
        for (index, size) in sizes.iter().enumerate() {
            canvas::text(canvas, &size.to_string(), 13.0, HPos::Center, (place(index, 1.0).0, top + BODY + 14))?;
        }
        canvas::text(canvas, axis_name, 13.0, HPos::Center, ((left + right) / 2, top + BODY + 40))?;
        canvas::text(canvas, RATIO, 12.0, HPos::Left, (MARGIN, top - 12))?;
        let index = |size: u64| sizes.iter().position(|known| *known == size).unwrap_or_default();
        for (size, ratio) in points().filter_map(|(size, point)| Some((*size, point.target?))) {
            let (x, y) = place(index(size), ratio);
            canvas::target(canvas, [(x - 40, y), (x + 40, y)])?;
        }
        for (number, series) in all.iter().enumerate() {
            let aside = number as i32 * STEP - (all.len() as i32 - 1) * STEP / 2;
            let at = |size: u64, ratio: f64| {
                let (x, y) = place(index(size), ratio);
                (x + aside, y)
            };
            series.look.line(canvas, series.points.iter().map(|(size, point)| at(*size, point.ratio)).collect(), 1)?;
            for (size, point) in &series.points {
                series.look.whisker(canvas, point.quartiles.map(|quartile| at(*size, quartile)))?;
                series.look.mark(canvas, at(*size, point.ratio))?;
            }
        }
        Ok(())
    })
}
