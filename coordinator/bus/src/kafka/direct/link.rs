//! A broker as a client reaches it: its name resolved, connected, asked what it can, and all of it again with growing pauses.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::connection::Connection;
use super::login::Login;
use super::refusal::is_refusal;
use super::requests::{self, Api};
use super::security::Security;
use super::stream::Stream;
use crate::signal::Signal;

/// Pauses between two tries to connect, each twice as long as the one before.
const PAUSE: Range<Duration> = Duration::from_millis(50)..Duration::from_secs(1);

/// A broker that throttles says so in each answer, so that a longer wish is told again.
const MUTE_MAX: Duration = Duration::from_secs(15);

/// Of one broker people are told so many different things until it serves.
const TOLD_MAX: usize = 8;

/// One broker, by its address.
pub(super) struct Link<W> {
    /// `host:port`.
    pub(super) address: String,
    answer_bytes_max: usize,
    security: Security,
    state: State,
    pause: Duration,
    /// Which of the addresses of its name is tried next.
    turn: usize,
    /// It wants to hear nothing until then.
    pub(super) muted_until: Option<Instant>,
    /// The broker takes this client for so long; then there is another connection.
    renew_at: Option<Instant>,
    /// Where the connection goes to.
    peer: Option<SocketAddr>,
    /// What people were told of this broker since it served last.
    told: Vec<String>,
    /// What is on its way in one request.
    pub(super) in_flight: Vec<W>,
    /// It takes topics by their identity in fetches, as brokers do from Kafka 3.1 on.
    pub(super) takes_ids: bool,
}

enum State {
    Down {
        again_at: Instant,
    },
    Resolving(Receiver<io::Result<Vec<SocketAddr>>>),
    /// Connected, or about to be; not of use before it said what it can, and took the client for who it is.
    Opening(Connection, Login),
    Up(Connection),
    Closed,
}

/// What a link came to.
pub(super) enum Worked {
    /// Nothing that anybody must know.
    Well,
    /// It is of use now.
    Opened,
    /// It is of no use for now, and why. What was asked will not be answered.
    Lost(String),
}

impl<W> Link<W> {
    pub(super) fn new(address: String, security: Security, answer_bytes_max: usize, now: Instant) -> Self {
        Link {
            address,
            answer_bytes_max,
            security,
            state: State::Down { again_at: now },
            pause: PAUSE.start,
            turn: 0,
            muted_until: None,
            renew_at: None,
            peer: None,
            told: Vec::new(),
            in_flight: Vec::new(),
            takes_ids: false,
        }
    }

    /// The connection, if it is of use.
    pub(super) fn up(&mut self) -> Option<&mut Connection> {
        if let State::Up(connection) = &mut self.state { Some(connection) } else { None }
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(self.state, State::Down { .. })
    }

    /// True if it may be tried again now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, State::Down { again_at } if again_at <= now)
    }

    /// True if nothing is to be asked of it now: it wants so, or what it owes is waited for before it is connected anew.
    pub(super) fn is_muted(&self, now: Instant) -> bool {
        self.muted_until.is_some_and(|until| until > now) || self.renew_at.is_some_and(|at| at <= now)
    }

    /// How many answers it owes; none if nothing is to be asked of it now.
    pub(super) fn owed(&self, now: Instant) -> Option<usize> {
        match &self.state {
            State::Up(connection) if !self.is_muted(now) => connection.owed(now),
            _ => None,
        }
    }

    /// True if batches are on their way to it and it says nothing to them for long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        !self.in_flight.is_empty() && matches!(&self.state, State::Up(connection) if connection.is_silent(now))
    }

    /// True if an answer to this is waited for, and may come soon.
    pub(super) fn asks(&self, api: Api, now: Instant) -> bool {
        matches!(&self.state, State::Up(connection) if connection.asks(api, now))
    }

    /// It wants to hear nothing for so many milliseconds. A number that cannot be meant is cut: nothing would be sent for days.
    pub(super) fn mute(&mut self, ms: i32, now: Instant) {
        let wish = u64::try_from(ms).ok().filter(|ms| *ms > 0).map(|ms| now + Duration::from_millis(ms).min(MUTE_MAX));
        self.muted_until = self.muted_until.max(wish);
    }

    /// Begins to connect if it is down and its pause is over.
    pub(super) fn want(&mut self, now: Instant, registry: &Registry, signal: &Arc<Signal>) -> Worked {
        if !self.is_due(now) {
            return Worked::Well;
        }
        if let Ok(address) = self.address.parse() {
            return self.connect(address, registry, now);
        }
        let (found, wait) = channel();
        let (name, signal) = (self.address.clone(), Arc::clone(signal));
        let resolve = move || {
            // Nobody waits for it if the client is closed.
            let _ = found.send(name.to_socket_addrs().map(Iterator::collect));
            signal.raise();
        };
        match std::thread::Builder::new().name("kafka-resolve".to_owned()).spawn(resolve) {
            Ok(_) => self.state = State::Resolving(wait),
            Err(error) => return self.lose(&error, now),
        }
        Worked::Well
    }

    fn connect(&mut self, address: SocketAddr, registry: &Registry, now: Instant) -> Worked {
        let over = |socket| match &self.security.tls {
            Some(config) => Stream::secured(socket, config, host_of(&self.address)),
            None => Ok(Stream::bare(socket)),
        };
        let opened = Connection::open(address, registry, Token(0), now, over).and_then(|mut connection| {
            connection.answer_bytes_max = self.answer_bytes_max;
            connection.ask(Api::Versions, now, requests::put_versions)?;
            Ok(connection)
        });
        (self.peer, self.renew_at) = (Some(address), None);
        match opened {
            Ok(connection) => self.state = State::Opening(connection, Login::default()),
            Err(error) => return self.lose(&error, now),
        }
        Worked::Well
    }

    /// Moves what can be moved.
    pub(super) fn work(&mut self, registry: &Registry, now: Instant) -> Worked {
        match &mut self.state {
            State::Down { .. } | State::Closed => Worked::Well,
            State::Resolving(wait) => match wait.try_recv() {
                Ok(Ok(addresses)) if !addresses.is_empty() => {
                    self.turn = self.turn.wrapping_add(1);
                    self.connect(addresses[self.turn % addresses.len()], registry, now)
                }
                Ok(Ok(_)) => self.lose(&io::Error::other("its name has no address"), now),
                Ok(Err(error)) => self.lose(&error, now),
                Err(TryRecvError::Empty) => Worked::Well,
                Err(TryRecvError::Disconnected) => self.lose(&io::Error::other("its name could not be resolved"), now),
            },
            State::Opening(connection, login) => match login.work(connection, self.security.login.as_deref(), now) {
                Ok(None) => Worked::Well,
                Ok(Some(opened)) => {
                    (self.renew_at, self.takes_ids) = (opened.renew_at, opened.able.takes_ids);
                    let down = State::Down { again_at: now };
                    if let State::Opening(connection, _) = std::mem::replace(&mut self.state, down) {
                        self.state = State::Up(connection);
                    }
                    Worked::Opened
                }
                Err(error) => self.lose(&error, now),
            },
            State::Up(connection) => match connection.work(now) {
                // Nothing is asked of it any more, so that nothing is lost with it.
                Ok(()) if self.renew_at.is_some_and(|at| at <= now) && connection.owed(now) == Some(0) => {
                    self.connect(self.peer.expect("it is connected"), registry, now)
                }
                Ok(()) => Worked::Well,
                Err(error) => self.lose(&error, now),
            },
        }
    }

    /// Closes it for good.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.in_flight.clear();
    }

    /// Closes it; it is tried again after a pause.
    pub(super) fn lose(&mut self, why: &io::Error, now: Instant) -> Worked {
        let (text, is_refusal) = match self.refused(why) {
            Some(refused) => (refused, true),
            None => (why.to_string(), is_refusal(why)),
        };
        // What cannot be reached, or says nothing or nonsense to the first questions, may be the wrong address; a connection that is lost
        // comes again.
        let is_odd = matches!(why.kind(), io::ErrorKind::InvalidData | io::ErrorKind::TimedOut);
        let is_told = is_refusal || is_odd && matches!(self.state, State::Opening(..));
        // One that says who it is and then nothing else is not tried faster and faster.
        if matches!(&self.state, State::Up(connection) if connection.has_served) {
            self.pause = PAUSE.start;
            self.told.clear();
        }
        self.state = State::Down { again_at: now + self.pause };
        self.pause = (self.pause * 2).min(PAUSE.end);
        let text = format!("{}: {text}", self.address);
        if is_told && !self.told.contains(&text) && self.told.len() < TOLD_MAX {
            tracing::warn!("kafka: {text}");
            self.told.push(text.clone());
        }
        Worked::Lost(text)
    }

    /// What an end without a word may mean, by how far the connection was.
    fn refused(&self, why: &io::Error) -> Option<String> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        if !matches!(why.kind(), UnexpectedEof | ConnectionReset | BrokenPipe) {
            return None;
        }
        let hint = match &self.state {
            State::Opening(connection, _) if connection.is_handshaking() => {
                "in the TLS handshake; if this listener has no TLS, security.protocol is plaintext or sasl_plaintext"
            }
            State::Opening(_, login) if login.is_first() && self.security.tls.is_some() => {
                "behind the TLS handshake; it may want a certificate of this client (ssl.certificate.location and ssl.key.location)"
            }
            State::Opening(_, login) if login.is_first() => {
                "before it said what it can; if this listener has TLS, security.protocol is ssl or sasl_ssl"
            }
            State::Opening(..) => "during the login",
            State::Up(connection) if !connection.has_served && self.security.login.is_none() => {
                "at the first question; if this listener has SASL, security.protocol is sasl_plaintext or sasl_ssl"
            }
            _ => return None,
        };
        Some(format!("the broker closed the connection {hint}"))
    }
}

/// The name that is to stand in a broker's certificate.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
