//! The whole product: the real binary, real sockets, real clients, and `kill -9` in between.
//!
//! Foreign clients (mosquitto, Chromium) are found on the machine; `make test` installs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;
mod browser;
mod stream;
mod publisher;
mod proxy;
mod mosquitto;
mod certificates;

mod spine;
mod kill;
mod flood;
mod full_disk;
mod snapshots;
mod builds;
mod accidents;
mod offline;
mod why;
mod labels;
mod reload;
mod preview;
mod shadow;
mod console;
mod desk;
mod commands;
mod ending;
mod strangers;
mod methods;
mod peers;
mod bounds;
mod listener;
mod brokers;
mod formats;
mod nats;
mod decisions_out;
mod cluster;
mod devices;
mod tls;
mod sign_in;
mod doors;
mod intake;
mod howto;
mod letters;
mod load;
