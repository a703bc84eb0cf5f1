//! The host's side of the operators' connections: futures that run when the world says so.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use ioc_ws::Window;
use tokio::io::DuplexStream;

/// One session. Dropped, its connection breaks.
pub struct Session {
    serving: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

/// Whether there is a reason to go on.
#[derive(Debug)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Session {
    /// A session on this end of a connection.
    pub fn new(window: Window, stream: DuplexStream) -> Self {
        Self {
            serving: Box::pin(async move { window.serve(stream).await }),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        }
    }

    /// Goes on as far as it can; returns whether it may go on later.
    pub fn step(&mut self) -> bool {
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return true;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        let polled = self.serving.as_mut().poll(&mut Context::from_waker(&waker));
        polled == Poll::Pending
    }
}
