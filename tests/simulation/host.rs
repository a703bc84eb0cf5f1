//! The whole host, simulated: real engine, logs, recovery and window; one seed decides the rest.
//!
//! Clocks, disk, connections and the order of all steps are the world's. Publishers send, repeat and
//! lose their connections; operators follow, fall behind, resume and command; the process is killed,
//! loses its power, meets a failing or full disk, stops cleanly and starts again, also as another
//! build and after its logs were cut short. What the outside was told is kept in a model; the checks
//! compare it with the logs. A failing seed tells its story and the command that repeats it.
//!
//! The modules in reading order:

mod story;
mod time;
mod tide;
mod archive;
mod city;
mod workload;
mod publisher;
mod messages;
mod socket;
mod operator;
mod model;
mod sabotage;
mod devices;
mod process;
mod sessions;
mod plan;
mod machine;
mod world;
mod checks;

mod seeded;
mod full;
mod lanes;
