//! A definition as a flowchart of Mermaid, which GitHub and many editors draw.

use ringmaster_core::definition::compile::outline::{Does, Outline, Part};

use super::{Kind, Label, is_last, with_steps};

/// The text of a flowchart.
pub fn draw(outline: &Outline) -> String {
    let mut chart = Chart {
        text: format!("---\ntitle: {}\n---\nflowchart TD\n", quoted(&outline.saga)),
        edges: Vec::new(),
        count: 0,
        indent: 1,
    };
    let start = chart.node(&Label::start(outline));
    let open = chart.sequence(&outline.steps, vec![Exit { node: start, label: None }]);
    let [completed, compensated] = Label::ends(outline);
    if !outline.steps.iter().any(is_last) {
        let end = chart.node(&completed);
        chart.join(open, end);
    }
    chart.node(&compensated);
    for edge in std::mem::take(&mut chart.edges) {
        chart.line(&edge);
    }
    chart.line("classDef pivot stroke-width:4px");
    chart.text
}

/// A node that the next one follows on, and what is said of the way there.
struct Exit {
    node: usize,
    label: Option<String>,
}

struct Chart {
    text: String,
    /// Behind all nodes: one that is named inside a frame would be drawn in it.
    edges: Vec<String>,
    /// Nodes and frames so far: each has a number of its own.
    count: usize,
    indent: usize,
}

impl Chart {
    fn line(&mut self, line: &str) {
        self.text += &format!("{}{line}\n", "    ".repeat(self.indent));
    }

    fn number(&mut self) -> usize {
        self.count += 1;
        self.count - 1
    }

    fn node(&mut self, label: &Label) -> usize {
        let number = self.number();
        let text = quoted(&label.lines.join("\n"));
        let shape = match label.kind {
            Kind::End => format!("([{text}])"),
            Kind::Step => format!("[{text}]"),
            Kind::Pivot => format!("[{text}]:::pivot"),
            Kind::Refusal => format!("[/{text}/]"),
            Kind::Choice => format!("{{{{{text}}}}}"),
            Kind::Arm => format!("({text})"),
        };
        self.line(&format!("n{number}{shape}"));
        number
    }

    fn join(&mut self, open: Vec<Exit>, node: usize) {
        for Exit { node: from, label } in open {
            match label {
                None => self.edges.push(format!("n{from} --> n{node}")),
                Some(label) => self.edges.push(format!("n{from} -->|{}| n{node}", quoted(&label))),
            }
        }
    }

    /// Steps behind what is open; what is open behind them.
    fn sequence(&mut self, steps: &[Part], mut open: Vec<Exit>) -> Vec<Exit> {
        for part in steps {
            open = self.step(part, open);
        }
        open
    }

    fn step(&mut self, part: &Part, open: Vec<Exit>) -> Vec<Exit> {
        let first = self.count;
        let mut open = self.without_reactions(part, open);
        for answer in with_steps(part) {
            let label = format!("on {}", answer.to);
            let behind = self.sequence(&answer.steps, vec![Exit { node: first, label: Some(label) }]);
            let next = self.node(&Label { kind: Kind::End, step: None, lines: vec![format!("next: {}", answer.next)] });
            self.join(behind, next);
            if answer.goes_on {
                open.push(Exit { node: next, label: None });
            }
        }
        open
    }

    fn without_reactions(&mut self, part: &Part, open: Vec<Exit>) -> Vec<Exit> {
        let label = Label::step(part);
        match &part.does {
            Does::Ask { .. }
            | Does::Emit(_)
            | Does::Refuse(_)
            | Does::Sleep(_)
            | Does::Approval { .. }
            | Does::Wait { .. }
            | Does::Run(_) => {
                let node = self.node(&label);
                self.join(open, node);
                if is_last(part) { Vec::new() } else { vec![Exit { node, label: None }] }
            }
            Does::Group(steps) | Does::ForEach { steps, .. } => {
                let number = self.number();
                self.line(&format!("subgraph n{number}[{}]", quoted(&label.lines.join("\n"))));
                self.indent += 1;
                let open = self.sequence(steps, open);
                self.indent -= 1;
                self.line("end");
                open
            }
            Does::Switch(arms) => {
                let choice = self.node(&label);
                self.join(open, choice);
                let mut behind = Vec::new();
                for arm in arms {
                    let label = Label::arm(arm.condition.as_deref()).lines.concat();
                    behind.extend(self.sequence(&arm.steps, vec![Exit { node: choice, label: Some(label) }]));
                }
                behind
            }
            Does::Parallel(branches) => {
                let fork = self.node(&label);
                self.join(open, fork);
                let mut behind = Vec::new();
                for (name, steps) in branches {
                    behind.extend(self.sequence(steps, vec![Exit { node: fork, label: Some(name.clone()) }]));
                }
                behind
            }
        }
    }
}

/// A text in quotes, in which nothing means anything to Mermaid; a line is a line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("#quot;"),
            '\n' => quoted.push_str("<br/>"),
            // `%%` is a comment or a directive, wherever it stands.
            '#' | '&' | '<' | '>' | '`' | '|' | '\\' | '%' | '{' | '}' | ';' => {
                quoted.push_str(&format!("#{};", u32::from(letter)))
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}
