//! Boxes that stand where they should, and texts that mean nothing to XML or Mermaid.

use ringmaster_core::definition::compile::outline::{Answer, Arm, Begin, Does, Emission, Outline, Part};

use super::layout::{Area, picture};
use super::{mermaid, svg};

/// Names and conditions of every kind that YAML lets through.
const TEXTS: [&str; 6] = [
    "start.total > 100 && start.region == 'EU'",
    "a",
    "<script>alert(\"&amp;\")</script>",
    "steps.?score_fraud.?score.orValue(0) > 80 || start.customer.tier != 'gold' || start.total >= 5000",
    "start.name == '日本語のとても長い名前、そしてもっと長い名前。これは四十六文字を超えるはずです、きっと超える'",
    "`#1;|x|\\]]>--%%{init: {}}",
];

fn outline(random: &mut fastrand::Rng) -> Outline {
    let text = |random: &mut fastrand::Rng| (*random.choice(&TEXTS).expect("there are some")).to_owned();
    let told = |random: &mut fastrand::Rng| Emission { event: text(random), topic: text(random) };
    let depth = random.usize(1..5);
    Outline {
        saga: text(random),
        cancel: random.bool().then(|| text(random)),
        starts: (0..random.usize(1..3))
            .map(|_| Begin { event: text(random), topic: text(random), condition: random.bool().then(|| text(random)) })
            .collect(),
        steps: parts(random, depth, 1),
        completed: (0..random.usize(..3)).map(|_| told(random)).collect(),
        compensated: (0..random.usize(..3)).map(|_| told(random)).collect(),
    }
}

fn parts(random: &mut fastrand::Rng, depth: usize, least: usize) -> Vec<Part> {
    (0..random.usize(least..4)).map(|_| part(random, depth)).collect()
}

fn part(random: &mut fastrand::Rng, depth: usize) -> Part {
    let text = |random: &mut fastrand::Rng| (*random.choice(&TEXTS).expect("there are some")).to_owned();
    let condition = random.bool().then(|| text(random));
    let does = match random.u8(..if depth == 0 { 6 } else { 10 }) {
        0 => Does::Ask { command: text(random), undo: random.bool().then(|| text(random)), pivot: random.bool() },
        1 => Does::Emit(Emission { event: text(random), topic: text(random) }),
        2 => Does::Refuse(text(random)),
        3 if random.bool() => Does::Run(text(random)),
        3 => Does::Sleep(text(random)),
        4 => Does::Approval { role: text(random), escalations: vec![(text(random), text(random))] },
        5 => {
            let (event, topic) = (text(random), random.bool().then(|| text(random)));
            Does::Wait { event, topic, condition: random.bool().then(|| text(random)) }
        }
        6 => Does::Group(parts(random, depth - 1, 1)),
        7 => Does::ForEach {
            item: text(random),
            list: text(random),
            at_once: random.u16(1..101),
            steps: parts(random, depth - 1, 1),
        },
        8 => Does::Parallel((0..random.usize(2..4)).map(|_| (text(random), parts(random, depth - 1, 1))).collect()),
        _ => {
            let arm = |random: &mut fastrand::Rng, condition| Arm { condition, steps: parts(random, depth - 1, 0) };
            let mut arms: Vec<Arm> = Vec::new();
            for _ in 0..random.usize(1..4) {
                let condition = Some(text(random));
                arms.push(arm(random, condition));
            }
            arms.push(arm(random, None));
            Does::Switch(arms)
        }
    };
    let answer = |random: &mut fastrand::Rng| Answer {
        to: text(random),
        steps: if depth == 0 { Vec::new() } else { parts(random, depth - 1, 0) },
        next: text(random),
        goes_on: random.bool(),
    };
    let reactions = if random.u8(..4) == 0 { (0..random.usize(1..4)).map(|_| answer(random)).collect() } else { Vec::new() };
    Part { name: text(random), condition, does, reactions }
}

/// How many boxes and frames steps have.
fn count(parts: &[Part]) -> (usize, usize) {
    parts.iter().fold((0, 0), |(boxes, frames), part| {
        let (more_boxes, more_frames) = match &part.does {
            Does::Ask { .. }
            | Does::Emit(_)
            | Does::Refuse(_)
            | Does::Sleep(_)
            | Does::Approval { .. }
            | Does::Wait { .. }
            | Does::Run(_) => (1, 0),
            Does::Group(steps) | Does::ForEach { steps, .. } => {
                let (boxes, frames) = count(steps);
                (boxes, frames + 1)
            }
            Does::Switch(arms) => arms.iter().fold((1, 0), |(boxes, frames), arm| {
                let (more_boxes, more_frames) = count(&arm.steps);
                (boxes + 1 + more_boxes, frames + more_frames)
            }),
            Does::Parallel(branches) => branches.iter().fold((1, 0), |(boxes, frames), (_, steps)| {
                let (more_boxes, more_frames) = count(steps);
                (boxes + 1 + more_boxes, frames + more_frames)
            }),
        };
        let reactions = part.reactions.iter().filter(|answer| !answer.steps.is_empty());
        let (more_boxes, more_frames) = reactions.fold((more_boxes, more_frames), |(boxes, frames), answer| {
            let (more_boxes, more_frames) = count(&answer.steps);
            (boxes + 2 + more_boxes, frames + more_frames)
        });
        (boxes + more_boxes, frames + more_frames)
    })
}

fn apart(a: &Area, b: &Area) -> bool {
    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
}

fn holds(outer: &Area, inner: &Area) -> bool {
    const LEAST: f64 = -0.001;
    inner.x - outer.x >= LEAST
        && inner.y - outer.y >= LEAST
        && outer.x + outer.width - inner.x - inner.width >= LEAST
        && outer.y + outer.height - inner.y - inner.height >= LEAST
}

/// A point inside a box, not on its edge.
fn is_inside(area: &Area, (x, y): (f64, f64)) -> bool {
    const EDGE: f64 = 0.01;
    x > area.x + EDGE && x < area.x + area.width - EDGE && y > area.y + EDGE && y < area.y + area.height - EDGE
}

#[test]
fn nothing_overlaps() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..1_000 {
        let outline = outline(&mut random);
        let picture = picture(&outline);
        let (boxes, frames) = count(&outline.steps);
        assert_eq!(picture.frames.len(), frames, "{outline:#?}");
        assert!((boxes + 2..=boxes + 3).contains(&picture.boxes.len()), "{outline:#?}");
        let whole = Area { x: 0.0, y: 0.0, width: picture.width, height: picture.height };
        for (number, one) in picture.boxes.iter().enumerate() {
            assert!(holds(&whole, &one.area), "{outline:#?}");
            for other in &picture.boxes[..number] {
                assert!(apart(&one.area, &other.area), "{one:?}\n{other:?}\n{outline:#?}");
            }
            for frame in &picture.frames {
                assert!(holds(&frame.area, &one.area) || apart(&frame.area, &one.area), "{one:?}\n{frame:?}");
            }
        }
        for (number, one) in picture.frames.iter().enumerate() {
            for other in &picture.frames[..number] {
                let nested = holds(&one.area, &other.area) || holds(&other.area, &one.area);
                assert!(nested || apart(&one.area, &other.area), "{one:?}\n{other:?}");
            }
        }
        // No line goes through a box.
        for line in &picture.lines {
            for pair in line.corners.windows(2) {
                let middle = ((pair[0].0 + pair[1].0) / 2.0, (pair[0].1 + pair[1].1) / 2.0);
                let through = picture.boxes.iter().find(|shape| is_inside(&shape.area, middle));
                assert!(through.is_none(), "{line:?} goes through {through:?}");
            }
        }
    }
}

#[test]
fn texts_are_texts() {
    let mut random = fastrand::Rng::with_seed(12);
    for _ in 0..200 {
        let outline = outline(&mut random);
        let drawn = svg::draw(&outline);
        let document = roxmltree::Document::parse(&drawn).unwrap_or_else(|error| panic!("{error}\n{drawn}"));
        for node in document.descendants().filter(|node| node.is_element()) {
            let known = ["svg", "title", "style", "marker", "path", "rect", "g", "text"];
            assert!(known.contains(&node.tag_name().name()), "{}", node.tag_name().name());
        }
        let (boxes, frames) = count(&outline.steps);
        let shapes = document.descendants().filter(|node| node.has_tag_name((SVG, "rect"))).count();
        assert!((boxes + frames + 2..=boxes + frames + 3).contains(&shapes));
        for line in mermaid::draw(&outline).lines().skip(4) {
            let outside: String = line.split('"').step_by(2).collect();
            assert!(line.matches('"').count().is_multiple_of(2) && !outside.contains(['#', '<', '`', ';']), "{line}");
            let inside: String = line.split('"').skip(1).step_by(2).collect::<String>().replace("<br/>", "");
            assert!(!inside.contains(['<', '>', '`', '|', '\\', '&', '%', '{', '}']), "{line}");
        }
    }
}

const SVG: &str = "http://www.w3.org/2000/svg";

/// By the names of its boxes what waits at a step is found: they are those of the compiled definition.
#[test]
fn boxes_are_named_as_the_steps_that_sagas_wait_at() {
    use ringmaster_core::definition::compile::outline::outline;
    use ringmaster_core::definition::{DefinitionRecord, Settings};
    use ringmaster_schemas::registry::Schemas;

    let sagas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas");
    let mut schemas = Schemas::load_folder(&sagas.join("schemas")).expect("they are right");
    let (mut settings, mut count) = (Settings::new(&mut schemas), 0);
    let text = std::fs::read_to_string(sagas.join("order-fulfilment.yaml")).expect("the order saga");
    for record in DefinitionRecord::of_file("order.yaml", &text, 0, &mut settings).expect("it is right") {
        let definition = record.compile(&mut settings).expect("it is right");
        let outlines = outline(&record.file, &record.text).expect("it is right");
        let graph = super::Graph::of(&outlines[0]);
        let drawn: std::collections::BTreeSet<&str> =
            graph.boxes.iter().chain(&graph.frames).filter_map(|shape| shape.step.as_deref()).collect();
        let nodes = definition.nodes.iter().skip(1).map(|node| &*node.name);
        let nodes: std::collections::BTreeSet<&str> = nodes.collect();
        assert!(drawn.is_subset(&nodes), "{drawn:?} {nodes:?}");
        assert!(definition.steps().all(|step| drawn.contains(&*step.node.name)), "{drawn:?} {nodes:?}");
        count += drawn.len();
    }
    assert!(count >= 3, "there are steps");
}
