//! Spans as OTLP, and sent: HTTP with protobuf, as every collector takes it.

use std::collections::BTreeMap;
use std::fmt;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Sent, Status};
use prost::Message as _;

use super::span::{Kind, Said, Span};
use crate::alerts::Target;
use crate::api::client::{Means, agent, explain};

/// Of an answer so many bytes are read: what is longer says no more of spans that were not taken.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Where traces are sent.
#[derive(Clone, PartialEq)]
pub struct Endpoint {
    /// Where a collector listens, with its path: `http://localhost:4318/v1/traces`.
    pub to: Target,
    /// What is said there beside that, such as who we are.
    pub headers: BTreeMap<String, String>,
    /// What the spans are of.
    pub service: String,
    /// The share of sagas that is traced.
    pub ratio: f64,
}

/// Without values of headers: they are mostly secrets.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}, {:?}, {}, {})", self.to, self.headers.keys(), self.service, self.ratio)
    }
}

/// What became of spans that were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Taken, but for so many.
    Taken {
        /// Those that the other side does not want.
        but: u64,
    },
    /// Not wanted, now or later: why.
    Refused(String),
    /// They may be taken later.
    Later(String),
}

/// Who sends spans.
pub(super) struct Exporter {
    endpoint: Endpoint,
    prefix: String,
    agent: ureq::Agent,
}

impl Exporter {
    pub(super) fn new(endpoint: Endpoint, prefix: &str) -> Result<Exporter, String> {
        let agent = agent(endpoint.to.address(), &Means::default())?;
        Ok(Exporter { endpoint, prefix: prefix.to_owned(), agent })
    }

    /// Where they go, for people.
    pub(super) fn target(&self) -> &Target {
        &self.endpoint.to
    }

    /// Sends spans, and waits for the answer: 15 s at most.
    pub(super) fn send(&self, spans: &[Span]) -> Outcome {
        let body = encode(spans, &self.endpoint.service, &self.prefix);
        let mut request = self.agent.post(self.endpoint.to.url()).header("content-type", "application/x-protobuf");
        if let Some(authorization) = self.endpoint.to.authorization() {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &self.endpoint.headers {
            request = request.header(name, value);
        }
        let mut answer = match request.send(&body[..]) {
            Ok(answer) => answer,
            Err(error) => return Outcome::Later(explain(&error)),
        };
        match answer.status().as_u16() {
            200..=299 => {
                let said = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().unwrap_or_default();
                // What says nothing of this has taken all.
                let said = ExportTraceServiceResponse::decode(&said[..]).ok().and_then(|said| said.partial_success);
                let but = said.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0));
                Outcome::Taken { but: but.min(spans.len() as u64) }
            }
            // As OTLP has it, and what may be mended there or in the settings.
            status @ (401 | 403 | 404 | 408 | 425 | 429 | 502..=504) => Outcome::Later(format!("it answers {status}")),
            status => Outcome::Refused(format!("it answers {status}")),
        }
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    said(key, Value::StringValue(value.to_owned()))
}

fn said(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A request for these spans.
pub(super) fn encode(spans: &[Span], service: &str, prefix: &str) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![text("service.name", service), text("ringmaster.prefix", prefix)], ..Resource::default() };
    let scope = InstrumentationScope {
        name: "ringmaster".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: spans.iter().map(sent).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn sent(span: &Span) -> Sent {
    let nanos = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000);
    // Whoever is asked is another service.
    let kind = if span.kind == Kind::Attempt { SpanKind::Client } else { SpanKind::Internal };
    let link = |of: &[u8; 8]| Link { trace_id: span.trace.to_vec(), span_id: of.to_vec(), ..Link::default() };
    let attribute = |(key, value): &(&'static str, Said)| match value {
        Said::Text(value) => text(key, value),
        Said::Number(number) => said(key, Value::IntValue(*number)),
    };
    let status = span.error.as_ref().map(|code| Status { message: code.to_string(), code: StatusCode::Error.into() });
    Sent {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.to_vec()),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.from),
        end_time_unix_nano: nanos(span.to),
        attributes: span.said.iter().map(attribute).collect(),
        links: span.of.iter().map(link).collect(),
        status,
        ..Sent::default()
    }
}

#[cfg(test)]
pub(super) mod tests;
