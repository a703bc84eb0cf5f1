//! Who has something in common: the gateway, the credential or the command behind it; and who is told
//! apart by what he is about, where a rule asks for that.
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
use crate::shared::{Shared, group};

/// The cases that have a member of each value, by their slots, and how many such members.
type Cases = Map<NodeId, BTreeMap<u32, u32>>;

/// What the members of one correlation rule's cases have in common.
#[derive(Debug)]
pub(crate) struct SameIndex {
    /// Each name that the rule asks for, with the cases that have a member of each value, and how
    /// many such members.
    by_name: Vec<(String, Cases)>,
    by_group: Vec<Groups>,
}

/// A name by which the rule tells groups apart.
#[derive(Debug)]
struct Groups {
    name: String,
    cases: Cases,
    /// Of each case the values that its members have, and how many have each.
    values: BTreeMap<u32, BTreeMap<NodeId, u32>>,
}

impl SameIndex {
    /// An empty index for a rule.
    pub fn new(rule: &CorrelationRule) -> Self {
        let names = rule.same.iter();
        let groups = rule.group_by.iter();
        let groups = groups.map(|name| Groups {
            name: group(name),
            cases: Map::default(),
            values: BTreeMap::new(),
        });
        Self {
            by_name: names.map(|name| (name.clone(), Map::default())).collect(),
            by_group: groups.collect(),
        }
    }

    /// Whether something of a group may be evidence of a case: that has a member of the same, or none
    /// of any.
    pub fn may_be_of(&self, slot: u32, shared: &Shared) -> bool {
        self.by_group.iter().all(|groups| {
            let value = shared.get(&groups.name);
            let known = groups.values.get(&slot);
            value
                .zip(known)
                .is_none_or(|(value, known)| known.contains_key(value))
        })
    }

    /// Whether two cases may be one: both are of one group, or of one of them it is not known.
    pub fn may_be_one(&self, one: u32, other: u32) -> bool {
        self.by_group.iter().all(|groups| {
            let known = |slot| groups.values.get(&slot);
            known(one).zip(known(other)).is_none_or(|(one, other)| {
                one.len() == 1 && other.len() == 1 && one.keys().eq(other.keys())
            })
        })
    }

    /// The cases that have a member of the same group, by the first name of which something is known.
    pub fn of_group(&self, shared: &Shared) -> impl Iterator<Item = u32> {
        let mut groups = self.by_group.iter();
        let first = groups.find_map(|groups| Some((groups, shared.get(&groups.name)?)));
        let cases = first.and_then(|(groups, value)| groups.cases.get(value));
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
        for (name, cases) in &mut self.by_name {
            if let Some(value) = shared.get(name) {
                enter(cases, value, slot);
            }
        }
        for groups in &mut self.by_group {
            if let Some(value) = shared.get(&groups.name) {
                enter(&mut groups.cases, value, slot);
                let values = groups.values.entry(slot).or_default();
                *values.entry(value.clone()).or_default() += 1;
            }
        }
    }

    /// Takes a member of a case out.
    pub fn remove(&mut self, slot: u32, shared: &Shared) {
        for (name, cases) in &mut self.by_name {
            if let Some(value) = shared.get(name) {
                leave(cases, value, slot);
            }
        }
        for groups in &mut self.by_group {
            let Some(value) = shared.get(&groups.name) else {
                continue;
            };
            leave(&mut groups.cases, value, slot);
            let Some(values) = groups.values.get_mut(&slot) else {
                continue;
            };
            if let Some(count) = values.get_mut(value) {
                *count -= 1;
                if *count == 0 {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                groups.values.remove(&slot);
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
        let names = self.by_name.iter().map(|(_, cases)| cases);
        let all = names.chain(self.by_group.iter().map(|groups| &groups.cases));
        let counts = all.flat_map(|cases| cases.values().flat_map(BTreeMap::values));
        counts.map(|count| *count as usize).sum()
    }

    /// How many values of what a member has in common it holds.
    pub fn count(&self, shared: &Shared) -> usize {
        let names = self.by_name.iter().map(|(name, _)| name);
        let all = names.chain(self.by_group.iter().map(|groups| &groups.name));
        all.filter(|name| shared.get(name).is_some()).count()
    }
}

/// A case has one member more of a value.
fn enter(cases: &mut Cases, value: &NodeId, slot: u32) {
    let cases = cases.entry(value.clone()).or_default();
    *cases.entry(slot).or_default() += 1;
}

/// A case has one member less of a value.
fn leave(values: &mut Cases, value: &NodeId, slot: u32) {
    let Some(cases) = values.get_mut(value) else {
        return;
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
