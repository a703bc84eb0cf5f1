//! How what two sets of rules make of the same readings differs, in incidents and in alarms.
//!
//! Arrives: the stories of two runs. Leaves: [`Difference`]. An incident of one run is that of the
//! other which shares most of its evidence, those of one kind before others; what merged counts as
//! what it became. Incidents that share evidence with one that is taken already are told as parts
//! of it: one became several, or several one. What caused an incident is that of the other run if it
//! is the same there; an operator is called for an incident by all that merged into it. What was open
//! before the comparison began is no difference, in either, nor is what goes on with it in the other,
//! nor that it is a cause. Next: `tell.rs`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ioc_core::id::{IncidentId, RuleId};
use ioc_core::time::{Millis, Timestamp};

use super::Summary;
use super::judge::Judged;
use super::story::{Story, Told};

/// The difference of two runs over the same readings.
#[derive(Debug)]
pub struct Difference {
    /// What people call the two.
    pub(super) names: [String; 2],
    pub(super) sides: [Side; 2],
    /// Incidents that only the first has, by the time they opened.
    pub(super) gone: Vec<Alone>,
    /// Incidents that only the second has.
    pub(super) opened: Vec<Alone>,
    /// Incidents that both have, and differ.
    pub(super) changed: Vec<Changed>,
    /// How many both have that do not differ.
    pub(super) same: usize,
    /// How many were open before, in either, and have been heard of since: they are not compared.
    pub(crate) open_before: usize,
    /// Detection rules that found more or fewer.
    pub(super) alarms: Vec<Alarms>,
    pub(super) took: Duration,
}

/// One run in numbers.
#[derive(Debug)]
pub(super) struct Side {
    pub summary: Summary,
    /// Times that a rule found something to begin: detections raised, and reports.
    pub alarms: u64,
    /// Incidents, those that merged as one.
    pub incidents: usize,
    /// How often an operator is called, and the most of it within ten minutes.
    pub calls: u64,
    pub busiest: usize,
    pub evidence_beyond: u64,
}

/// An incident that one run alone has.
#[derive(Debug)]
pub(super) struct Alone {
    pub told: Told,
    /// The incident, in the same run, of whose counterpart it is a part.
    pub part_of: Option<Told>,
}

/// An incident as each run has it.
#[derive(Debug)]
pub(super) struct Changed {
    pub before: Whole,
    pub after: Whole,
    pub shared: usize,
    /// It was caused by something else, or by nothing.
    pub caused_otherwise: bool,
}

/// An incident with all that merged into it.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub told: Told,
    /// What caused it, and has become.
    pub parent: Option<IncidentId>,
    /// How often an operator was called for it.
    pub calls: u64,
    /// What merged into it, and when it had opened; in the order of that.
    pub parts: Vec<(IncidentId, Timestamp)>,
}

impl std::ops::Deref for Whole {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.told
    }
}

impl Whole {
    fn of(story: &Story, parts: &HashMap<u32, Vec<u32>>, number: u32) -> Self {
        let told = |number: &u32| &story.incidents[*number as usize];
        let own = told(&number);
        let parts = parts.get(&number).map_or(&[][..], Vec::as_slice);
        let parts = parts.iter().map(told);
        let parent = own.parent.map(|parent| {
            let root = story.find(parent).map(|parent| story.root(parent));
            root.map_or(parent, |root| told(&root).id)
        });
        Self {
            told: own.clone(),
            parent: parent.filter(|parent| *parent != own.id),
            calls: own.calls + parts.clone().map(|part| part.calls).sum::<u64>(),
            parts: parts.map(|part| (part.id, part.opened_at)).collect(),
        }
    }

    /// When what merged into it had opened.
    pub fn parts_opened(&self) -> Vec<Timestamp> {
        self.parts.iter().map(|(_, opened_at)| *opened_at).collect()
    }
}

impl Changed {
    /// How much later it opens; negative if earlier.
    pub fn later(&self) -> Millis {
        self.after.opened_at - self.before.opened_at
    }

    fn differs(&self) -> bool {
        let Self { before, after, .. } = self;
        before.kind != after.kind
            || before.opened_at != after.opened_at
            || before.worst != after.worst
            || before.cleared_at != after.cleared_at
            || before.sensors != after.sensors
            || before.calls != after.calls
            || before.parts_opened() != after.parts_opened()
            || self.caused_otherwise
    }
}

/// How often a detection rule found something to begin, in each run; `None` where there is no such
/// rule.
#[derive(Debug)]
pub(super) struct Alarms {
    pub rule: RuleId,
    pub counts: [Option<u64>; 2],
}

impl Difference {
    pub(crate) fn between(sides: [Judged; 2], names: [String; 2], took: Duration) -> Self {
        let [before, after] = &sides;
        let matching = Matching::of(&before.story, &after.story);
        let [open, other_open] = [before, after].map(|side| side.story.open_before());
        let mut ids: Vec<_> = [(before, &open), (after, &other_open)]
            .into_iter()
            .flat_map(|(side, open)| side.story.incidents.iter().zip(open))
            .filter(|(_, open)| **open)
            .map(|(told, _)| told.id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let apart = [
            go_on(&open, &other_open, matching.shared.keys().copied()),
            go_on(
                &other_open,
                &open,
                matching.shared.keys().map(|(a, b)| (*b, *a)),
            ),
        ];
        let mut changed = changed(&matching, [&before.story, &after.story], &apart, &ids);
        let all = changed.len();
        changed.retain(Changed::differs);
        changed.sort_by_key(|pair| (pair.before.opened_at, pair.before.id));
        let taken = |side: usize| -> HashMap<u32, u32> {
            let pairs = matching.pairs.iter();
            pairs
                .map(|(a, b, _)| if side == 0 { (*a, *b) } else { (*b, *a) })
                .collect()
        };
        let shared = matching.shared.iter();
        let gone = alone(
            (&before.story, &apart[0]),
            &taken(0),
            &taken(1),
            shared.clone().map(|(k, n)| (*k, *n)),
        );
        let swapped = shared.map(|((a, b), n)| ((*b, *a), *n));
        let opened = alone((&after.story, &apart[1]), &taken(1), &taken(0), swapped);
        let alarms = differing(&before.alarms, &after.alarms);
        Self {
            gone,
            opened,
            same: all - changed.len(),
            changed,
            alarms,
            names,
            open_before: ids.len(),
            sides: {
                let [first, second] = sides;
                [side(first, &apart[0]), side(second, &apart[1])]
            },
            took,
        }
    }
}

/// Which incidents of a run are not compared: those that were open before, and those that share evidence
/// with one of the other run that was.
fn go_on(own: &[bool], others: &[bool], shared: impl Iterator<Item = (u32, u32)>) -> Vec<bool> {
    let mut all = own.to_vec();
    for (mine, theirs) in shared {
        all[mine as usize] |= others[theirs as usize];
    }
    all
}

/// The incidents that both runs have, but those that are not compared; these were open before.
fn changed(
    matching: &Matching,
    stories: [&Story; 2],
    apart: &[Vec<bool>; 2],
    open: &[IncidentId],
) -> Vec<Changed> {
    let parts = stories.map(Story::parts);
    let id = |side: usize, number: u32| stories[side].incidents[number as usize].id;
    // What an incident of the first run is called in the second.
    let pairs = matching.pairs.iter();
    let there: HashMap<_, _> = pairs.map(|(a, b, _)| (id(0, *a), id(1, *b))).collect();
    // Also what nobody has heard of since.
    let was_open = |story: &Story, parent: Option<IncidentId>| {
        parent.is_some_and(|parent| {
            let is_unheard = story.since.is_some() && story.find(parent).is_none();
            is_unheard || open.binary_search(&parent).is_ok()
        })
    };
    let pairs = matching.pairs.iter();
    pairs
        .filter(|(a, b, _)| !apart[0][*a as usize] && !apart[1][*b as usize])
        .map(|(a, b, shared)| {
            let before = Whole::of(stories[0], &parts[0], *a);
            let after = Whole::of(stories[1], &parts[1], *b);
            let parent = before
                .parent
                .map(|parent| there.get(&parent).copied().unwrap_or(parent));
            let is_of_before =
                was_open(stories[0], before.parent) || was_open(stories[1], after.parent);
            Changed {
                shared: *shared,
                caused_otherwise: parent != after.parent && !is_of_before,
                before,
                after,
            }
        })
        .collect()
}

fn side(judged: Judged, apart: &[bool]) -> Side {
    let Judged {
        summary,
        story,
        alarms,
    } = judged;
    Side {
        alarms: alarms.iter().map(|(_, begun)| begun).sum(),
        incidents: roots(&story)
            .filter(|number| !apart[*number as usize])
            .count(),
        calls: story.load.calls,
        busiest: story.load.busiest,
        evidence_beyond: story.evidence_beyond,
        summary,
    }
}

fn roots(story: &Story) -> impl Iterator<Item = u32> {
    let numbers = 0..story.incidents.len() as u32;
    numbers.filter(|number| story.root(*number) == *number)
}

/// Which incident of one run is which of the other.
struct Matching {
    /// The first's, the second's, and how many readings both are made of.
    pairs: Vec<(u32, u32, usize)>,
    shared: BTreeMap<(u32, u32), usize>,
}

impl Matching {
    fn of(before: &Story, after: &Story) -> Self {
        let shared = shared(before, after);
        let mut candidates: Vec<_> = shared.iter().map(|(pair, count)| (*pair, *count)).collect();
        candidates.sort_by_key(|((a, b), count)| {
            let kinds = [
                &before.incidents[*a as usize].kind,
                &after.incidents[*b as usize].kind,
            ];
            (kinds[0] != kinds[1], std::cmp::Reverse(*count), *a, *b)
        });
        let mut taken = [
            vec![false; before.incidents.len()],
            vec![false; after.incidents.len()],
        ];
        let mut pairs = Vec::new();
        for ((a, b), count) in candidates {
            if !taken[0][a as usize] && !taken[1][b as usize] {
                taken[0][a as usize] = true;
                taken[1][b as usize] = true;
                pairs.push((a, b, count));
            }
        }
        Self { pairs, shared }
    }
}

/// How many readings incidents of the two have in common.
fn shared(before: &Story, after: &Story) -> BTreeMap<(u32, u32), usize> {
    let by_key = |story: &Story| {
        let pairs = story.evidence.iter();
        let mut pairs: Vec<_> = pairs
            .map(|(key, number)| (*key, story.root(*number)))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    };
    let (before, after) = (by_key(before), by_key(after));
    let mut shared = BTreeMap::new();
    let mut rest = after.as_slice();
    for (key, a) in before {
        // Several incidents of one run may have one reading.
        rest = &rest[rest.partition_point(|(other, _)| *other < key)..];
        for (_, b) in rest.iter().take_while(|(other, _)| *other == key) {
            *shared.entry((a, *b)).or_default() += 1;
        }
    }
    shared
}

/// The incidents of a run that have no counterpart, each with the one that it is a part of.
fn alone(
    (story, apart): (&Story, &[bool]),
    own: &HashMap<u32, u32>,
    others: &HashMap<u32, u32>,
    shared: impl Iterator<Item = ((u32, u32), usize)>,
) -> Vec<Alone> {
    let mut parts: BTreeMap<u32, (usize, u32)> = BTreeMap::new();
    for ((mine, theirs), count) in shared {
        let Some(&sibling) = others.get(&theirs) else {
            continue;
        };
        let best = parts.entry(mine).or_insert((0, sibling));
        if count > best.0 {
            *best = (count, sibling);
        }
    }
    let alone = roots(story).filter(|number| !own.contains_key(number) && !apart[*number as usize]);
    let mut alone: Vec<_> = alone
        .map(|number| Alone {
            told: story.incidents[number as usize].clone(),
            part_of: parts
                .get(&number)
                .map(|(_, sibling)| story.incidents[*sibling as usize].clone()),
        })
        .collect();
    alone.sort_by_key(|alone| (alone.told.opened_at, alone.told.id));
    alone
}

/// The detection rules that found more or fewer, by name.
fn differing(before: &[(RuleId, u64)], after: &[(RuleId, u64)]) -> Vec<Alarms> {
    let mut alarms: BTreeMap<&RuleId, [Option<u64>; 2]> = BTreeMap::new();
    for (side, rules) in [before, after].into_iter().enumerate() {
        for (rule, begun) in rules {
            alarms.entry(rule).or_default()[side] = Some(*begun);
        }
    }
    let differing = alarms
        .into_iter()
        .filter(|(_, [before, after])| before.unwrap_or(0) != after.unwrap_or(0));
    differing
        .map(|(rule, counts)| Alarms {
            rule: rule.clone(),
            counts,
        })
        .collect()
}
