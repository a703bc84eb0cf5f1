//! The window from outside: real sockets, the public interface, the promises by their names.

mod support;

mod stream;
mod resume;
mod rest;
mod guard;
mod console;
