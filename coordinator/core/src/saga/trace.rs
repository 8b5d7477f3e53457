//! Which sagas are traced, and what their traces and spans are called: by hashes of what the journal says, so that whoever derives them
//! gives them the same names.

use std::sync::Arc;

use ringmaster_schemas::journal::Head;
use ringmaster_schemas::names::{self, root_of};
use twox_hash::XxHash3_128;

/// The number of a trace, as W3C has it.
pub type TraceId = [u8; 16];
/// The number of a span.
pub type SpanId = [u8; 8];

/// That sagas are traced, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    prefix: Arc<str>,
    /// Those whose hash is below this.
    below: u64,
}

impl Tracing {
    /// A share of all sagas, from 0 to 1; the prefix tells traces of one deployment from those of another.
    pub fn new(prefix: &str, ratio: f64) -> Tracing {
        // A cast ends at the bounds.
        Tracing { prefix: prefix.into(), below: (ratio * u64::MAX as f64) as u64 }
    }

    /// True if the saga of this id is among them. What is below a saga goes with it.
    pub fn samples(&self, id: &str) -> bool {
        let hash = XxHash3_128::oneshot(root_of(id).as_bytes()) as u64;
        hash < self.below || self.below == u64::MAX
    }

    /// The trace of a saga: that of its start event, else one of its own.
    pub fn trace(&self, id: &str, head: &Head) -> TraceId {
        let given = head.traceparent().and_then(given).map(|(trace, _)| trace);
        given.unwrap_or_else(|| hash(&[self.prefix.as_bytes(), id.as_bytes(), &head.started_at().to_be_bytes()]).to_be_bytes())
    }

    /// What a command says of this attempt (`key`: its idempotency key) to whoever carries it out; none where its saga is not traced.
    pub fn traceparent(&self, (id, head): (&str, &Head), key: &str, attempt: u16) -> Option<String> {
        let traced = || {
            let trace = self.trace(id, head);
            format!("00-{}-{}-01", names::hex(&trace), names::hex(&attempt_span(&trace, key, attempt)))
        };
        self.samples(id).then(traced)
    }
}

/// The trace and the span that a `traceparent` names.
pub fn given(traceparent: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = traceparent.split('-').skip(1);
    let trace: TraceId = names::unhex(parts.next()?)?;
    let span = parts.next().filter(|span| span.len() == 16)?;
    Some((trace, u64::from_str_radix(span, 16).ok()?.to_be_bytes()))
}

/// The span of an attempt, by the idempotency key of its command.
pub fn attempt_span(trace: &TraceId, key: &str, attempt: u16) -> SpanId {
    span(trace, &[key.as_bytes(), &attempt.to_be_bytes()])
}

/// A span of a trace, by what it is of. It is never 0, which means none.
pub fn span(trace: &TraceId, of: &[&[u8]]) -> SpanId {
    let parts: Vec<&[u8]> = std::iter::once(&trace[..]).chain(of.iter().copied()).collect();
    (hash(&parts) as u64).max(1).to_be_bytes()
}

/// Each part with its length, so that no two lists are the same bytes.
fn hash(parts: &[&[u8]]) -> u128 {
    let mut bytes = Vec::with_capacity(128);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    XxHash3_128::oneshot(&bytes).max(1)
}

#[cfg(test)]
mod tests {
    use ringmaster_schemas::journal::HeadFields;

    use super::*;

    fn head(started_at: i64, traceparent: Option<&str>) -> Head {
        Head::new(&HeadFields { started_at, traceparent, ..HeadFields::default() }, &mut Vec::new())
    }

    #[test]
    fn a_share_of_sagas_is_traced_with_all_that_is_below_them() {
        let count = |ratio: f64| {
            let tracing = Tracing::new("ringmaster", ratio);
            (0..10_000).filter(|number| tracing.samples(&format!("order/ord-{number}"))).count()
        };
        assert_eq!((count(0.0), count(1.0)), (0, 10_000));
        assert!((50..200).contains(&count(0.01)), "{}", count(0.01));
        assert!((4_800..5_200).contains(&count(0.5)), "{}", count(0.5));
        let tracing = Tracing::new("ringmaster", 0.5);
        for number in 0..100 {
            let id = format!("order/ord-{number}");
            assert_eq!(tracing.samples(&id), tracing.samples(&format!("{id}/lines~3")), "an item of {id}");
        }
    }

    #[test]
    fn a_trace_is_the_start_events_or_one_of_its_own() {
        let tracing = Tracing::new("ringmaster", 1.0);
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(names::hex(&tracing.trace("a/1", &head(5, Some(given)))), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(super::given(given).expect("it is one").1, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        let own = tracing.trace("a/1", &head(5, None));
        assert_eq!(own, tracing.trace("a/1", &head(5, None)));
        assert_ne!(own, tracing.trace("a/1", &head(6, None)), "it began again");
        assert_ne!(own, tracing.trace("a/2", &head(5, None)));
        assert_ne!(own, Tracing::new("other", 1.0).trace("a/1", &head(5, None)));
    }

    #[test]
    fn a_command_names_the_span_of_its_attempt() {
        let (all, none, head) = (Tracing::new("ringmaster", 1.0), Tracing::new("ringmaster", 0.0), head(5, None));
        let said = all.traceparent(("a/1", &head), "a/1/pay/do", 2).expect("it is traced");
        let (trace, span) = given(&said).expect("it is of W3C's form");
        assert_eq!(names::traceparent(&said), Some(&*said));
        assert_eq!((trace, span), (all.trace("a/1", &head), attempt_span(&trace, "a/1/pay/do", 2)));
        assert_ne!(span, attempt_span(&trace, "a/1/pay/do", 1));
        assert_eq!(none.traceparent(("a/1", &head), "a/1/pay/do", 2), None);
    }
}
