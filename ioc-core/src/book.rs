//! Every incident that is remembered: where the live ones are, how the others ended.
//!
//! Arrives: incidents that open, merge and end. Leaves: what an id stands for now. Promise: the id
//! of a merged incident resolves to exactly one survivor in finitely many steps (INV-12), for as
//! long as it is remembered; when there are too many, that which has been over longest is
//! forgotten first. Next: `engine.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::Put;
use crate::decision::IncidentState;
use crate::id::{IncidentId, RuleId};
use crate::invariant::{Audit, Invariant};
use crate::time::Timestamp;

/// The remembered incidents.
#[derive(Debug)]
pub(crate) struct Book {
    entries: BTreeMap<IncidentId, Entry>,
    /// What can be forgotten, longest over first.
    endings: BTreeSet<(Timestamp, IncidentId)>,
    max: usize,
}

/// What became of an incident.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A candidate or an incident of this correlation rule.
    Live(RuleId),
    /// It can no longer reopen.
    Over(Box<IncidentState>),
    /// It went on as another.
    Merged(IncidentId),
}

impl Book {
    /// An empty book for so many incidents.
    pub fn new(max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            endings: BTreeSet::new(),
            max,
        }
    }

    pub fn knows(&self, id: IncidentId) -> bool {
        self.entries.contains_key(&id)
    }

    /// Makes room for one more by forgetting: `None` if there is none to be made, else how many
    /// were forgotten.
    pub fn make_room(&mut self) -> Option<u64> {
        let mut forgotten = 0;
        while self.entries.len() >= self.max {
            let (_, id) = self.endings.pop_first()?;
            self.entries.remove(&id);
            forgotten += 1;
        }
        Some(forgotten)
    }

    pub fn opened(&mut self, id: IncidentId, rule: RuleId) {
        self.entries.insert(id, Entry::Live(rule));
    }

    pub fn over(&mut self, state: IncidentState, at: Timestamp) {
        self.endings.insert((at, state.id));
        self.entries.insert(state.id, Entry::Over(Box::new(state)));
    }

    pub fn merged(&mut self, id: IncidentId, into: IncidentId, at: Timestamp) {
        self.endings.insert((at, id));
        self.entries.insert(id, Entry::Merged(into));
    }

    /// What the id stands for now: never [`Entry::Merged`].
    pub fn resolve(&mut self, id: IncidentId) -> Option<(IncidentId, &mut Entry)> {
        let mut id = id;
        while let Some(Entry::Merged(into)) = self.entries.get(&id) {
            id = *into;
        }
        Some((id, self.entries.get_mut(&id)?))
    }

    /// Checks that every id leads somewhere, live ones to where `is_live` knows them.
    pub fn audit(&self, is_live: impl Fn(&RuleId, IncidentId) -> bool, audit: &mut Audit) {
        for (id, entry) in &self.entries {
            let holds = match entry {
                Entry::Live(rule) => is_live(rule, *id),
                Entry::Over(state) => state.id == *id,
                // What it went on as may have been forgotten since.
                Entry::Merged(into) => into != id,
            };
            audit.expect(holds, Invariant::IdsResolve, id);
        }
    }

    /// Puts the whole state, in the order of the ids.
    pub fn put(&self, out: &mut impl Put) {
        out.put_u32(self.entries.len() as u32);
        for (id, entry) in &self.entries {
            out.put_u64(id.to_bits());
            match entry {
                Entry::Live(rule) => {
                    out.put_u8(0);
                    out.put_text(rule.as_str());
                }
                Entry::Over(state) => {
                    out.put_u8(1);
                    state.put(out);
                }
                Entry::Merged(into) => {
                    out.put_u8(2);
                    out.put_u64(into.to_bits());
                }
            }
        }
        for (at, id) in &self.endings {
            out.put_time(*at);
            out.put_u64(id.to_bits());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> IncidentId {
        IncidentId::derive(&[name])
    }

    #[test]
    fn forgets_the_longest_over_and_never_the_live() {
        let rule: RuleId = "floods".parse().unwrap();
        let at = Timestamp::from_millis;
        let mut book = Book::new(3);
        for name in ["a", "b", "c"] {
            assert_eq!(book.make_room(), Some(0));
            book.opened(id(name), rule.clone());
        }
        assert_eq!(book.make_room(), None);
        book.merged(id("c"), id("a"), at(20));
        book.merged(id("b"), id("a"), at(10));
        assert_eq!(book.make_room(), Some(1));
        assert!(book.knows(id("c")) && !book.knows(id("b")));
        assert_eq!(book.resolve(id("c")).unwrap().0, id("a"));
        assert!(book.resolve(id("b")).is_none());
    }
}
