//! What people do about an incident: how far they have come, and which steps may follow now.
//!
//! The second axis beside [`Condition`]: sensors never close it, and nobody but people moves it on
//! (INV-10). A step may pass over states, which the decision tells. Next: `incident/docket.rs`.

use std::cmp::Ordering;

use super::{Condition, RefusalCode};
use crate::codec::{CodecError, Take};

/// What people do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handling {
    /// Nobody has seen it.
    New,
    /// Somebody has.
    Acknowledged,
    /// It ended in another incident.
    Merged,
    /// Somebody has looked and it is real.
    Confirmed,
    /// Units are on their way or at work.
    Responding,
    /// It does not get worse any more.
    Contained,
    /// It is over, and what was to be done is done.
    Resolved,
    /// It has been reviewed.
    Closed,
    /// Nothing is to be done about it.
    Dismissed(Dismissal),
}

/// Why nothing is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dismissal {
    /// It is not so.
    FalseAlarm,
    /// Somebody tests.
    Test,
    /// It is meant to be so: works, an event.
    Planned,
    /// Others see to it.
    NotOurs,
}

/// A step that a person takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// I have seen it and I am on it (ISA-18.2: acknowledge).
    Acknowledge,
    /// It is real.
    Confirm,
    /// Units are on their way.
    Respond,
    /// It does not get worse any more.
    Contain,
    /// It is over and all is done.
    Resolve,
    /// It has been reviewed.
    Close,
    /// Nothing is to be done about it.
    Dismiss(Dismissal),
    /// It is to be seen anew.
    Reopen,
    /// My own last step was a mistake.
    Undo,
}

/// Whom it was passed to because nobody has seen an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// Whoever leads the shift.
    ShiftSupervisor,
    /// Whoever is on duty for the city.
    DutyOfficer,
    /// Everybody on the list, one after another.
    PhoneTree,
}

words! {
    Tier {
        ShiftSupervisor = "shift_supervisor", DutyOfficer = "duty_officer",
        PhoneTree = "phone_tree",
    }
}

impl Tier {
    /// Which it is of them, counted from 1.
    pub const fn number(self) -> i64 {
        match self {
            Self::ShiftSupervisor => 1,
            Self::DutyOfficer => 2,
            Self::PhoneTree => 3,
        }
    }
}

impl Dismissal {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::FalseAlarm, Self::Test, Self::Planned, Self::NotOurs];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::FalseAlarm => "false_alarm",
            Self::Test => "test",
            Self::Planned => "planned",
            Self::NotOurs => "not_ours",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|each| each.word() == word)
    }
}

impl Handling {
    /// All of them, by their numbers in the logs.
    pub const ALL: &'static [Self] = &[
        Self::New,
        Self::Acknowledged,
        Self::Merged,
        Self::Confirmed,
        Self::Responding,
        Self::Contained,
        Self::Resolved,
        Self::Closed,
        Self::Dismissed(Dismissal::FalseAlarm),
        Self::Dismissed(Dismissal::Test),
        Self::Dismissed(Dismissal::Planned),
        Self::Dismissed(Dismissal::NotOurs),
    ];

    /// The way from new to closed.
    const WAY: [Self; 7] = [
        Self::New,
        Self::Acknowledged,
        Self::Confirmed,
        Self::Responding,
        Self::Contained,
        Self::Resolved,
        Self::Closed,
    ];

    /// The word on the wire; why it was dismissed is said beside it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::Merged => "merged",
            Self::Confirmed => "confirmed",
            Self::Responding => "responding",
            Self::Contained => "contained",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
            Self::Dismissed(_) => "dismissed",
        }
    }

    /// Why nothing is to be done, if so.
    pub const fn dismissal(self) -> Option<Dismissal> {
        match self {
            Self::Dismissed(reason) => Some(reason),
            Self::New
            | Self::Acknowledged
            | Self::Merged
            | Self::Confirmed
            | Self::Responding
            | Self::Contained
            | Self::Resolved
            | Self::Closed => None,
        }
    }

    /// Whether people are at work on it, so that it is not over for them when it is for sensors.
    pub const fn is_work(self) -> bool {
        matches!(self, Self::Confirmed | Self::Responding | Self::Contained)
    }

    /// Whether nothing more is to be done about it.
    pub const fn is_done(self) -> bool {
        matches!(
            self,
            Self::Merged | Self::Resolved | Self::Closed | Self::Dismissed(_)
        )
    }

    /// What it is after a step, while the world is in this condition; or why the step cannot be
    /// taken. [`Step::Undo`] leads to where the person's last step came from, which is not known
    /// here.
    ///
    /// # Errors
    /// The step cannot be taken now.
    pub fn after(self, step: Step, condition: Condition) -> Result<Self, RefusalCode> {
        let to = match (step, self) {
            (Step::Acknowledge, Self::New) => return Ok(Self::Acknowledged),
            (Step::Acknowledge, Self::Merged | Self::Dismissed(_)) | (Step::Undo, _) => {
                return Err(RefusalCode::StepNotPossible);
            }
            (Step::Acknowledge, _) => return Err(RefusalCode::AlreadyAcknowledged),
            (Step::Dismiss(reason), Self::New | Self::Acknowledged) => {
                return Ok(Self::Dismissed(reason));
            }
            (Step::Dismiss(_), Self::Dismissed(_)) => return Err(RefusalCode::AlreadyThere),
            (Step::Dismiss(_), _) => return Err(RefusalCode::StepNotPossible),
            (Step::Reopen, Self::Resolved | Self::Closed | Self::Dismissed(_)) => {
                return Ok(Self::New);
            }
            (Step::Reopen, _) => return Err(RefusalCode::StepNotPossible),
            (Step::Confirm, _) => Self::Confirmed,
            (Step::Respond, _) => Self::Responding,
            (Step::Contain, _) => Self::Contained,
            (Step::Resolve, _) => Self::Resolved,
            (Step::Close, _) => Self::Closed,
        };
        match (self.place(), to.place()) {
            (Some(now), Some(then)) if now == then => Err(RefusalCode::AlreadyThere),
            (Some(now), Some(then)) if now < then => to.if_over(condition),
            _ => Err(RefusalCode::StepNotPossible),
        }
    }

    /// What it is after another incident that was handled so has become part of it, which was graver
    /// than it, as grave or less. Where people are at work at one of the two they are at work at what
    /// both are, as far as where they are further: nobody calls them anew, and it is not over by
    /// itself. What was graver and nobody had seen is to be seen though somebody has confirmed the
    /// other, and is not contained with it. A word that somebody has seen or dismissed it holds for no
    /// more than was graver than that, and for nothing that nobody has seen before it; of what is seen
    /// and what is dismissed it is known that somebody has seen all of it.
    pub(crate) fn after_merging(self, other: Self, other_is: Ordering) -> Self {
        let graver = match other_is {
            Ordering::Less => Some(self),
            Ordering::Equal => None,
            Ordering::Greater => Some(other),
        };
        let at_work = [self, other].into_iter().filter(|each| each.is_work());
        match (at_work.max_by_key(|each| each.place()), graver) {
            (Some(Self::Confirmed), Some(Self::New)) => return Self::New,
            (Some(Self::Contained), Some(Self::New)) => return Self::Responding,
            (Some(further), _) => return further,
            (None, _) => {}
        }
        match (self, other) {
            _ if other_is == Ordering::Greater => Self::New,
            (Self::Acknowledged, _) | (Self::Dismissed(_), Self::Acknowledged) => {
                Self::Acknowledged
            }
            (Self::Dismissed(_), Self::Dismissed(_)) => self,
            _ => Self::New,
        }
    }

    /// Itself, unless it says that the incident is over and the world does not (INV-11). What is
    /// not known counts as going on.
    pub(crate) fn if_over(self, condition: Condition) -> Result<Self, RefusalCode> {
        let says_over = matches!(self, Self::Resolved | Self::Closed);
        if says_over && condition != Condition::Cleared {
            return Err(RefusalCode::StillActive);
        }
        Ok(self)
    }

    /// What it is when an incident that cleared is back: whoever is at work stays so, and nobody
    /// has seen that what was over is not. That is new evidence, which a dismissal of what was
    /// there before does not speak of (INV-20).
    pub const fn after_return(self) -> Self {
        match self {
            Self::New | Self::Acknowledged | Self::Resolved | Self::Closed | Self::Dismissed(_) => {
                Self::New
            }
            Self::Confirmed | Self::Responding | Self::Contained | Self::Merged => self,
        }
    }

    /// The states between two that a step passed over.
    pub fn between(self, to: Self) -> &'static [Self] {
        const WAY: &[Handling] = &Handling::WAY;
        match (self.place(), to.place()) {
            (Some(from), Some(to)) if from < to => &WAY[from + 1..to],
            _ => &[],
        }
    }

    /// The steps that can be taken, other than undoing.
    pub fn possible(self, condition: Condition) -> impl Iterator<Item = Step> {
        let steps = Step::ALL.iter().copied();
        steps.filter(move |step| self.after(*step, condition).is_ok())
    }

    /// How far on the way from new to closed.
    fn place(self) -> Option<usize> {
        Self::WAY.iter().position(|each| *each == self)
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::New => 0,
            Self::Acknowledged => 1,
            Self::Merged => 2,
            Self::Confirmed => 3,
            Self::Responding => 4,
            Self::Contained => 5,
            Self::Resolved => 6,
            Self::Closed => 7,
            Self::Dismissed(reason) => 8 + reason as u8,
        }
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let found = Self::ALL.get(usize::from(take.u8()?)).copied();
        found.ok_or(CodecError("unknown Handling"))
    }
}

impl Step {
    /// All of them, by their numbers in the logs.
    pub const ALL: &'static [Self] = &[
        Self::Acknowledge,
        Self::Confirm,
        Self::Respond,
        Self::Contain,
        Self::Resolve,
        Self::Close,
        Self::Dismiss(Dismissal::FalseAlarm),
        Self::Dismiss(Dismissal::Test),
        Self::Dismiss(Dismissal::Planned),
        Self::Dismiss(Dismissal::NotOurs),
        Self::Reopen,
        Self::Undo,
    ];

    /// The word of the order.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Confirm => "confirm",
            Self::Respond => "respond",
            Self::Contain => "contain",
            Self::Resolve => "resolve",
            Self::Close => "close",
            Self::Dismiss(_) => "dismiss",
            Self::Reopen => "reopen",
            Self::Undo => "undo",
        }
    }

    /// The `type` of the decision that tells it.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Acknowledge => "incident_acknowledged",
            Self::Confirm => "incident_confirmed",
            Self::Respond => "incident_responding",
            Self::Contain => "incident_contained",
            Self::Resolve => "incident_resolved",
            Self::Close => "incident_closed",
            Self::Dismiss(_) => "incident_dismissed",
            Self::Reopen => "incident_reopened",
            Self::Undo => "incident_undone",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Acknowledge => 0,
            Self::Confirm => 1,
            Self::Respond => 2,
            Self::Contain => 3,
            Self::Resolve => 4,
            Self::Close => 5,
            Self::Dismiss(reason) => 6 + reason as u8,
            Self::Reopen => 10,
            Self::Undo => 11,
        }
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let found = Self::ALL.get(usize::from(take.u8()?)).copied();
        found.ok_or(CodecError("unknown Step"))
    }
}

impl Tier {
    /// The one after it, or the first.
    pub fn after(tier: Option<Self>) -> Option<Self> {
        let next = tier.map_or(0, |tier| tier as usize + 1);
        Self::ALL.get(next).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_number_of_its_place() {
        for (number, handling) in (0..).zip(Handling::ALL) {
            assert_eq!(handling.number(), number);
        }
        for (number, step) in (0..).zip(Step::ALL) {
            assert_eq!(step.number(), number);
        }
    }

    #[test]
    fn what_may_follow_is_what_the_domain_says() {
        let may = |handling: Handling, condition| {
            let mut words: Vec<_> = handling.possible(condition).map(Step::word).collect();
            words.dedup();
            words.join(" ")
        };
        use Condition::{Active, Cleared, Unknown};
        let dismissed = Handling::Dismissed(Dismissal::Test);
        let table = [
            (
                Handling::New,
                Active,
                "acknowledge confirm respond contain dismiss",
            ),
            (
                Handling::New,
                Unknown,
                "acknowledge confirm respond contain dismiss",
            ),
            (
                Handling::New,
                Cleared,
                "acknowledge confirm respond contain resolve close dismiss",
            ),
            (
                Handling::Acknowledged,
                Active,
                "confirm respond contain dismiss",
            ),
            (Handling::Confirmed, Active, "respond contain"),
            (Handling::Responding, Unknown, "contain"),
            (Handling::Contained, Active, ""),
            (Handling::Contained, Cleared, "resolve close"),
            (Handling::Resolved, Cleared, "close reopen"),
            (Handling::Closed, Cleared, "reopen"),
            (dismissed, Active, "reopen"),
            (Handling::Merged, Active, ""),
        ];
        for (handling, condition, steps) in table {
            assert_eq!(
                may(handling, condition),
                steps,
                "{handling:?} {condition:?}"
            );
        }
    }

    #[test]
    fn inv_11_nothing_is_closed_while_it_goes_on_or_nobody_knows() {
        for handling in Handling::ALL {
            for condition in [Condition::Active, Condition::Unknown] {
                for step in Step::ALL {
                    let after = handling.after(*step, condition);
                    assert!(!matches!(after, Ok(Handling::Resolved | Handling::Closed)));
                }
            }
        }
    }

    #[test]
    fn what_a_step_passes_over_is_known() {
        let between = Handling::New.between(Handling::Contained);
        let words: Vec<_> = between.iter().map(|each| each.word()).collect();
        assert_eq!(words, ["acknowledged", "confirmed", "responding"]);
        assert!(Handling::Closed.between(Handling::New).is_empty());
    }
}
