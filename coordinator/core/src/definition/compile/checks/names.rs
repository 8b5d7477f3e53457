//! `as`: a step of a reaction that gives its result under another step's name gives the same kind of thing.

use super::super::build::Read;
use super::super::report::{Report, did_you_mean};
use super::super::tree::{Planned, PlannedVerb, Tree};

/// Why a step stands for none of this name, and what to do.
fn nobody(tree: &Tree<'_>, number: u16, name: &str) -> (String, String) {
    let own = tree.node(number).form.map_or("", |form| form.name.text.as_str());
    let by_itself = format!("remove the as, and read it by its own name: steps.{own}");
    let is_list = |planned: &Planned<'_>| {
        matches!(planned.verb, PlannedVerb::ForEach(_)) && planned.form.is_some_and(|form| form.name.text == name)
    };
    if tree.nodes.iter().any(is_list) {
        return (format!("nothing stands for '{name}': that gives a list, with one entry for each item"), by_itself);
    }
    let known: Vec<&str> = tree.could_stand_for(number).map(|(_, form)| form.name.text.as_str()).collect();
    let hint = match &known[..] {
        [] => by_itself,
        known => did_you_mean(name, known.iter().copied()),
    };
    (format!("'{name}' is no step whose result this one could stand for"), hint)
}

pub(in crate::definition::compile) fn check(tree: &Tree<'_>, whole: &Read, report: &mut Report<'_>) {
    for (number, form) in tree.givers() {
        let Some(name) = &form.stands_for else { continue };
        if tree.reactions_around(number).next().is_none() {
            let hint = "it is for a step of on_refused or on_failed that gives what the refused step would have given";
            report.error(&name.span, "as has no meaning here", hint);
            continue;
        }
        if name.text.is_empty() {
            continue;
        }
        let Some(other) = tree.stands_for(number) else {
            let (message, hint) = nobody(tree, number, &name.text);
            report.error(&name.span, message, hint);
            continue;
        };
        // One that cannot be read may give anything.
        let (Some(own), Some(meant)) = (whole.results.get(&number), whole.results.get(&other)) else { continue };
        // Their names differ as their commands do.
        if !own.same_shape(own.root(), meant, meant.root()) {
            let message = format!("steps.{} would be {} or {}", name.text, meant.name(), own.name());
            report.error(&name.span, message, "both results need the same fields, in the same order");
        }
    }
}
