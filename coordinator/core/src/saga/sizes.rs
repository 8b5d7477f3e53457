//! What a row holds, in bytes: what comes next must fit beside it. And what a turn takes.

use ringmaster_schemas::journal::{Opens, SagaEvent};
use ringmaster_schemas::state::{Detail, Entry};

use super::decide::Draft;

impl Draft<'_> {
    /// Bytes of start, bodies and results that the row holds.
    pub(super) fn held_bytes(&self) -> usize {
        let early: usize = self.saga().early().iter().map(|event| event.data.bytes().len()).sum();
        self.saga().start().len() + self.saga().entries.iter().map(held_bytes).sum::<usize>() + early
    }
}

fn held_bytes(entry: &Entry) -> usize {
    let cause = entry.course().and_then(|course| course.cause.as_ref());
    let detail = match entry.detail() {
        Some(Detail::Asked { show: Some(show), .. }) => show.len(),
        Some(Detail::Children { rows }) => rows.list.as_ref().map_or(0, |list| list.bytes().len()),
        _ => 0,
    };
    let failures = [entry.failure(), cause].into_iter().flatten().map(|failure| failure.code.len() + failure.message.len());
    detail + entry.body().len() + entry.result.as_ref().map_or(0, |result| result.bytes().len()) + failures.sum::<usize>()
}

/// About what an event takes in a journal record.
pub(super) fn bytes_of(event: &SagaEvent) -> usize {
    const SMALL: usize = 64;
    SMALL
        + match event {
            SagaEvent::CommandIssued { order, .. } | SagaEvent::UndoIssued { order, .. } | SagaEvent::Retried { order, .. } => {
                order.held_bytes()
            }
            SagaEvent::Started { head, .. } => head.held_bytes(),
            SagaEvent::Emitted { emission, .. } => emission.body.len(),
            SagaEvent::Entered { opens: Opens::Items { items, .. }, .. } => items.list.bytes().len(),
            SagaEvent::Entered { opens: Opens::Approval { asked, .. }, .. } => asked.show.as_ref().map_or(0, |show| show.len()),
            SagaEvent::Entered { opens: Opens::Gave { result }, .. } => result.bytes().len(),
            _ => 0,
        }
}
