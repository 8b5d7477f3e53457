//! Frames of HTTP/2 written and read by hand: what no client that means well would send.

use std::io::ErrorKind;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::*;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GO_AWAY: u8 = 7;
pub(super) const WINDOW: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Flags: nothing comes behind it in its stream; nothing comes behind it in its head; it answers one of ours.
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const ACK: u8 = 1;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const REFUSED: u32 = 7;
pub(super) const CANCEL: u32 = 8;
pub(super) const CALM: u32 = 11;

/// How the head of an answer with the status 200 begins.
pub(super) const OK: u8 = 0x88;

pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) bytes: Vec<u8>,
}

impl Frame {
    /// The last 4 bytes: why, of what ends something.
    pub(super) fn code(&self) -> u32 {
        number(&self.bytes[self.bytes.len().min(if self.kind == GO_AWAY { 8 } else { 4 }) - 4..])
    }
}

pub(super) fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes"))
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    let mut all = (bytes.len() as u32).to_be_bytes()[1..].to_vec();
    all.extend([kind, flags]);
    all.extend(stream.to_be_bytes());
    all.extend(bytes);
    all
}

/// The head of a question: by numbers of HPACK's table, and literal texts.
pub(super) fn head(path: &str) -> Vec<u8> {
    let text = |index: u8, text: &str| [&[index, text.len() as u8], text.as_bytes()].concat();
    [vec![0x82, 0x87], text(0x04, path), text(0x01, "localhost")].concat()
}

pub(super) fn question(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head(path))
}

pub(super) struct Raw {
    stream: StreamOwned<ClientConnection, TcpStream>,
    unread: Vec<u8>,
}

impl Raw {
    /// A connection where nothing but the handshake has happened.
    pub(super) fn connect(secured: &Secured, offers: &[&str]) -> Raw {
        let tcp = TcpStream::connect(secured.server.address()).expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(trusting(secured, offers), name).expect("a client");
        let mut reading = &tcp;
        while tls.is_handshaking() && tls.complete_io(&mut reading).is_ok() {}
        tcp.set_read_timeout(Some(Duration::from_millis(10))).expect("set");
        tcp.set_write_timeout(Some(PATIENCE)).expect("set");
        Raw { stream: StreamOwned::new(tls, tcp), unread: Vec::new() }
    }

    /// One that begins as it should, with these settings.
    pub(super) fn begun(secured: &Secured, settings: &[(u16, u32)]) -> Raw {
        let mut raw = Raw::connect(secured, &["h2"]);
        assert_eq!(raw.offered(), Some("h2".to_owned()));
        assert!(raw.begins(settings));
        raw
    }

    fn begins(&mut self, settings: &[(u16, u32)]) -> bool {
        let pair = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let settings: Vec<u8> = settings.iter().flat_map(pair).collect();
        self.send(PREFACE) && self.send(&frame(SETTINGS, 0, 0, &settings))
    }

    /// One whose first question was answered, where there is little time for that.
    pub(super) fn used(secured: &Secured) -> Raw {
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < PATIENCE, "one asks in time");
            let mut raw = Raw::connect(secured, &["h2"]);
            let is_asked = raw.begins(&[]) && raw.send(&question(1, "/healthz"));
            if is_asked && raw.find(&[], |frame| (frame.kind, frame.stream) == (HEADERS, 1)).is_some() {
                return raw;
            }
        }
    }

    /// What was agreed on.
    pub(super) fn offered(&self) -> Option<String> {
        self.stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// False if the connection has ended.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok() && self.stream.flush().is_ok()
    }

    /// Reads what there is, waiting for a moment; false at the end.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend(&bytes[..count]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
        }
    }

    /// The next frame, if it is here already.
    fn take(&mut self) -> Option<Frame> {
        let head = self.unread.get(..9)?;
        let length = number(&[0, head[0], head[1], head[2]]) as usize;
        let (kind, flags, stream) = (head[3], head[4], number(&head[5..]));
        let bytes = self.unread.get(9..9 + length)?.to_vec();
        self.unread.drain(..9 + length);
        Some(Frame { kind, flags, stream, bytes })
    }

    /// The next frame that is one of these, while something is sent again and again; none at the end of the connection.
    pub(super) fn find(&mut self, again: &[u8], is_one: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let since = Instant::now();
        let mut is_open = true;
        loop {
            while let Some(frame) = self.take() {
                if is_one(&frame) {
                    return Some(frame);
                }
            }
            if !is_open {
                return None;
            }
            assert!(since.elapsed() < PATIENCE, "neither came it, nor the end");
            if !again.is_empty() {
                // So that a byte each time is no answer that is read soon.
                std::thread::sleep(Duration::from_millis(10));
            }
            is_open = (again.is_empty() || self.send(again)) & self.read();
        }
    }

    /// Sends until the connection ends; what it said of why.
    pub(super) fn until_the_end(&mut self, again: &[u8]) -> Option<u32> {
        let mut why = None;
        while let Some(frame) = self.find(again, |frame| frame.kind == GO_AWAY) {
            why = Some(frame.code());
        }
        why
    }

    /// All there is to the end of the connection, as text.
    pub(super) fn text(&mut self) -> String {
        let since = Instant::now();
        while self.read() {
            assert!(since.elapsed() < PATIENCE, "it is left open");
        }
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// Reads until the head of the answer to a question is here.
    pub(super) fn answered(&mut self, stream: u32) {
        let head = self.find(&[], |frame| (frame.kind, frame.stream) == (HEADERS, stream));
        assert_eq!(head.expect("an answer").bytes[0], OK, "its status");
    }
}
