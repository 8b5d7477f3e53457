//! The other instances, as the broker knows the group.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::MemberFound;

use super::client::{Address, Caller, agent_for_peers};

/// An answer of the broker is good for so long: each question makes a client, and one question at a time is enough for all who ask.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Another instance answers within this time, or is named as one that did not.
const PATIENCE: Duration = Duration::from_secs(1);
/// Whom it trusts is read again after so long: it is a file, or many, of which a new one may have come.
const AGENT_GOOD_FOR: Duration = Duration::from_secs(60);

/// Members of the group, or why they are not known, for people.
type Answer = Result<Vec<MemberFound>, String>;

/// Asks who is in the group.
pub struct Peers {
    ask: Box<dyn Fn() -> Answer + Send + Sync>,
    known: Mutex<Option<(Instant, Answer)>>,
    speak_tls: bool,
    patience: Duration,
    /// What asks them, and since when: it keeps connections, and knows whom to trust.
    agent: Mutex<Option<(Instant, ureq::Agent)>>,
}

impl Peers {
    /// By this question, which waits for the broker.
    pub fn new(ask: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Peers { ask: Box::new(ask), known: Mutex::default(), speak_tls: false, patience: PATIENCE, agent: Mutex::default() }
    }

    /// Their ports speak TLS: all of a group do, or none.
    pub fn by_tls(self, speak_tls: bool) -> Self {
        Peers { speak_tls, ..self }
    }

    /// They may take so long.
    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Peers { patience, ..self }
    }

    /// Who asks one of them, in the name of whoever says so of itself. Errors say what is wrong with whom this instance trusts.
    pub(super) fn caller(&self, address: &Address, authorization: Option<String>) -> Result<Caller, String> {
        let mut known = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        let agent = match known.as_ref().filter(|(since, _)| since.elapsed() < AGENT_GOOD_FOR) {
            Some((_, agent)) => agent.clone(),
            None => {
                let agent = agent_for_peers(self.speak_tls, self.patience)?;
                *known = Some((Instant::now(), agent.clone()));
                agent
            }
        };
        Ok(Caller::in_the_name_of(authorization, address.clone(), agent))
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
