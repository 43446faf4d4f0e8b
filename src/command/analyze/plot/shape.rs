//! What a drawing is made of, whatever it is written as. Lengths are in pixels, from the upper left corner.

/// A colour: red, green, blue.
pub type Colour = [u8; 3];

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// One shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A filled polygon.
    Area(Vec<[f64; 2]>, Colour),
    /// A line of this width through points.
    Line(Vec<[f64; 2]>, Colour, f64),
    /// A text; `y` is its middle.
    Text {
        /// Where it is anchored.
        at: [f64; 2],
        /// How.
        anchor: Anchor,
        /// What it says.
        text: String,
        /// Its colour.
        colour: Colour,
    },
}

/// Shapes from the back to the front.
pub struct Drawing {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// What is drawn.
    pub shapes: Vec<Shape>,
}

impl Drawing {
    /// Adds a filled rectangle.
    pub fn rectangle(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], colour: Colour) {
        let corners = vec![[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
        self.shapes.push(Shape::Area(corners, colour));
    }

    /// Adds a text.
    pub fn text(&mut self, at: [f64; 2], anchor: Anchor, text: impl Into<String>, colour: Colour) {
        self.shapes.push(Shape::Text { at, anchor, text: text.into(), colour });
    }
}
