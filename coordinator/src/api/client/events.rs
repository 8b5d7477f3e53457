//! Events that a coordinator sends for as long as the connection stands (`/api/v1/live`).

use std::io::{BufRead, BufReader, Read as _};
use std::time::Duration;

use super::{ANSWER_BYTES_MAX, Answer, Caller, PATIENCE};

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What it is called: overview, participants, scaling, alerts, saga, problem or resync.
    pub name: String,
    /// JSON.
    pub data: String,
}

/// Why there are no events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoEvents {
    /// Nobody answers: who, and how, for people.
    Unanswered(String),
    /// What was answered instead.
    Answer(Answer),
}

/// Events as they come.
pub struct Events(BufReader<ureq::BodyReader<'static>>);

impl Caller {
    /// Asks for events, for at most so long: then the connection ends, so that one that is dead without a word is found out. One that is not
    /// made within that time is none, either.
    pub fn live(&self, path: &str, within: Duration) -> Result<Events, NoEvents> {
        let request = self.agent.get(format!("{}{path}", self.address)).config();
        let begin = within.min(PATIENCE);
        let request = request.timeout_global(None).timeout_connect(Some(begin)).timeout_recv_response(Some(begin));
        let mut request = request.timeout_recv_body(Some(within)).build();
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        match request.call() {
            Ok(answer) if answer.status() == 200 => Ok(Events(BufReader::new(answer.into_body().into_reader()))),
            answer => self.answer(answer).map_err(NoEvents::Unanswered).and_then(|answer| Err(NoEvents::Answer(answer))),
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Waits for the next event; none when the connection has ended, however it did.
    fn next(&mut self) -> Option<Event> {
        read(&mut self.0)
    }
}

/// Reads an event: lines up to an empty one. What says nothing, as comments do, is passed over.
fn read(lines: &mut impl BufRead) -> Option<Event> {
    let mut event = Event::default();
    loop {
        let mut line = Vec::new();
        lines.by_ref().take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line).ok()?;
        // The last one may be half of one.
        let line = String::from_utf8(line).ok()?;
        let line = line.strip_suffix('\n')?;
        match line.split_once(": ") {
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("data", data)) => event.data = data.to_owned(),
            _ if line.is_empty() && !event.data.is_empty() => return Some(event),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::super::{Means, caller};
    use super::*;

    /// It takes connections, and says nothing.
    #[test]
    fn who_does_not_answer_is_not_waited_for_longer_than_is_said() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("an address").into();
        let since = Instant::now();
        let asked = caller(&address, &Means::default()).expect("ready").live("/", Duration::from_millis(50));
        assert!(matches!(asked, Err(NoEvents::Unanswered(_))) && since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    }

    #[test]
    fn events_are_read_and_half_of_one_is_none() {
        let text = "retry: 1000\n\n:\n\nevent: saga\nid: 7\ndata: {\"a\": \"b: c\"}\n\nevent: overview\nid: 8\ndata: {}\n\nevent: saga\ndata: {";
        let mut lines = text.as_bytes();
        let events: Vec<Event> = std::iter::from_fn(|| read(&mut lines)).collect();
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        assert_eq!(events, [event("saga", "{\"a\": \"b: c\"}"), event("overview", "{}")]);
    }
}
