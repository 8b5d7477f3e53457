//! The other instances, as the broker knows the group.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::MemberFound;

use super::client::Address;

/// An answer of the broker is good for so long: each question makes a client, and one question at a time is enough for all who ask.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Members of the group, or why they are not known, for people.
type Answer = Result<Vec<MemberFound>, String>;

/// Asks who is in the group.
pub struct Peers {
    ask: Box<dyn Fn() -> Answer + Send + Sync>,
    known: Mutex<Option<(Instant, Answer)>>,
    speak_tls: bool,
}

impl Peers {
    /// By this question, which waits for the broker.
    pub fn new(ask: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Peers { ask: Box::new(ask), known: Mutex::default(), speak_tls: false }
    }

    /// Their ports speak TLS: all of a group do, or none.
    pub fn by_tls(self, speak_tls: bool) -> Self {
        Peers { speak_tls, ..self }
    }

    /// Where the port of one is; none if it has none.
    pub(super) fn address_of(&self, member: &MemberFound) -> Option<Address> {
        let address = member.address.parse::<SocketAddr>().ok()?;
        Some(Address { is_https: self.speak_tls, ..address.into() })
    }

    /// Who is in the group, as of a moment ago. Waits for the broker, and for others who ask.
    pub(crate) fn members(&self) -> Answer {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = known.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
            return answer.clone();
        }
        let answer = (self.ask)();
        *known = Some((Instant::now(), answer.clone()));
        answer
    }
}
