//! Threads for those who read streams, one for each.
//!
//! Arrives: what reads a stream. Leaves: the same, on a thread of its own with all that it spawns: what
//! the library takes off the socket and what is made of it stay with one core, and neither wakes the
//! other. Bound: [`THREADS_MAX`]; further ones share the threads of all.

use std::future::Future;
use std::panic::resume_unwind;

use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// How many streams are read by a thread of their own.
const THREADS_MAX: usize = 16;

static FREE: Semaphore = Semaphore::const_new(THREADS_MAX);

/// Does something on a thread of its own, if there is one.
pub(super) async fn on_its_own(what: impl Future<Output = ()> + Send + 'static) {
    on_one_of(&FREE, what).await;
}

async fn on_one_of(free: &'static Semaphore, what: impl Future<Output = ()> + Send + 'static) {
    // Who cannot have one shares those of all.
    let Ok(_taken) = free.try_acquire() else {
        return what.await;
    };
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return what.await;
    };
    let done = spawn_blocking(move || runtime.block_on(what)).await;
    if let Err(Ok(panic)) = done.map_err(JoinError::try_into_panic) {
        resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn p5_who_finds_no_thread_free_shares_those_of_all() {
        static TWO: Semaphore = Semaphore::const_new(2);
        let (ran_on, told) = mpsc::channel();
        let tells = || {
            let ran_on = ran_on.clone();
            async move {
                let tell = async move { ran_on.send(thread::current().id()) };
                let told = tokio::spawn(tell).await;
                told.expect("it does not panic").expect("it is heard");
            }
        };
        let ours = thread::current().id();
        for (taken, is_ours) in [(0, false), (1, false), (2, true), (0, false)] {
            let _taken = TWO.acquire_many(taken).await.expect("never closed");
            on_one_of(&TWO, tells()).await;
            let its = told.recv().expect("it told");
            assert_eq!(its == ours, is_ours, "{taken} are taken");
        }
    }
}
