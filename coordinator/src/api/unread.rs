//! A connection whose answers are taken in time, or that fails: a client that stops reading holds nothing for longer.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream, and how long what is written to it may wait to be gone.
pub(super) struct InTime<S> {
    stream: S,
    patience: Duration,
    /// Set while something waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> InTime<S> {
    pub(super) fn new(stream: S, patience: Duration) -> InTime<S> {
        InTime { stream, patience, deadline: None }
    }

    /// What waits, waits no longer than until the deadline, which a client that reads a byte now and then does not move: only when all is
    /// gone it begins anew.
    fn within<T>(&mut self, polled: Poll<io::Result<T>>, is_all: bool, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(done) => {
                if is_all {
                    self.deadline = None;
                }
                Poll::Ready(done)
            }
            Poll::Pending => {
                let patience = self.patience;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
                ready!(deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "what was answered is not read")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InTime<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InTime<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.within(polled, false, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.within(polled, true, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.within(polled, true, cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, all: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, all);
        self.within(polled, false, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Takes a byte now and then, and is never done.
    #[derive(Default)]
    struct Trickle {
        is_ready: bool,
        is_done: bool,
    }

    impl AsyncWrite for Trickle {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            self.is_ready = !self.is_ready;
            cx.waker().wake_by_ref();
            if self.is_ready { Poll::Pending } else { Poll::Ready(Ok(1)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.is_done { Poll::Ready(Ok(())) } else { Poll::Pending }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    const PATIENCE: Duration = Duration::from_millis(50);

    async fn write(stream: &mut InTime<Trickle>) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, b"answer")).await
    }

    /// Whoever reads a byte now and then does not hold it for longer than who reads none.
    #[tokio::test]
    async fn a_byte_now_and_then_is_no_reading() {
        let mut stream = InTime::new(Trickle::default(), PATIENCE);
        let since = std::time::Instant::now();
        let error = loop {
            assert!(since.elapsed() < Duration::from_secs(60), "it has no end");
            match write(&mut stream).await {
                Ok(bytes) => assert_eq!(bytes, 1),
                Err(error) => break error,
            }
            tokio::task::yield_now().await;
        };
        assert!(error.kind() == io::ErrorKind::TimedOut && since.elapsed() >= PATIENCE);
    }

    /// When all is gone the next answer has its whole time.
    #[tokio::test]
    async fn who_reads_all_begins_anew() {
        let mut stream = InTime::new(Trickle::default(), Duration::from_secs(600));
        assert_eq!(write(&mut stream).await.expect("a byte"), 1);
        assert!(stream.deadline.is_some(), "it waited");
        stream.stream.is_done = true;
        poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx)).await.expect("gone");
        assert!(stream.deadline.is_none());
        let mut stream = InTime::new(Trickle::default(), PATIENCE);
        let ended = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
        assert_eq!(ended.expect_err("it is never done").kind(), io::ErrorKind::TimedOut);
    }
}
