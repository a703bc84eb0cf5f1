//! What something would have kept quiet, had it been there: what counted meets it as if it was.

use super::{Suppressions, gate::is_of_group};
use crate::correlate::{Desk, Turn};
use crate::decision::{Cause, How, Matcher, SuppressionState, Target};
use crate::detection::{Detection, Finding};
use crate::id::SuppressionId;
use crate::noted::{Noted, Stood, WouldHide};
use crate::record::Seq;
use crate::rules::Rules;
use crate::suppress::Origin;
use crate::time::Timestamp;

/// See [`crate::noted::would_hide`].
pub(crate) fn would_hide<'n>(
    rules: &Rules,
    (how, matcher): (How, &Matcher),
    noted: impl IntoIterator<Item = &'n Noted>,
) -> WouldHide {
    let mut tried = Tried::new(rules, how, matcher);
    for noted in noted {
        tried.meet(noted);
    }
    tried.told
}

/// A suppression that is tried on what was.
struct Tried<'r> {
    rules: &'r Rules,
    suppressions: Suppressions,
    desk: Desk,
    id: SuppressionId,
    told: WouldHide,
}

impl<'r> Tried<'r> {
    fn new(rules: &'r Rules, how: How, matcher: &Matcher) -> Self {
        let id = SuppressionId::derive(&["preview"]);
        let mut tried = Self {
            rules,
            suppressions: Suppressions::default(),
            desk: Desk::new(),
            id,
            told: WouldHide::default(),
        };
        let state = SuppressionState {
            id,
            how,
            target: Target::Detections(matcher.clone()),
            by: "preview".parse().expect("it is a name"),
            reason: Box::default(),
            window: None,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            detections: 0,
            let_through: 0,
            sensors: Vec::new(),
            ended: None,
        };
        let mut decisions = Vec::new();
        let mut turn = Turn {
            at: Timestamp::MIN,
            due: None,
            rules,
            desk: &mut tried.desk,
            decisions: &mut decisions,
        };
        tried.suppressions.start(state, Cause::default(), &mut turn);
        tried
    }

    fn counted(&self) -> (u64, u64) {
        let state = self.suppressions.get(self.id);
        let state = state.expect("it has no end");
        (state.detections, state.let_through)
    }

    fn meet(&mut self, noted: &Noted) {
        let finding = &noted.finding;
        let origin = match is_of_group(&finding.rule, self.rules) {
            true => Origin::Group,
            false => Origin::Sensors,
        };
        let before = self.counted();
        let mut decisions = Vec::new();
        let mut turn = Turn {
            at: noted.at,
            due: None,
            rules: self.rules,
            desk: &mut self.desk,
            decisions: &mut decisions,
        };
        let found = std::slice::from_ref(finding);
        let passed = self.suppressions.pass(found, origin, &mut turn);
        let stood = stood(finding, &passed.found);
        let after = self.counted();
        self.count(noted, (after.0 - before.0, after.1 - before.1));
        let told = &mut self.told;
        let of_rule = told.stood.entry(finding.sensor.clone()).or_default();
        let of_rule: &mut Vec<(Seq, Stood)> = of_rule.entry(finding.rule.clone()).or_default();
        of_rule.extend(stood.map(|stood| (noted.since, stood)));
        if let Detection::Reported { .. } = finding.detection {
            // It is evidence once.
            of_rule.push((noted.since + 1, Stood::Over));
        }
    }

    fn count(&mut self, noted: &Noted, (hidden, let_through): (u64, u64)) {
        let finding = &noted.finding;
        self.told.let_through += let_through;
        match finding.detection {
            Detection::Silent(_) | Detection::Faulty(_) => self.told.of_sensors += hidden,
            _ => {
                self.told.detections += hidden;
                if hidden > 0 {
                    let subject = (finding.sensor.clone(), finding.rule.clone());
                    self.told.subjects.insert(subject);
                }
            }
        }
    }
}

/// How what was found stands from here on; `None` if it is no detection.
fn stood(finding: &Finding, passed: &[Finding]) -> Option<Stood> {
    let is_told = passed.iter().any(|passed| {
        matches!(
            passed.detection,
            Detection::Raised { .. }
                | Detection::Updated { .. }
                | Detection::Worsened(_)
                | Detection::Reported { .. }
        )
    });
    match finding.detection {
        Detection::Cleared => Some(Stood::Over),
        Detection::Raised { .. }
        | Detection::Updated { .. }
        | Detection::Worsened(_)
        | Detection::Reported { .. } => Some(match is_told {
            true => Stood::Told,
            false => Stood::Hidden,
        }),
        _ => None,
    }
}
