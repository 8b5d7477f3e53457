//! Where everything of a picture stands: from a tree to boxes, frames and lines with places.

use ringmaster_core::definition::compile::outline::{Answer, Arm, Does, Outline, Part};

use super::{Kind, Label, is_last, with_steps};

/// A letter of the font, in which all are equally wide.
pub(super) const LETTER: f64 = 7.25;
/// A line of text.
pub(super) const LINE: f64 = 17.0;
/// Between a text and the edge of its box.
pub(super) const PADDING: f64 = 9.0;
/// Between neighbours.
const GAP: f64 = 26.0;
/// Letters of a line that are shown; the whole text is shown on pointing at it.
pub(super) const LETTERS_MAX: usize = 46;

/// A place and a size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A box with its text, or a frame around others with its title.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) area: Area,
    pub(super) label: Label,
}

/// A line between boxes, by its corners; an arrow where it ends at a box.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) corners: Vec<(f64, f64)>,
    pub(super) arrow: bool,
}

/// All of a picture, or of a part of it: then what comes in enters at the top of its axis, and leaves at the bottom of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Picture {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) boxes: Vec<Shape>,
    pub(super) frames: Vec<Shape>,
    pub(super) lines: Vec<Line>,
    /// From the left.
    axis: f64,
    /// Nothing goes on behind it.
    last: bool,
    /// It begins with lines, not with a box.
    parts: bool,
}

/// The picture of a definition.
pub(super) fn picture(outline: &Outline) -> Picture {
    let [completed, compensated] = Label::ends(outline);
    let start = one(Label::start(outline), false);
    let steps = outline.steps.iter().map(step);
    let ends_well = (!outline.steps.iter().any(is_last)).then(|| one(completed, false));
    let way = column(std::iter::once(start).chain(steps).chain(ends_well));
    // The other end is reached from every step before the pivot: it stands apart, without lines.
    let other = one(compensated, true);
    let (x, y) = (way.width + GAP, way.height - other.height);
    let mut all = Picture { width: x + other.width, height: way.height, ..Picture::default() };
    all.put(way, 0.0, 0.0);
    all.put(other, x, y.max(0.0));
    all
}

/// What is shown of a line.
pub(super) fn shown(line: &str) -> String {
    if letters(line) <= LETTERS_MAX {
        return line.to_owned();
    }
    let mut shown = String::new();
    for letter in line.chars() {
        if letters(&shown) + 3 > LETTERS_MAX {
            break;
        }
        shown.push(letter);
    }
    shown + "…"
}

/// How much room a text needs: letters of other scripts may be as wide as two.
fn letters(text: &str) -> usize {
    text.chars().map(|letter| if letter.is_ascii() { 1 } else { 2 }).sum()
}

/// A box alone.
fn one(label: Label, last: bool) -> Picture {
    let letters = label.lines.iter().map(|line| letters(&shown(line))).max().unwrap_or(0);
    let (width, height) = (letters as f64 * LETTER + 2.0 * PADDING, label.lines.len() as f64 * LINE + 2.0 * PADDING);
    let area = Area { x: 0.0, y: 0.0, width, height };
    Picture { width, height, boxes: vec![Shape { area, label }], axis: width / 2.0, last, ..Picture::default() }
}

fn step(part: &Part) -> Picture {
    let own = without_reactions(part);
    let reactions: Vec<Picture> = with_steps(part).map(reaction).collect();
    if reactions.is_empty() { own } else { reacting(own, reactions) }
}

fn without_reactions(part: &Part) -> Picture {
    let label = Label::step(part);
    match &part.does {
        Does::Ask { .. }
        | Does::Emit(_)
        | Does::Refuse(_)
        | Does::Sleep(_)
        | Does::Approval { .. }
        | Does::Wait { .. }
        | Does::Run(_) => one(label, is_last(part)),
        Does::Group(steps) | Does::ForEach { steps, .. } => framed(label, column(steps.iter().map(step))),
        Does::Switch(arms) => {
            let below: Vec<Picture> = arms.iter().map(arm).collect();
            let mut choice = column([one(label, false), beside(below)].into_iter());
            choice.last = is_last(part);
            choice
        }
        Does::Parallel(branches) => {
            let below: Vec<Picture> = branches.iter().map(branch).collect();
            let mut all = column([one(label, false), beside(below)].into_iter());
            all.last = is_last(part);
            all
        }
    }
}

/// What is done when a step was refused or failed, and what follows on that.
fn reaction(answer: &Answer) -> Picture {
    let head = one(Label::head(format!("on {}", answer.to)), false);
    let next = Label { kind: Kind::End, step: None, lines: vec![format!("next: {}", answer.next)] };
    column([head].into_iter().chain(answer.steps.iter().map(step)).chain([one(next, true)]))
}

/// Reactions stand to the right of their step, and are reached from its side.
fn reacting(own: Picture, reactions: Vec<Picture>) -> Picture {
    let (axis, last, side, below) = (own.axis, own.last, own.width, own.height);
    // Of a switch or parallel it is the box above all, of a group its frame.
    let head = own.boxes.iter().chain(&own.frames).find(|shape| shape.area.y == 0.0);
    let edge = head.map_or(side, |head| head.area.x + head.area.width);
    let height = reactions.iter().map(|reaction| reaction.height + GAP).fold(own.height, f64::max);
    let mut all = Picture { height, axis, last, ..Picture::default() };
    all.put(own, 0.0, 0.0);
    let mut x = side + GAP;
    for reaction in reactions {
        let (at, from) = (x + reaction.axis, GAP / 2.0);
        all.lines.push(Line { corners: vec![(edge, from), (at, from), (at, GAP)], arrow: true });
        let next = x + reaction.width;
        all.put(reaction, x, GAP);
        (all.width, x) = (next, next + GAP);
    }
    if !last && height > below {
        all.lines.push(Line { corners: vec![(axis, below), (axis, height)], arrow: false });
    }
    all
}

/// A branch of a parallel: its name, and its steps.
fn branch((name, steps): &(String, Vec<Part>)) -> Picture {
    let head = one(Label::head(name.clone()), false);
    column(std::iter::once(head).chain(steps.iter().map(step)))
}

/// An arm of a switch: its condition, and its steps.
fn arm(arm: &Arm) -> Picture {
    let condition = one(Label::arm(arm.condition.as_deref()), false);
    column(std::iter::once(condition).chain(arm.steps.iter().map(step)))
}

/// One below the other, on one axis.
fn column(parts: impl Iterator<Item = Picture>) -> Picture {
    let parts: Vec<Picture> = parts.collect();
    let left = parts.iter().map(|part| part.axis).fold(0.0, f64::max);
    let right = parts.iter().map(|part| part.width - part.axis).fold(0.0, f64::max);
    let mut all = Picture { width: left + right, axis: left, ..Picture::default() };
    all.last = parts.iter().any(|part| part.last);
    let mut before_is_last: Option<bool> = None;
    for part in parts {
        if let Some(is_last) = before_is_last {
            let end = all.height + GAP;
            if !is_last {
                all.lines.push(Line { corners: vec![(left, all.height), (left, end)], arrow: !part.parts });
            }
            all.height = end;
        }
        before_is_last = Some(part.last);
        let (x, y) = (left - part.axis, all.height);
        all.height += part.height;
        all.put(part, x, y);
    }
    all
}

/// One beside the other: a line parts to them above, and gathers them below.
fn beside(parts: Vec<Picture>) -> Picture {
    let width = parts.iter().map(|part| part.width).sum::<f64>() + GAP * (parts.len().saturating_sub(1)) as f64;
    let inner = parts.iter().map(|part| part.height).fold(0.0, f64::max);
    let axis = width / 2.0;
    let mut all = Picture { width, height: inner + 2.0 * GAP, axis, parts: true, ..Picture::default() };
    all.last = parts.iter().all(|part| part.last);
    let (bottom, mut x) = (all.height, 0.0);
    for part in parts {
        let at = x + part.axis;
        all.lines.push(Line { corners: vec![(axis, 0.0), (at, 0.0), (at, GAP)], arrow: true });
        if !part.last {
            all.lines.push(Line { corners: vec![(at, GAP + part.height), (at, bottom), (axis, bottom)], arrow: false });
        }
        let step = part.width + GAP;
        all.put(part, x, GAP);
        x += step;
    }
    all
}

/// A frame around it, with a title.
fn framed(label: Label, inner: Picture) -> Picture {
    let title = one(label.clone(), false);
    let width = (inner.width + 2.0 * PADDING).max(title.width);
    let height = title.height + inner.height + PADDING;
    let x = (width - inner.width) / 2.0;
    let mut all = Picture { width, height, axis: x + inner.axis, last: inner.last, ..Picture::default() };
    all.frames.push(Shape { area: Area { x: 0.0, y: 0.0, width, height }, label });
    all.put(inner, x, title.height);
    all
}

impl Picture {
    /// Takes over another one at a place.
    fn put(&mut self, other: Picture, x: f64, y: f64) {
        let moved = |shape: Shape| Shape { area: Area { x: shape.area.x + x, y: shape.area.y + y, ..shape.area }, ..shape };
        self.boxes.extend(other.boxes.into_iter().map(moved));
        self.frames.extend(other.frames.into_iter().map(moved));
        self.lines.extend(
            other
                .lines
                .into_iter()
                .map(|line| Line { corners: line.corners.into_iter().map(|(at_x, at_y)| (at_x + x, at_y + y)).collect(), ..line }),
        );
    }
}
