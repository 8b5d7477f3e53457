//! The events of one who watches: what is not read yet is the newest of each, and never more.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use tokio::time::{Instant, Sleep, sleep};

use super::Watch;
use super::hub::Seat;

/// What a connection begins with: after so many milliseconds a browser comes again.
const HELLO: &[u8] = b"retry: 1000\n\n";
/// It stands, and there is nothing to tell.
const COMMENT: &[u8] = b":\n\n";

/// An event as it is sent, which all who watch it share.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) text: Bytes,
}

/// What one who watches has not read.
#[derive(Default)]
pub(super) struct Inbox {
    unread: Mutex<Unread>,
}

#[derive(Default)]
struct Unread {
    /// Each event says all there is to say of what is watched, so that of those that were not read in time the newest is enough.
    newest: BTreeMap<Watch, Event>,
    /// How many others there were.
    left_out: u64,
    reader: Option<Waker>,
}

impl Inbox {
    pub(super) fn put(&self, watch: &Watch, event: Event) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.newest.insert(watch.clone(), event).is_some() {
            unread.left_out += 1;
        }
        if let Some(reader) = unread.reader.take() {
            reader.wake();
        }
    }

    /// How many events came to it and were not read.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.left_out + unread.newest.len() as u64
    }

    /// The oldest of what is there; before it, that others are not told.
    fn next(&self, cx: &mut Context<'_>) -> Option<Bytes> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = std::mem::take(&mut unread.left_out);
        if left_out > 0 {
            return Some(format!("event: resync\ndata: {{\"left_out\":{left_out}}}\n\n").into());
        }
        let oldest = unread.newest.iter().min_by_key(|(_, event)| event.number).map(|(watch, _)| watch.clone());
        let event = oldest.and_then(|watch| unread.newest.remove(&watch));
        if event.is_none() {
            unread.reader = Some(cx.waker().clone());
        }
        event.map(|event| event.text)
    }
}

/// The body of an answer that goes on as long as it is read, and may be.
pub(super) struct Stream {
    inbox: Arc<Inbox>,
    seat: Arc<Seat>,
    is_begun: bool,
    comment: Pin<Box<Sleep>>,
    end: Pin<Box<Sleep>>,
}

impl Stream {
    pub(super) fn new(inbox: Arc<Inbox>, seat: Arc<Seat>) -> Stream {
        let limits = seat.limits();
        let (comment, end) = (Box::pin(sleep(limits.comment)), Box::pin(sleep(limits.life)));
        Stream { inbox, seat, is_begun: false, comment, end }
    }

    /// What comes next, as soon as there is something.
    fn text(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if !std::mem::replace(&mut self.is_begun, true) {
            return Poll::Ready(Bytes::from_static(HELLO));
        }
        if let Some(text) = self.inbox.next(cx) {
            return Poll::Ready(text);
        }
        self.comment.as_mut().poll(cx).map(|()| Bytes::from_static(COMMENT))
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let text = std::task::ready!(self.text(cx));
        let next = Instant::now() + self.seat.limits().comment;
        self.comment.as_mut().reset(next);
        // A token that is good no more shows nothing more.
        Poll::Ready((!self.seat.is_lost()).then_some(Ok(Frame::data(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(inbox: &Inbox, watch: &Watch, number: u64) {
        inbox.put(watch, Event { number, text: format!("{}-{number}", watch.shown()).into() });
    }

    fn read(inbox: &Inbox) -> Vec<String> {
        let mut cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| inbox.next(&mut cx)).map(|text| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    /// However long nobody reads, of each watch one event is kept: the newest, in the order in which they came.
    #[test]
    fn who_reads_slowly_is_told_the_newest_of_each_and_what_was_left_out() {
        let (inbox, saga) = (Inbox::default(), Watch::Saga("order/a".to_owned()));
        put(&inbox, &saga, 1);
        put(&inbox, &Watch::Overview, 2);
        assert_eq!(read(&inbox), ["saga:order/a-1", "overview-2"], "who reads in time is told all");
        put(&inbox, &saga, 3);
        (4..1_004).for_each(|number| put(&inbox, &Watch::Overview, number));
        put(&inbox, &Watch::Alerts, 1_004);
        assert_eq!(read(&inbox), ["event: resync\ndata: {\"left_out\":999}\n\n", "saga:order/a-3", "overview-1003", "alerts-1004"]);
        assert_eq!(read(&inbox), [""; 0]);
    }
}
