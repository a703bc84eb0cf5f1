//! The window from outside: real sockets, the public interface, the promises by their names.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

mod stream;
mod resume;
mod rest;
mod guard;
mod console;
