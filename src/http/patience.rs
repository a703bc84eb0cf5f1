//! A connection whose client must take what is written to it, at some pace.
//!
//! Arrives: an accepted connection. Leaves: the same, whose writes fail once the client has made us
//! wait for too long. Promise: patience is spent while bytes lie unwritten and earned by bytes that
//! the client takes, so neither one that reads nothing nor one that reads a byte now and then holds
//! a place for long, and one on a slow line gets all of a large answer. Who has ended its own side behind a
//! whole request gets the answer all the same: that it will say no more is kept from the server until then,
//! or for so long. Not here: reading otherwise, which the server bounds; streams, which have a bound of their own and [free](Patience::free)
//! themselves from this one. Next: `placed.rs`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::placed::Serving;

/// How many bytes earn a second of patience.
pub const PACE_BYTES_PER_S: u64 = 16 << 10;

/// How a connection's patience is ended.
#[derive(Debug, Clone, Default)]
pub struct Patience(Arc<AtomicBool>);

impl Patience {
    /// From now on somebody else decides how long to wait for this client.
    pub fn free(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_free(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection with patience.
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    max: Duration,
    left: Duration,
    /// Since when bytes lie unwritten, and what wakes us when patience is over.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    patience: Patience,
    impatient: fn(),
    serving: Option<Arc<Serving>>,
    /// How long a client that says no more is answered,
    last_answer_max: Duration,
    /// until when, once it has ended its side,
    ended: Option<Pin<Box<Sleep>>>,
    /// and whom it is kept from.
    reader: Option<Waker>,
}

impl<S> Patient<S> {
    /// A connection that waits `max` at most for a client that takes nothing; `impatient` is told
    /// when it does not wait any longer.
    pub fn new(stream: S, max: Duration, patience: Patience, impatient: fn()) -> Self {
        Self {
            stream,
            max,
            left: max,
            waiting: None,
            patience,
            impatient,
            serving: None,
            last_answer_max: Duration::ZERO,
            ended: None,
            reader: None,
        }
    }

    /// Tells this connection when all that was handed on is written. What it owes to a client that says no
    /// more is waited for so long.
    pub fn telling(self, serving: Arc<Serving>, last_answer_max: Duration) -> Self {
        Self {
            serving: Some(serving),
            last_answer_max,
            ..self
        }
    }

    /// Ready when it may be told that the client says no more: it is owed no answer, or not any longer.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let last_answer_max = self.last_answer_max;
        let ended = self
            .ended
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + last_answer_max)));
        let owes = |serving: &Arc<Serving>| serving.owes_answer();
        let is_owed = !self.patience.is_free() && self.serving.as_ref().is_some_and(owes);
        if is_owed && ended.as_mut().poll(cx).is_pending() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Counts what came of an attempt to write.
    fn count(
        &mut self,
        wrote: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.patience.is_free() {
            return wrote;
        }
        match wrote {
            Poll::Ready(Ok(bytes)) => {
                self.earn(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                ready!(self.poll_over(cx));
                (self.impatient)();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn earn(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let earned = Duration::from_micros(bytes as u64 * 1_000_000 / PACE_BYTES_PER_S);
        self.left = self.max.min(self.left + earned);
    }

    /// Ready when patience is over.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let begin = || {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        };
        let (_, alarm) = self.waiting.get_or_insert_with(begin);
        alarm.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.ended.is_none() && buffer.remaining() > 0 {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        }
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            ready!(self.poll_ended(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(wrote, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(wrote, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let (Poll::Ready(Ok(())), Some(serving)) = (&flushed, &self.serving) {
            serving.is_written();
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    fn nobody() {}

    #[tokio::test]
    async fn p5_who_takes_a_byte_now_and_then_does_not_earn_patience() {
        let (mut client, server) = duplex(16);
        let max = Duration::from_millis(200);
        let mut server = Patient::new(server, max, Patience::default(), nobody);
        let reading = tokio::spawn(async move {
            let mut byte = [0];
            let mut now_and_then = tokio::time::interval(Duration::from_millis(5));
            while client.read(&mut byte).await.is_ok_and(|read| read > 0) {
                now_and_then.tick().await;
            }
        });
        let written = timeout(DEADLINE, server.write_all(&[0; 100_000])).await;
        let error = written.expect("it is not waited for").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(server);
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn whoever_reads_gets_all_of_it_and_a_stream_is_not_hurried() {
        let (mut client, server) = duplex(16);
        let mut server = Patient::new(server, DEADLINE, Patience::default(), nobody);
        let mut taken = vec![0; 10_000];
        let (wrote, read) = tokio::join!(
            server.write_all(&[7; 10_000]),
            client.read_exact(&mut taken)
        );
        assert!(wrote.is_ok() && read.is_ok());

        let (_client, server) = duplex(16);
        let patience = Patience::default();
        let mut server = Patient::new(server, Duration::ZERO, patience.clone(), nobody);
        patience.free();
        let waits = timeout(Duration::from_millis(20), server.write_all(&[0; 100])).await;
        assert!(waits.is_err(), "nobody decided that it was too long");
    }
}
