//! A definition as an SVG file of its own: no script, no font, nothing from elsewhere, readable on light and on dark.

use std::fmt::Write;

use ringmaster_core::definition::compile::outline::Outline;

use super::layout::{Area, LETTER, LINE, Line, PADDING, Shape, picture, shown};
use super::{Kind, Label};

/// Around everything.
const MARGIN: f64 = 16.0;

/// All of it is below a class of its own, since a page may hold several pictures, and styles hold for the whole page.
const STYLE: &str = "\
.saga { background: #ffffff; color: #1f2328; font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
.saga rect, .saga path { fill: none; stroke: currentColor; }
.saga text { fill: currentColor; text-anchor: middle; }
.saga .name { font-weight: bold; }
.saga .step, .saga .choice { fill: #f6f8fa; }
.saga .pivot { fill: #fff8c5; stroke-width: 3; }
.saga .refusal { fill: #ffebe9; }
.saga .end { fill: #ddf4ff; }
.saga .arm { stroke-dasharray: 3 3; }
.saga .frame { stroke-dasharray: 6 4; }
.saga .arrow { fill: currentColor; stroke: none; }
@media (prefers-color-scheme: dark) {
.saga { background: #0d1117; color: #e6edf3; }
.saga .step, .saga .choice { fill: #161b22; }
.saga .pivot { fill: #3a2f00; }
.saga .refusal { fill: #3c1618; }
.saga .end { fill: #0c2d48; }
}
";

/// The file.
pub fn draw(outline: &Outline) -> String {
    let picture = picture(outline);
    let (width, height) = (picture.width + 2.0 * MARGIN, picture.height + 2.0 * MARGIN);
    let mut svg = Svg(String::new());
    svg.line(format_args!(
        "<svg class=\"saga\" xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"{x} {x} {width:.0} {height:.0}\" role=\"img\">",
        x = -MARGIN,
    ));
    svg.line(format_args!("<title>{}</title>", escaped(&outline.saga)));
    svg.line(format_args!("<style>\n{STYLE}</style>"));
    svg.line(format_args!(
        "<marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path class=\"arrow\" d=\"M0 0L8 4L0 8z\"/></marker>"
    ));
    picture.frames.iter().for_each(|frame| svg.shape(frame, "frame", true));
    picture.lines.iter().for_each(|line| svg.path(line));
    picture.boxes.iter().for_each(|shape| svg.shape(shape, shape.label.kind.as_str(), false));
    svg.line(format_args!("</svg>"));
    svg.0
}

struct Svg(String);

impl Svg {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a text takes all that is written");
    }

    /// A box with its text in the middle, or a frame with its title at the left of its top.
    fn shape(&mut self, Shape { area, label }: &Shape, class: &str, is_frame: bool) {
        let Area { x, y, width, height } = area;
        let round = match label.kind {
            Kind::End | Kind::Arm => 12,
            Kind::Step | Kind::Pivot | Kind::Refusal | Kind::Choice => 3,
        };
        self.line(format_args!("<g>{}", whole(label)));
        self.line(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{round}\"/>"
        ));
        for (row, line) in label.lines.iter().enumerate() {
            let line = shown(line);
            let middle = if is_frame { x + PADDING + line.chars().count() as f64 * LETTER / 2.0 } else { x + width / 2.0 };
            let baseline = y + PADDING + LINE * (row as f64 + 0.75);
            let name = if row == 0 { " class=\"name\"" } else { "" };
            self.line(format_args!("<text{name} x=\"{middle:.1}\" y=\"{baseline:.1}\">{}</text>", escaped(&line)));
        }
        self.line(format_args!("</g>"));
    }

    fn path(&mut self, Line { corners, arrow }: &Line) {
        let places: Vec<String> = corners.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let marker = if *arrow { " marker-end=\"url(#arrow)\"" } else { "" };
        self.line(format_args!("<path d=\"M{}\"{marker}/>", places.join("L")));
    }
}

/// All lines of a box, shown on pointing at it, if one of them is cut.
fn whole(label: &Label) -> String {
    if label.lines.iter().all(|line| shown(line) == *line) {
        return String::new();
    }
    format!("<title>{}</title>", escaped(&label.lines.join("\n")))
}

/// A text that means nothing to XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no place for most of them, not even escaped.
            letter if letter.is_control() && letter != '\n' => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}
