//! Connections of the port: at most so many, and one that says nothing gives way to one that may.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::task::AbortHandle;

/// One that is open.
struct Open {
    from: IpAddr,
    answers: Answers,
    task: AbortHandle,
}

/// All that are open, by the order in which they came.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<BTreeMap<u64, Open>>,
}

impl Connections {
    /// Makes room for one more, if there are so many: of the address that has most, the oldest whose request is not being answered is
    /// ended. So neither silence nor a flood from one place keeps others out. False if all are being answered.
    pub(super) fn make_room(&self, max: usize) -> Room {
        let mut open = self.open();
        if open.len() < max {
            return Room::Is;
        }
        let mut from: HashMap<IpAddr, usize> = HashMap::new();
        for one in open.values() {
            *from.entry(one.from).or_default() += 1;
        }
        let idle = open.iter().filter(|(_, one)| !one.answers.are_any());
        let Some((&number, _)) = idle.max_by_key(|(number, one)| (from[&one.from], std::cmp::Reverse(**number))) else {
            return Room::None;
        };
        let victim = open.remove(&number).expect("it has just been found");
        victim.task.abort();
        Room::Made(victim.from)
    }

    /// One more, which a task serves.
    pub(super) fn add(&self, number: u64, from: IpAddr, answers: Answers, task: AbortHandle) {
        self.open().insert(number, Open { from, answers, task });
    }

    /// It has ended.
    pub(super) fn remove(&self, number: u64) {
        self.open().remove(&number);
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many requests of a connection are being answered: by HTTP/2 several at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<AtomicUsize>);

impl Answers {
    pub(super) fn are_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// As long as it lives a request is being answered.
pub(super) struct Answering(Answers);

impl Answering {
    pub(super) fn new(answers: Answers) -> Answering {
        answers.0.fetch_add(1, Ordering::Relaxed);
        Answering(answers)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, which is being answered until its end: one that goes on for hours is no connection that says nothing.
pub(super) struct Answered {
    body: Body,
    _until: Answering,
}

impl Answered {
    pub(super) fn new(body: Body, until: Answering) -> Answered {
        Answered { body, _until: until }
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether there is room for one more connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Is,
    /// One from there was ended for it.
    Made(IpAddr),
    /// There is none.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_most_and_says_nothing_gives_way_first() {
        let connections = Connections::default();
        let mut answering = Vec::new();
        let mut add = |number, last: u8, is_answered: bool| {
            let task = tokio::spawn(std::future::pending::<()>());
            let (from, answers) = (IpAddr::from([10, 0, 0, last]), Answers::default());
            answering.extend(is_answered.then(|| Answering::new(answers.clone())));
            connections.add(number, from, answers, task.abort_handle());
            task
        };
        let from = |last: u8| Room::Made(IpAddr::from([10, 0, 0, last]));
        let tasks = [add(1, 1, false), add(2, 2, true), add(3, 2, false), add(4, 2, false), add(5, 1, true)];
        assert_eq!(connections.make_room(6), Room::Is);
        assert_eq!(connections.make_room(5), from(2), "three from there, of which the oldest is being answered");
        let [one, _, three, ..] = tasks;
        assert!(three.await.expect_err("it was ended").is_cancelled());
        assert_eq!(connections.make_room(4), from(1), "two each: the oldest");
        assert!(one.await.expect_err("it was ended").is_cancelled());
        assert_eq!(connections.make_room(3), from(2));
        assert_eq!(connections.make_room(2), Room::None, "what is being answered is never ended");
        connections.remove(2);
        assert_eq!(connections.make_room(2), Room::Is);
    }

    /// By HTTP/2 one answer ends while others go on.
    #[test]
    fn a_connection_is_silent_when_its_last_answer_has_ended() {
        let answers = Answers::default();
        assert!(!answers.are_any());
        let [one, two] = [(); 2].map(|()| Answering::new(answers.clone()));
        drop(one);
        assert!(answers.are_any());
        drop(two);
        assert!(!answers.are_any());
    }
}
