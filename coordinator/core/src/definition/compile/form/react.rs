//! `on_refused` and `on_failed`: what follows when a node was refused or failed.

use std::ops::Range;

use super::super::fields::{Fields, Word, is_code, word};
use super::super::keys::REACTION;
use super::super::report::{Report, did_you_mean, suggest};
use super::node::{NodeForm, read_steps};
use super::within;
use crate::definition::yaml::{Kind, Node};
use crate::definition::{Next, Reaction};

/// Reactions of one key.
pub(in crate::definition::compile) const CODES_MAX: usize = 50;
/// Rounds of one node: they stay in its saga's row.
pub(crate) const ROUNDS_MAX: u16 = 20;
const FORM: &str =
    "undo, go_on, stuck, { steps: [ ... ], next: go_on | retry | undo }, or one of these for each code: { CODE: ..., else: ... }";

/// What follows upon a code.
pub(in crate::definition::compile) struct OnForm {
    /// None: whatever comes to it.
    pub(in crate::definition::compile) code: Option<Word>,
    /// Of steps the number of the list is not known yet.
    pub(in crate::definition::compile) reaction: Reaction,
    pub(in crate::definition::compile) steps: Option<Vec<NodeForm>>,
    pub(in crate::definition::compile) span: Range<usize>,
}

/// A reaction to everything, or one for each code: those that can be read.
pub(super) fn read(node: Option<&Node>, key: &str, report: &mut Report<'_>) -> Vec<OnForm> {
    let Some(node) = node else { return Vec::new() };
    let Kind::Map(entries) = &node.kind else { return Vec::from_iter(OnForm::read(node, report)) };
    if is_steps(node) {
        return Vec::from_iter(OnForm::read(node, report));
    }
    // A word that is nearly one of a reaction is no code.
    let is_own = |key: &str| !is_code(key) && suggest(key, REACTION.names()).is_some();
    if entries.iter().any(|(key, _)| key.scalar().is_some_and(is_own)) {
        return Vec::from_iter(OnForm::read(node, report));
    }
    if entries.is_empty() || entries.len() > CODES_MAX {
        report.error(&node.span, format!("{key} has 1 to {CODES_MAX} codes, not {}", entries.len()), FORM);
        return Vec::new();
    }
    let last = entries.len() - 1;
    let read = |(at, (code, reaction)): (usize, &(Node, Node))| {
        if code.scalar() == Some("else") {
            if at != last {
                report.error(&code.span, "else comes last", "it is for all codes that are not named before it");
            }
            return OnForm::read(reaction, report);
        }
        const CODE: &str = "capital letters, digits and _, for example OUT_OF_STOCK; or else";
        let read_code = word(code, "a code", is_code, CODE, report);
        let read = OnForm::read(reaction, report)?;
        // Whatever it is, the steps of its reaction are there.
        Some(OnForm { code: Some(read_code.unwrap_or_else(|| Word::unreadable(&code.span))), ..read })
    };
    entries.iter().enumerate().filter_map(read).collect()
}

/// A step, or a list of them, where a reaction should stand.
fn is_steps(node: &Node) -> bool {
    match &node.kind {
        Kind::List(items) => items.iter().any(|item| item.named("step").is_some()),
        _ => node.named("step").is_some() && node.named("steps").is_none(),
    }
}

impl OnForm {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<OnForm> {
        let span = node.span.clone();
        let plain = |reaction| Some(OnForm { code: None, reaction, steps: None, span: node.span.clone() });
        match (&node.kind, node.scalar()) {
            (_, Some("undo")) => plain(Reaction::Undo),
            (_, Some("go_on")) => plain(Reaction::GoOn),
            (_, Some("stuck")) => plain(Reaction::Stuck),
            (_, Some(other)) => {
                let hint = match other {
                    "retry" => "{ steps: [ ... ], next: retry, at_most: 2 }: what is done before it is asked again".to_owned(),
                    "continue" | "ignore" | "skip" | "proceed" | "next" => "here it is called go_on".to_owned(),
                    "compensate" | "rollback" | "abort" | "fail" | "cancel" => "here it is called undo".to_owned(),
                    _ => did_you_mean(other, ["undo", "go_on", "stuck"]),
                };
                report.error(&span, format!("'{other}' is no reaction"), hint);
                None
            }
            (Kind::List(_) | Kind::Map(_), None) if is_steps(node) => {
                report.error(&span, "the steps of a reaction stand in steps", "{ steps: [ ... ], next: go_on | retry | undo }");
                let reaction = Reaction::Steps { list: 0, next: Next::Retry, at_most: 1 };
                Some(OnForm { code: None, reaction, steps: Some(within::steps(node, report)), span })
            }
            (Kind::Map(_), None) => {
                let (reaction, steps) = read_steps_reaction(node, report)?;
                Some(OnForm { code: None, reaction, steps: Some(steps), span })
            }
            _ => {
                report.error(&span, format!("a reaction is needed here, not {}", node.describe()), FORM);
                None
            }
        }
    }
}

fn read_steps_reaction(node: &Node, report: &mut Report<'_>) -> Option<(Reaction, Vec<NodeForm>)> {
    let fields = Fields::of(node, &REACTION, &[], report)?;
    let steps = fields.needed("steps", "{ steps: [ ... ], next: go_on | retry | undo }", report);
    let steps = steps.map_or_else(Vec::new, |node| read_steps(node, report));
    const NEXT: &str = "next: go_on (goes on behind the step), retry (asks it again), or undo";
    let next = fields.needed("next", NEXT, report).and_then(|node| match node.scalar() {
        Some("go_on") => Some(Next::GoOn),
        Some("retry") => Some(Next::Retry),
        Some("undo") => Some(Next::Undo),
        _ => {
            report.error(&node.span, "next is go_on, retry or undo", NEXT);
            None
        }
    });
    let at_most = match (fields.node("at_most"), next) {
        (None, Some(Next::Retry)) => {
            let message = "at_most is missing: a retry without end is none";
            report.error(&node.span, message, "at_most: 2, for example, asks two more times");
            None
        }
        (None, _) => Some(1),
        (Some(node), Some(Next::GoOn | Next::Undo)) => {
            report.error(&node.span, "at_most belongs to next: retry", "remove it");
            None
        }
        (Some(node), _) => {
            let count = node.scalar().and_then(|text| text.parse::<u16>().ok()).filter(|count| (1..ROUNDS_MAX).contains(count));
            if count.is_none() {
                let hint = "at_most: 2, for example, asks two more times; what needs many attempts is tried again by retry";
                report.error(&node.span, format!("at_most is a number from 1 to {}", ROUNDS_MAX - 1), hint);
            }
            count
        }
    };
    // Where that cannot be read, or its steps, nothing more is said of it: behind a retry all is as certain as without a reaction.
    let next = next.filter(|_| !steps.is_empty()).unwrap_or(Next::Retry);
    let at_most = at_most.unwrap_or(1);
    // The number of its list is known when the nodes are written.
    Some((Reaction::Steps { list: 0, next, at_most }, steps))
}
