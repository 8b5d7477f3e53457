//! What a for_each waits for: which of its items, and how to look at them.

use ringmaster_schemas::names::{item_id, run_id};
use ringmaster_schemas::state::{Children, Entry, Waits, Work};

use super::{Leaf, Way, may_be_cancelled};
use crate::definition::{Definition, Verb};

/// So many stretches of items are named, and so many items have a line of their own, at most.
const NAMED_MAX: usize = 5;
const WAYS_MAX: usize = 3;

impl Leaf<'_> {
    /// Which items are under way, and which of them are held.
    pub(super) fn items(&self) -> String {
        let Some(rows) = self.entry.children() else { return "its items".to_owned() };
        if let Some(id) = self.sub_saga() {
            let undo = if self.entry.work == Work::Undoing { "the undo of " } else { "" };
            let held = if held(rows).is_empty() {
                ""
            } else {
                ", where a person is needed, a participant is not asked now, or which is paused"
            };
            let left = if rows.open.is_empty() && self.entry.work != Work::Undoing { ", which has not begun" } else { "" };
            return format!("{undo}the sub-saga {id}{left}{held}");
        }
        let open = open(rows);
        let items = match (self.entry.work, &open[..]) {
            (Work::Undoing, []) => "the undo of its items".to_owned(),
            (Work::Undoing, open) => format!("the undo of {}", named(open)),
            (_, []) => "its items".to_owned(),
            (_, open) => named(open),
        };
        let count = match rows.count {
            1 => "its only one".to_owned(),
            count => format!("of {count}, numbered from 0"),
        };
        let rest = match (self.entry.work, rows.begun - rows.open.len() as u16, rows.count - rows.begun) {
            (Work::Undoing, ..) if rows.to_recall == 0 => "no other is to be undone".to_owned(),
            (Work::Undoing, ..) => format!("up to {} more are to be undone", rows.to_recall),
            (_, ended, 0) => format!("{ended} have ended, all have begun"),
            (_, ended, left) => format!("{ended} have ended, {left} have not begun"),
        };
        if self.saga.paused().is_some() && self.entry.work == Work::Open {
            return format!(
                "{items} ({count}); {rest}; the saga is paused, and so are they: no other begins; `ringmaster saga list --stuck` names those that need a person"
            );
        }
        let held: Vec<u16> = held(rows);
        let held = match &held[..] {
            [] => String::new(),
            held => format!("; held, since a person is needed or a participant is not asked now: {}", stretches(held)),
        };
        format!("{items} ({count}); {rest}{held}")
    }

    /// The id of the sub-saga, where it is one.
    fn sub_saga(&self) -> Option<String> {
        let node = self.node.filter(|node| matches!(node.verb, Verb::Run(_)))?;
        Some(run_id(&self.saga.id, &node.name, self.entry.round))
    }

    pub(super) fn items_then(&self) -> String {
        if self.sub_saga().is_some() {
            return match self.entry.work {
                Work::Undoing => "the end of its undo: then what is around it is undone, or its reaction follows".to_owned(),
                _ => "its end: its result is read then; if it is undone, this step is refused by its code".to_owned(),
            };
        }
        let stands = self.entry.children().is_some_and(|rows| !held(rows).is_empty());
        let then = match self.entry.work {
            Work::Undoing => "the end of their undos: then what is around them is undone, or its reaction follows",
            _ => "the end of each, as the next begins; the first that ends badly stops the others",
        };
        let clocks = if stands { "; while one is held the others go on, and no clock around them runs" } else { "" };
        format!("{then}{clocks}")
    }

    /// How they are looked at: those that are held first.
    pub(super) fn items_ways(&self) -> Vec<Way> {
        let Some(rows) = self.entry.children() else { return Vec::new() };
        if let Some(id) = self.sub_saga() {
            let mut ways = vec![Way::look(format!("ringmaster saga why {id}"), "what it waits for".to_owned())];
            ways.extend(may_be_cancelled(self.saga, self.node));
            return ways;
        }
        let node = self.node.map_or("", |node| &*node.name);
        let id = |index: u16| item_id(&self.saga.id, node, self.entry.round, index);
        let held = held(rows);
        let mut ways: Vec<Way> = held.iter().take(WAYS_MAX).map(|index| why(&id(*index), *index, ", which is held,")).collect();
        if held.is_empty() {
            ways.extend(open(rows).first().map(|index| why(&id(*index), *index, "")));
        }
        ways.extend(may_be_cancelled(self.saga, self.node));
        ways
    }
}

fn why(id: &str, index: u16, which: &str) -> Way {
    Way::look(format!("ringmaster saga why {id}"), format!("what item {index}{which} waits for"))
}

/// The numbers of the items that are under way, in their order.
fn open(rows: &Children) -> Vec<u16> {
    let mut open: Vec<u16> = rows.open.iter().map(|child| child.index).collect();
    open.sort_unstable();
    open
}

fn held(rows: &Children) -> Vec<u16> {
    let mut held: Vec<u16> = rows.open.iter().filter(|child| child.held).map(|child| child.index).collect();
    held.sort_unstable();
    held
}

fn named(items: &[u16]) -> String {
    let word = if items.len() == 1 { "item" } else { "items" };
    format!("{word} {}", stretches(items))
}

/// Numbers in order as people write them: `3, 7 to 9 and 12`.
fn stretches(items: &[u16]) -> String {
    let mut all: Vec<(u16, u16)> = Vec::new();
    for item in items {
        match all.last_mut() {
            Some((_, last)) if *last + 1 == *item => *last = *item,
            _ => all.push((*item, *item)),
        }
    }
    let left = all.iter().skip(NAMED_MAX).map(|(first, last)| usize::from(last - first) + 1).sum::<usize>();
    let mut said: Vec<String> = all.iter().take(NAMED_MAX).map(|(first, last)| stretch(*first, *last)).collect();
    if left > 0 {
        said.push(format!("{left} more"));
    }
    match said.pop() {
        Some(last) if !said.is_empty() => format!("{} and {last}", said.join(", ")),
        last => last.unwrap_or_default(),
    }
}

fn stretch(first: u16, last: u16) -> String {
    match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    }
}

/// What an open entry waits for, in a word: a run has one row below it, which is no item.
pub fn reason_of(definition: &Definition, entry: &Entry) -> &'static str {
    reason_at(definition, entry.node, entry.waits)
}

/// The same of what waits so at a node.
pub fn reason_at(definition: &Definition, node: u16, waits: Waits) -> &'static str {
    match definition.node(node).map(|node| &node.verb) {
        Some(Verb::Run(_)) if waits == Waits::Children => "sub-saga",
        _ => waits.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::stretches;

    #[test]
    fn numbers_are_said_as_people_write_them() {
        for (items, said) in [
            (&[3][..], "3"),
            (&[3, 4], "3, 4"),
            (&[3, 5], "3 and 5"),
            (&[0, 1, 2, 7], "0 to 2 and 7"),
            (&[0, 2, 4, 6, 8, 10, 11, 12], "0, 2, 4, 6, 8 and 3 more"),
        ] {
            assert_eq!(stretches(items), said);
        }
    }
}
