//! Which alerts were taken back, or had their place taken, before they came.
//!
//! Messages overtake each other: a cancellation may come by a quicker way than the alert that it
//! cancels. Shared by all connections. Promise: only what a sender may say for its own sensor is
//! noted, so nobody takes back what another is to send. Forgotten when this process ends. Bound:
//! [`TAKEN_BACK_MAX`].

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ioc_core::reading::Reading;

use super::REPLACES;

/// How many alerts that were taken back are remembered; the one that was first goes first.
pub const TAKEN_BACK_MAX: usize = 8192;

/// The alerts that were taken back, by the sensor that their sender is and by their names.
#[derive(Debug, Clone, Default)]
pub struct TakenBack(Arc<Mutex<Table>>);

type Name = (Box<str>, Box<str>);

#[derive(Debug, Default)]
struct Table {
    names: BTreeSet<Arc<Name>>,
    oldest_first: VecDeque<Arc<Name>>,
}

impl TakenBack {
    /// Notes what a report that is let in takes the place of.
    pub(in crate::formats) fn note(&self, report: &Reading<'_>) {
        // Decoders of alerts put it first: so what is none costs nothing.
        let Some((REPLACES, names)) = report.attributes.iter().next() else {
            return;
        };
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names.split_ascii_whitespace() {
            table.note((report.sensor.into(), name.into()));
        }
    }

    /// Whether the alert of this name was taken back by its sender.
    pub(super) fn contain(&self, sensor: &str, name: &str) -> bool {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !table.names.is_empty() && table.names.contains(&(sensor.into(), name.into()))
    }
}

impl Table {
    fn note(&mut self, name: Name) {
        if self.names.contains(&name) {
            return;
        }
        if self.oldest_first.len() == TAKEN_BACK_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.names.remove(&oldest);
        }
        let name = Arc::new(name);
        self.names.insert(Arc::clone(&name));
        self.oldest_first.push_back(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_so_many_alerts_that_were_taken_back_are_remembered_and_the_oldest_is_forgotten() {
        let mut table = Table::default();
        let name = |number: usize| (Box::from("s"), number.to_string().into());
        for number in 0..=TAKEN_BACK_MAX {
            table.note(name(number));
            // What is noted again takes no place of its own.
            table.note(name(number));
        }
        assert_eq!(table.names.len(), TAKEN_BACK_MAX);
        assert_eq!(table.oldest_first.len(), TAKEN_BACK_MAX);
        assert!(!table.names.contains(&name(0)));
        assert!(table.names.contains(&name(1)) && table.names.contains(&name(TAKEN_BACK_MAX)));
    }
}
