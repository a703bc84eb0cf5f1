//! How much of one message was looked for, and how much it brought: its bounds.
//!
//! Arrives: each thing that a decoder looks for, and what came of it. Leaves: an error where a bound
//! is reached. What says nothing, as its mapping allows, is looked for and brings nothing. Bounds:
//! [`ITEMS_MAX`] that are brought at once, [`LOOKS_MAX`] that are looked for in all, and in a short
//! message no more than [`ITEMS_MAX`] and one for each of its bytes. A replay of the rest counts what is
//! brought from there on.

use super::{ITEMS_MAX, Reason, Reject};

/// How many things are looked for in one message, whether it says anything of them or not; beyond them
/// also a replay does not come.
pub const LOOKS_MAX: usize = 65_536;

/// The counts of one message.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How many items were taken another time.
    behind: usize,
    /// How many fewer than [`LOOKS_MAX`] are looked for.
    looks_spared: usize,
    looked: usize,
    handed: usize,
    brought: usize,
    /// Whether it has let nothing more be looked for, or brought.
    is_full: bool,
}

impl Tally {
    /// Of a message of which so many items were taken another time.
    pub fn behind(behind: usize) -> Self {
        Self {
            behind,
            ..Self::default()
        }
    }

    /// Of so many bytes: many entries of a mapping that are optional would look for much in little.
    pub fn lie_in(&mut self, bytes: usize) {
        self.looks_spared = LOOKS_MAX.saturating_sub(ITEMS_MAX.saturating_add(bytes));
    }

    const fn looks_max(&self) -> usize {
        LOOKS_MAX - self.looks_spared
    }

    /// Before something is looked for.
    pub fn look(&mut self) -> Result<(), Reject> {
        self.looked += 1;
        if self.looked > self.looks_max() {
            self.is_full = true;
            return Err(too_many_looks(self.looks_max()));
        }
        Ok(())
    }

    /// Before a reading or a dead letter is handed over.
    pub fn bring(&mut self) -> Result<(), Reject> {
        if self.handed >= self.behind {
            if self.brought == ITEMS_MAX {
                self.is_full = true;
                return Err(too_many_items());
            }
            self.brought += 1;
        }
        self.handed += 1;
        Ok(())
    }

    /// Before something is handed over that is neither.
    pub const fn pass(&mut self) {
        self.handed += 1;
    }

    /// Whether something was not taken for a bound: what a decoder gave up then was not at fault itself.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }
}

fn too_many_items() -> Reject {
    let detail = format!(
        "a message brings at most {ITEMS_MAX} readings at once; those behind are left out: a replay of \
         this dead letter takes the next {ITEMS_MAX}"
    );
    Reject::new(Reason::ItemsTooMany, detail)
}

fn too_many_looks(most: usize) -> Reject {
    let detail = format!(
        "at most {most} readings are looked for in a message of this length; have what is behind sent in messages \
         of its own"
    );
    Reject::new(Reason::ItemsTooMany, detail)
}
