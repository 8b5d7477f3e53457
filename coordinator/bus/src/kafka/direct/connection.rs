//! One connection to a broker: requests are written without waiting, answers are read as they come, in the order of the requests.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::refusal::refusal;
use super::requests::{self, Api};
use super::stream::Stream;
use super::wire::Get;

/// Room for one read.
const READ_BYTES: usize = 64 << 10;
/// Room that is kept for later answers.
const KEPT_BYTES: usize = 4 << 20;
/// A broker that does not take the connection, or does not answer, for so long is given up.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// From one that owes an answer for so long no further one is expected soon: others are asked instead.
const SILENCE_MAX: Duration = Duration::from_secs(5);
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A connection, or one that is being made. What it holds may be a password, so it is not for printing.
pub(super) struct Connection {
    stream: Stream,
    opened: Instant,
    is_open: bool,
    /// What is to be written, from `written` on.
    out: Vec<u8>,
    written: usize,
    /// What was read; `unread` of it is not taken yet.
    input: Vec<u8>,
    unread: Range<usize>,
    /// A longer answer is none.
    pub(super) answer_bytes_max: usize,
    correlation: i32,
    asked: VecDeque<Asked>,
    /// It has answered something beside who it is, and who the client is.
    pub(super) has_served: bool,
}

#[derive(Debug)]
struct Asked {
    api: Api,
    correlation: i32,
    at: Instant,
}

impl Connection {
    /// Begins to connect; `token` is any, and `over` puts TLS over the socket, or nothing.
    pub(super) fn open(
        address: SocketAddr,
        registry: &Registry,
        token: Token,
        now: Instant,
        over: impl FnOnce(TcpStream) -> io::Result<Stream>,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection {
            stream: over(socket)?,
            opened: now,
            is_open: false,
            out: Vec::new(),
            written: 0,
            input: vec![0; READ_BYTES],
            unread: 0..0,
            answer_bytes_max: 16 << 20,
            correlation: 0,
            asked: VecDeque::new(),
            has_served: false,
        })
    }

    /// Asks something, as far as the socket takes it.
    pub(super) fn ask(&mut self, api: Api, now: Instant, put: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.correlation = self.correlation.wrapping_add(1);
        let at = requests::begin(&mut self.out, api, self.correlation);
        put(&mut self.out);
        requests::end(&mut self.out, at);
        self.asked.push_back(Asked { api, correlation: self.correlation, at: now });
        self.write()
    }

    /// True if an answer to this is waited for, and may come soon.
    pub(super) fn asks(&self, api: Api, now: Instant) -> bool {
        self.asked.iter().any(|asked| asked.api == api && now - asked.at <= SILENCE_MAX)
    }

    /// How many answers it owes; none if it is silent for so long that nobody should count on it.
    pub(super) fn owed(&self, now: Instant) -> Option<usize> {
        (!self.is_silent(now)).then_some(self.asked.len())
    }

    /// True if it owes an answer for long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.asked.front().is_some_and(|asked| now - asked.at > SILENCE_MAX)
    }

    /// Connects, writes and reads what can be; an error means that the connection is of no use any more.
    pub(super) fn work(&mut self, now: Instant) -> io::Result<()> {
        if !self.is_open {
            self.finish_opening(now)?;
        }
        if let Err(error) = self.write() {
            // What the broker said before it closed the connection tells more.
            return self.read().and(Err(error));
        }
        self.read()?;
        // TLS may be ready only now for what it was given.
        self.write()?;
        let late = self.asked.front().is_some_and(|asked| now - asked.at > ANSWER_MAX);
        // This process may have been frozen and not the broker: an answer that is there counts.
        if late && self.frame()?.is_none() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", ANSWER_MAX.as_secs())));
        }
        Ok(())
    }

    fn finish_opening(&mut self, now: Instant) -> io::Result<()> {
        if let Some(error) = self.stream.socket.take_error()? {
            return Err(error);
        }
        match self.stream.socket.peer_addr() {
            Ok(_) => {
                self.is_open = true;
                self.stream.socket.set_nodelay(true)
            }
            Err(_) if now - self.opened <= CONNECT_MAX => Ok(()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("not connected within {} s", CONNECT_MAX.as_secs()))),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while self.is_open && self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        if self.is_open { self.stream.flush() } else { Ok(()) }
    }

    /// Until the socket has no more: only then is it reported again.
    fn read(&mut self) -> io::Result<()> {
        while self.is_open {
            if self.unread.is_empty() {
                self.unread = 0..0;
                if self.input.len() > KEPT_BYTES {
                    self.input = vec![0; READ_BYTES];
                }
            }
            // Whoever sends without an end must not be read without one.
            if self.unread.len() > self.answer_bytes_max + READ_BYTES {
                return Err(nonsense("it does not end"));
            }
            if self.input.len() - self.unread.end < READ_BYTES / 2 {
                self.input.copy_within(self.unread.clone(), 0);
                self.unread = 0..self.unread.len();
                if self.input.len() - self.unread.end < READ_BYTES / 2 {
                    self.input.resize(self.input.len() * 2, 0);
                }
            }
            match self.stream.read(&mut self.input[self.unread.end..]) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the broker closed the connection")),
                Ok(count) => self.unread.end += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next answer that is there whole: to what, and where its body lies for [`Self::bytes`].
    pub(super) fn next(&mut self) -> io::Result<Option<(Api, Range<usize>)>> {
        let Some(frame) = self.frame()? else { return Ok(None) };
        let asked = self.asked.pop_front().ok_or_else(|| nonsense("nothing was asked"))?;
        let mut answer = Get(&self.input[frame.clone()]);
        if answer.i32()? != asked.correlation {
            return Err(nonsense("it is the answer to something else"));
        }
        requests::body(asked.api, &mut answer)?;
        self.unread.start = frame.end;
        self.has_served |= !matches!(asked.api, Api::Versions | Api::Handshake | Api::Authenticate);
        Ok(Some((asked.api, frame.end - answer.0.len()..frame.end)))
    }

    /// Where the next answer lies behind its length, if it is there whole.
    fn frame(&self) -> io::Result<Option<Range<usize>>> {
        let mut unread = Get(&self.input[self.unread.clone()]);
        let Ok(length) = unread.i32() else { return Ok(None) };
        let length = usize::try_from(length).ok().filter(|length| *length <= self.answer_bytes_max);
        let length = length.ok_or_else(|| self.no_length())?;
        let begin = self.unread.start + 4;
        Ok((unread.0.len() >= length).then_some(begin..begin + length))
    }

    /// True while TLS is not agreed on.
    pub(super) fn is_handshaking(&self) -> bool {
        self.stream.is_handshaking()
    }

    /// What begins with an alert of TLS is TLS.
    fn no_length(&self) -> io::Error {
        match &self.input[self.unread.clone()] {
            [0x15, 0x03, ..] if !self.stream.is_secured() => refusal("it speaks TLS; security.protocol is ssl or sasl_ssl for it"),
            _ => nonsense("its length cannot be"),
        }
    }

    pub(super) fn bytes(&self, answer: Range<usize>) -> &[u8] {
        &self.input[answer]
    }
}

fn nonsense(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the broker's answer makes no sense: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// A connection to somebody who writes this, and then more of it if it is not to end.
    fn to(bytes: &'static [u8], is_endless: bool) -> (mio::Poll, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let poll = mio::Poll::new().expect("a poll");
        let address = listener.local_addr().expect("an address");
        let connection = Connection::open(address, poll.registry(), Token(0), Instant::now(), |socket| Ok(Stream::bare(socket)));
        let mut connection = connection.expect("it begins");
        connection.ask(Api::Versions, Instant::now(), requests::put_versions).expect("it is asked");
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            while socket.write_all(bytes).is_ok() && is_endless {}
            // Until the other side ends it.
            let _ended = io::copy(&mut socket, &mut io::sink());
        });
        (poll, connection)
    }

    /// Works until it fails, or has so many bytes.
    fn read(poll: &mut mio::Poll, connection: &mut Connection, bytes: usize) -> io::Result<()> {
        let mut events = mio::Events::with_capacity(8);
        while connection.unread.len() < bytes {
            poll.poll(&mut events, Some(Duration::from_secs(60))).expect("a poll");
            assert!(!events.is_empty(), "nothing comes");
            connection.work(Instant::now())?;
        }
        Ok(())
    }

    /// A process that stood still finds an answer that is late only for itself.
    #[test]
    fn only_an_answer_that_is_not_there_is_late() {
        let later = || Instant::now() + ANSWER_MAX + Duration::from_secs(1);
        let (mut poll, mut connection) = to(&[0, 0, 0, 4, 0, 0, 0, 1], false);
        let mut events = mio::Events::with_capacity(8);
        while !events.iter().any(mio::event::Event::is_readable) {
            poll.poll(&mut events, Some(Duration::from_secs(60))).expect("a poll");
            assert!(!events.is_empty(), "nothing comes");
        }
        connection.work(later()).expect("it is there");
        assert_eq!(connection.next().expect("an answer"), Some((Api::Versions, 8..8)));
        let (_poll, mut connection) = to(&[], false);
        assert!(connection.work(later()).is_err_and(|error| error.kind() == io::ErrorKind::TimedOut));
    }

    /// What an answer says of its length is not believed before it is there.
    #[test]
    fn room_is_made_for_what_came_and_not_for_what_is_announced() {
        let (mut poll, mut connection) = to(&[0x01, 0, 0, 0, 1, 2, 3], false);
        read(&mut poll, &mut connection, 7).expect("it may come");
        assert_eq!(connection.next().expect("it may come"), None);
        assert_eq!(connection.input.len(), READ_BYTES);
        let (mut poll, mut connection) = to(&[0x01, 0, 0, 1], false);
        read(&mut poll, &mut connection, 4).expect("read");
        assert!(connection.next().is_err_and(|error| error.to_string().contains("its length cannot be")));
    }

    #[test]
    fn who_sends_without_an_end_is_not_read_without_one() {
        let (mut poll, mut connection) = to(&[0x01; 1 << 16], true);
        let ended = read(&mut poll, &mut connection, usize::MAX).expect_err("it ends");
        assert!(ended.to_string().contains("it does not end"), "{ended}");
        assert!(connection.input.len() <= 4 * connection.answer_bytes_max, "{}", connection.input.len());
    }
}
