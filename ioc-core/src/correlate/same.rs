//! Who has something in common: the gateway, the credential or the command behind it.
//!
//! Arrives: what the members of a correlation rule's cases have in common with others, of what the
//! rule asks for. Leaves: which cases have a member with the same. Promise: the cost depends on how
//! many cases share a value, never on how many cases there are. Derived from the members: part of
//! no digest.

use std::collections::BTreeMap;

use super::along::{How, Kin};
use crate::bundle::CorrelationRule;
use crate::hash::Map;
use crate::id::NodeId;
use crate::incident::{Cluster, Member};
use crate::shared::{Shared, group};

/// The cases that have a member of each value, by their slots, and how many such members.
type Cases = Map<NodeId, BTreeMap<u32, u32>>;

/// What the members of one correlation rule's cases have in common.
#[derive(Debug)]
pub(crate) struct SameIndex {
    /// Each name that the rule asks for, with the cases that have a member of each value, and how
    /// many such members.
    by_name: Vec<(String, Cases)>,
    /// The same of each name by which it tells groups apart.
    by_group: Vec<(String, Cases)>,
}

impl SameIndex {
    /// An empty index for a rule.
    pub fn new(rule: &CorrelationRule) -> Self {
        let names = rule.same.iter();
        let groups = rule.group_by.iter();
        Self {
            by_name: names.map(|name| (name.clone(), Map::default())).collect(),
            by_group: groups.map(|name| (group(name), Map::default())).collect(),
        }
    }

    /// Whether something of this group may be one with a case: it has a member of that group, or
    /// none of any. Those are counted who have none.
    pub fn may_be_of(&self, slot: u32, cluster: &Cluster, shared: &Shared) -> bool {
        self.by_group.iter().all(|(name, values)| {
            let Some(value) = shared.get(name) else {
                return true;
            };
            let has = values
                .get(value)
                .is_some_and(|cases| cases.contains_key(&slot));
            let is_ungrouped = |member: &Member| member.shared.get(name).is_none();
            has || cluster.members().all(|(_, member)| is_ungrouped(member))
        })
    }

    /// Whether all is known by which the rule tells groups apart.
    pub fn knows_group(&self, shared: &Shared) -> bool {
        let mut names = self.by_group.iter();
        names.all(|(name, _)| shared.get(name).is_some())
    }

    /// The cases that have a member of the same group, by the first name of which something is known.
    pub fn of_group(&self, shared: &Shared) -> impl Iterator<Item = u32> {
        let mut names = self.by_group.iter();
        let first = names.find_map(|(name, values)| Some((values, shared.get(name)?)));
        let cases = first.and_then(|(values, value)| values.get(value));
        cases.into_iter().flat_map(|cases| cases.keys().copied())
    }

    /// Whether something may belong somewhere by what it has in common.
    pub fn asks(&self, shared: &Shared) -> bool {
        let mut names = self.by_name.iter();
        names.any(|(name, _)| shared.get(name).is_some())
    }

    /// Whether the rule sees the same in both.
    pub fn is_same(&self, one: &Shared, other: &Shared) -> bool {
        let mut names = self.by_name.iter();
        names.all(|(name, _)| one.get(name) == other.get(name))
    }

    /// Puts a member of a case in.
    pub fn insert(&mut self, slot: u32, shared: &Shared) {
        for (name, cases) in self.by_name.iter_mut().chain(&mut self.by_group) {
            if let Some(value) = shared.get(name) {
                let cases = cases.entry(value.clone()).or_default();
                *cases.entry(slot).or_default() += 1;
            }
        }
    }

    /// Takes a member of a case out.
    pub fn remove(&mut self, slot: u32, shared: &Shared) {
        for (name, values) in self.by_name.iter_mut().chain(&mut self.by_group) {
            let Some(value) = shared.get(name) else {
                continue;
            };
            let Some(cases) = values.get_mut(value) else {
                continue;
            };
            if let Some(count) = cases.get_mut(&slot) {
                *count -= 1;
                if *count == 0 {
                    cases.remove(&slot);
                }
            }
            if cases.is_empty() {
                values.remove(value);
            }
        }
    }

    /// The cases that have a member with the same, each once, by the first name that says so.
    pub fn near(&self, shared: &Shared) -> Vec<Kin> {
        let mut near = Vec::new();
        for (rank, (name, values)) in (0..).zip(&self.by_name) {
            let Some(value) = shared.get(name) else {
                continue;
            };
            let slots = values.get(value).into_iter().flat_map(BTreeMap::keys);
            near.extend(slots.map(|&slot| Kin {
                slot,
                how: How::Same(rank, value.clone()),
            }));
        }
        near.sort_unstable();
        near.dedup_by_key(|kin| kin.slot);
        near
    }

    /// How many values of members it holds. The order of the values does not matter to a sum.
    pub fn values(&self) -> usize {
        let all = self.by_name.iter().chain(&self.by_group);
        let values = all.flat_map(|(_, values)| values.values());
        let counts = values.flat_map(|cases| cases.values());
        counts.map(|count| *count as usize).sum()
    }

    /// How many values of what a member has in common it holds.
    pub fn count(&self, shared: &Shared) -> usize {
        let names = self.by_name.iter().chain(&self.by_group);
        names.filter(|(name, _)| shared.get(name).is_some()).count()
    }
}
