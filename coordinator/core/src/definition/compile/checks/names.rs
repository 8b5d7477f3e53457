//! `as`: a step of a reaction that gives its result under another step's name gives the same kind of thing.

use super::super::build::Read;
use super::super::report::Report;
use super::super::tree::Tree;

pub(in crate::definition::compile) fn check(tree: &Tree<'_>, whole: &Read, report: &mut Report<'_>) {
    for (number, form) in tree.givers() {
        let Some(name) = &form.stands_for else { continue };
        let Some(owner) = tree.reactions_around(number).next() else {
            let hint = "it is for a step of on_refused or on_failed that gives what the refused step would have given";
            report.error(&name.span, "as has no meaning here", hint);
            continue;
        };
        let Some(other) = tree.stands_for(number) else {
            let around = tree.node(owner).form.map_or("", |form| form.name.text.as_str());
            let message = format!("'{}' is no step whose result this one could stand for", name.text);
            report.error(&name.span, message, format!("name '{around}', or a step in it, which gives a result"));
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
