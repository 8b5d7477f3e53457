//! What an expression may name where it stands, what is certain there, and what it reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators as op};
use ringmaster_schemas::avro::Schema;

use super::items::{Derived, ItemName};
use super::parse::Parsed;
use super::tree::Root;

/// Names that a definition cannot give away.
pub(crate) const RESERVED: [&str; 11] =
    ["start", "steps", "rules", "key", "event", "failure", "now", "started", "index", "round", "saga"];

/// What a definition's expressions can name.
pub(crate) struct Names<'a> {
    /// The start event's schema; of several, of what they have in common.
    pub(crate) start: Arc<Schema>,
    /// False where what is wrong with what starts it is told, so that nobody knows what it has.
    pub(crate) start_is_known: bool,
    /// Fields that not every start event has.
    pub(crate) gaps: &'a BTreeMap<String, StartGap>,
    /// Of the events that are listened to; behind them, of several start events, each.
    pub(crate) events: Vec<Arc<Schema>>,
    pub(crate) nodes: Vec<NodeName<'a>>,
    /// The items of all for_eaches.
    pub(crate) items: Vec<ItemName<'a>>,
    /// Schemas that follow from expressions, as far as those were compiled.
    pub(crate) derived: RefCell<Derived>,
    /// Names of nodes that give nothing that can be read; or under the name of another one, which stands beside it.
    pub(crate) silent: Vec<(&'a str, Option<&'a str>)>,
    pub(crate) rules: &'a [Rule],
    /// True if the first node is in an arm of a switch of which the second is in another one.
    pub(crate) is_another_way: Box<dyn Fn(u16, u16) -> bool + 'a>,
    /// The for_each whose items have the first node, where the second does not stand in the same.
    pub(crate) hidden_in: Box<dyn Fn(u16, u16) -> Option<u16> + 'a>,
}

/// Why a field is not plainly there whichever event started the saga.
#[derive(Debug, Clone)]
pub(crate) enum StartGap {
    /// This event does not have it.
    Lacking(String),
    /// Its types differ: which, in words.
    Differing(String),
}

/// A node with a result, as expressions see it.
pub(crate) struct NodeName<'a> {
    pub(crate) name: &'a str,
    pub(crate) node: u16,
    /// The schema of its result; none where it follows from expressions.
    pub(crate) result: Option<Arc<Schema>>,
    /// The rule that its `if` is, if that rule's value never changes: under the same rule the step has certainly succeeded.
    pub(crate) rule: Option<&'a str>,
}

/// A named expression.
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) body: RuleBody,
}

/// What a rule is.
pub(crate) enum RuleBody {
    One(Parsed),
    /// The first whose condition is true, else the last.
    Table(Vec<(Parsed, Parsed)>, Parsed),
}

/// Where an expression stands.
#[derive(Clone)]
pub(crate) struct Spot {
    /// In the start's own `key` or `if`: the saga does not exist yet.
    pub(crate) starting: bool,
    /// There is no saga, only a record.
    pub(crate) alone: bool,
    /// What is listened to, and came: `event` can be read.
    pub(crate) event: Option<u16>,
    /// The node that it belongs to, if it belongs to one.
    pub(crate) at: Option<u16>,
    /// What stands before it.
    pub(crate) known: Known,
    /// A step that can be read although it may not have succeeded: the one that is undone.
    pub(crate) own: Option<u16>,
    /// Something failed: `failure` can be read.
    pub(crate) failure: bool,
    /// Something around it, or it itself, is tried again: `round` can be read.
    pub(crate) round: bool,
    /// Nothing of the steps is certain: they may be undone.
    pub(crate) undone: bool,
    /// The for_eaches in whose items it stands, from the innermost on.
    pub(crate) items: Vec<u16>,
    /// What is known to be there, as paths.
    pub(crate) facts: Vec<String>,
}

impl Spot {
    /// In the start's own expressions.
    pub(crate) fn start() -> Spot {
        Spot { starting: true, ..Spot::at(Known::default()) }
    }

    /// In the key of an event that is listened to: which saga it is for is not known yet.
    pub(crate) fn listening(listener: u16) -> Spot {
        Spot { event: Some(listener), ..Spot::start() }
    }

    /// Over one record.
    pub(crate) fn alone() -> Spot {
        Spot { alone: true, ..Spot::at(Known::default()) }
    }

    /// Behind what is known.
    pub(crate) fn at(known: Known) -> Spot {
        let (failure, round, undone) = (false, false, false);
        let (items, facts) = (Vec::new(), Vec::new());
        Spot { starting: false, alone: false, event: None, at: None, known, own: None, failure, round, undone, items, facts }
    }
}

/// Which nodes can be read, and which of them have certainly succeeded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    readable: NodeSet,
    certain: NodeSet,
}

impl Known {
    /// The same behind one more node.
    pub(crate) fn with(mut self, node: u16, certain: bool) -> Known {
        self.readable.insert(node);
        if certain {
            self.certain.insert(node);
        }
        self
    }

    /// The same where what is known there may have happened.
    pub(crate) fn may(mut self, there: &Known) -> Known {
        self.readable.add(&there.readable);
        self
    }

    /// The same where what is known there has happened too.
    pub(crate) fn and(mut self, there: &Known) -> Known {
        self.readable.add(&there.readable);
        self.certain.add(&there.certain);
        self
    }

    /// What is known whichever of both ways was taken.
    pub(crate) fn meet(mut self, other: &Known) -> Known {
        self.readable.add(&other.readable);
        self.certain.keep(&other.certain);
        self
    }

    pub(crate) fn is_readable(&self, node: u16) -> bool {
        self.readable.contains(node)
    }

    pub(crate) fn is_certain(&self, node: u16) -> bool {
        self.certain.contains(node)
    }
}

/// A set of nodes: a bit each.
#[derive(Debug, Clone, Default)]
struct NodeSet(Vec<u64>);

impl NodeSet {
    fn insert(&mut self, node: u16) {
        let word = usize::from(node / 64);
        self.0.resize(self.0.len().max(word + 1), 0);
        self.0[word] |= 1 << (node % 64);
    }

    fn add(&mut self, other: &NodeSet) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    fn keep(&mut self, other: &NodeSet) {
        self.0.truncate(other.0.len());
        self.0.iter_mut().zip(&other.0).for_each(|(word, kept)| *word &= kept);
    }

    fn contains(&self, node: u16) -> bool {
        self.0.get(usize::from(node / 64)).is_some_and(|word| word & 1 << (node % 64) != 0)
    }
}

/// What is read of a root: these top-level fields, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reads {
    Fields(BTreeSet<String>),
    All,
}

/// What the expressions of a definition read.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    roots: BTreeMap<Root, Reads>,
    rules: BTreeSet<String>,
}

impl Reads {
    /// What both read.
    pub(crate) fn and(self, more: &Reads) -> Reads {
        match (self, more) {
            (Reads::Fields(mut fields), Reads::Fields(more)) => {
                fields.extend(more.iter().cloned());
                Reads::Fields(fields)
            }
            (Reads::All, _) | (_, Reads::All) => Reads::All,
        }
    }
}

impl Uses {
    pub(crate) fn rule(&mut self, name: &str) {
        self.rules.insert(name.to_owned());
    }

    pub(crate) fn names_rule(&self, name: &str) -> bool {
        self.rules.contains(name)
    }

    pub(crate) fn touch(&mut self, root: Root) {
        self.roots.entry(root).or_insert_with(|| Reads::Fields(BTreeSet::new()));
    }

    pub(crate) fn field(&mut self, root: Root, name: &str) {
        self.touch(root);
        if let Some(Reads::Fields(fields)) = self.roots.get_mut(&root) {
            fields.insert(name.to_owned());
        }
    }

    pub(crate) fn all(&mut self, root: Root) {
        self.roots.insert(root, Reads::All);
    }

    pub(crate) fn of(&self, root: Root) -> Option<&Reads> {
        self.roots.get(&root)
    }
}

/// Names of one path: deeper ones are refused anyway, and each of their parts would be looked at for itself.
pub(super) const PATH_NAMES_MAX: usize = 40;

/// A path of names, for example `start.customer.tier`, with or without `?`.
pub(crate) fn path_of(expression: &IdedExpr) -> Option<String> {
    let mut names = Vec::new();
    let mut rest = expression;
    while names.len() < PATH_NAMES_MAX {
        match &rest.expr {
            Expr::Ident(name) => {
                names.push(name.as_str());
                names.reverse();
                return Some(names.join("."));
            }
            Expr::Select(select) if !select.test => {
                names.push(&select.field);
                rest = &select.operand;
            }
            Expr::Call(call) if call.func_name == op::OPT_SELECT => match &call.args[..] {
                [operand, name] => {
                    names.push(text_of(name)?);
                    rest = operand;
                }
                _ => return None,
            },
            _ => return None,
        }
    }
    None
}

/// A literal text.
pub(crate) fn text_of(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// The paths that are known to be there when an expression is `truth`.
pub(crate) fn facts(expression: &IdedExpr, truth: bool, rules: &[Rule], out: &mut Vec<String>) {
    gather(expression, truth, rules, out, &mut FACT_NODES_MAX.clone());
}

/// Nodes that are looked at for facts: rules that name rules twice, or one another in a circle, would not end.
pub(super) const FACT_NODES_MAX: u32 = 1_000;
/// Facts of one place, and bytes of one: who knows fewer is only stricter.
pub(super) const FACTS_MAX: usize = 200;
pub(super) const FACT_BYTES_MAX: usize = 200;

fn gather(expression: &IdedExpr, truth: bool, rules: &[Rule], out: &mut Vec<String>, left: &mut u32) {
    if *left == 0 || out.len() >= FACTS_MAX {
        return;
    }
    *left -= 1;
    match &expression.expr {
        Expr::Select(select) if select.test => {
            if let (true, Some(path)) = (truth, path_of(&select.operand)) {
                present(&format!("{path}.{}", select.field), out);
            }
        }
        Expr::Select(select) if matches!(&select.operand.expr, Expr::Ident(name) if name == "rules") => {
            if truth {
                know(&format!("rules.{}", select.field), out);
            }
            let rule = rules.iter().find(|rule| rule.name == select.field);
            if let Some(Rule { body: RuleBody::One(parsed), .. }) = rule {
                gather(&parsed.root, truth, rules, out, left);
            }
        }
        Expr::Call(call) => from_call(call, truth, rules, out, left),
        _ => {}
    }
}

fn from_call(call: &CallExpr, truth: bool, rules: &[Rule], out: &mut Vec<String>, left: &mut u32) {
    match (call.func_name.as_str(), &call.args[..], &call.target) {
        (op::LOGICAL_NOT, [inner], _) => gather(inner, !truth, rules, out, left),
        (op::LOGICAL_AND, [a, b], _) if truth => [a, b].into_iter().for_each(|side| gather(side, true, rules, out, left)),
        (op::LOGICAL_OR, [a, b], _) if !truth => [a, b].into_iter().for_each(|side| gather(side, false, rules, out, left)),
        (op::NOT_EQUALS | op::EQUALS, [a, b], _) if (call.func_name == op::NOT_EQUALS) == truth => {
            let null = |side: &IdedExpr| matches!(side.expr, Expr::Literal(LiteralValue::Null));
            let side = if null(b) { a } else { b };
            if (null(a) || null(b))
                && let Some(path) = path_of(side)
            {
                present(&path, out);
            }
        }
        ("hasValue", [], Some(target)) if truth => {
            if let Some(path) = path_of(target) {
                present(&path, out);
            }
        }
        _ => {}
    }
}

/// The rule that a condition is, if its value is the same whenever it is asked: it reads neither steps nor the time.
pub(crate) fn lasting_rule<'a>(condition: &'a Parsed, rules: &[Rule]) -> Option<&'a str> {
    match &condition.root.expr {
        Expr::Select(select) if !select.test && matches!(&select.operand.expr, Expr::Ident(name) if name == "rules") => {
            lasts(&condition.root, rules, &mut FACT_NODES_MAX.clone()).then_some(select.field.as_str())
        }
        _ => None,
    }
}

fn lasts(expression: &IdedExpr, rules: &[Rule], left: &mut u32) -> bool {
    *left = left.saturating_sub(1);
    let parts: Vec<&IdedExpr> = match &expression.expr {
        _ if *left == 0 => return false,
        Expr::Ident(name) => return !matches!(name.as_str(), "steps" | "now" | "failure" | "round" | "index"),
        Expr::Literal(_) => return true,
        Expr::Select(select) if matches!(&select.operand.expr, Expr::Ident(name) if name == "rules") => {
            match rules.iter().find(|rule| rule.name == select.field).map(|rule| &rule.body) {
                Some(RuleBody::One(parsed)) => vec![&parsed.root],
                Some(RuleBody::Table(rows, otherwise)) => {
                    let parts = rows.iter().flat_map(|(condition, then)| [condition, then]).chain([otherwise]);
                    parts.map(|parsed| &parsed.root).collect()
                }
                None => return false,
            }
        }
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Comprehension(c) => vec![&c.iter_range, &c.loop_step],
        Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => return false,
    };
    parts.into_iter().all(|part| lasts(part, rules, left))
}

/// Where something is there, all on the way to it is. A rule that is there need not be true, which is what its name would say.
fn present(path: &str, out: &mut Vec<String>) {
    if path.len() > FACT_BYTES_MAX || path.starts_with("rules.") {
        return;
    }
    know(path, out);
    path.match_indices('.').for_each(|(at, _)| know(&path[..at], out));
}

fn know(fact: &str, out: &mut Vec<String>) {
    if out.len() < FACTS_MAX && !out.iter().any(|known| known == fact) {
        out.push(fact.to_owned());
    }
}
