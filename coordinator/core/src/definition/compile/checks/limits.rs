//! Times that a participant could forget an idempotency key within, or that can never be reached.

use ringmaster_schemas::names::participant_of;

use super::super::form::SagaForm;
use super::super::report::Report;
use super::super::targets::Options;
use super::super::tree::Tree;
use super::super::write_duration;
use crate::definition::defaults::DEFAULTS;

pub(in crate::definition::compile) fn check(form: &SagaForm, tree: &Tree<'_>, options: &Options<'_>, report: &mut Report<'_>) {
    for step in tree.dos() {
        let participant = participant_of(&step.form.command.text);
        let remembers = options.participant(participant).remembers_ms;
        let by_default = (DEFAULTS.within_ms(step.planned.phase), step.node.name.span.clone());
        let within = step.node.within.as_ref();
        for (what, limit) in [("within", Some(within.unwrap_or(&by_default))), ("deadline", form.deadline.as_ref())] {
            if let Some((millis, span)) = limit
                && *millis > remembers
            {
                let (asked, known) = (write_duration(*millis), write_duration(remembers));
                let message = format!("{what} ({asked}) is longer than {participant} remembers what it did ({known})");
                report.error(span, message, format!("shorten it, or raise participants.\"{participant}\".remembers"));
            }
        }
        if let (Some((within, span)), Some((deadline, _))) = (within, &form.deadline)
            && within > deadline
        {
            report.warning(span, "this is never reached: the saga's deadline is earlier", "");
        }
    }
}
