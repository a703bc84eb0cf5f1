//! What a slow session gets: every control decision, and of the updates the newest per incident.
//!
//! Arrives: the decisions that it lags behind. Leaves: those worth telling, in their order.
//! Promise: after them its picture is the same as after all of them (P5: conflated, not cut off).

use std::collections::HashSet;

use crate::feed::Entry;

/// What is left of many decisions.
#[derive(Debug)]
pub(crate) struct Folded<'a> {
    /// Those to tell, oldest first.
    pub kept: Vec<&'a Entry>,
    /// How many updates were left out.
    pub updates_dropped: u64,
}

/// Leaves out every update of an incident that a later decision tells the state of.
pub(crate) fn fold<'a>(entries: impl DoubleEndedIterator<Item = &'a Entry>) -> Folded<'a> {
    let mut told = HashSet::new();
    let mut folded = Folded {
        kept: Vec::new(),
        updates_dropped: 0,
    };
    for entry in entries.rev() {
        let incident = entry.decision.verdict.incident();
        let newest = incident.is_none_or(|incident| told.insert(incident.id));
        if newest || entry.control {
            folded.kept.push(entry);
        } else {
            folded.updates_dropped += 1;
        }
    }
    folded.kept.reverse();
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::{entry, opened, rose, updated};

    #[test]
    fn keeps_control_decisions_and_the_newest_update_of_each_incident() {
        let entries = [
            entry(opened(1, "a")),
            entry(updated(2, "a")),
            entry(updated(3, "b")),
            entry(rose(4, "a")),
            entry(updated(5, "a")),
            entry(updated(6, "a")),
            entry(updated(7, "b")),
        ];
        let folded = fold(entries.iter());
        let kept: Vec<_> = folded.kept.iter().map(|e| e.decision.seq).collect();
        assert_eq!(kept, [1, 4, 6, 7]);
        assert_eq!(folded.updates_dropped, 3);
    }

    #[test]
    fn an_update_before_a_control_decision_is_told_by_it() {
        let entries = [entry(updated(1, "a")), entry(rose(2, "a"))];
        let folded = fold(entries.iter());
        assert_eq!(folded.kept.len(), 1);
        assert_eq!(folded.updates_dropped, 1);
    }
}
