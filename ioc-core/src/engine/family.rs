//! Cause and effect between incidents of different rules.
//!
//! Arrives: incidents that open, from `correlate/lifecycle.rs`, and timers by which a parent takes
//! further children. Leaves: incidents that open as children, and `incident_linked` for those that
//! were there before their cause was known, or whose parent has merged. Promise: nothing causes
//! itself over however many others; the parent is the nearest, of these the earliest, then the one
//! of the least id; of a shock it is the gravest shock, of these the latest, and none that is less grave:
//! the main shock is nobody's aftershock. A parent is as grave as its gravest child (INV-18); many
//! children are taken in steps, spread over logical time, and so are symptoms judged again
//! (`correlate/symptom.rs`). There is no race: all this is one order of one state.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::book::Entry;
use crate::bundle::Along;
use crate::correlate::{Correlator, Joined, Nodes, Origin, Relative, Turn};
use crate::decision::{RefusalCode, Severity, Way};
use crate::id::{IncidentId, RuleId, SensorId};
use crate::limits::{CAUSES_DEPTH_MAX, CHILDREN_COMPARED_MAX, CHILDREN_PER_STEP, CHILDREN_STEP};

pub(super) type Correlators = BTreeMap<RuleId, Correlator>;

/// Decides what follows from what changed in this moment under one rule, and what it means for
/// the causes and effects of its incidents.
pub(super) fn settle(correlators: &mut Correlators, rule: &RuleId, turn: &mut Turn<'_>) {
    keep_to_common_causes(correlators, turn);
    let merged = std::iter::from_fn(|| turn.desk.family.next_merged());
    for merged in merged.collect::<Vec<_>>() {
        break_circle(correlators, merged.id, merged.before, turn);
        if let Some((id, rule)) = live(merged.id, turn).filter(|_| merged.in_part) {
            let origin = correlators[&rule].origin(id);
            keep_to_cause(correlators, (id, &rule), &origin, merged.before, turn);
        }
    }
    let mut opened = Vec::new();
    while let Some(opening) = of(correlators, rule).settle(turn) {
        opened.push(opening);
        let parent = cause_of(correlators, rule, opening, turn);
        let way = way_of(correlators, (opening, rule), parent, turn);
        of(correlators, rule).announce(opening, (parent, way), turn);
        adopt(correlators, rule, opening, turn);
    }
    follow_growth(correlators, rule, &opened, turn);
    pass_on(correlators, turn);
}

/// A feeder's word counts no more: what waits below it for company is judged again by each rule, and
/// what follows is decided.
pub(super) fn judge_below(correlators: &mut Correlators, feeder: &SensorId, turn: &mut Turn<'_>) {
    let rules: Vec<_> = correlators.keys().cloned().collect();
    for rule in &rules {
        of(correlators, rule).judge_below(feeder, turn);
        settle(correlators, rule, turn);
    }
}

/// What incidents have caused along the networks that they have grown in, other than those that have
/// just opened, is theirs from here on, and they are their own cause's if that reaches so far.
fn follow_growth(
    correlators: &mut Correlators,
    rule: &RuleId,
    opened: &[IncidentId],
    turn: &mut Turn<'_>,
) {
    for (parent, nodes) in of(correlators, rule).grown() {
        if opened.contains(&parent) {
            continue;
        }
        let grown = correlators[rule].origin_of(parent, nodes);
        let told = correlators[rule].parent(parent);
        keep_to_cause(correlators, (parent, rule), &grown, told, turn);
        let effects = effects_along(correlators, rule, parent, &grown.nodes);
        if !effects.is_empty() {
            of(correlators, rule).await_more(parent, effects);
            adopt(correlators, rule, parent, turn);
        }
    }
}

/// What has become one has come from a cause if all of it has, by the measure of the cause's rule:
/// else it is told by itself, as a part of it was before.
fn keep_to_common_causes(correlators: &mut Correlators, turn: &mut Turn<'_>) {
    let mut wholes: BTreeMap<_, Vec<Joined>> = BTreeMap::new();
    for part in turn.desk.family.take_parts() {
        if let Some((whole, _)) = live(part.id, turn) {
            wholes.entry(whole).or_default().push(part);
        }
    }
    for (whole, mut parts) in wholes {
        // What it was itself comes first.
        parts.sort_by_key(|part| part.id != whole);
        let Some((_, rule)) = live(whole, turn) else {
            continue;
        };
        let before = correlators[&rule].parent(whole);
        let parent = common_cause(correlators, (whole, &rule), &parts, turn);
        let now = |id| turn.desk.book.find(id).map_or(id, |(now, _)| now);
        let is_it = |said| parent.map(now) == Some(now(said));
        let said = |part: &Joined| part.by_person && part.parent.is_none_or(is_it);
        of(correlators, &rule).is_said_by_person(whole, parts.iter().any(said));
        if parent != before {
            let way = way_of(correlators, (whole, &rule), parent, turn);
            let correlator = of(correlators, &rule);
            match before {
                Some(_) => correlator.link(whole, (parent, way), turn),
                None => correlator.set_parent(whole, parent, turn),
            }
        }
        let left = parts.iter().filter_map(|part| part.parent);
        let left: BTreeSet<_> = left.filter(|left| Some(*left) != parent).collect();
        for left in left {
            after_leaving(correlators, left, turn);
        }
    }
}

/// What has caused all of these, which have become one. `parts`: what that was itself is the first.
/// Its own cause stays where it hides nothing: where its effects are told, or all that has become
/// one was hidden. That of another part is taken if it has caused the survivor too, or a person says
/// that it has caused that part and it hides nothing.
fn common_cause(
    correlators: &Correlators,
    (whole, rule): (IncidentId, &RuleId),
    parts: &[Joined],
    turn: &Turn<'_>,
) -> Option<IncidentId> {
    let named = |part: &Joined| {
        let parent = part.parent?;
        Some(turn.desk.book.find(parent).map_or(parent, |(now, _)| now))
    };
    let own = &parts[0];
    let all_hidden = parts.iter().all(|part| part.suppressed);
    for (number, part) in parts.iter().enumerate() {
        let Some(parent) = named(part).filter(|parent| *parent != whole) else {
            continue;
        };
        let live = live(parent, turn);
        let hides = live.as_ref().is_some_and(|(_, cause)| {
            cause != rule && correlators[cause].calls_symptom(&own.origin.kind)
        });
        if number == 0 && (all_hidden || !hides) {
            return part.parent;
        }
        let Some((_, cause)) = live else { continue };
        let has_caused = |part: &Joined| {
            let caused = || correlators[&cause].causes_of(&part.origin);
            named(part) == Some(parent)
                || !part.by_person && caused().iter().any(|(.., id)| *id == parent)
        };
        let caused = if hides { parts } else { &parts[..1] };
        let is_said = part.by_person && !hides;
        if !is_said && !caused.iter().all(has_caused) {
            continue;
        }
        if number == 0 {
            return part.parent;
        }
        if may_follow(correlators, (parent, &cause), (whole, rule))
            && may_be_parent(correlators, parent, whole, turn)
        {
            return Some(parent);
        }
    }
    None
}

/// What an incident has come to be about must have come from its cause too. If it has not, another
/// that has caused all of it is its parent, or none is, and it is news by itself. What a person has
/// linked stays. `told`: the parent that people were told of.
fn keep_to_cause(
    correlators: &mut Correlators,
    (id, rule): (IncidentId, &RuleId),
    grown: &Origin,
    told: Option<IncidentId>,
    turn: &mut Turn<'_>,
) {
    let parent = correlators[rule].parent_by_rule(id);
    let Some((parent, of_rule)) = parent.and_then(|parent| live(parent, turn)) else {
        return;
    };
    if correlators[&of_rule].has_caused(parent, grown) {
        return;
    }
    let other = cause_of(correlators, rule, id, turn);
    if other == Some(parent) {
        return;
    }
    let way = way_of(correlators, (id, rule), other, turn);
    let correlator = of(correlators, rule);
    match told {
        Some(_) => correlator.link(id, (other, way), turn),
        None => correlator.set_parent(id, other, turn),
    }
    after_leaving(correlators, parent, turn);
}

/// A rule has found that something is no child of an incident: that is as grave as those that it has
/// still, from when it has been so for as long as it would take to clear. Of very many it is not asked
/// how grave they are.
fn after_leaving(correlators: &mut Correlators, parent: IncidentId, turn: &mut Turn<'_>) {
    // What was told while it was a child still comes before.
    pass_on(correlators, turn);
    let Some((parent, rule)) = live(parent, turn) else {
        return;
    };
    let before = correlators[&rule].gravest_child(parent);
    if before == Severity::Unknown {
        return;
    }
    let mut gravest = Severity::Unknown;
    for (number, child) in children_of(parent, turn).enumerate() {
        if let Some((child, rule)) = live(child, turn) {
            gravest = gravest.max(correlators[&rule].severity(child));
        }
        if gravest >= before || number == CHILDREN_COMPARED_MAX {
            return;
        }
    }
    of(correlators, &rule).children_are_less(parent, gravest, turn);
}

/// How grave the gravest of an incident's children is that goes on and that nobody has dismissed: no
/// less grave is the incident (INV-18). Of very many not all are asked: then as any of them ever was.
pub(super) fn gravest_child(
    correlators: &Correlators,
    parent: IncidentId,
    turn: &Turn<'_>,
) -> Severity {
    let Some((parent, rule)) = live(parent, turn) else {
        return Severity::Unknown;
    };
    let ever = correlators[&rule].gravest_child(parent);
    let mut gravest = Severity::Unknown;
    for (number, child) in children_of(parent, turn).enumerate() {
        if gravest >= ever || number == CHILDREN_COMPARED_MAX {
            return ever;
        }
        if let Some((child, rule)) = live(child, turn) {
            gravest = gravest.max(correlators[&rule].weight_on_parent(child));
        }
    }
    gravest
}

/// The children of an incident, and of what has merged into it.
fn children_of(parent: IncidentId, turn: &Turn<'_>) -> impl Iterator<Item = IncidentId> {
    let family = &turn.desk.family;
    let book = &turn.desk.book;
    let merged = family.gone().filter(move |gone| {
        let survivor = book.find(*gone);
        survivor.is_some_and(|(survivor, _)| survivor == parent)
    });
    let all = merged.filter(move |gone| *gone != parent).chain([parent]);
    all.flat_map(|name| family.children(name))
}

/// The time has come at which an incident takes further children.
pub(super) fn adopt_more(
    correlators: &mut Correlators,
    rule: &RuleId,
    parent: IncidentId,
    turn: &mut Turn<'_>,
) {
    of(correlators, rule).adopts_now(parent);
    adopt(correlators, rule, parent, turn);
    pass_on(correlators, turn);
}

/// Judges symptoms again whose cause has begun or ceased to go on, as many as one step takes.
pub(super) fn judge_symptoms(correlators: &mut Correlators, turn: &mut Turn<'_>) {
    for child in turn.desk.family.next_explained(turn.at) {
        if let Some((child, rule)) = live(child, turn) {
            of(correlators, &rule).judge_again(child, turn);
        }
    }
}

/// Passes on to parents how grave their children are.
pub(super) fn pass_on(correlators: &mut Correlators, turn: &mut Turn<'_>) {
    while let Some((parent, severity)) = turn.desk.family.next_risen() {
        if let Some((parent, rule)) = live(parent, turn) {
            of(correlators, &rule).rise_with_child(parent, severity, turn);
        }
    }
}

/// A person says what caused an incident, or that nothing is known to have.
pub(super) fn link(
    correlators: &mut Correlators,
    rule: &RuleId,
    child: IncidentId,
    parent: Option<IncidentId>,
    turn: &mut Turn<'_>,
) -> Result<(), RefusalCode> {
    let before = correlators[rule].parent(child);
    let before = before.map(|before| turn.desk.book.find(before).map_or(before, |(now, _)| now));
    let parent = match parent {
        None => None,
        Some(asked) => {
            let (parent, _) = live(asked, turn).ok_or(RefusalCode::UnknownIncident)?;
            if before != Some(parent) && !may_be_parent(correlators, parent, child, turn) {
                return Err(RefusalCode::WouldBeCircle);
            }
            Some(parent)
        }
    };
    if before == parent {
        return Err(RefusalCode::AlreadyThere);
    }
    of(correlators, rule).link_by_person(child, parent, turn);
    if let Some((before, of_rule)) = before.and_then(|before| live(before, turn)) {
        let children = children_of(before, turn).filter_map(|child| live(child, turn));
        let grave = children.map(|(id, rule)| correlators[&rule].severity(id));
        let gravest = grave.max().unwrap_or(Severity::Unknown);
        of(correlators, &of_rule).children_are(before, gravest);
        settle(correlators, &of_rule, turn);
    }
    Ok(())
}

/// A person has split a part from an incident, and all of it is there: of its children those follow
/// that the part is nearer to, and that no person has linked.
pub(super) fn divide(correlators: &mut Correlators, rule: &RuleId, turn: &mut Turn<'_>) {
    for [whole, part] in of(correlators, rule).take_divided() {
        let children: Vec<_> = turn.desk.family.children(whole).collect();
        if !children.is_empty() {
            of(correlators, rule).await_effects(part, children.into_iter());
            adopt(correlators, rule, part, turn);
        }
    }
}

/// What caused an incident that opens.
fn cause_of(
    correlators: &Correlators,
    rule: &RuleId,
    opening: IncidentId,
    turn: &Turn<'_>,
) -> Option<IncidentId> {
    let origin = correlators[rule].origin(opening);
    let causes = turn.rules.causes(&origin.kind).iter();
    let mut causes: Vec<_> = causes
        .flat_map(|cause| {
            let of_this = correlators[cause].causes_of(&origin).into_iter();
            of_this.map(move |relative| (cause, relative))
        })
        .filter(|(_, (_, _, id))| *id != opening)
        .filter(|(cause, (_, _, id))| may_follow(correlators, (*id, cause), (opening, rule)))
        .map(|(cause, relative)| {
            let (_, since, id) = relative;
            let is_shock = are_shocks(&correlators[cause], &correlators[rule]);
            let grave = is_shock.then(|| correlators[cause].own_severity(id));
            (grave.map(|severity| Reverse((severity, since))), relative)
        })
        .collect();
    causes.sort_unstable();
    let mut causes = causes.into_iter().map(|(_, (_, _, cause))| cause);
    causes.find(|cause| may_be_parent(correlators, *cause, opening, turn))
}

/// Whether incidents of two rules are of one kind that happens once, and again: shocks.
fn are_shocks(one: &Correlator, other: &Correlator) -> bool {
    one.rule().front.is_some() && one.rule().incident == other.rule().incident
}

/// Whether one incident may have followed from another, as far as shocks do: what is graver than what
/// came before it is no aftershock of that.
fn may_follow(
    correlators: &Correlators,
    (parent, rule): (IncidentId, &RuleId),
    (child, of_rule): (IncidentId, &RuleId),
) -> bool {
    let (cause, effect) = (&correlators[rule], &correlators[of_rule]);
    !are_shocks(cause, effect) || effect.own_severity(child) <= cause.own_severity(parent)
}

/// The way along a network by which an incident has come from its cause, if it has by one.
fn way_of(
    correlators: &Correlators,
    (id, rule): (IncidentId, &RuleId),
    cause: Option<IncidentId>,
    turn: &Turn<'_>,
) -> Option<Box<Way>> {
    let (cause, of_rule) = live(cause?, turn)?;
    let origin = correlators[rule].origin(id);
    correlators[&of_rule].way_to(&origin, cause)
}

/// Gives an incident children: first those of what merged into it, then what it has caused before
/// it was known itself, the nearest first, which is looked for when it opens, and when it has merged.
/// What exceeds one step follows.
fn adopt(correlators: &mut Correlators, rule: &RuleId, parent: IncidentId, turn: &mut Turn<'_>) {
    if !correlators[rule].awaits_effects(parent) {
        let effects = effects_of(correlators, rule, parent);
        of(correlators, rule).await_nearest(parent, effects);
    }
    let merged = children_of_merged(parent, turn);
    let is_more = merged.len() > CHILDREN_PER_STEP;
    let mut room = CHILDREN_PER_STEP;
    for child in merged.into_iter().take(room) {
        room -= usize::from(take_child(correlators, parent, child, turn));
    }
    while room > 0
        && let Some(child) = of(correlators, rule).next_effect(parent)
    {
        let Some((id, of_rule)) = live(child, turn) else {
            continue;
        };
        if let Some(caused) = is_effect(correlators, rule, parent, (id, &of_rule), turn) {
            // To find that it is no effect takes as long as to take it.
            room -= usize::from(!caused || take_child(correlators, parent, id, turn));
        }
    }
    // Those that may be no children, for they would make a circle, are not waited for.
    if is_more && room == 0 || correlators[rule].seeks_effects(parent) {
        let due = turn.at + CHILDREN_STEP;
        of(correlators, rule).adopt_at(parent, Some(due), turn);
    }
}

/// Whether what waits for an incident has been caused by it: what is free, and what was caused by the
/// incident that a person split it from, if it is nearer. Nothing, if nobody needs to ask.
fn is_effect(
    correlators: &Correlators,
    rule: &RuleId,
    parent: IncidentId,
    (child, of_rule): (IncidentId, &RuleId),
    turn: &Turn<'_>,
) -> Option<bool> {
    let (cause, effect) = (&correlators[rule], &correlators[of_rule]);
    if effect.is_free(child) {
        let follows = may_follow(correlators, (parent, rule), (child, of_rule));
        return Some(follows && cause.has_caused(parent, &effect.origin(child)));
    }
    let before = effect.parent_by_rule(child)?;
    let (before, _) = turn.desk.book.find(before)?;
    cause.has_opened(before).then(|| {
        let both = [before, parent];
        cause.has_taken_along(both, &effect.origin(child))
    })
}

/// Gives an incident this child, if it may be one. Returns whether it is.
fn take_child(
    correlators: &mut Correlators,
    parent: IncidentId,
    child: IncidentId,
    turn: &mut Turn<'_>,
) -> bool {
    let Some((child, rule)) = live(child, turn) else {
        return false;
    };
    let may = may_be_parent(correlators, parent, child, turn);
    if may {
        let before = correlators[&rule].parent(child);
        let way = way_of(correlators, (child, &rule), Some(parent), turn);
        of(correlators, &rule).link(child, (Some(parent), way), turn);
        if let Some(before) = before {
            after_leaving(correlators, before, turn);
        }
    }
    may
}

/// Children that name a parent which has merged into this one, one more than a step takes.
fn children_of_merged(parent: IncidentId, turn: &Turn<'_>) -> Vec<IncidentId> {
    let family = &turn.desk.family;
    let merged = family.gone().filter(|gone| {
        let survivor = turn.desk.book.find(*gone);
        survivor.is_some_and(|(survivor, _)| survivor == parent)
    });
    let children = merged.flat_map(|gone| family.children(gone));
    // What leaves follows nobody any more.
    let children = children.filter(|child| live(*child, turn).is_some());
    children.take(CHILDREN_PER_STEP + 1).collect()
}

/// Incidents without a parent that this one has caused before it was known itself.
fn effects_of(correlators: &Correlators, rule: &RuleId, parent: IncidentId) -> Vec<Relative> {
    let cause = &correlators[rule];
    let mut found = effects_along(correlators, rule, parent, &cause.nodes_of(parent));
    if let Some(middle) = cause.origin(parent).middle {
        for effect in &cause.rule().may_cause {
            let rules = correlators.values();
            let of_kind = rules.filter(|other| other.rule().incident == effect.incident);
            for other in of_kind {
                found.extend(other.effects_at(effect, middle, cause.span(parent)));
            }
        }
    }
    found.retain(|(_, _, child)| *child != parent);
    found
}

/// The same along networks, of what it is about at these nodes.
fn effects_along(
    correlators: &Correlators,
    rule: &RuleId,
    parent: IncidentId,
    nodes: &Nodes,
) -> Vec<Relative> {
    let cause = &correlators[rule];
    let mut found = Vec::new();
    let effects = cause.rule().may_cause.iter();
    for effect in effects.filter(|effect| effect.along != Along::default()) {
        let rules = correlators.values();
        let of_kind = rules.filter(|other| other.rule().incident == effect.incident);
        for other in of_kind {
            found.extend(other.effects_along(effect, nodes, cause.span(parent)));
        }
    }
    found.retain(|(_, _, child)| *child != parent);
    found
}

/// Whether an incident may have this parent: it is not among the causes of its own cause, and the
/// chain of causes does not become too long.
fn may_be_parent(
    correlators: &Correlators,
    parent: IncidentId,
    child: IncidentId,
    turn: &Turn<'_>,
) -> bool {
    let mut at = Some(parent);
    for _ in 0..CAUSES_DEPTH_MAX {
        let Some(id) = at else { return true };
        if id == child {
            return false;
        }
        at = cause(correlators, id, turn);
    }
    false
}

/// What two that merged say about their causes may make a circle: then the survivor has none.
/// `before`: the parent that people were told of.
fn break_circle(
    correlators: &mut Correlators,
    survivor: IncidentId,
    before: Option<IncidentId>,
    turn: &mut Turn<'_>,
) {
    let Some((survivor, rule)) = live(survivor, turn) else {
        return;
    };
    let Some(parent) = correlators[&rule].parent(survivor) else {
        return;
    };
    let parent = turn.desk.book.find(parent).map_or(parent, |(id, _)| id);
    if may_be_parent(correlators, parent, survivor, turn) {
        return;
    }
    let correlator = of(correlators, &rule);
    match before {
        Some(_) => correlator.link(survivor, (None, None), turn),
        None => correlator.set_parent(survivor, None, turn),
    }
    after_leaving(correlators, parent, turn);
}

/// What caused an incident, as it stands for now; nothing if that is forgotten.
fn cause(correlators: &Correlators, id: IncidentId, turn: &Turn<'_>) -> Option<IncidentId> {
    let (id, entry) = turn.desk.book.find(id)?;
    let parent = match entry {
        // What leaves causes nothing.
        Entry::Live(rule) if turn.desk.leaving.has(rule, id) => None,
        Entry::Live(rule) => correlators[rule].parent(id),
        Entry::Over(past) => past.state.parent,
        Entry::Merged(_) => unreachable!("found"),
    };
    let found = parent.map(|parent| turn.desk.book.find(parent));
    found.flatten().map(|(id, _)| id)
}

/// The live incident that an id stands for, and its rule. One that leaves takes part in nothing.
fn live(id: IncidentId, turn: &Turn<'_>) -> Option<(IncidentId, RuleId)> {
    match turn.desk.book.find(id)? {
        (id, Entry::Live(rule)) if turn.desk.leaving.has(rule, id) => None,
        (id, Entry::Live(rule)) => Some((id, rule.clone())),
        (_, Entry::Over(_) | Entry::Merged(_)) => None,
    }
}

fn of<'c>(correlators: &'c mut Correlators, rule: &RuleId) -> &'c mut Correlator {
    let correlator = correlators.get_mut(rule);
    correlator.expect("all rules that hold are at work")
}
