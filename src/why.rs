//! `ioc why`: why something was decided, and why a reading led to nothing.
//!
//! Arrives: a data directory and what is asked about: an incident, a reading, a record. Leaves: an
//! [`Answer`] for people or as JSON. Promise: nothing is kept for it while the server judges. The
//! state before the record is made again from the nearest snapshot, with the rules that held then,
//! and the record is judged once more under a lens (`ioc-core/src/explain.rs`). Only reads, also
//! beside a running server. Next: `why/find.rs`.

mod find;
mod replay;
mod reading;
mod incident;
mod lineage;
mod sentences;
pub mod http;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ioc_core::bundle::Bundle;
use ioc_core::id::IncidentId;
use ioc_core::record::{BundleHash, Seq};
use serde_json::Value;

use self::incident::IncidentAnswer;
use self::reading::ReadingAnswer;
use crate::inspect::InspectError;
use crate::journal::JournalError;
use crate::recover::RecoverError;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An incident.
    Incident(IncidentId),
    /// A record of the inputs log.
    Record(Seq),
    /// A reading of this sensor.
    Reading {
        /// Who sent it.
        sensor: String,
        /// Its id.
        id: String,
    },
    /// A reading by its id alone, or the last one of a sensor of this name.
    Name(String),
}

impl FromStr for About {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("inc-") {
            let id = text.parse();
            return id.map(Self::Incident).map_err(|error| format!("{error}"));
        }
        let number = text.strip_prefix('#');
        if let Some(number) = number {
            let seq = number.parse();
            return seq
                .map(Self::Record)
                .map_err(|_| format!("\"{text}\" is no record; write #981"));
        }
        Ok(match text.split_once('/') {
            Some((sensor, id)) => Self::Reading {
                sensor: sensor.to_owned(),
                id: id.to_owned(),
            },
            None if text.is_empty() => return Err("about what?".to_owned()),
            None => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incident(id) => write!(f, "incident {id}"),
            Self::Record(seq) => write!(f, "record {seq}"),
            Self::Reading { sensor, id } => write!(f, "reading {id} of {sensor}"),
            Self::Name(name) => write!(f, "reading or sensor {name}"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// Nothing in the logs is called so.
    #[error("{about} is not in the logs of this data directory{hint}")]
    Unknown {
        /// What was asked about.
        about: About,
        /// What may be the reason.
        hint: String,
    },
    /// The record is no reading: nothing judges it by rules.
    #[error("record {seq} is no reading; `ioc journal dump DATA --record {seq}` shows it")]
    NoReading {
        /// The record.
        seq: Seq,
    },
    /// The logs cannot be read.
    #[error(transparent)]
    Journal(#[from] InspectError),
}

impl From<RecoverError> for WhyError {
    fn from(error: RecoverError) -> Self {
        Self::Journal(error.into())
    }
}

impl From<JournalError> for WhyError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error.into())
    }
}

/// Why.
#[derive(Debug)]
pub enum Answer {
    /// Why an incident is as it is.
    Incident(Box<IncidentAnswer>),
    /// What became of a reading.
    Reading(Box<ReadingAnswer>),
}

impl Answer {
    /// As programs read it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Incident(answer) => answer.to_json(),
            Self::Reading(answer) => answer.to_json(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incident(answer) => answer.fmt(f),
            Self::Reading(answer) => answer.fmt(f),
        }
    }
}

/// Finds bundles by their hash, as they were stored.
pub type Bundles<'a> = &'a dyn Fn(BundleHash) -> Result<std::sync::Arc<Bundle>, String>;

/// Answers.
///
/// # Errors
/// What is asked about is not in the logs, or these cannot be read.
pub fn answer(data: &Path, about: &About, bundles: Bundles<'_>) -> Result<Answer, WhyError> {
    match about {
        About::Incident(id) => {
            let answer = incident::answer(data, *id, bundles)?;
            Ok(Answer::Incident(Box::new(answer)))
        }
        About::Record(_) | About::Reading { .. } | About::Name(_) => {
            let seq = find::record(data, about)?;
            let answer = reading::answer(data, seq, bundles)?;
            Ok(Answer::Reading(Box::new(answer)))
        }
    }
}

#[cfg(test)]
mod tests;
