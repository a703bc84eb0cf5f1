//! Correlation rules that a reload has changed or taken away: when their incidents leave.
//!
//! Arrives: a reload, the time of the next step, and whoever asks about one of them. Leaves:
//! incidents that clear because their rule is gone, so many with the reload itself and further ones
//! a step each. Promise: of one reload too many what the first left behind is gone at once, so that
//! it is bounded what waits. Next: `correlate/leaving.rs`.

use super::Engine;
use super::family::{self, Correlators};
use crate::book::Entry;
use crate::correlate::{Correlator, Gone, Turn};
use crate::decision::{Decision, DecisionSeq};
use crate::id::IncidentId;
use crate::limits::{LEAVING_PER_STEP, RELOADS_WAITED_FOR_MAX};
use crate::time::Timestamp;

impl Engine {
    /// A rule is gone with this reload, and leaves if it has anything that could.
    pub(super) fn begin_leaving(&mut self, since: DecisionSeq, cases: Correlator) {
        if cases.has_anything() {
            self.desk.leaving.begin(since, cases);
        }
    }

    /// Lets the next incidents leave, as many as one step takes.
    pub(super) fn leave_more(&mut self, at: Timestamp, out: &mut Vec<Decision>) {
        let mut room = LEAVING_PER_STEP;
        while room > 0
            && let Some(place) = self.desk.leaving.first()
        {
            room = self.with_gone(place, at, out, |gone, heir, turn| {
                gone.leave(room, heir, turn)
            });
        }
        self.after_leaving(at, out);
    }

    /// Other rules come to hold. If too many reloads are waited for, all of the first leave at once.
    pub(super) fn make_room_to_leave(&mut self, at: Timestamp, out: &mut Vec<Decision>) {
        while self.desk.leaving.reloads() >= RELOADS_WAITED_FOR_MAX {
            let reload = self.desk.leaving.first_reload();
            while let Some(place) = self.desk.leaving.first()
                && self.desk.leaving.first_reload() == reload
            {
                self.with_gone(place, at, out, |gone, heir, turn| {
                    gone.leave(usize::MAX, heir, turn)
                });
            }
            self.after_leaving(at, out);
        }
    }

    /// Somebody asks about an incident: if it leaves, its turn has come.
    pub(super) fn leave_if_asked(
        &mut self,
        at: Timestamp,
        asked: IncidentId,
        out: &mut Vec<Decision>,
    ) {
        if self.desk.leaving.is_empty() {
            return;
        }
        let Some((id, Entry::Live(rule))) = self.desk.book.find(asked) else {
            return;
        };
        if let Some(place) = self.desk.leaving.place(rule, id) {
            self.with_gone(place, at, out, |gone, heir, turn| {
                gone.leave_one(id, heir, turn);
            });
            self.after_leaving(at, out);
        }
    }

    /// Takes a part of what is left of those that have left out of memory.
    pub(super) fn take_gone_apart(&mut self) {
        for place in 0..self.desk.leaving.len() {
            let gone = self.desk.leaving.take_out(place);
            let mut gone = gone.expect("there are so many");
            let heir = self.correlators.get_mut(gone.name());
            gone.take_apart(heir, &mut self.desk);
            self.desk.leaving.put_back(place, gone);
        }
        self.desk.leaving.forget_more();
    }

    /// Does something with what is at a place, beside the rule of the same name that holds.
    fn with_gone<T>(
        &mut self,
        place: usize,
        at: Timestamp,
        out: &mut Vec<Decision>,
        work: impl FnOnce(&mut Gone, Option<&mut Correlator>, &mut Turn<'_>) -> T,
    ) -> T {
        let gone = self.desk.leaving.take_out(place);
        let mut gone = gone.expect("it was found there");
        let (correlators, mut turn): (&mut Correlators, _) = self.people(at, out);
        let heir = correlators.get_mut(gone.name());
        let done = work(&mut gone, heir, &mut turn);
        self.desk.leaving.put_back(place, gone);
        done
    }

    /// What follows for others from what has left.
    fn after_leaving(&mut self, at: Timestamp, out: &mut Vec<Decision>) {
        let (correlators, mut turn) = self.people(at, out);
        family::pass_on(correlators, &mut turn);
        self.end_of_incidents(at, None, out);
        self.desk.leaving.wait(at);
    }
}
