//! Who reports, where a rule tells: whoever calls three times is one source, and not three.
//!
//! Arrives: reports by whom they come, with what they weigh. Leaves: what they weigh together, each of
//! whom as much as the weightiest of his reports, and how many reports are not a source's first.
//! Promise: none of it depends on the order in which they came. Bound: no more entries than the
//! members that they are of. Next: `taken.rs`.

use std::collections::BTreeMap;

use crate::id::NodeId;

/// The reports of those of whom it is known who they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Voices {
    /// Of each how many reports weigh how much.
    reports: BTreeMap<NodeId, BTreeMap<u32, u32>>,
    weight: u64,
    /// How many reports there are beyond the first of each.
    repeated: u32,
}

impl Voices {
    /// What they weigh together.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// How many reports are of somebody who has reported already.
    pub fn repeated(&self) -> u32 {
        self.repeated
    }

    /// Whether somebody has reported.
    pub fn has(&self, who: &NodeId) -> bool {
        self.reports.contains_key(who)
    }

    /// How many reports are of somebody.
    pub fn reports_of(&self, who: &NodeId) -> usize {
        let weights = self.reports.get(who);
        let counts = weights.map(|weights| weights.values().sum::<u32>());
        counts.unwrap_or(0) as usize
    }

    /// What one of them weighs.
    pub fn weight_of(&self, who: &NodeId) -> u32 {
        let weights = self.reports.get(who);
        weights.map_or(0, |weights| weightiest(weights) as u32)
    }

    /// Somebody reports.
    pub fn enter(&mut self, who: &NodeId, weight: u32) {
        if let Some(weights) = self.reports.get_mut(who) {
            self.repeated += 1;
            self.weight -= weightiest(weights);
            *weights.entry(weight).or_default() += 1;
            self.weight += weightiest(weights);
        } else {
            self.weight += u64::from(weight);
            let first = BTreeMap::from([(weight, 1)]);
            self.reports.insert(who.clone(), first);
        }
    }

    /// A report of somebody weighs no more what it did. Precondition: it has entered.
    pub fn leave(&mut self, who: &NodeId, weight: u32) {
        let weights = self.reports.get_mut(who).expect("the report has entered");
        self.weight -= weightiest(weights);
        let count = weights.get_mut(&weight).expect("the report has entered");
        *count -= 1;
        if *count == 0 {
            weights.remove(&weight);
        }
        if weights.is_empty() {
            self.reports.remove(who);
        } else {
            self.weight += weightiest(weights);
            self.repeated -= 1;
        }
    }
}

fn weightiest(weights: &BTreeMap<u32, u32>) -> u64 {
    let most = weights.last_key_value().map(|(weight, _)| *weight);
    u64::from(most.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_weighs_as_much_as_the_weightiest_report_and_is_one_source() {
        let (ana, ben) = ("ana".parse().unwrap(), "ben".parse().unwrap());
        let mut voices = Voices::default();
        voices.enter(&ana, 2);
        voices.enter(&ana, 5);
        voices.enter(&ana, 2);
        voices.enter(&ben, 1);
        assert_eq!((voices.weight(), voices.repeated()), (6, 2));
        voices.leave(&ana, 5);
        assert_eq!((voices.weight(), voices.repeated()), (3, 1));
        // What has decayed weighs nothing, and is a source still.
        voices.enter(&ana, 0);
        assert_eq!((voices.weight(), voices.repeated()), (3, 2));
        voices.leave(&ana, 2);
        voices.leave(&ana, 2);
        assert_eq!((voices.weight(), voices.repeated()), (1, 0));
        voices.leave(&ana, 0);
        voices.leave(&ben, 1);
        assert_eq!(voices, Voices::default());
    }
}
