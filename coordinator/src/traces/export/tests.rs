//! What is sent, read by what others read it with; and what collectors may answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use super::*;

/// Reads one request: its head and its body.
pub(crate) fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut reader, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Answers one request after the other with these, the last for ever; an empty one hangs up. What it was sent comes out here.
pub(crate) fn collector(answers: Vec<Vec<u8>>) -> (u16, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it has one").port();
    let (send, sent) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let Some(request) = request(&stream) else { continue };
            if send.send(request).is_err() {
                return;
            }
            // Who has gone meanwhile does not hear it.
            let _ = stream.write_all(&answers[number.min(answers.len() - 1)]);
        }
    });
    (port, sent)
}

pub(crate) fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) fn endpoint(port: u16) -> Endpoint {
    let to = format!("http://127.0.0.1:{port}/v1/traces").parse().expect("a URL");
    Endpoint { to, headers: BTreeMap::new(), service: "shop".to_owned(), ratio: 1.0 }
}

fn span() -> Span {
    Span {
        trace: [1; 16],
        id: [2; 8],
        parent: Some([3; 8]),
        of: Some([4; 8]),
        name: "charge: undo".to_owned(),
        kind: Kind::Attempt,
        from: 1_000,
        to: 1_250,
        said: vec![("ringmaster.saga", Said::Text("order/ord-1".into())), ("ringmaster.attempt", Said::Number(2))],
        error: Some("NO".into()),
    }
}

#[test]
fn what_is_sent_is_read_as_it_was_meant() {
    let (port, sent) = collector(vec![answer(200, b"")]);
    let mut endpoint = endpoint(port);
    endpoint.headers.insert("x-scope".to_owned(), "hunter2".to_owned());
    assert!(!format!("{endpoint:?}").contains("hunter2"));
    let exporter = Exporter::new(endpoint, "live").expect("it needs nothing");
    assert_eq!(exporter.send(&[span()]), Outcome::Taken { but: 0 });
    let (head, body) = sent.recv().expect("it was sent");
    assert!(head.starts_with("POST /v1/traces ") && head.contains("content-type: application/x-protobuf"), "{head}");
    assert!(head.contains("x-scope: hunter2"), "{head}");
    let mut request = ExportTraceServiceRequest::decode(&body[..]).expect("it is one");
    let mut of_resource = request.resource_spans.pop().expect("one");
    let resource = of_resource.resource.take().expect("it is said");
    assert_eq!(resource.attributes, [text("service.name", "shop"), text("ringmaster.prefix", "live")]);
    let sent = of_resource.scope_spans.pop().and_then(|mut scope| scope.spans.pop()).expect("one span");
    assert_eq!((&sent.trace_id[..], &sent.span_id[..], &sent.parent_span_id[..]), (&[1; 16][..], &[2; 8][..], &[3; 8][..]));
    assert_eq!((sent.start_time_unix_nano, sent.end_time_unix_nano), (1_000_000_000, 1_250_000_000));
    assert_eq!((sent.kind(), &*sent.name, &sent.links[0].span_id[..]), (SpanKind::Client, "charge: undo", &[4; 8][..]));
    assert_eq!(sent.status, Some(Status { message: "NO".to_owned(), code: StatusCode::Error.into() }));
    assert_eq!(sent.attributes, [text("ringmaster.saga", "order/ord-1"), said("ringmaster.attempt", Value::IntValue(2))]);
}

#[test]
fn each_answer_of_a_collector_means_one_thing() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "no".to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let later = |outcome: &Outcome| matches!(outcome, Outcome::Later(_));
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
    for (answer, is_right) in [
        (answer(200, &partial), &(|outcome: &Outcome| *outcome == Outcome::Taken { but: 1 }) as &dyn Fn(&Outcome) -> bool),
        (answer(200, b"\xff\xff no protobuf"), &|outcome| *outcome == Outcome::Taken { but: 0 }),
        (answer(202, &vec![0xff; 1 << 20]), &|outcome| *outcome == Outcome::Taken { but: 0 }),
        (answer(429, b""), &later),
        (answer(503, b"busy"), &later),
        (answer(404, b""), &later),
        (answer(400, b""), &refused),
        (answer(500, b""), &refused),
        (answer(302, b""), &refused),
        (Vec::new(), &later),
        (b"no HTTP at all\r\n\r\n".to_vec(), &later),
    ] {
        let (port, _sent) = collector(vec![answer.clone()]);
        let exporter = Exporter::new(endpoint(port), "live").expect("it needs nothing");
        let outcome = exporter.send(&[span()]);
        assert!(is_right(&outcome), "{:?}: {outcome:?}", String::from_utf8_lossy(&answer[..answer.len().min(40)]));
    }
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let exporter = Exporter::new(endpoint(nobody), "live").expect("it needs nothing");
    assert!(later(&exporter.send(&[span()])), "nobody listens");
}
