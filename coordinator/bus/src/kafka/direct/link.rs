//! A broker as a client reaches it: its name resolved, connected, asked what it can, and all of it again with growing pauses.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::connection::Connection;
use super::requests::{self, Able, Api};
use super::wire::Get;
use crate::signal::Signal;

/// Pauses between two tries to connect, each twice as long as the one before.
const PAUSE: Range<Duration> = Duration::from_millis(50)..Duration::from_secs(1);

/// A broker that throttles says so in each answer, so that a longer wish is told again.
const MUTE_MAX: Duration = Duration::from_secs(15);

/// One broker, by its address.
pub(super) struct Link<W> {
    /// `host:port`.
    pub(super) address: String,
    answer_bytes_max: usize,
    state: State,
    pause: Duration,
    /// Which of the addresses of its name is tried next.
    turn: usize,
    /// It wants to hear nothing until then.
    pub(super) muted_until: Option<Instant>,
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
    /// Connected, or about to be; not of use before it said what it can.
    Opening(Connection),
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
    pub(super) fn new(address: String, answer_bytes_max: usize, now: Instant) -> Self {
        let state = State::Down { again_at: now };
        let (pause, in_flight) = (PAUSE.start, Vec::new());
        Link { address, answer_bytes_max, state, pause, turn: 0, muted_until: None, in_flight, takes_ids: false }
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

    pub(super) fn is_muted(&self, now: Instant) -> bool {
        self.muted_until.is_some_and(|until| until > now)
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
        let opened = Connection::open(address, registry, Token(0), now).and_then(|mut connection| {
            connection.answer_bytes_max = self.answer_bytes_max;
            connection.ask(Api::Versions, now, requests::put_versions)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => self.state = State::Opening(connection),
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
            State::Opening(connection) => match greet(connection, now) {
                Ok(None) => Worked::Well,
                Ok(Some(able)) => {
                    (self.pause, self.takes_ids) = (PAUSE.start, able.takes_ids);
                    let down = State::Down { again_at: now };
                    if let State::Opening(connection) = std::mem::replace(&mut self.state, down) {
                        self.state = State::Up(connection);
                    }
                    Worked::Opened
                }
                Err(error) => self.lose(&error, now),
            },
            State::Up(connection) => match connection.work(now) {
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
        self.state = State::Down { again_at: now + self.pause };
        self.pause = (self.pause * 2).min(PAUSE.end);
        Worked::Lost(format!("{}: {why}", self.address))
    }
}

/// What the broker can, once it said so.
fn greet(connection: &mut Connection, now: Instant) -> io::Result<Option<Able>> {
    connection.work(now)?;
    let Some((_, answer)) = connection.next()? else { return Ok(None) };
    requests::versions(&mut Get(connection.bytes(answer)))?.map(Some).map_err(io::Error::other)
}
