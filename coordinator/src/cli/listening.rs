//! Listening to a coordinator (`/api/v1/live`) for as long as somebody wants to know: a connection that is lost is made again.

use std::time::{Duration, Instant};

use super::asking::{address, caller, read};
use super::exit::Failure;
use crate::api::client::{Address, Event, Events, NoEvents};
use crate::config::Config;

/// A connection is made anew after so long: so one that is dead without a word is found out, and nothing is lost, since whoever comes is
/// told at once how it is.
const WITHIN: Duration = Duration::from_secs(60);
/// The pauses before it is tried again grow from here
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// to here.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What is heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Event(Event),
    /// Nobody answers now, and why; it is tried again.
    Lost(String),
    /// The time is over.
    Over,
}

/// Somebody who listens to one coordinator.
pub(super) struct Listening {
    address: Address,
    path: String,
    events: Option<Events>,
    pause: Duration,
    until: Option<Instant>,
}

impl Listening {
    /// To what stands behind `?` in `/api/v1/live?`, until then. Whoever cannot be reached at the beginning was not meant.
    pub(super) fn begin(config: &Config, api: Option<&Address>, what: &str, until: Option<Instant>) -> Result<Listening, Failure> {
        let address = address(config, api)?;
        let path = format!("/api/v1/live?{what}");
        let mut listening = Listening { address, path, events: None, pause: PAUSE_MIN, until };
        match listening.connect()? {
            None => Ok(listening),
            Some(why) => Err(Failure::new(super::exit::Exit::Unreachable, why)),
        }
    }

    /// Waits for what is heard next.
    pub(super) fn next(&mut self) -> Result<Heard, Failure> {
        loop {
            if let Some(event) = self.events.as_mut().and_then(Iterator::next) {
                self.pause = Duration::ZERO;
                return Ok(Heard::Event(event));
            }
            self.events = None;
            if self.left().is_zero() {
                return Ok(Heard::Over);
            }
            std::thread::sleep(self.pause.min(self.left()));
            self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            if let Some(why) = self.connect()? {
                return Ok(Heard::Lost(why));
            }
        }
    }

    /// Makes a connection; why there is none now, else. What asking again cannot mend is an error. A token that was changed meanwhile is read
    /// again.
    fn connect(&mut self) -> Result<Option<String>, Failure> {
        match caller(&self.address)?.live(&self.path, WITHIN.min(self.left()).max(PAUSE_MIN)) {
            Ok(events) => {
                self.events = Some(events);
                Ok(None)
            }
            Err(NoEvents::Unanswered(why)) => Ok(Some(why)),
            Err(NoEvents::Answer(answer)) => match read(&self.address, &answer) {
                Err(failure) if matches!(answer.code, 429 | 500..) => Ok(Some(failure.message)),
                Err(failure) => Err(failure),
                Ok(_) => Ok(Some(format!("what answers at {} tells no events", self.address))),
            },
        }
    }

    fn left(&self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }
}
