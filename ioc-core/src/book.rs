//! Every incident that is remembered: where the live ones are, how the others ended.
//!
//! Arrives: incidents that open, merge and end. Leaves: what an id stands for now. Promise: the id
//! of a merged incident resolves to exactly one survivor in finitely many steps (INV-12), for as
//! long as it is remembered; when there are too many, that which has been over longest is
//! forgotten first. Next: `engine.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{CodecError, Put, Take};
use crate::decision::IncidentState;
use crate::id::{IncidentId, RuleId};
use crate::incident::Docket;
use crate::invariant::{Audit, Invariant};
use crate::record::incident_id;
use crate::time::Timestamp;

/// The remembered incidents.
#[derive(Debug)]
pub(crate) struct Book {
    entries: BTreeMap<IncidentId, Entry>,
    /// What can be forgotten, longest over first.
    endings: BTreeSet<(Timestamp, IncidentId)>,
    max: usize,
    /// How many of these places are for people alone.
    kept: usize,
}

/// For whom there is to be room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// What rules make of readings by themselves.
    Rules,
    /// What a person knows of or asks for: some places are kept.
    People,
}

/// What became of an incident.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A candidate or an incident of this correlation rule.
    Live(RuleId),
    /// It can no longer reopen.
    Over(Box<Past>),
    /// It went on as another.
    Merged(IncidentId),
}

/// How an incident ended, and what people did and do about it.
#[derive(Debug)]
pub(crate) struct Past {
    pub state: IncidentState,
    pub docket: Docket,
}

impl Book {
    /// An empty book for so many incidents, some of them of people alone.
    pub fn new(max: usize, kept: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            endings: BTreeSet::new(),
            max,
            kept,
        }
    }

    pub fn knows(&self, id: IncidentId) -> bool {
        self.entries.contains_key(&id)
    }

    /// Makes room for one more by forgetting: `None` if there is none to be made, else how many
    /// were forgotten.
    pub fn make_room(&mut self, whom: For) -> Option<u64> {
        let max = match whom {
            For::Rules => self.max - self.kept,
            For::People => self.max,
        };
        let mut forgotten = 0;
        while self.entries.len() >= max {
            let (_, id) = self.endings.pop_first()?;
            self.entries.remove(&id);
            forgotten += 1;
        }
        Some(forgotten)
    }

    pub fn opened(&mut self, id: IncidentId, rule: RuleId) {
        self.entries.insert(id, Entry::Live(rule));
    }

    pub fn over(&mut self, past: Past, at: Timestamp) {
        let id = past.state.id;
        self.endings.insert((at, id));
        self.entries.insert(id, Entry::Over(Box::new(past)));
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

    /// What the id stands for now, to look at.
    pub fn find(&self, id: IncidentId) -> Option<(IncidentId, &Entry)> {
        let mut id = id;
        while let Some(Entry::Merged(into)) = self.entries.get(&id) {
            id = *into;
        }
        Some((id, self.entries.get(&id)?))
    }

    /// Whether an id is this one, or merged into it on the way to what it stands for now.
    pub fn went_through(&self, id: IncidentId, through: IncidentId) -> bool {
        let mut id = id;
        while id != through {
            let Some(Entry::Merged(into)) = self.entries.get(&id) else {
                return false;
            };
            id = *into;
        }
        true
    }

    /// Checks that every id leads somewhere, live ones to where `is_live` knows them.
    pub fn audit(&self, is_live: impl Fn(&RuleId, IncidentId) -> bool, audit: &mut Audit) {
        let mut resolves = BTreeSet::new();
        let mut ended = BTreeSet::new();
        for (id, entry) in &self.entries {
            let holds = match entry {
                Entry::Live(rule) => is_live(rule, *id),
                Entry::Over(past) => {
                    past.state.id == *id && past.state.handling == past.docket.handling
                }
                Entry::Merged(_) => self.resolves(*id, &mut resolves),
            };
            if !matches!(entry, Entry::Live(_)) {
                ended.insert(*id);
            }
            audit.expect(holds, Invariant::IdsResolve, id);
        }
        let endings: BTreeSet<_> = self.endings.iter().map(|(_, id)| *id).collect();
        let agree = endings == ended && endings.len() == self.endings.len();
        audit.expect(agree, Invariant::IdsResolve, "the book's endings");
    }

    /// Whether an id does not lead back to itself. What it went on as may have been forgotten
    /// since. `known`: those of which it is known.
    fn resolves(&self, id: IncidentId, known: &mut BTreeSet<IncidentId>) -> bool {
        let mut way = Vec::new();
        let mut next = id;
        while let Some(Entry::Merged(into)) = self.entries.get(&next) {
            if known.contains(&next) {
                break;
            }
            way.push(next);
            if way.len() > self.entries.len() {
                return false;
            }
            next = *into;
        }
        known.extend(way);
        true
    }

    /// Puts the whole state, in the order of the ids.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.entries.len());
        for (id, entry) in &self.entries {
            out.put_u64(id.to_bits());
            entry.put(out);
        }
        out.put_count(self.endings.len());
        for (at, id) in &self.endings {
            out.put_time(*at);
            out.put_u64(id.to_bits());
        }
    }

    /// The book as it was put, again for so many incidents.
    pub fn take(
        format: u16,
        take: &mut Take<'_>,
        (max, kept): (usize, usize),
    ) -> Result<Self, CodecError> {
        let entries = take.count(max)?;
        let entry = |take: &mut Take<'_>| Ok((incident_id(take)?, Entry::take(format, take)?));
        let entries = take.each(entries, entry)?;
        let endings = take.count(max)?;
        let endings = take.each(endings, |take| Ok((take.time()?, incident_id(take)?)))?;
        let in_order = entries.is_sorted_by(|(one, _), (next, _)| one < next);
        if !in_order || !endings.is_sorted_by(|one, next| one < next) {
            return Err(CodecError("incidents are not in order"));
        }
        Ok(Self {
            entries: entries.into_iter().collect(),
            endings: endings.into_iter().collect(),
            max,
            kept,
        })
    }
}

impl Entry {
    fn put(&self, out: &mut impl Put) {
        match self {
            Self::Live(rule) => {
                out.put_u8(0);
                out.put_text(rule.as_str());
            }
            Self::Over(past) => {
                out.put_u8(1);
                past.state.put(out);
                past.docket.put(out);
            }
            Self::Merged(into) => {
                out.put_u8(2);
                out.put_u64(into.to_bits());
            }
        }
    }

    fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        match take.u8()? {
            0 => take.parsed("rule").map(Self::Live),
            1 => Past::take(format, take).map(|past| Self::Over(Box::new(past))),
            2 => incident_id(take).map(Self::Merged),
            _ => Err(CodecError("an incident that neither lives nor ended")),
        }
    }
}

impl Past {
    /// It as it was put; before format 2 only how it ended was.
    fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let state = IncidentState::decode(take)?;
        let docket = match format {
            1 => Docket::handled(state.handling),
            _ => Docket::take(format, take)?,
        };
        Ok(Self { state, docket })
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
        let mut book = Book::new(3, 0);
        for name in ["a", "b", "c"] {
            assert_eq!(book.make_room(For::Rules), Some(0));
            book.opened(id(name), rule.clone());
        }
        assert_eq!(book.make_room(For::Rules), None);
        book.merged(id("c"), id("a"), at(20));
        book.merged(id("b"), id("a"), at(10));
        assert_eq!(book.make_room(For::Rules), Some(1));
        assert!(book.knows(id("c")) && !book.knows(id("b")));
        assert_eq!(book.resolve(id("c")).unwrap().0, id("a"));
        assert!(book.resolve(id("b")).is_none());
    }
    #[test]
    fn rules_leave_some_places_to_people() {
        let rule: RuleId = "floods".parse().unwrap();
        let mut book = Book::new(3, 1);
        for name in ["a", "b"] {
            assert_eq!(book.make_room(For::Rules), Some(0));
            book.opened(id(name), rule.clone());
        }
        assert_eq!(book.make_room(For::Rules), None);
        assert_eq!(book.make_room(For::People), Some(0));
        book.opened(id("c"), rule);
        assert_eq!(book.make_room(For::People), None);
        // A rule has room again when as many are over as people had of the kept ones, and one.
        for (name, at) in [("a", 10), ("b", 20)] {
            book.merged(id(name), id("c"), Timestamp::from_millis(at));
        }
        assert_eq!(book.make_room(For::Rules), Some(2));
    }
}
