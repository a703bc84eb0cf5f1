//! What people ordered about incidents, addressed to those that stand for them under other rules.
//!
//! Arrives: the decisions log beside the inputs, which says what the incident of an order was made
//! of by then. Leaves: the order about the incident of the same id, if there is one, else about the
//! one that shares most of that evidence; or none, which is counted. Next: `difference.rs`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use ioc_core::decision::{Decision, DecisionHash};
use ioc_core::id::IncidentId;
use ioc_core::record::{Action, Ask, Command, Quieted, Seq, Suppress};

use super::Summary;
use super::story::Story;
use crate::journal::disk::SystemDisk;
use crate::journal::{Known, LogKind, scan};
use crate::recover::{DECISIONS_DIR, RecoverError, decode_decisions};

/// The incidents as they were decided live.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub story: Story,
    /// The record that brought each piece of the story's evidence.
    seqs: Vec<Seq>,
}

impl Recorded {
    /// What the decisions log says, as far as it can be read: it only helps.
    pub fn read(data: &Path) -> Self {
        let mut recorded = Self::default();
        let dir = data.join(DECISIONS_DIR);
        let contents =
            scan::scan_to_damage(&SystemDisk, &dir, LogKind::Decisions, Known::default());
        let Ok((contents, _)) = contents else {
            return recorded;
        };
        let read = contents.for_each(&SystemDisk, 0, |header, payload| {
            // Nothing is proved here, so it may begin with anything.
            let mut hash = DecisionHash::default();
            for released in decode_decisions(header, payload, 0, &mut hash)? {
                recorded.take(&released.decision);
            }
            Ok::<_, RecoverError>(())
        });
        // A tail that cannot be read says nothing.
        drop(read);
        recorded
    }

    /// Takes note of a decision that was made live.
    pub fn take(&mut self, decision: &Decision) {
        self.story.take(decision);
        let seqs = decision.cause.evidence.iter().map(|evidence| evidence.seq);
        self.seqs.extend(seqs);
        self.seqs.truncate(self.story.evidence.len());
    }

    /// The order as it is given where this is the story; `None` if nothing there stands for what it
    /// is about. Which of both is counted.
    pub fn readdress<'c>(
        &self,
        seq: Seq,
        command: &Command<'c>,
        story: &Story,
        counts: &mut Summary,
    ) -> Option<Command<'c>> {
        let mut moved = false;
        let mut find = |id: IncidentId| {
            if story.find(id).is_some() {
                return Some(id);
            }
            moved = true;
            self.stands_for(id, seq, story)
        };
        let action = readdressed(command.action, &mut find);
        match &action {
            Some(_) => counts.commands_remapped += u64::from(moved),
            None => counts.commands_unmatched += 1,
        }
        Some(Command {
            action: action?,
            ..*command
        })
    }

    /// The incident that shares most of what another was made of before this record.
    fn stands_for(&self, id: IncidentId, before: Seq, story: &Story) -> Option<IncidentId> {
        let own = self.story.root(self.story.find(id)?);
        let evidence = self.story.evidence.iter().zip(&self.seqs);
        let keys: HashSet<u64> = evidence
            .filter(|((_, number), seq)| **seq < before && self.story.root(*number) == own)
            .map(|((key, _), _)| *key)
            .collect();
        let kind = &self.story.incidents[own as usize].kind;
        let mut shared: HashMap<u32, usize> = HashMap::new();
        for (key, number) in &story.evidence {
            if keys.contains(key) {
                *shared.entry(story.root(*number)).or_default() += 1;
            }
        }
        let best = shared.into_iter().max_by_key(|(number, count)| {
            let told = &story.incidents[*number as usize];
            (told.kind == *kind, *count, std::cmp::Reverse(*number))
        });
        best.map(|(number, _)| story.incidents[number as usize].id)
    }
}

/// An order with each incident that it is about replaced.
fn readdressed<'a>(
    action: Action<'a>,
    find: &mut impl FnMut(IncidentId) -> Option<IncidentId>,
) -> Option<Action<'a>> {
    Some(match action {
        Action::Acknowledge(id) => Action::Acknowledge(find(id)?),
        Action::Operate(order) => Action::Operate(order),
        Action::About {
            incident,
            ask,
            sources,
            note,
        } => Action::About {
            incident: find(incident)?,
            ask: match ask {
                Ask::Merge(with) => Ask::Merge(find(with)?),
                Ask::Move(to) => Ask::Move(find(to)?),
                Ask::Link(Some(parent)) => Ask::Link(Some(find(parent)?)),
                Ask::Link(None)
                | Ask::Split
                | Ask::Step(_)
                | Ask::Rate(_)
                | Ask::AllClear
                | Ask::Report(_) => ask,
            },
            sources,
            note,
        },
        Action::Open(open) => Action::Open(open),
        Action::Suppress(suppress) => Action::Suppress(Suppress {
            target: match suppress.target {
                Quieted::Incident(id) => Quieted::Incident(find(id)?),
                Quieted::Detections { .. } => suppress.target,
            },
            ..suppress
        }),
        // By the request and the time, which are the same.
        Action::Resuppress { .. } => action,
    })
}
