//! One request by HTTP/2, and its answer, which goes out as far as it is read.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hyper::body::Frame;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use ringmaster_bus::clock::wall;
use tokio::time::timeout;

use super::{QUEUED_BYTES_MAX, Terms};
use crate::api::connections::Answering;
use crate::api::gate;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its answer began.
    Answered,
    /// Whoever sent it wanted no answer any more.
    GivenUp,
    /// In here.
    Failed,
}

/// Answers one request; how long that may take the gate says.
pub(super) async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    terms: Arc<Terms>,
    _until: Answering,
) -> Ended {
    let (mut parts, stream) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    // Nobody reads a body where none is due, and so none is kept.
    let body = if is_head || parts.method == Method::GET { Body::empty() } else { Body::new(Asked(stream)) };
    parts.extensions.insert(gate::From(terms.from));
    let answering = TowerToHyperService::new(terms.router.clone()).call(Request::from_parts(parts, body));
    let answer = tokio::select! {
        biased;
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return Ended::GivenUp,
        answer = answering => answer.unwrap_or_else(|never| match never {}),
    };
    let (mut parts, body) = answer.into_parts();
    let is_all = is_head || body.is_end_stream();
    complete(&mut parts.headers, (!is_head).then(|| body.size_hint().exact()).flatten());
    let begun = respond.send_response(Response::from_parts(parts, ()), is_all);
    match begun {
        Ok(_) if is_all => {}
        Ok(mut out) => {
            if let Err(reason) = send(&mut out, body, &terms).await {
                tracing::debug!(from = %terms.from, %reason, "an answer was cut off");
                out.send_reset(reason);
            }
        }
        Err(error) => {
            tracing::debug!(from = %terms.from, %error, "an answer could not begin");
            return Ended::Failed;
        }
    }
    Ended::Answered
}

/// What HTTP/1.1 has of whoever writes it; and what only that may have.
fn complete(headers: &mut HeaderMap, bytes: Option<u64>) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
    if let Some(bytes) = bytes {
        headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(bytes));
    }
    let now = UNIX_EPOCH + Duration::from_millis(wall().unsigned_abs());
    let now = HeaderValue::try_from(httpdate::fmt_http_date(now)).expect("it is ASCII");
    headers.entry(header::DATE).or_insert(now);
}

/// Sends all of a body, or says why it ends before that.
async fn send(out: &mut SendStream<Bytes>, mut body: Body, terms: &Terms) -> Result<(), Reason> {
    loop {
        let frame = tokio::select! {
            biased;
            _ = poll_fn(|cx| out.poll_reset(cx)) => return Err(Reason::CANCEL),
            frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => frame,
        };
        let (data, is_last) = match frame {
            None => (Bytes::new(), true),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => (data, body.is_end_stream()),
                // Trailers: there are none here.
                Err(_) => continue,
            },
            Some(Err(error)) => {
                tracing::debug!(from = %terms.from, %error, "the rest of an answer failed");
                return Err(Reason::INTERNAL_ERROR);
            }
        };
        let _held = terms.unread.hold(data.len(), terms.limits.unread).ok_or(Reason::ENHANCE_YOUR_CALM)?;
        // All of it, so that a byte that is read now and then moves nothing.
        match timeout(terms.limits.read, pieces(out, data, is_last)).await {
            Ok(Ok(())) if is_last => return Ok(()),
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Reason::CANCEL),
        }
    }
}

/// Hands out as much at a time as the other side has opened its window for, so that whoever waits here knows what is not read.
async fn pieces(out: &mut SendStream<Bytes>, mut data: Bytes, is_last: bool) -> Result<(), h2::Error> {
    while !data.is_empty() {
        out.reserve_capacity(data.len().min(QUEUED_BYTES_MAX));
        while out.capacity() == 0 {
            match poll_fn(|cx| out.poll_capacity(cx)).await {
                Some(room) => room?,
                None => return Err(Reason::CANCEL.into()),
            };
        }
        // A copy, so that the last pieces do not keep all of an answer.
        let piece = Bytes::copy_from_slice(&data.split_to(out.capacity().min(data.len())));
        out.send_data(piece, is_last && data.is_empty())?;
        if is_last && data.is_empty() {
            return Ok(());
        }
    }
    if is_last { out.send_data(Bytes::new(), true) } else { Ok(()) }
}

/// Bytes of answers that a connection's client has not read: windows are its own to open.
#[derive(Default)]
pub(in crate::api) struct Unread(AtomicUsize);

/// So many of them, as long as it lives.
struct Held<'a>(&'a Unread, usize);

impl Unread {
    /// So many more, if that is not too much; of one answer any number is taken, since it is there already.
    fn hold(&self, bytes: usize, max: usize) -> Option<Held<'_>> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        let held = Held(self, bytes);
        (before == 0 || before + bytes <= max).then_some(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// The body of a request: what is read of it makes room for more.
struct Asked(RecvStream);

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let data = ready!(self.0.poll_data(cx));
        let room = |bytes: Bytes| self.0.flow_control().release_capacity(bytes.len()).map(|()| Frame::data(bytes));
        Poll::Ready(data.map(|data| data.and_then(room)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
