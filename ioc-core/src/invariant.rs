//! What must hold of the state at any time: one sentence and one check each.
//!
//! Names beginning with `INV` are the domain's. Checked after every record of the property tests;
//! a host may check after a replay. A broken one is a mistake in this crate. The checks visit the
//! whole state. Next: `state.rs`.

use std::fmt;

/// An invariant that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// Of what: a rule, an incident, a sensor.
    pub subject: String,
}

/// The invariants of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// INV-12: under one rule a sensor is a member of at most one incident, the one it leads to.
    MembershipIsAPartition,
    /// INV-12: a remembered id is of one live or one past incident, or leads to a remembered one.
    IdsResolve,
    /// INV-11 in part: an incident is unknown exactly while its only abnormal members are silent,
    /// and cleared only while none is abnormal.
    ConditionFollowsMembers,
    /// What is counted of members equals what a count finds.
    SumsAgree,
    /// The cells hold the places of members and nothing else.
    IndexAgrees,
    /// INV-18: an incident is as grave as what its members and its children say.
    GraveAsItsMembers,
    /// Every child of a parent is live and names it, and no incident is among its own causes.
    FamilyAgrees,
    /// Exactly the timers run that somebody waits for.
    TimersAgree,
    /// INV-34 in part: an actuator has at most one command under way.
    OneCommandPerActuator,
    /// INV-30: no two commands that are remembered share a key.
    KeysAreUnique,
    /// INV-16: what is kept quiet has an end, and what is over is not kept.
    QuietHasAnEnd,
    /// INV-15: what is held is held by something, or waits to be looked at again.
    QuietIsReleased,
    /// INV-15: an incident is suppressed by design exactly while what caused it lasts and explains
    /// it, or it waits to be judged again.
    SymptomsAreExplained,
}

impl Invariant {
    /// What holds, in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::MembershipIsAPartition => "a sensor is a member of at most one incident per rule",
            Self::IdsResolve => "an incident's id leads to exactly one incident",
            Self::ConditionFollowsMembers => "an incident's condition is what its members say",
            Self::SumsAgree => "sums over members equal what a count finds",
            Self::IndexAgrees => "the cells hold the members' places and nothing else",
            Self::GraveAsItsMembers => "an incident is as grave as its members and its children",
            Self::FamilyAgrees => "children name their parents, and nothing causes itself",
            Self::TimersAgree => "exactly the timers run that somebody waits for",
            Self::OneCommandPerActuator => "an actuator has at most one command under way",
            Self::KeysAreUnique => "no two commands share a key",
            Self::QuietHasAnEnd => "what is kept quiet has an end",
            Self::QuietIsReleased => "nothing is held that nothing keeps quiet",
            Self::SymptomsAreExplained => "what is suppressed by design has a cause that lasts",
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} does not hold: {}",
            self.subject,
            self.invariant.sentence()
        )
    }
}

/// Collects what is broken.
#[derive(Debug, Default)]
pub(crate) struct Audit(pub Vec<Broken>);

impl Audit {
    pub fn expect(&mut self, holds: bool, invariant: Invariant, subject: impl fmt::Display) {
        if !holds {
            self.0.push(Broken {
                invariant,
                subject: subject.to_string(),
            });
        }
    }
}
