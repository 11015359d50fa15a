//! Cases one below the other, and the ratio of each way to the right.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Axis, BAND, Fault, GRID, Head, INK, Look, MARGIN, WIDTH};
use super::{Point, label};
use crate::contest::Row;

/// Room for the names of the cases.
const NAMES: i32 = 370;
/// Ways of a case are drawn so far apart.
const STEP: i32 = 8;
/// Free above and below them.
const FREE: i32 = 6;
/// Ticks, and the name of the axis.
const FOOT: i32 = 50;

/// A case.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<Point>,
}

/// The cases of a part in the order of its rows, a case and its contest with `isolated` together.
pub(super) fn lines(rows: &[Row], part: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows.iter().filter(|row| row.section == part) {
        let Some(point) = Point::of(row, rows) else { continue };
        let mut name = label(&row.case).to_owned();
        if let Some(baseline) = row.baseline.as_ref().filter(|baseline| *baseline != "linked") {
            name = format!("{name} (to {baseline})");
        }
        match lines.iter_mut().find(|line| line.label == name) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { label: name, points: vec![point] }),
        }
    }
    lines
}

/// Draws them.
pub(super) fn draw(title: &str, axis_name: &str, lines: &[Line]) -> Result<String, Fault> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let mut ways: Vec<(Look, String)> = Vec::new();
    for point in points() {
        if !ways.iter().any(|(_, name)| *name == point.way) {
            ways.push((Look::of(&point.way), point.way.clone()));
        }
    }
    let target = points().any(|point| point.target.is_some()).then_some(([(0, -8), (0, 8)], "target"));
    let head = Head { title, ways, target };
    let axis = Axis::of(points().flat_map(Point::extent));
    let (top, count) = (head.bottom(), lines.len());
    let most = lines.iter().map(|line| line.points.len()).max().unwrap_or_default();
    // Height of a case; even, so that half of it is a pixel.
    let height = most.max(2) as i32 * STEP + 2 * FREE;
    canvas::picture(top + count as i32 * height + FOOT, |canvas| {
        head.draw(canvas)?;
        let mut builder = ChartBuilder::on(canvas);
        builder.margin_top(top).margin_right(MARGIN + 10);
        builder.set_label_area_size(LabelAreaPosition::Left, NAMES).x_label_area_size(FOOT);
        let ratios = (axis.low..axis.high).log_scale().with_key_points(axis.ticks.clone());
        let mut chart = builder.build_cartesian_2d(ratios, 0.0..count as f64)?;
        let right = WIDTH - MARGIN - 10;
        let lowest = chart.plotting_area().map_coordinate(&(axis.low, 0.0)).1;
        let middle = |index: usize| lowest - ((count - index) as f64 * f64::from(height)) as i32 + height / 2;
        for index in (0..count).step_by(2) {
            let corners = [(MARGIN, middle(index) - height / 2), (right, middle(index) + height / 2)];
            canvas.draw(&Rectangle::new(corners, BAND.filled()))?;
        }
        let mut mesh = chart.configure_mesh();
        mesh.disable_y_mesh().disable_y_axis().y_labels(0).bold_line_style(GRID).axis_style(INK);
        mesh.x_label_formatter(&Axis::tick).label_style(("sans-serif", 15.0, &INK)).draw()?;
        let place = |ratio: f64| chart.plotting_area().map_coordinate(&(ratio, 0.0)).0;
        // As fast as linked code.
        canvas.draw(&PathElement::new(
            vec![(place(1.0), middle(0) - height / 2), (place(1.0), lowest)],
            INK.stroke_width(1),
        ))?;
        canvas::text(canvas, axis_name, 12.0, HPos::Right, (right, lowest + 38))?;
        for (index, line) in lines.iter().enumerate() {
            let y = middle(index);
            canvas::text(canvas, &line.label, 13.0, HPos::Right, (NAMES - 10, y))?;
            for target in line.points.iter().filter_map(|point| point.target) {
                canvas::target(canvas, [(place(target), y - height / 2 + 2), (place(target), y + height / 2 - 2)])?;
            }
            let upper = y - (line.points.len() as i32 - 1) * STEP / 2;
            for (number, point) in line.points.iter().enumerate() {
                let (look, y) = (Look::of(&point.way), upper + number as i32 * STEP);
                look.whisker(canvas, point.quartiles.map(|quartile| (place(quartile), y)))?;
                look.mark(canvas, (place(point.ratio), y))?;
            }
        }
        Ok(())
    })
}
