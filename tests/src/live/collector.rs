//! A collector of traces: takes OTLP over HTTP, keeps all that it is sent, and now and then is not well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// Of so many requests one is taken, and answered as if it were not, once: its spans come again. Which is told by what it says: by their
/// number a sender that is in step with another would be answered so each time.
const DOUBTFUL: usize = 5;

/// A collector on a port of its own, until its test ends.
#[derive(Default)]
pub struct Collector {
    spans: Mutex<BTreeMap<Vec<u8>, Vec<Span>>>,
    doubted: Mutex<BTreeSet<usize>>,
    requests: AtomicUsize,
    is_down: AtomicBool,
}

/// The text that an attribute of a span says.
pub fn attribute<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

impl Collector {
    /// Begins to listen; where.
    pub fn start() -> (Arc<Collector>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}/v1/traces", listener.local_addr().expect("it has one"));
        let collector = Arc::new(Collector::default());
        let kept = Arc::downgrade(&collector);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(collector) = kept.upgrade() else { return };
                collector.answer(stream);
            }
        });
        (collector, address)
    }

    /// It takes nothing from now on, or everything again.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// All that came, by the number of the span: each as often as it came.
    pub fn spans(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<Span>>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests it was sent.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn answer(&self, mut stream: TcpStream) {
        let Some(body) = body(&stream) else { return };
        self.requests.fetch_add(1, Ordering::SeqCst);
        let status = match self.is_down.load(Ordering::SeqCst) {
            true => 503,
            false if self.is_doubted(&body) => 504,
            false => 200,
        };
        if status != 503 {
            self.keep(&body);
        }
        // Who was killed meanwhile does not hear it.
        let _ = write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }

    /// For the first time that it comes.
    fn is_doubted(&self, body: &[u8]) -> bool {
        let sum = body.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        sum.is_multiple_of(DOUBTFUL) && doubted.insert(sum)
    }

    fn keep(&self, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).expect("it is OTLP");
        let scopes = request.resource_spans.into_iter().flat_map(|of_resource| of_resource.scope_spans);
        let mut spans = self.spans();
        for span in scopes.flat_map(|scope| scope.spans) {
            spans.entry(span.span_id.clone()).or_default().push(span);
        }
    }
}

fn body(stream: &TcpStream) -> Option<Vec<u8>> {
    let (mut reader, mut length, mut line) = (BufReader::new(stream), None, String::new());
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let value = line.to_ascii_lowercase().strip_prefix("content-length:").and_then(|value| value.trim().parse().ok());
        length = length.or(value);
    }
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
