//! Which findings pass, one function for each sort of finding.
//!
//! What does not pass has happened all the same, and stands beside what does for whoever asks whether it
//! has; but for what a sensor says that somebody works at, which says nothing about the city.
//!
//! What is not kept quiet any more, and not yet released, counts from the finding on that comes
//! about it. So does what becomes extreme.

use std::borrow::Cow;

use super::held::{self, Entry, Subject, What};
use super::index::{Marks, place_of};
use super::{Active, Suppressions};
use crate::bundle::Test;
use crate::correlate::Turn;
use crate::decision::{Certainty, How, Severity, Target};
use crate::detection::{Detection, Finding, Hearing, Malady, Sighting};
use crate::id::{RuleId, SensorId, SuppressionId};
use crate::rules::Rules;

/// Where findings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The sensor stages.
    Sensors,
    /// The group stage: among them are those of the sensor stages, which passed before.
    Group,
    /// Its timers: silences that nobody was told of when they were found are among them.
    GroupTimers,
}

/// What was seen last. One that does not say where it was seen was where the one before was: else the
/// next that says nothing, either, would not be kept quiet where that one was.
fn placed(now: Option<Sighting>, last: Option<Sighting>) -> Option<Sighting> {
    match (now, last) {
        (Some(now), Some(last)) => Some(Sighting {
            position: now.position.or(last.position),
            ..now
        }),
        (now, last) => now.or(last),
    }
}

/// Whether the group stage finds what this rule finds.
pub(super) fn is_of_group(rule: &RuleId, rules: &Rules) -> bool {
    let rule = rules.detection_named(rule);
    rule.is_some_and(|rule| match rule.test {
        Test::Sequence(_) | Test::SiteSilence(_) | Test::Across(_) | Test::Alone(_) => true,
        Test::Threshold(_)
        | Test::Rate(_)
        | Test::Usual(_)
        | Test::Becomes(_)
        | Test::Window(_)
        | Test::Silence(_)
        | Test::Fault(_)
        | Test::Report(_) => false,
    })
}

/// What becomes of findings that meet what is kept quiet.
#[derive(Debug)]
pub(crate) struct Passed<'f> {
    /// Those that count, in their order.
    pub found: Cow<'f, [Finding]>,
    /// Those that say that something is so, or no more, and that are kept quiet, each with how many
    /// of the others come before it.
    pub quiet: Vec<(usize, &'f Finding)>,
    /// What of the former was said before its sensor fell silent, and is told now, by sensor and rule:
    /// it counts, but says nothing about this time.
    pub unheard: Vec<(SensorId, RuleId)>,
}

/// What a finding meets.
struct Meeting<'f> {
    finding: &'f Finding,
    subject: Subject,
    /// What keeps it quiet, were it not extreme.
    keeper: Option<SuppressionId>,
    /// Whether its sensor is out of service by that.
    in_hands: bool,
}

impl Suppressions {
    /// Tells the findings that count from those that are kept quiet.
    pub fn pass<'f>(
        &mut self,
        found: &'f [Finding],
        from: Origin,
        turn: &mut Turn<'_>,
    ) -> Passed<'f> {
        let passed = self.passing(found, from, turn);
        if let Some(notes) = &mut self.notes {
            let is_new = |finding: &&Finding| match from {
                Origin::Sensors => true,
                Origin::Group | Origin::GroupTimers => is_of_group(&finding.rule, turn.rules),
            };
            let new = passed.found.iter().filter(is_new);
            new.for_each(|finding| notes.note(turn.at, finding));
        }
        passed
    }

    fn passing<'f>(
        &mut self,
        found: &'f [Finding],
        from: Origin,
        turn: &mut Turn<'_>,
    ) -> Passed<'f> {
        let mut quiet = Vec::new();
        if found.is_empty() || self.is_idle() {
            let found = Cow::Borrowed(found);
            return Passed {
                found,
                quiet,
                unheard: Vec::new(),
            };
        }
        let mut passed = Vec::with_capacity(found.len());
        for finding in found {
            let before = passed.len();
            match from {
                Origin::Group if !is_of_group(&finding.rule, turn.rules) => {
                    passed.push(finding.clone());
                }
                Origin::Sensors | Origin::Group | Origin::GroupTimers => {
                    let in_hands = self.pass_one(finding, &mut passed, turn);
                    let is_heard = passed[before..].iter().any(is_word);
                    // Where somebody works nothing comes; what has come may end.
                    let says = !in_hands || matches!(finding.detection, Detection::Cleared);
                    if is_word(finding) && !is_heard && says {
                        quiet.push((passed.len(), finding));
                    }
                }
            }
        }
        let found = Cow::Owned(passed);
        Passed {
            found,
            quiet,
            unheard: Vec::new(),
        }
    }

    /// Splits findings that were released into those of the sensor stages and those of the group.
    pub fn by_origin(found: Vec<Finding>, rules: &Rules) -> [Vec<Finding>; 2] {
        let of_group = |finding: &Finding| is_of_group(&finding.rule, rules);
        let (group, sensors) = found.into_iter().partition(of_group);
        [sensors, group]
    }

    /// Passes one on, or not. Returns whether somebody works at its sensor.
    fn pass_one(
        &mut self,
        finding: &Finding,
        passed: &mut Vec<Finding>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let subject = Subject::of(finding);
        let held = self.held.get(&subject);
        let place = place_of(finding).or_else(|| held.and_then(Entry::place));
        let own = (&finding.sensor, &finding.rule);
        let marks = self
            .index
            .marks(own, finding.zone.as_ref(), place, turn.rules);
        let keeper = self.keeper(&marks);
        let meeting = Meeting {
            finding,
            keeper: keeper.map(|(id, _)| id),
            in_hands: keeper.is_some_and(|(_, active)| active.state.how == How::OutOfService),
            subject,
        };
        let in_hands = meeting.in_hands;
        match &finding.detection {
            Detection::Raised {
                severity,
                certainty,
                sightings,
            } => {
                let last = sightings.last().cloned();
                self.raised(meeting, (*severity, *certainty), last, passed, turn);
            }
            Detection::Updated {
                severity,
                certainty,
                sighting,
            } => {
                let sighting = Some(sighting.clone());
                self.updated(meeting, (*severity, *certainty), sighting, passed, turn);
            }
            Detection::Worsened(severity) => {
                let said = (*severity, Certainty::Unknown);
                self.updated(meeting, said, None, passed, turn);
            }
            Detection::Eased(severity) => self.eased(&meeting, *severity, passed),
            Detection::Cleared => self.cleared(meeting, passed, turn),
            Detection::Reported { .. } => self.reported(meeting, passed, turn),
            Detection::Withdrawn(names) => {
                self.withdraw(finding, names);
                passed.push(finding.clone());
            }
            Detection::Silent(hearing) => self.silent(meeting, hearing, passed, turn),
            Detection::Returned(hearing) | Detection::SilenceForgotten(hearing) => {
                self.returned(&meeting, hearing, passed);
            }
            Detection::Faulty(malady) => self.faulty(meeting, malady, passed, turn),
            Detection::Sound(malady) => self.sound(&meeting, malady, passed),
            // Of a sensor that is worked at nothing counts among others either.
            Detection::Stirred | Detection::Contributed(_) if meeting.in_hands => {}
            // Sites count the sensors whose silence is not kept quiet.
            Detection::SiteSilent(_) | Detection::SiteReturned(_) => passed.push(finding.clone()),
            Detection::Stirred
            | Detection::Contributed(_)
            | Detection::Observed(_)
            | Detection::Heard(_) => {
                passed.push(finding.clone());
            }
        }
        in_hands
    }

    /// What keeps this quiet: a sensor that is out of service first, for it hides more; then that
    /// of the least id.
    fn keeper(&self, marks: &Marks<'_>) -> Option<(SuppressionId, &Active)> {
        let near = self.index.near(marks);
        let near = near.filter_map(|id| Some((id, self.active.get(&id)?)));
        let fit = near.filter(|(_, active)| match &active.state.target {
            Target::Detections(matcher) => marks.fit(matcher),
            Target::Incident(_) => false,
        });
        fit.min_by_key(|(id, active)| (active.state.how != How::OutOfService, *id))
    }

    /// What keeps quiet what is held, by now.
    pub(super) fn keeper_of(
        &self,
        subject: &Subject,
        entry: &Entry,
        turn: &Turn<'_>,
    ) -> Option<SuppressionId> {
        let own = (&subject.sensor, &subject.rule);
        let place = entry.place();
        let zone = entry.zone.as_ref();
        let (id, active) = self.keeper(&self.index.marks(own, zone, place, turn.rules))?;
        let in_hands = active.state.how == How::OutOfService;
        let hides = match entry.what {
            What::Cleared => in_hands,
            What::Raised { .. } | What::Reported { .. } | What::Silent(_) | What::Faulty { .. } => {
                in_hands || entry.severity() < Severity::Extreme
            }
        };
        hides.then_some(id)
    }

    /// What keeps a detection as grave as this quiet. What is extreme passes, and is counted when
    /// it comes to be so.
    fn hides(
        &mut self,
        meeting: &Meeting<'_>,
        severity: Severity,
        turn: &mut Turn<'_>,
    ) -> Option<SuppressionId> {
        let keeper = meeting.keeper?;
        if severity < Severity::Extreme || meeting.in_hands {
            return Some(keeper);
        }
        let more_of_the_same = match meeting.finding.detection {
            Detection::Updated { .. } | Detection::Worsened(_) => {
                self.held.get(&meeting.subject).is_none()
            }
            _ => false,
        };
        if more_of_the_same {
            return None;
        }
        turn.desk.counters.detections_let_through += 1;
        self.change(keeper, |active| active.state.let_through += 1);
        self.tell_soon(keeper, turn);
        None
    }

    /// Holds it, if there is room; otherwise it passes.
    fn hold(
        &mut self,
        meeting: Meeting<'_>,
        entry: Entry,
        passed: &mut Vec<Finding>,
        turn: &mut Turn<'_>,
    ) {
        let before = self.held.get(&meeting.subject);
        let is_new = before.is_none_or(|before| before.by != entry.by);
        if !self.held.has_room_for(&meeting.subject, turn.at) {
            turn.desk.counters.suppressed_over_limit += 1;
            passed.push(meeting.finding.clone());
            return;
        }
        if is_new {
            self.count(entry.by, &meeting.finding.sensor, turn);
        }
        self.held.insert(meeting.subject, entry);
    }

    fn raised(
        &mut self,
        meeting: Meeting<'_>,
        (severity, certainty): (Severity, Certainty),
        sighting: Option<Sighting>,
        passed: &mut Vec<Finding>,
        turn: &mut Turn<'_>,
    ) {
        let before = self.held.get(&meeting.subject);
        let known = before.is_some_and(|before| before.known);
        let last = before.and_then(|before| match &before.what {
            What::Raised { sighting, .. } => sighting.clone(),
            _ => None,
        });
        let sighting = sighting.and_then(|sighting| placed(Some(sighting), last));
        if let Some(by) = self.hides(&meeting, severity, turn) {
            let what = What::Raised {
                severity,
                certainty,
                sighting,
            };
            let mut entry = Entry::new(by, meeting.finding, what);
            entry.known = known;
            return self.hold(meeting, entry, passed, turn);
        }
        self.held.remove(&meeting.subject);
        if known {
            // It was over in the meantime, which nobody heard.
            passed.push(Finding {
                detection: Detection::Cleared,
                ..meeting.finding.clone()
            });
        }
        passed.push(meeting.finding.clone());
    }

    /// One more reading, or graver by time alone.
    fn updated(
        &mut self,
        meeting: Meeting<'_>,
        (severity, certainty): (Severity, Certainty),
        sighting: Option<Sighting>,
        passed: &mut Vec<Finding>,
        turn: &mut Turn<'_>,
    ) {
        let keeper = self.hides(&meeting, severity, turn);
        let before = self.held.get(&meeting.subject);
        let known = before.is_none_or(|before| before.known);
        let (sure, last) = match before.map(|before| &before.what) {
            Some(What::Raised {
                certainty: sure,
                sighting: last,
                ..
            }) => (*sure, last.clone()),
            _ => (Certainty::Unknown, None),
        };
        let (certainty, sighting) = (certainty.max(sure), placed(sighting, last));
        if let Some(by) = keeper {
            let what = What::Raised {
                severity,
                certainty,
                sighting,
            };
            let mut entry = Entry::new(by, meeting.finding, what);
            entry.known = known;
            if known && !meeting.in_hands {
                passed.push(eased(meeting.finding, severity));
            }
            return self.hold(meeting, entry, passed, turn);
        }
        self.held.remove(&meeting.subject);
        if known {
            passed.push(meeting.finding.clone());
            return;
        }
        passed.push(Finding {
            detection: held::raised(known, (severity, certainty), sighting),
            ..meeting.finding.clone()
        });
    }

    /// Less grave: what is held is so from here on, and what counts already, unless somebody works at
    /// the sensor.
    fn eased(&mut self, meeting: &Meeting<'_>, severity: Severity, passed: &mut Vec<Finding>) {
        let before = self.held.get(&meeting.subject);
        let known = before.is_none_or(|before| before.known);
        self.held
            .change_raised(&meeting.finding.sensor, |rule, entry| {
                if *rule == meeting.finding.rule {
                    entry.ease(severity);
                }
            });
        if known && !meeting.in_hands {
            passed.push(meeting.finding.clone());
        }
    }

    fn cleared(&mut self, meeting: Meeting<'_>, passed: &mut Vec<Finding>, turn: &mut Turn<'_>) {
        let before = self.held.get(&meeting.subject);
        let known = before.is_none_or(|before| before.known);
        match meeting.keeper.filter(|_| known && meeting.in_hands) {
            // Who works at a sensor makes it normal: that says nothing about the city.
            Some(by) => {
                let mut entry = Entry::new(by, meeting.finding, What::Cleared);
                entry.known = true;
                self.hold(meeting, entry, passed, turn);
            }
            None => {
                self.held.remove(&meeting.subject);
                if known {
                    passed.push(meeting.finding.clone());
                }
            }
        }
    }

    fn reported(&mut self, meeting: Meeting<'_>, passed: &mut Vec<Finding>, turn: &mut Turn<'_>) {
        let Detection::Reported {
            severity,
            certainty,
            until,
            sighting,
            replaces,
        } = &meeting.finding.detection
        else {
            unreachable!("it is a report");
        };
        if let Some(names) = replaces {
            self.withdraw(meeting.finding, names);
        }
        match self.hides(&meeting, *severity, turn) {
            Some(by) => {
                let what = What::Reported {
                    severity: *severity,
                    certainty: *certainty,
                    until: *until,
                    observed_at: meeting.finding.observed_at,
                    sighting: sighting.clone(),
                };
                let entry = Entry::new(by, meeting.finding, what);
                // What it takes the place of may have counted before anything was kept quiet.
                passed.extend(replaces.clone().map(|names| Finding {
                    detection: Detection::Withdrawn(names),
                    ..meeting.finding.clone()
                }));
                self.hold(meeting, entry, passed, turn);
            }
            None => passed.push(meeting.finding.clone()),
        }
    }

    /// What a source takes back is held no more, unless the source is not to be trusted.
    fn withdraw(&mut self, finding: &Finding, names: &str) {
        if !finding.doubted {
            self.held.withdraw(&finding.sensor, &finding.rule, names);
        }
    }

    fn silent(
        &mut self,
        meeting: Meeting<'_>,
        hearing: &Hearing,
        passed: &mut Vec<Finding>,
        turn: &mut Turn<'_>,
    ) {
        self.held
            .change_raised(&meeting.finding.sensor, |_, entry| entry.silent = true);
        let Some(by) = meeting.keeper else {
            passed.push(meeting.finding.clone());
            return;
        };
        let what = What::Silent(held::to_be_told(hearing.clone()));
        let entry = Entry::new(by, meeting.finding, what);
        if meeting.in_hands {
            self.change(by, |active| active.silent = true);
        } else {
            passed.push(untold(meeting.finding));
        }
        self.hold_of_sensor(meeting, entry, passed, turn);
    }

    /// Holds what counts all the same. Without room it is told as well.
    fn hold_of_sensor(
        &mut self,
        meeting: Meeting<'_>,
        entry: Entry,
        passed: &mut Vec<Finding>,
        turn: &mut Turn<'_>,
    ) {
        if self.held.has_room_for(&meeting.subject, turn.at) {
            return self.hold(meeting, entry, passed, turn);
        }
        turn.desk.counters.suppressed_over_limit += 1;
        if !meeting.in_hands {
            passed.pop();
            passed.push(meeting.finding.clone());
        }
    }

    fn returned(&mut self, meeting: &Meeting<'_>, hearing: &Hearing, passed: &mut Vec<Finding>) {
        let sensor: &SensorId = &meeting.finding.sensor;
        self.held
            .change_raised(sensor, |_, entry| entry.silent = false);
        let was_untold = self.held.remove(&meeting.subject).is_some();
        let finding = match was_untold {
            true => untold(meeting.finding),
            false => meeting.finding.clone(),
        };
        let Some(by) = meeting.keeper.filter(|_| meeting.in_hands) else {
            passed.push(finding);
            return;
        };
        self.change(by, |active| active.silent = false);
        // People hear that it is back, if they have heard that it was not, and rules about sites in any case;
        // what it says about the city says nothing.
        let hearing = Hearing {
            raised: Vec::new(),
            heard_by: Vec::new(),
            untold: was_untold || hearing.untold,
            ..hearing.clone()
        };
        passed.push(Finding {
            detection: match finding.detection {
                Detection::SilenceForgotten(_) => Detection::SilenceForgotten(hearing),
                _ => Detection::Returned(hearing),
            },
            ..finding
        });
    }

    fn faulty(
        &mut self,
        meeting: Meeting<'_>,
        malady: &Malady,
        passed: &mut Vec<Finding>,
        turn: &mut Turn<'_>,
    ) {
        self.doubt(&meeting, malady, true);
        let Some(by) = meeting.keeper else {
            passed.push(meeting.finding.clone());
            return;
        };
        let what = What::Faulty {
            fault: malady.fault,
            hearing: held::to_be_told(malady.hearing.clone()),
            shown: malady.shown.clone(),
        };
        let entry = Entry::new(by, meeting.finding, what);
        passed.push(untold(meeting.finding));
        self.hold_of_sensor(meeting, entry, passed, turn);
    }

    fn sound(&mut self, meeting: &Meeting<'_>, malady: &Malady, passed: &mut Vec<Finding>) {
        self.doubt(meeting, malady, false);
        let was_untold = self.held.remove(&meeting.subject).is_some();
        passed.push(match was_untold {
            true => untold(meeting.finding),
            false => meeting.finding.clone(),
        });
    }

    /// What is held of a sensor is doubted, or trusted again.
    fn doubt(&mut self, meeting: &Meeting<'_>, malady: &Malady, doubted: bool) {
        self.held
            .change_raised(&meeting.finding.sensor, |rule, entry| {
                if malady.concerned.contains(rule) {
                    entry.doubted = doubted;
                }
            });
    }
}

/// Whether a finding says that something is so, or no more.
const fn is_word(finding: &Finding) -> bool {
    matches!(
        finding.detection,
        Detection::Raised { .. }
            | Detection::Updated { .. }
            | Detection::Cleared
            | Detection::Reported { .. }
    )
}

/// What a finding that is kept quiet says to whom it is known already: that it is no graver.
fn eased(finding: &Finding, severity: Severity) -> Finding {
    Finding {
        detection: Detection::Eased(severity),
        ..finding.clone()
    }
}

/// A finding about a sensor that counts, and that people do not hear of.
fn untold(finding: &Finding) -> Finding {
    let mut untold = finding.clone();
    match &mut untold.detection {
        Detection::Silent(hearing)
        | Detection::Returned(hearing)
        | Detection::SilenceForgotten(hearing) => hearing.untold = true,
        Detection::Faulty(malady) | Detection::Sound(malady) => malady.hearing.untold = true,
        Detection::Stirred
        | Detection::Raised { .. }
        | Detection::Updated { .. }
        | Detection::Worsened(_)
        | Detection::Eased(_)
        | Detection::Cleared
        | Detection::Reported { .. }
        | Detection::Withdrawn(_)
        | Detection::SiteSilent(_)
        | Detection::SiteReturned(_)
        | Detection::Contributed(_)
        | Detection::Observed(_)
        | Detection::Heard(_) => {}
    }
    untold
}
