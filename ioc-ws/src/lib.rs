//! The window: what the core decides, shown to every operator at once.
//!
//! The host hands over each decision when it is durable ([`Window::release`]); it is serialised
//! once ([`Published`]), kept in the current picture and in a ring of late decisions, and written
//! to every session as fast as that session reads:
//!
//! ```text
//! client  hello {token?, resume?: {epoch, seq, hash}, filter?}
//! server  welcome {epoch, seq, hash, you, …}
//!         snapshot {…}  or the decisions since, as frames
//!         frame {from, to, hash, decisions}   for ever; folded {…} when the client is behind
//! client  command {request_id, action, incident or actuator, …}
//! server  ok {request_id, seq} once durable, or refused {request_id, code, message}
//! ```
//!
//! Promises: no gaps (P4: a console that was away goes on at its number, or is told that it gets a
//! new snapshot), bounded (P5: a session holds a number, not a queue), closed to other sites (P8:
//! [`Guard`]). Nothing here changes the core's state but by a journaled command. The protocol in
//! full is in `docs/PROTOCOL.md`.
//!
//! The modules in reading order, a decision's way:

mod options;
mod window;
mod wire;
mod frame;
mod control;
mod keeper;
mod view;
mod health;
mod latest;
mod statements;
mod feed;
mod fold;
mod filter;
mod server;
mod session;
mod listen;
mod milestones;
mod saved;
mod command;
mod auth;
mod guard;
mod rest;
mod handling;
mod actuators;
mod suppressions;
mod counted;
mod preview;
mod names;
mod sensors;
mod console;
mod error;
mod telemetry;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod protocol;

pub use auth::Token;
pub use command::RefusalReason;
pub use command::{AboutOrder, CommandRequest, Commands, OpenOrder, OperateOrder, Order};
pub use command::{ResuppressOrder, SuppressOrder};
pub use counted::Counted;
pub use feed::{Head, Published};
pub use guard::Guard;
pub use keeper::Keeper;
pub use latest::Recollection;
pub use options::{LogicalClock, WindowOptions};
pub use rest::wrong_method;
pub use saved::{VIEW_FORMAT, VIEW_FORMATS_READ, saved_up_to};
pub use statements::Statement;
pub use view::Sample;
pub use window::Window;
pub use wire::decision_json;
