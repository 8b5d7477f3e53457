//! Asking a running coordinator over HTTP: one GET, no more, so that tools need no client library.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A local coordinator answers at once; one that does not is not there.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer is at most so large; more is not one of ours.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// An answer: status code and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For example 200.
    pub code: u16,
    /// As it came.
    pub body: String,
}

/// Asks for a path. Errors say who did not answer, and how.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("the coordinator at http://{address} does not answer: {error}");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(failed)?;
    // HTTP/1.0: the answer comes whole, and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(failed)?;
    parse(&answer).ok_or_else(|| format!("what answers at {address} is not a coordinator"))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { code, body: body.to_owned() })
}
