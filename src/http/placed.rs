//! An answer's body that keeps its connection's place busy until it is over.
//!
//! Arrives: the body of an answer. Leaves: the same; when its last piece is handed on to be written,
//! or it is given up, the connection asks for nothing any more and may give way to others.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use ioc_gateway::places::Place;

/// A body, and the place of the connection that it is written to.
pub(super) struct Placed {
    body: Body,
    place: Arc<Place>,
}

impl Placed {
    pub fn new(body: Body, place: Arc<Place>) -> Self {
        Self { body, place }
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
        self.place.rest();
    }
}
