//! `steps` and `switch`: lists of nodes inside a node.

use std::ops::Range;

use super::super::fields::{Else, Fields};
use super::super::keys::ARM;
use super::super::report::Report;
use super::node::{NodeForm, read_steps};
use super::within;
use crate::definition::expression::Parsed;
use crate::definition::yaml::{Kind, Node};

pub(in crate::definition::compile) struct GroupForm {
    pub(in crate::definition::compile) steps: Vec<NodeForm>,
}

pub(in crate::definition::compile) struct SwitchForm {
    /// In order; the last one has no condition.
    pub(in crate::definition::compile) arms: Vec<ArmForm>,
}

pub(in crate::definition::compile) struct ArmForm {
    /// None: whatever comes to it.
    pub(in crate::definition::compile) condition: Option<Parsed>,
    pub(in crate::definition::compile) steps: Vec<NodeForm>,
}

impl GroupForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<GroupForm> {
        let steps = fields.needed("steps", "steps: a list of steps", report)?;
        Some(GroupForm { steps: read_steps(steps, report) })
    }
}

impl SwitchForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SwitchForm> {
        const FORM: &str = "switch: [ { if: condition, steps: [ ... ] }, { else: [ ... ] } ]";
        let switch = fields.needed("switch", FORM, report)?;
        let Kind::List(rows) = &switch.kind else {
            report.error(&switch.span, format!("switch is a list of arms, not {}", switch.describe()), FORM);
            let unreadable = |steps| ArmForm { condition: Some(Parsed::unreadable(switch.span.clone(), "")), steps };
            let arms: Vec<ArmForm> = within::lists(switch, report).into_iter().map(unreadable).collect();
            return Some(SwitchForm { arms }).filter(|switch| !switch.arms.is_empty());
        };
        let Some((last, before)) = rows.split_last().filter(|(_, before)| !before.is_empty()) else {
            report.error(&switch.span, "a switch has an arm with a condition, and ends with else", FORM);
            let arms = rows.iter().filter(|row| Else::of(row).is_none()).map(|row| ArmForm::read(row, report));
            return Some(SwitchForm { arms: arms.collect() });
        };
        let mut arms: Vec<ArmForm> = before.iter().map(|row| ArmForm::read(row, report)).collect();
        arms.push(ArmForm::last(last, report));
        Some(SwitchForm { arms })
    }
}

impl ArmForm {
    fn read(row: &Node, report: &mut Report<'_>) -> ArmForm {
        if let Some(Else { key, value, .. }) = Else::of(row) {
            report.error(&key.span, "else is the last arm", "move it behind the arms with a condition");
            let steps = within::steps(value, report);
            return ArmForm { condition: Some(Parsed::unreadable(key.span.clone(), "")), steps };
        }
        const FORM: &str = "- { if: condition, steps: [ ... ] }; only the last arm is - else: [ ... ]";
        let unreadable = || Parsed::unreadable(row.span.clone(), "");
        let Some(fields) = Fields::of(row, &ARM, &[], report) else {
            return ArmForm { condition: Some(unreadable()), steps: within::steps(row, report) };
        };
        let condition = fields.needed("if", FORM, report).map_or_else(unreadable, |node| Parsed::new(node, report));
        let steps = fields.needed("steps", FORM, report);
        let steps = match steps {
            Some(node) => read_steps(node, report),
            None => within::steps(row, report),
        };
        ArmForm { condition: Some(condition), steps }
    }

    /// A choice that may fit nothing would be a saga that nobody knows the way of.
    fn last(row: &Node, report: &mut Report<'_>) -> ArmForm {
        const FORM: &str = "- else: [ ... ], an arm of its own; where nothing else is to be done, - else: []";
        const BELOW: &str = "its steps stand below else itself, each with a dash; where nothing else is to be done, - else: []";
        let Some(otherwise) = Else::of(row) else {
            if ARM.names().any(|key| row.named(key).is_some()) {
                report.error(&row.span, "a switch ends with else", FORM);
                return ArmForm::read(row, report);
            }
            let otherwise = Fields::new(row, "the last arm", &["if", "steps", "else"], &[], report);
            if otherwise.is_none_or(|fields| !fields.means("else")) {
                report.error(&row.span, "a switch ends with else", FORM);
            }
            return ArmForm { condition: None, steps: within::steps(row, report) };
        };
        match &otherwise.value.kind {
            Kind::List(items) if items.is_empty() && otherwise.alone => ArmForm { condition: None, steps: Vec::new() },
            Kind::List(_) if otherwise.alone => ArmForm { condition: None, steps: read_steps(otherwise.value, report) },
            _ => {
                report.error(&otherwise.key.span, "else is followed by a list of steps, and has nothing beside it", BELOW);
                ArmForm { condition: None, steps: within::steps(row, report) }
            }
        }
    }
}

/// Where a name stands, for those that are given twice.
pub(super) fn names<'f>(steps: &'f [NodeForm], out: &mut Vec<(&'f str, Range<usize>)>) {
    for step in steps {
        out.push((&step.name.text, step.name.span.clone()));
        step.lists().for_each(|(_, list)| names(list, out));
    }
}
