//! A drawing as SVG.

use std::fmt::Write as _;

use super::shape::{Anchor, Colour, Drawing, Shape};

/// The text of an SVG file.
pub fn render(drawing: &Drawing) -> String {
    let Drawing { width, height, shapes } = drawing;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" \
         fill=\"#ffffff\"/>\n"
    );
    for shape in shapes {
        let _infallible = match shape {
            Shape::Area(points, colour) => {
                writeln!(out, "<polygon points=\"{}\" fill=\"{}\"/>", list(points), hex(*colour))
            }
            Shape::Line(points, colour, width) => writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
                list(points),
                hex(*colour)
            ),
            Shape::Text { at: [x, y], anchor, text, colour } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
                    // Half of a capital letter's height below the middle.
                    y + 4.7,
                    hex(*colour),
                    escaped(text)
                )
            }
        };
    }
    out + "</svg>\n"
}

fn list(points: &[[f64; 2]]) -> String {
    points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn hex([r, g, b]: Colour) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A name that somebody chose is text, whatever it contains.
fn escaped(text: &str) -> String {
    let safe = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c if c.is_control() => "\u{fffd}".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_becomes_well_formed_svg() {
        let mut drawing = Drawing { width: 20, height: 10, shapes: Vec::new() };
        drawing.rectangle([1.0, 2.0], [3.0, 4.0], [255, 0, 16]);
        drawing.shapes.push(Shape::Line(vec![[0.0, 0.0], [5.25, 5.0]], [0, 0, 0], 1.5));
        drawing.text([9.0, 5.0], Anchor::End, "a<b>&\u{1}", [1, 2, 3]);
        let svg = render(&drawing);
        assert!(
            svg.contains("<polygon points=\"1.0,2.0 4.0,2.0 4.0,6.0 1.0,6.0\" fill=\"#ff0010\"/>"),
            "{svg}"
        );
        assert!(svg.contains("<polyline points=\"0.0,0.0 5.2,5.0\""), "{svg}");
        assert!(svg.contains("text-anchor=\"end\" fill=\"#010203\">a&lt;b&gt;&amp;\u{fffd}</text>"), "{svg}");
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }
}
