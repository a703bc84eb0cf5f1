//! A connection that keeps its place busy until its answer is written.
//!
//! Arrives: the bodies of a request and of its answer, and word that all that was handed on is written.
//! Leaves: the same bodies, and whether an answer is owed to a request that was heard to its end; when it is over, or given up, and its last byte is written, the connection asks for nothing
//! any more and may give way to others. An answer may lie in the socket's buffers as a whole, so
//! that its body is over says little.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, Incoming, SizeHint};
use ioc_gateway::places::Place;

/// A connection's place, and what is under way on it. One task serves the connection, so nothing
/// here happens at once.
#[derive(Debug)]
pub(super) struct Serving {
    place: Place,
    /// Requests whose answer's body is not over.
    under_way: AtomicUsize,
    /// Whether an answer was begun since all was written.
    owes: AtomicBool,
    /// Whether the rest of a request is to come.
    hears: AtomicBool,
}

impl Serving {
    pub fn new(place: Place) -> Arc<Self> {
        Arc::new(Self {
            place,
            under_way: AtomicUsize::new(0),
            owes: AtomicBool::new(false),
            hears: AtomicBool::new(false),
        })
    }

    /// A request has come; whether the connection has its place still.
    pub fn begins(&self) -> bool {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.owes.store(true, Ordering::Relaxed);
        self.place.claim()
    }

    /// Whether a request was heard to its end, and not all of its answer is written.
    pub fn owes_answer(&self) -> bool {
        self.owes.load(Ordering::Relaxed) && !self.hears.load(Ordering::Relaxed)
    }

    /// All that was handed on is written.
    pub fn is_written(&self) {
        if self.under_way.load(Ordering::Relaxed) == 0 && self.owes.swap(false, Ordering::Relaxed) {
            self.place.rest();
        }
    }

    /// Waits until the place is given to another.
    pub async fn given_away(&self) {
        self.place.given_away().await;
    }
}

/// The body of a request, and the connection that it comes over.
pub(super) struct Asked {
    body: Incoming,
    serving: Arc<Serving>,
}

impl Asked {
    pub fn new(body: Incoming, serving: Arc<Serving>) -> Self {
        let asked = Self { body, serving };
        asked.serving.hears.store(true, Ordering::Relaxed);
        asked.listen();
        asked
    }

    fn listen(&self) {
        if hyper::body::Body::is_end_stream(&self.body) {
            self.serving.hears.store(false, Ordering::Relaxed);
        }
    }
}

impl hyper::body::Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match polled {
            Poll::Ready(None) => self.serving.hears.store(false, Ordering::Relaxed),
            Poll::Ready(Some(_)) => self.listen(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, and the connection that it is written to.
pub(super) struct Placed {
    body: Body,
    serving: Arc<Serving>,
}

impl Placed {
    pub fn new(body: Body, serving: Arc<Serving>) -> Self {
        Self { body, serving }
    }
}

impl hyper::body::Body for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.serving.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
