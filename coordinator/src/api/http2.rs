//! A connection that speaks HTTP/2: many requests at once, in the bounds that one by HTTP/1.1 has.
//!
//! ```text
//! preface -> requests, each a task with its answer -> none for so long: GOAWAY, and the end
//! ```

mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use h2::Reason;
use h2::server::Connection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connections::{Answering, Answers};
use super::server::{HEAD_BYTES_MAX, Limits};
use stream::{Ended, Unread};

/// Requests at once; another one is refused, and may be sent again.
const STREAMS_MAX: u32 = 64;
/// So much of bodies of requests may be here and not read, of all requests together.
const WINDOW_BYTES: u32 = 128 << 10;
/// Of each answer so much waits to be written; the rest is counted as not read.
const QUEUED_BYTES_MAX: usize = 32 << 10;
/// Requests that a client may give up, one after the other, before they are answered: they cost it nothing, and do not count among those that
/// it has at once.
const GIVEN_UP_MAX: usize = 100;

/// By what a connection is served.
pub(super) struct Terms {
    pub(super) from: SocketAddr,
    pub(super) limits: Limits,
    pub(super) router: Router,
    pub(super) answers: Answers,
    pub(super) unread: Unread,
}

/// How a connection is on its way to its end.
struct Course {
    /// Nothing is answered since.
    idle_since: Instant,
    /// It has brought a request.
    is_used: bool,
    /// It was told that it ends.
    is_told: bool,
    given_up: usize,
}

/// Serves a connection to its end, which `ending` asks for.
pub(super) async fn serve<S>(stream: S, terms: Terms, mut ending: watch::Receiver<bool>) -> Result<(), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (terms, begun) = (Arc::new(terms), Instant::now());
    let Ok(spoken) = timeout_at(begun + terms.limits.head, builder().handshake(stream)).await else { return Ok(()) };
    let mut connection: Connection<S, Bytes> = spoken?;
    let mut course = Course { idle_since: begun, is_used: false, is_told: false, given_up: 0 };
    // They end with the connection, whatever ends that.
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            asked = connection.accept() => {
                let Some(asked) = asked else { return Ok(()) };
                let ((request, respond), answering) = (asked?, Answering::new(terms.answers.clone()));
                course.is_used = true;
                streams.spawn(stream::answer(request, respond, terms.clone(), answering));
            }
            Some(ended) = streams.join_next() => {
                if streams.is_empty() {
                    course.idle_since = Instant::now();
                }
                if course.has_too_many_given_up(ended.unwrap_or(Ended::Failed)) {
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
            }
            () = sleep_until(course.patience_ends(&terms.limits)), if streams.is_empty() => {
                if course.is_told || !course.is_used {
                    return Ok(());
                }
                course.is_told = true;
                connection.graceful_shutdown();
            }
            () = asked_for(&mut ending), if !course.is_told => {
                course.is_told = true;
                connection.graceful_shutdown();
            }
        }
    }
}

impl Course {
    /// Until when it may go on without a request. One that was answered and is told to go says that it has read all before that; until then
    /// it has the time that there is for reading. One that brought nothing is cut off.
    fn patience_ends(&self, limits: &Limits) -> Instant {
        let patience: Duration = if self.is_told && self.is_used { limits.head.max(limits.read) } else { limits.head };
        self.idle_since + patience
    }

    /// One more has ended.
    fn has_too_many_given_up(&mut self, ended: Ended) -> bool {
        self.given_up = if ended == Ended::GivenUp { self.given_up + 1 } else { 0 };
        self.given_up >= GIVEN_UP_MAX
    }
}

async fn asked_for(ending: &mut watch::Receiver<bool>) {
    // An error means that nobody can ask any more.
    let _ = ending.wait_for(|ends| *ends).await;
}

fn builder() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buffer_size(QUEUED_BYTES_MAX)
        // Requests that it gives up before we have seen them, and those that are no HTTP: then the connection ends.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(64));
    builder
}
