//! The configuration: what people write, checked, in the words of the program.
//!
//! Arrives: the files of a configuration directory, the environment, a city. Leaves:
//! [`settings::Settings`] for the host, and a [`source::Source`] that compiles to the
//! [`Bundle`](ioc_core::bundle::Bundle) the core judges by and to the
//! [`Catalogue`](ioc_gateway::catalogue::Catalogue) the door decodes by. Promise: all mistakes of
//! all files are told at once, each with its place and what to write instead; nothing that
//! compiles can fail later. Not here: the journal of bundles in force, and reloads.
//!
//! The modules in reading order, from text to meaning:

pub mod mistake;
pub mod yaml;
pub mod quantity;
pub mod field;
pub mod filters;
pub mod settings;
pub mod users;
pub mod keys;
pub mod kinds;
pub mod mappings;
pub mod rules;
pub mod city;
pub mod survey;
pub mod source;
pub mod compile;
pub mod check;

pub(crate) use ioc_core::suggest;
