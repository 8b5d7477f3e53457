//! A random definition whose steps are done for each item of lists, as a person would write it.

mod each;

use std::fmt::Write as _;

use fastrand::Rng;

/// Its name, where it is alone.
pub(in crate::random) const SAGA: &str = "family";
/// Most items of a list.
pub(in crate::random) const ITEMS_MAX: usize = 7;
/// The topic of events that are known by a value, and what they are called.
pub(in crate::random) const TAGS: &str = "tags";
pub(in crate::random) const TAGGED: &str = "Tagged";

/// Writes a definition.
pub(super) struct Writer<'r> {
    random: &'r mut Rng,
    out: String,
    steps: usize,
    /// Names of the items around, the innermost last.
    items: Vec<String>,
    /// Steps that can be read: of this list and those around it.
    known: Vec<String>,
    /// Lists of results that certainly are there at the end.
    lists: Vec<String>,
    /// Behind the pivot: nothing is undone, and nothing may be refused but by a participant.
    is_behind: bool,
    /// It is run by others.
    is_part: bool,
    /// Other sagas of the same definition are there at the same time: most of them have values of their own.
    is_in_crowd: bool,
    /// The code that a reaction names.
    code: &'static str,
    /// What it may run, and whether that holds a pivot.
    sagas: Vec<(String, bool)>,
}

/// The text of a definition, and of those that it runs.
pub(super) fn text(random: &mut Rng) -> String {
    text_as(random, SAGA, false)
}

/// The same by this name, with which those of what it runs begin.
pub(in crate::random) fn text_as(random: &mut Rng, saga: &str, is_in_crowd: bool) -> String {
    let count = [0, 1, 1, 2][random.usize(..4)];
    let (mut below, mut sagas): (Vec<String>, Vec<(String, bool)>) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (name, has_pivot) = (format!("{saga}-part{number}"), random.u32(0..3) == 0);
        let writer = Writer { is_part: true, is_in_crowd, ..Writer::new(random, &sagas) };
        below.push(part(writer, &name, has_pivot));
        sagas.push((name, has_pivot));
    }
    let mut writer = Writer { is_in_crowd, ..Writer::new(random, &sagas) };
    writer.line(0, &format!("saga: {saga}"));
    writer.line(0, "start: { on: Wanted, from: wanted, key: event.id }");
    writer.line(0, "retain: 3600000ms");
    writer.deadline();
    writer.search();
    if writer.random.u32(0..4) == 0 {
        writer.line(0, "priority: 8");
    }
    writer.line(0, "steps:");
    writer.list(2, 0);
    if writer.random.bool() {
        writer.each(2, 0);
    }
    let is_pivot = writer.last();
    if is_pivot && writer.random.bool() {
        writer.is_behind = true;
        writer.each(2, 0);
    }
    writer.line(0, "on_completed: { emit: Got, to: ends, with: { id: key } }");
    writer.line(0, "on_compensated: { emit: GotNothing, to: ends, with: { id: key } }");
    below.insert(0, writer.out);
    below.join("---\n")
}

/// The text of a definition that others run.
fn part(mut writer: Writer<'_>, name: &str, has_pivot: bool) -> String {
    writer.line(0, &format!("saga: {name}"));
    writer.line(0, "input: { n: int, items: list(int), few: list(int) }");
    writer.deadline();
    writer.search();
    writer.line(0, "steps:");
    writer.list(2, 0);
    if has_pivot {
        writer.pivot();
        if writer.random.bool() {
            writer.is_behind = true;
            writer.list(2, 1);
        }
    }
    if writer.random.bool() {
        writer.line(0, "result: { n: start.n }");
    } else {
        writer.line(0, "result: { n: start.n + 1, more: start.items }");
    }
    if writer.random.bool() {
        writer.line(0, "on_completed: { emit: PartGot, to: ends, with: { id: key } }");
        writer.line(0, "on_compensated: { emit: PartGotNothing, to: ends, with: { id: key, why: failure.code } }");
    }
    writer.out
}

impl<'r> Writer<'r> {
    fn new(random: &'r mut Rng, sagas: &[(String, bool)]) -> Writer<'r> {
        Writer {
            random,
            out: String::new(),
            steps: 0,
            items: Vec::new(),
            known: Vec::new(),
            lists: Vec::new(),
            is_behind: false,
            is_part: false,
            is_in_crowd: false,
            code: "NO",
            sagas: sagas.to_vec(),
        }
    }

    fn deadline(&mut self) {
        if self.random.u32(0..4) == 0 {
            let deadline = self.random.u32(2_000..60_000);
            self.line(0, &format!("deadline: {deadline}ms"));
        }
    }

    /// What it is found by; the number it may have alone.
    fn search(&mut self) {
        if self.random.u32(0..3) > 0 {
            return;
        }
        self.line(0, "search:");
        self.line(2, "who: key");
        let unique = self.random.u32(0..3) > 0;
        // In a crowd few others want the same.
        let number = if self.is_in_crowd { "start.n + 5 * size(start.items)" } else { "start.n" };
        self.line(2, &format!("tag: {{ value: \"'v' + string({number})\", unique: {unique} }}"));
    }

    /// The pivot: a step, or a saga that holds one.
    fn pivot(&mut self) {
        let sagas: Vec<String> = self.sagas.iter().filter(|(_, pivot)| *pivot).map(|(name, _)| name.clone()).collect();
        if let Some(saga) = self.random.choice(&sagas).filter(|_| !sagas.is_empty()).cloned()
            && self.random.u32(0..4) > 0
        {
            return self.run(2, &saga, true);
        }
        let name = self.name('s');
        self.line(2, &format!("- step: {name}"));
        self.line(4, "do: bank.Do");
        self.line(4, "with: { n: start.n }");
        self.line(4, "pivot: true");
        self.line(4, "timeout: 2s");
    }

    /// Another saga, as a step.
    fn run(&mut self, indent: usize, saga: &str, is_pivot: bool) {
        let name = self.name('u');
        self.line(indent, &format!("- step: {name}"));
        if !is_pivot && self.random.u32(0..6) == 0 {
            self.condition(indent + 2);
        }
        self.line(indent + 2, &format!("run: {saga}"));
        let number = self.number();
        self.line(indent + 2, &format!("with: {{ n: \"{number}\", items: start.items, few: start.few }}"));
        if !is_pivot && !self.is_behind && self.random.u32(0..6) == 0 {
            let within = self.random.u32(1_000..30_000);
            self.line(indent + 2, &format!("within: {within}ms"));
        }
        if is_pivot {
            if self.random.u32(0..4) == 0 {
                self.line(indent + 2, "on_refused: { DEADLINE: undo, else: undo }");
            }
        } else {
            // One that asks nobody is refused with no code of theirs, and one that claims nothing not for a value.
            self.code = "EXPIRED";
            self.reactions(indent + 2, 2);
            self.code = "NO";
        }
        self.known.push(name);
    }
}

impl Writer<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        writeln!(self.out, "{:indent$}{text}", "").expect("writing to memory");
    }

    fn name(&mut self, letter: char) -> String {
        self.steps += 1;
        format!("{letter}{}", self.steps)
    }

    /// What all lists came to is told, so that their order can be seen.
    fn last(&mut self) -> bool {
        if self.sagas.iter().any(|(_, pivot)| *pivot) && self.random.u32(0..3) > 0 {
            self.pivot();
            return true;
        }
        let fields: Vec<String> = self.lists.iter().map(|list| format!("{list}: steps.{list}")).collect();
        self.line(2, "- step: tell");
        self.line(4, "do: bank.Tell");
        self.line(4, &format!("with: {{ id: key, {} }}", fields.join(", ")).replace(", }", " }"));
        let is_pivot = self.random.bool();
        self.line(4, if is_pivot { "pivot: true" } else { "undo: nothing" });
        self.line(4, "timeout: 2s");
        is_pivot
    }

    fn list(&mut self, indent: usize, depth: usize) {
        let known = self.known.len();
        for _ in 0..self.random.usize(1..=3 - depth.min(2)) {
            self.node(indent, depth);
        }
        // Those of a list inside another are not read outside.
        if indent > 2 {
            self.known.truncate(known);
        }
    }

    fn node(&mut self, indent: usize, depth: usize) {
        let plain: Vec<String> = self.sagas.iter().filter(|(_, pivot)| !pivot).map(|(name, _)| name.clone()).collect();
        let most = if self.is_part { 1 } else { 2 };
        match self.random.u32(0..100) {
            0..12 if !plain.is_empty() && self.items.len() < most => {
                let saga = plain[self.random.usize(..plain.len())].clone();
                self.run(indent, &saga, false);
            }
            0..30 if self.items.len() < most && depth < 3 => self.each(indent, depth),
            30..36 if depth < 3 => {
                let name = self.name('g');
                self.line(indent, &format!("- step: {name}"));
                self.condition(indent + 2);
                self.line(indent + 2, "steps:");
                self.list(indent + 4, depth + 1);
                self.reactions(indent + 2, depth);
            }
            36..44 if depth < 3 => {
                let name = self.name('p');
                self.line(indent, &format!("- step: {name}"));
                self.line(indent + 2, "parallel:");
                for branch in ["one", "two"] {
                    self.line(indent + 4, &format!("{branch}:"));
                    self.list(indent + 6, depth + 1);
                }
                self.reactions(indent + 2, depth);
            }
            44..48 => {
                let name = self.name('z');
                self.line(indent, &format!("- step: {name}"));
                let millis = self.random.u32(1..5_000);
                self.line(indent + 2, &format!("sleep: {millis}ms"));
            }
            48..52 => {
                let name = self.name('a');
                self.line(indent, &format!("- step: {name}"));
                self.line(indent + 2, "approval: boss");
                self.line(indent + 2, "within: 9s");
                if self.random.bool() && !self.is_behind {
                    self.line(indent + 2, "on_refused: { EXPIRED: undo, else: go_on }");
                }
            }
            52..60 if !self.is_part => self.wait(indent, depth),
            60..64 if !self.items.is_empty() && !self.is_behind => {
                let name = self.name('r');
                self.line(indent, &format!("- step: {name}"));
                self.condition(indent + 2);
                self.line(indent + 2, "refuse: NO");
            }
            _ => self.ask(indent, depth),
        }
    }

    /// An event that is known by a value, which others may wait for, too.
    fn wait(&mut self, indent: usize, depth: usize) {
        let name = self.name('w');
        self.line(indent, &format!("- step: {name}"));
        let number = match (self.items.last(), self.random.u32(0..3)) {
            (Some(item), 0 | 1) => item,
            (Some(_), _) => "index",
            (None, _) => "start.n",
        };
        let prefix = if self.is_in_crowd { "key + '-t'" } else { "'t'" };
        let value = format!("{prefix} + string({number})");
        let condition = if self.random.bool() { ", if: event.ok" } else { "" };
        if self.random.u32(0..3) == 0 {
            self.line(indent + 2, "approval: boss");
            self.line(
                indent + 2,
                &format!("answer: {{ on: {TAGGED}, from: {TAGS}, match: \"tag == {value}\", approved: event.ok{condition} }}"),
            );
        } else {
            self.line(indent + 2, &format!("wait: {TAGGED}"));
            self.line(indent + 2, &format!("from: {TAGS}"));
            self.line(indent + 2, &format!("match: \"tag == {value}\""));
            if !condition.is_empty() {
                self.line(indent + 2, "if: event.ok");
            }
            self.known.push(name);
        }
        let within = self.random.u32(2_000..20_000);
        self.line(indent + 2, &format!("within: {within}ms"));
        self.code = ["EXPIRED", "VALUE_TAKEN"][self.random.usize(..2)];
        self.reaction(indent + 2, depth, "on_refused");
        self.code = "NO";
    }

    fn number(&mut self) -> String {
        match (self.random.u32(0..4), self.items.last(), self.known.last()) {
            (0, Some(_), _) => "index".to_owned(),
            (1, Some(item), _) => item.clone(),
            (2, _, Some(step)) => format!("steps.?{step}.?n.orValue(0)"),
            _ => "start.n".to_owned(),
        }
    }

    fn condition(&mut self, indent: usize) {
        let condition = match (self.items.is_empty(), self.random.u32(0..3)) {
            (false, 0) => "index != 1",
            (false, 1) => "index > 2",
            _ => "start.n > 1",
        };
        self.line(indent, &format!("if: {condition}"));
    }

    fn ask(&mut self, indent: usize, depth: usize) {
        let name = self.name('s');
        self.line(indent, &format!("- step: {name}"));
        if self.random.u32(0..6) == 0 {
            self.condition(indent + 2);
        }
        let (who, number) = (if self.random.bool() { "bank" } else { "shop" }, self.number());
        self.line(indent + 2, &format!("do: {who}.Do"));
        self.line(indent + 2, &format!("with: {{ n: {number} }}"));
        let number = self.number();
        match self.random.u32(0..6) {
            _ if self.is_behind => {}
            0 => self.line(indent + 2, "undo: nothing"),
            1 => self.line(indent + 2, &format!("undo: {{ do: court.Undo, with: {{ n: {number} }} }}")),
            _ => self.line(indent + 2, &format!("undo: {who}.Undo")),
        }
        self.line(indent + 2, "timeout: 2s");
        let attempts = self.random.u32(1..=3);
        self.line(indent + 2, &format!("retry: {{ attempts: {attempts}, first: 300ms }}"));
        self.reactions(indent + 2, depth);
        self.known.push(name);
    }

    fn reactions(&mut self, indent: usize, depth: usize) {
        for key in ["on_refused", "on_failed"] {
            self.reaction(indent, depth, key);
        }
    }

    fn reaction(&mut self, indent: usize, depth: usize, key: &str) {
        if self.is_behind {
            return;
        }
        match self.random.u32(0..12) {
            0 => self.line(indent, &format!("{key}: go_on")),
            1 => {
                let code = self.code;
                self.line(indent, &format!("{key}: {{ {code}: undo, else: go_on }}"));
            }
            2 if depth < 2 => {
                let next = ["go_on", "undo", "retry, at_most: 2"][self.random.usize(..3)];
                self.line(indent, &format!("{key}:"));
                self.line(indent + 2, "steps:");
                self.list(indent + 4, depth + 2);
                let (next, most) = next.split_once(", ").map_or((next, None), |(next, most)| (next, Some(most)));
                self.line(indent + 2, &format!("next: {next}"));
                most.into_iter().for_each(|most| self.line(indent + 2, most));
            }
            3 => self.line(indent, &format!("{key}: stuck")),
            _ => {}
        }
    }
}
