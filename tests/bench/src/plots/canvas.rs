//! What pictures are made of: a white sheet, text, marks for the ways, a key to them, a logarithmic axis.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Why something cannot be drawn.
pub(super) type Fault = DrawingAreaErrorKind<std::io::Error>;
/// A sheet in pixels from its upper left corner.
pub(super) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A place on it.
pub(super) type Place = (i32, i32);

/// Width of every picture.
pub(super) const WIDTH: i32 = 900;
/// What is left free at the sides.
pub(super) const MARGIN: i32 = 20;
/// Where the key begins, below the title.
const KEY: i32 = 54;
/// Lines of the key are so far apart.
const KEY_LINE: i32 = 22;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
pub(super) const BAND: RGBColor = RGBColor(0xF5, 0xF5, 0xF5);
/// Of targets alone.
pub(super) const TARGET: RGBColor = BLACK;

/// A picture of this height.
pub(super) fn picture(height: i32, draw: impl FnOnce(&Canvas<'_>) -> Result<(), Fault>) -> Result<String, Fault> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        canvas.fill(&WHITE)?;
        draw(&canvas)?;
        canvas.present()?;
    }
    Ok(svg)
}

/// Writes text, `size` pixels high, so that `place` is at its side or in its middle.
pub(super) fn text(canvas: &Canvas<'_>, text: &str, size: f64, side: HPos, place: Place) -> Result<(), Fault> {
    // The library's sizes are 1.24 times those of the file.
    let style = ("sans-serif", size * 1.24).into_text_style(canvas).color(&INK).pos(Pos::new(side, VPos::Center));
    canvas.draw(&Text::new(text.to_owned(), place, style))
}

/// How a way looks: colours that are told apart by most eyes, and shapes for all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    colour: RGBColor,
    shape: Shape,
    /// Of a series that has the look of another one, filled.
    pub(super) hollow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Circle,
    Triangle,
    Square,
    Diamond,
}

impl Look {
    pub(super) fn of(way: &str) -> Self {
        let (colour, shape) = match way {
            "inline" | "loaded" => (RGBColor(0x00, 0x72, 0xB2), Shape::Circle),
            "adaptive" | "mirror" => (RGBColor(0xD5, 0x5E, 0x00), Shape::Triangle),
            "isolated" | "postcard" => (RGBColor(0x00, 0x9E, 0x73), Shape::Square),
            "gRPC" => (RGBColor(0x8A, 0x3F, 0x8F), Shape::Diamond),
            _ => (RGBColor(0x66, 0x66, 0x66), Shape::Diamond),
        };
        Self { colour, shape, hollow: false }
    }

    /// Draws the mark.
    pub(super) fn mark(self, canvas: &Canvas<'_>, place: Place) -> Result<(), Fault> {
        self.shape.draw(canvas, place, 5, self.colour)?;
        if self.hollow { self.shape.draw(canvas, place, 3, WHITE) } else { Ok(()) }
    }

    /// A line of this colour.
    pub(super) fn line(self, canvas: &Canvas<'_>, places: Vec<Place>, width: u32) -> Result<(), Fault> {
        canvas.draw(&PathElement::new(places, self.colour.stroke_width(width)))
    }

    /// From one quartile to the other, with a bar at each end.
    pub(super) fn whisker(self, canvas: &Canvas<'_>, [from, to]: [Place; 2]) -> Result<(), Fault> {
        self.line(canvas, vec![from, to], 2)?;
        for (x, y) in [from, to] {
            let bar = if from.0 == to.0 { vec![(x - 4, y), (x + 4, y)] } else { vec![(x, y - 4), (x, y + 4)] };
            self.line(canvas, bar, 2)?;
        }
        Ok(())
    }
}

impl Shape {
    fn draw(self, canvas: &Canvas<'_>, (x, y): Place, size: i32, colour: RGBColor) -> Result<(), Fault> {
        let style = colour.filled();
        match self {
            Self::Circle => canvas.draw(&Circle::new((x, y), size, style)),
            Self::Square => {
                canvas.draw(&Rectangle::new([(x - size + 1, y - size + 1), (x + size - 1, y + size - 1)], style))
            }
            Self::Triangle => {
                let corners = vec![(x, y - size), (x + size, y + size - 1), (x - size, y + size - 1)];
                canvas.draw(&Polygon::new(corners, style))
            }
            Self::Diamond => {
                let size = size + 1;
                canvas.draw(&Polygon::new(vec![(x, y - size), (x + size, y), (x, y + size), (x - size, y)], style))
            }
        }
    }
}

/// Draws a target: a black bar.
pub(super) fn target(canvas: &Canvas<'_>, [from, to]: [Place; 2]) -> Result<(), Fault> {
    canvas.draw(&PathElement::new(vec![from, to], TARGET.stroke_width(3)))
}

/// A title, and below it what the marks mean.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    /// Ways by their names.
    pub(super) ways: Vec<(Look, String)>,
    /// Which way a target's bar lies, and what is said of it; none without targets.
    pub(super) target: Option<([Place; 2], &'static str)>,
}

impl Head<'_> {
    /// Texts of the key by where they begin; the marks are left of them.
    fn places(&self) -> Vec<Place> {
        let mut place = (MARGIN + 20, KEY);
        let mut places = Vec::new();
        for text in self.texts() {
            // About as wide as most fonts make it, and more rather than less.
            let width = text.chars().count() as i32 * 7 + 44;
            if place.0 + width > WIDTH && place.0 > MARGIN + 20 {
                place = (MARGIN + 20, place.1 + KEY_LINE);
            }
            places.push(place);
            place.0 += width;
        }
        places
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let ways = self.ways.iter().map(|(_, name)| name.as_str());
        ways.chain(self.target.iter().map(|(_, name)| *name))
    }

    /// Where the picture itself may begin.
    pub(super) fn bottom(&self) -> i32 {
        self.places().last().map_or(KEY, |(_, y)| y + KEY_LINE)
    }

    pub(super) fn draw(&self, canvas: &Canvas<'_>) -> Result<(), Fault> {
        text(canvas, self.title, 18.0, HPos::Left, (MARGIN, 24))?;
        let looks = self.ways.iter().map(|(look, _)| Some(*look)).chain([None]);
        for (((x, y), name), look) in self.places().into_iter().zip(self.texts()).zip(looks) {
            text(canvas, name, 13.0, HPos::Left, (x, y))?;
            let middle = (x - 12, y);
            match (look, self.target) {
                (Some(look), _) => look.mark(canvas, middle)?,
                (None, Some((bar, _))) => target(canvas, bar.map(|(x, y)| (middle.0 + x, middle.1 + y)))?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// A logarithmic axis that has all of some values on it, and 1.
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// What is written at it.
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((1.0_f64, 1.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = (low / 1.15, (high * 1.15).max(2.2));
        let steps: &[f64] = if high / low > 500.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let ticks = decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
        Self { low, high, ticks: ticks.filter(|tick| (low..=high).contains(tick)).collect() }
    }

    /// A tick as it is written: `0.5×`, `2,000×`.
    pub(super) fn tick(value: &f64) -> String {
        if *value < 1.0 {
            return format!("{}×", (value * 1e6).round() / 1e6);
        }
        let digits = format!("{value:.0}");
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        text + "×"
    }
}
