//! The cases of one rule by their slots, and of each what thousands are asked for at once.
//!
//! Arrives: cases, put in and taken out, and whoever changes one. Leaves: the case itself, and its
//! [`Brief`]. Promise: briefs lie side by side in memory, so that asking each of thousands that are
//! near waits for a few lines of it and not for one of each case; whoever changes a case makes its
//! brief be written anew, and until it is, the case itself is asked. So they never disagree, and
//! which is asked shows nowhere. Slots show nowhere either. Next: `index.rs`.

use crate::decision::Condition;
use crate::id::IncidentId;
use crate::incident::Case;
use crate::time::Timestamp;

/// What is asked of a case by whoever looks for what is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Brief {
    pub id: IncidentId,
    pub begun_at: Timestamp,
    /// When people were told; `None` for a candidate.
    pub opened_at: Option<Timestamp>,
    pub last_evidence_at: Timestamp,
    pub condition: Condition,
    /// Whether a sensor in it is heard to be abnormal: one that fell silent says nothing any more.
    pub is_heard_to_be_abnormal: bool,
    /// Whether some of it weighs nothing.
    pub has_context: bool,
    /// Whether nothing is known to have caused it, and no person says that nothing has.
    pub is_free: bool,
    /// Whether a person has split it from others.
    pub is_split: bool,
}

/// What is written down of one slot.
#[derive(Debug, Clone, Copy)]
enum Note {
    /// No case has it.
    Empty,
    /// The case may have changed since.
    Stale,
    Fresh(Brief),
}

/// How many briefs are written anew at once. Of the others the case itself is asked meanwhile.
const FRESHENED_AT_ONCE: usize = 256;

/// The cases, each in memory of its own: where there are thousands, room for one more moves none.
#[derive(Debug, Default)]
pub(super) struct Cases {
    cases: Vec<Option<Box<Case>>>,
    notes: Vec<Note>,
    /// The slots whose cases may have changed.
    stale: Vec<u32>,
}

impl Brief {
    fn of(case: &Case) -> Self {
        let Case { incident, cluster } = case;
        Self {
            id: incident.id,
            begun_at: incident.begun_at,
            opened_at: incident.opened_at,
            last_evidence_at: cluster.last_evidence_at,
            condition: incident.condition,
            is_heard_to_be_abnormal: cluster.is_heard_to_be_abnormal(),
            has_context: cluster.has_context(),
            is_free: incident.is_free(),
            is_split: !incident.apart.is_empty(),
        }
    }
}

impl Cases {
    /// The case of a slot, if it has one.
    pub fn get(&self, slot: u32) -> Option<&Case> {
        self.cases[slot as usize].as_deref()
    }

    /// The same, for whoever may change it.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Case> {
        let case = self.cases[slot as usize].as_deref_mut()?;
        let note = &mut self.notes[slot as usize];
        if let Note::Fresh(_) = note {
            *note = Note::Stale;
            self.stale.push(slot);
        }
        Some(case)
    }

    /// Whether a slot has a case.
    pub fn has(&self, slot: u32) -> bool {
        !matches!(self.notes[slot as usize], Note::Empty)
    }

    /// What is asked of the case of a slot, if it has one.
    pub fn brief(&self, slot: u32) -> Option<Brief> {
        match self.notes[slot as usize] {
            Note::Empty => None,
            Note::Stale => self.get(slot).map(Brief::of),
            Note::Fresh(brief) => Some(brief),
        }
    }

    /// Writes anew what has changed, not more than costs nobody anything.
    pub fn freshen(&mut self) {
        for _ in 0..FRESHENED_AT_ONCE {
            let Some(slot) = self.stale.pop() else { return };
            let note = &mut self.notes[slot as usize];
            if let (Note::Stale, Some(case)) = (&note, &self.cases[slot as usize]) {
                *note = Note::Fresh(Brief::of(case));
            }
        }
    }

    /// A slot that nothing had yet.
    pub fn push(&mut self) -> u32 {
        self.cases.push(None);
        self.notes.push(Note::Empty);
        (self.cases.len() - 1) as u32
    }

    /// Puts a case into a slot that has none.
    pub fn put(&mut self, slot: u32, case: Case) {
        self.cases[slot as usize] = Some(Box::new(case));
        self.notes[slot as usize] = Note::Stale;
        self.stale.push(slot);
    }

    /// Takes the case out of a slot.
    pub fn take(&mut self, slot: u32) -> Option<Case> {
        self.notes[slot as usize] = Note::Empty;
        self.cases[slot as usize].take().map(|case| *case)
    }

    /// All of them, in the order of their slots, which means nothing.
    pub fn iter(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().flatten().map(|case| &**case)
    }

    /// The same, each with its slot.
    pub fn with_slots(&self) -> impl Iterator<Item = (u32, &Case)> {
        let cases = (0..).zip(&self.cases);
        cases.filter_map(|(slot, case)| Some((slot, case.as_deref()?)))
    }

    /// Whether what is written down is so.
    pub fn agree(&self) -> bool {
        let mut both = self.cases.iter().zip(&self.notes);
        both.all(|(case, note)| match (case, note) {
            (None, Note::Empty) | (Some(_), Note::Stale) => true,
            (Some(case), Note::Fresh(brief)) => Brief::of(case) == *brief,
            (None, Note::Stale | Note::Fresh(_)) | (Some(_), Note::Empty) => false,
        })
    }
}
