//! What waits for company below a feeder whose word counts no more.
//!
//! Arrives: a feeder whose meter is silent, distrusted or gone, from `engine/family.rs`. Leaves:
//! candidates about what hangs on it, joined as if they were found now. Promise: one look at one
//! candidate of a kind, however many there are. Whose word counts is not known here (`meters.rs`).
//! Next: `along.rs`.

use super::{Correlator, Turn};
use crate::id::SensorId;

impl Correlator {
    /// A feeder's word counts no more: nobody can say whether it is well. What waits below it for
    /// company is judged again as if it were found now.
    pub fn judge_below(&mut self, feeder: &SensorId, turn: &mut Turn<'_>) {
        for (node, slot) in self.waiting_below(feeder).into_iter().flatten() {
            let mut near = self.near_along(node, Vec::new(), turn);
            near.retain(|kin| kin.slot != slot && self.are_one_front(slot, kin.slot));
            if near.is_empty() {
                continue;
            }
            let slot = self.unite(slot, &near, turn);
            self.name_feeder(slot, feeder);
            return self.touch(slot);
        }
    }

    /// A candidate about something that hangs on a feeder directly, and where: one by what feeds
    /// nothing itself, and one by what does. What is near to one of a kind is near to all.
    fn waiting_below(&self, feeder: &SensorId) -> [Option<(u32, u32)>; 2] {
        let waits = |slot: &u32| self.brief(*slot).opened_at.is_none();
        let at = |&node: &u32| {
            let waiting = self.network.at(node).filter(waits);
            let first = waiting.min_by_key(|slot| self.brief(*slot).id);
            first.map(|slot| (node, slot))
        };
        [false, true].map(|feeds| {
            let below = self.network.judged_by(feeder).iter();
            let mut below = below.filter(|node| self.network.feeds(**node) == feeds);
            below.find_map(at)
        })
    }

    /// What waits to be told of a case belongs to it through what feeds it.
    fn name_feeder(&mut self, slot: u32, feeder: &SensorId) {
        let network = &self.network;
        let case = self.cases.get_mut(slot).expect("a slot in use");
        for evidence in &mut case.incident.untold {
            let node = network.feeder_of(&evidence.sensor);
            let node = node.filter(|node| node.as_str() == feeder.as_str());
            evidence.through = evidence.through.take().or_else(|| node.cloned());
        }
    }
}
