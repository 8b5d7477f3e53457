//! A picture as data, for whoever draws it: boxes, frames and lines with their places.

use ringmaster_core::definition::compile::outline::Outline;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Kind;
use super::layout::{Line, Shape, picture};

/// A picture of a definition. Lengths are pixels at a letter's width of 7.25; places are from the left and from the top.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// How wide it is.
    pub width: f64,
    /// How high it is.
    pub height: f64,
    /// Steps, conditions, the start and the ends.
    pub boxes: Vec<GraphBox>,
    /// Around groups.
    pub frames: Vec<GraphBox>,
    /// From box to box.
    pub lines: Vec<GraphLine>,
}

/// A box with its text, or a frame with its title.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphBox {
    /// The step that it is; null for what is none: the start, an end, a condition, what follows a refusal.
    pub step: Option<String>,
    /// end (or start), step, pivot, refusal, choice or arm.
    pub kind: String,
    /// Its text. The first line is its name.
    pub lines: Vec<String>,
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// How wide it is.
    pub width: f64,
    /// How high it is.
    pub height: f64,
}

/// A line between boxes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphLine {
    /// Its corners, each from the left and from the top.
    pub corners: Vec<[f64; 2]>,
    /// It ends at a box, as an arrow.
    pub arrow: bool,
}

impl Graph {
    /// The picture of a definition.
    pub fn of(outline: &Outline) -> Graph {
        let picture = picture(outline);
        Graph {
            width: rounded(picture.width),
            height: rounded(picture.height),
            boxes: picture.boxes.iter().map(GraphBox::of).collect(),
            frames: picture.frames.iter().map(GraphBox::of).collect(),
            lines: picture.lines.iter().map(GraphLine::of).collect(),
        }
    }
}

impl GraphBox {
    fn of(Shape { area, label }: &Shape) -> GraphBox {
        let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(rounded);
        let kind = label.kind.as_str().to_owned();
        GraphBox { step: label.step.clone(), kind, lines: label.lines.clone(), x, y, width, height }
    }
}

impl GraphLine {
    fn of(Line { corners, arrow }: &Line) -> GraphLine {
        let corners = corners.iter().map(|(x, y)| [rounded(*x), rounded(*y)]).collect();
        GraphLine { corners, arrow: *arrow }
    }
}

impl Kind {
    /// As styles and programs name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::End => "end",
            Kind::Step => "step",
            Kind::Pivot => "pivot",
            Kind::Refusal => "refusal",
            Kind::Choice => "choice",
            Kind::Arm => "arm",
        }
    }
}

/// No finer than anybody sees.
fn rounded(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}
