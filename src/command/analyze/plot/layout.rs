//! Where on a drawing everything stands.

use super::bins::{Bin, Bins, Spans};
use super::shape::{Anchor, Colour, Drawing, Shape};

const INK: Colour = [32, 40, 48];
const PALE: Colour = [224, 228, 232];
const GROUND: Colour = [247, 248, 249];
/// Colours of expressions in the order of the wire format; apart for colour-blind eyes too, as far as eight can be.
const CLASSES: [Colour; 8] = [
    [189, 195, 199],
    [240, 192, 40],
    [86, 180, 233],
    [60, 100, 170],
    [213, 60, 40],
    [0, 158, 115],
    [150, 90, 170],
    [140, 90, 50],
];
/// Colours of lines; neutral is darker than as an area.
const LINES: [Colour; 8] =
    [[120, 125, 130], CLASSES[1], CLASSES[2], CLASSES[3], CLASSES[4], CLASSES[5], CLASSES[6], CLASSES[7]];
const VALENCE: Colour = [0, 114, 178];
const AROUSAL: Colour = [213, 94, 0];
const EVENT: Colour = [204, 121, 167];
const FACES: Colour = [90, 110, 130];

/// The drawing is this wide, and its panels lie between these.
const WIDTH: u32 = 1200;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 990.0;
/// The height of a row of events, and the most rows.
const ROW: f64 = 22.0;
const MOST_ROWS: usize = 20;
/// The longest name of a trigger that is written out.
const LONGEST: usize = 20;

/// Draws all panels, one below the other.
pub fn draw(bins: &Bins, spans: &Spans) -> Drawing {
    let mut page =
        PlotPage { drawing: Drawing { width: WIDTH, height: 0, shapes: Vec::new() }, bins, y: 20.0 };
    if !bins.labels.is_empty() {
        page.expressions();
    }
    if bins.affect {
        page.affect();
    }
    page.sequences();
    page.faces();
    page.events(spans);
    page.times();
    page.drawing.height = page.y.ceil() as u32;
    page.drawing
}

struct PlotPage<'a> {
    drawing: Drawing,
    bins: &'a Bins,
    /// How far down it is full.
    y: f64,
}

impl PlotPage<'_> {
    fn x(&self, seconds: f64) -> f64 {
        let end = (self.bins.end + self.bins.width).max(self.bins.width);
        LEFT + (RIGHT - LEFT) * (seconds / end).clamp(0.0, 1.0)
    }

    /// The edges of a bin.
    fn edges(&self, place: usize) -> [f64; 2] {
        [place, place + 1].map(|place| self.x(place as f64 * self.bins.width))
    }

    /// A panel of this height with a title; returns its top.
    fn panel(&mut self, title: &str, height: f64, marks: &[(f64, &str)]) -> f64 {
        self.drawing.text([LEFT, self.y], Anchor::Start, title, INK);
        let top = self.y + 16.0;
        self.drawing.rectangle([LEFT, top], [RIGHT - LEFT, height], GROUND);
        for (share, label) in marks {
            let y = top + height * share;
            self.drawing.shapes.push(Shape::Line(vec![[LEFT, y], [RIGHT, y]], PALE, 1.0));
            self.drawing.text([LEFT - 8.0, y], Anchor::End, *label, INK);
        }
        self.y = top + height + 28.0;
        top
    }

    fn legend(&mut self, top: f64, place: usize, label: &str, colour: Colour) {
        let y = top + 10.0 + 24.0 * place as f64;
        self.drawing.rectangle([RIGHT + 18.0, y - 6.0], [12.0, 12.0], colour);
        self.drawing.text([RIGHT + 38.0, y], Anchor::Start, label, INK);
    }

    /// Runs of neighbouring bins for which there is a value.
    fn runs<T>(&self, value: impl Fn(&Bin) -> Option<T>) -> Vec<Vec<(usize, T)>> {
        let mut runs: Vec<Vec<(usize, T)>> = Vec::new();
        let mut last = None;
        for (place, bin) in self.bins.bins.iter().enumerate() {
            // A bin without a frame says nothing: the one before stands for it.
            if bin.frames == 0 {
                continue;
            }
            let Some(value) = value(bin) else {
                last = None;
                continue;
            };
            match runs.last_mut().filter(|_| last.is_some()) {
                Some(run) => run.push((place, value)),
                None => runs.push(vec![(place, value)]),
            }
            last = Some(place);
        }
        runs
    }

    fn expressions(&mut self) {
        let height = 210.0;
        let top = self.panel(
            "Expressions, mean over the faces",
            height,
            &[(0.0, "100 %"), (0.5, "50 %"), (1.0, "0 %")],
        );
        let runs = self.runs(Bin::expression);
        for (class, label) in self.bins.labels.iter().enumerate() {
            let colour = CLASSES[class % CLASSES.len()];
            for run in &runs {
                let below =
                    |values: &[f64], classes: usize| values[..classes].iter().sum::<f64>().clamp(0.0, 1.0);
                let points = |classes: usize| {
                    let steps = self.steps(run).into_iter();
                    steps.map(move |(x, values)| [x, top + height * (1.0 - below(values, classes))])
                };
                let mut outline: Vec<[f64; 2]> = points(class + 1).collect();
                outline.extend(points(class).collect::<Vec<_>>().into_iter().rev());
                self.drawing.shapes.push(Shape::Area(outline, colour));
            }
            self.legend(top, class, label, colour);
        }
    }

    /// The points of a run: at the middle of each bin, and at the outer edges of the first and the last.
    fn steps<'a, T>(&self, run: &'a [(usize, T)]) -> Vec<(f64, &'a T)> {
        let middle = |(place, value): &'a (usize, T)| {
            let [from, to] = self.edges(*place);
            (f64::midpoint(from, to), value)
        };
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Vec::new() };
        let mut steps = vec![(self.edges(first.0)[0], &first.1)];
        steps.extend(run.iter().map(middle));
        steps.push((self.edges(last.0)[1], &last.1));
        steps
    }

    fn affect(&mut self) {
        let height = 150.0;
        let top = self.panel("Valence and arousal", height, &[(0.0, "+1"), (0.5, "0"), (1.0, "-1")]);
        let runs = self.runs(Bin::affect);
        for (axis, (label, colour)) in [("valence", VALENCE), ("arousal", AROUSAL)].into_iter().enumerate() {
            for run in &runs {
                let point = |(x, value): (f64, &[f64; 2])| {
                    [x, top + height * (0.5 - 0.5 * value[axis].clamp(-1.0, 1.0))]
                };
                let points = self.steps(run).into_iter().map(point).collect();
                self.drawing.shapes.push(Shape::Line(points, colour, 1.8));
            }
            self.legend(top, axis, label, colour);
        }
    }

    /// A panel for each network that reads sequences, with a line for each label.
    fn sequences(&mut self) {
        let mut first = 0;
        for (name, labels) in &self.bins.sequences {
            let height = f64::max(100.0, 24.0 * labels.len() as f64);
            let title = format!("Sequences: {name}");
            let top = self.panel(&title, height, &[(0.0, "100 %"), (0.5, "50 %"), (1.0, "0 %")]);
            for (place, label) in labels.iter().enumerate() {
                let colour = LINES[place % LINES.len()];
                for run in self.runs(|bin| bin.sequence(first + place)) {
                    let points = self.steps(&run).into_iter();
                    let points = points.map(|(x, value)| [x, top + height * (1.0 - value.clamp(0.0, 1.0))]);
                    let points = points.collect();
                    self.drawing.shapes.push(Shape::Line(points, colour, 1.8));
                }
                self.legend(top, place, label, colour);
            }
            first += labels.len();
        }
    }

    fn faces(&mut self) {
        let mean = |bin: &Bin| Some(bin.faces as f64 / bin.frames as f64);
        let most =
            self.bins.bins.iter().filter(|bin| bin.frames > 0).filter_map(mean).fold(1.0, f64::max).ceil();
        let (height, label) = (50.0, format!("{most}"));
        let top = self.panel("Faces", height, &[(0.0, &label), (1.0, "0")]);
        for run in self.runs(mean) {
            let points =
                self.steps(&run).into_iter().map(|(x, faces)| [x, top + height * (1.0 - faces / most)]);
            let points = points.collect();
            self.drawing.shapes.push(Shape::Line(points, FACES, 1.8));
        }
    }

    fn events(&mut self, spans: &Spans) {
        let rows = spans.triggers.len().min(MOST_ROWS);
        let top = self.panel("Events", ROW * rows.max(1) as f64, &[]);
        if rows == 0 {
            let middle = [f64::midpoint(LEFT, RIGHT), top + ROW / 2.0];
            self.drawing.text(middle, Anchor::Middle, "no trigger of the configuration fired", FACES);
        }
        for (row, (name, spans)) in spans.triggers.iter().take(MOST_ROWS).enumerate() {
            let y = top + ROW * row as f64;
            for (from, to) in spans {
                let (from, to) = (self.x(*from), to.map_or(RIGHT, |to| self.x(to)));
                let width = (to - from).max(2.0);
                self.drawing.rectangle([from, y + 4.0], [width, ROW - 8.0], EVENT);
            }
            let mut shown: String = name.chars().take(LONGEST).collect();
            if name.chars().count() > LONGEST {
                shown.pop();
                shown.push('_');
            }
            self.drawing.text([RIGHT + 18.0, y + ROW / 2.0], Anchor::Start, shown, INK);
        }
        let more = spans.triggers.len() - rows;
        if more > 0 || spans.left_out > 0 {
            let text = format!("not shown: {more} triggers, {} events", spans.left_out);
            self.drawing.text([RIGHT, self.y - 14.0], Anchor::End, text, FACES);
        }
    }

    /// The axis of time below the last panel.
    fn times(&mut self) {
        let y = self.y - 12.0;
        let end = self.bins.end + self.bins.width;
        let step = step(end);
        let mut time = 0.0;
        while time <= end {
            let x = self.x(time);
            self.drawing.shapes.push(Shape::Line(vec![[x, y - 14.0], [x, y - 8.0]], INK, 1.0));
            self.drawing.text([x, y + 2.0], Anchor::Middle, clock(time, step), INK);
            time += step;
        }
        self.y = y + 20.0;
    }
}

/// The time between two marks of the axis: eight of them or so.
fn step(end: f64) -> f64 {
    const STEPS: [f64; 18] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
        7200.0, 14400.0,
    ];
    STEPS.into_iter().find(|step| end / step <= 10.0).unwrap_or(end / 8.0)
}

fn clock(time: f64, step: f64) -> String {
    if step < 1.0 {
        return format!("{time:.1} s");
    }
    let whole = time.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emotiond_core::report::score::Vocabulary;

    #[test]
    fn an_axis_has_a_handful_of_marks() {
        for end in [0.04, 0.5, 3.0, 59.0, 100.0, 5000.0, 1e6] {
            let marks = end / step(end);
            assert!((0.3..=10.0).contains(&marks), "{end}: {marks}");
        }
        assert_eq!(
            (clock(0.5, 0.1), clock(65.0, 5.0), clock(3725.0, 60.0)),
            ("0.5 s".to_owned(), "1:05".to_owned(), "1:02:05".to_owned())
        );
    }

    #[test]
    fn a_clip_without_anything_is_drawn_too() {
        let drawing = draw(&Bins::new(&Vocabulary::default(), &[]), &Spans::default());
        assert!(drawing.height > 100);
        let texts = drawing.shapes.iter().filter(|shape| matches!(shape, Shape::Text { .. })).count();
        assert!(texts >= 4, "{texts}");
    }
}
