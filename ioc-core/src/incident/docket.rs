//! What people have done about an incident: how far they are, who did the last step, and whom it
//! was passed to while nobody saw it.
//!
//! Arrives: a person's steps, and what the world does to them. Leaves: where it stands. Promise:
//! only a person moves it on; of the world only what a person could not know moves it, and always
//! back to new (INV-10, INV-20); a person undoes his own last step, as long as nothing has happened
//! to it since. It goes on when the incident itself is over. Next: `correlate/people.rs`.

use std::cmp::Ordering;

use crate::codec::{CodecError, Put, Take};
use crate::decision::{Condition, Handling, RefusalCode, Severity, Step, Tier};
use crate::id::Actor;
use crate::time::{Millis, Timestamp};

/// What was done about an incident.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Docket {
    pub handling: Handling,
    /// Whom it was passed to last since nobody saw it.
    pub escalated: Option<Tier>,
    /// What a person did last, if nothing has changed it since.
    last: Option<Last>,
    /// What it rested on when it was dismissed last.
    dismissed_on: Grounds,
    /// While it is dismissed: whoever was first heard after this was not known then. Nothing is known of
    /// what was dismissed by a build that did not ask.
    dismissed_at: Option<Timestamp>,
    /// How grave its evidence was when a person said how grave it is: no more than that raises it.
    pub judged: Severity,
    /// It is as grave as a person said last: time alone does not make it less.
    pub rated: bool,
}

/// The last thing that a person did, and what it led away from.
#[derive(Debug, Clone, PartialEq)]
struct Last {
    by: Actor,
    before: Before,
}

/// What an undone step comes back to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    /// A step.
    Step(Handling, Option<Tier>),
    /// A word about how grave it is.
    Rating {
        severity: Severity,
        judged: Severity,
        rated: bool,
    },
}

/// What an incident rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grounds {
    pub condition: Condition,
    pub sources: u32,
    /// By its own evidence and its children.
    pub severity: Severity,
    /// By its own evidence alone.
    pub own: Severity,
}

impl Docket {
    /// Nobody has done anything.
    pub fn new() -> Self {
        Self {
            handling: Handling::New,
            escalated: None,
            last: None,
            dismissed_on: Grounds {
                condition: Condition::Active,
                sources: 0,
                severity: Severity::Unknown,
                own: Severity::Unknown,
            },
            dismissed_at: None,
            judged: Severity::Unknown,
            rated: false,
        }
    }

    /// Somebody has done this much, and it is not known who.
    pub fn handled(handling: Handling) -> Self {
        Self {
            handling,
            ..Self::new()
        }
    }

    /// Takes a person's step. Returns what was done about it before; `severity` is how grave it is,
    /// which undoing may change.
    pub fn follow(
        &mut self,
        step: Step,
        (by, at): (&Actor, Timestamp),
        grounds: Grounds,
        severity: &mut Severity,
    ) -> Result<Handling, RefusalCode> {
        let before = self.handling;
        if step == Step::Undo {
            self.undo(by, grounds, severity)?;
        } else {
            self.handling = before.after(step, grounds.condition)?;
            let before = Before::Step(before, self.escalated.take());
            self.last = Some(Last {
                by: by.clone(),
                before,
            });
        }
        if let Handling::Dismissed(_) = self.handling {
            self.dismissed_on = grounds;
            self.dismissed_at = Some(at);
        }
        Ok(before)
    }

    fn undo(
        &mut self,
        by: &Actor,
        grounds: Grounds,
        severity: &mut Severity,
    ) -> Result<(), RefusalCode> {
        let last = self.last.as_ref().ok_or(RefusalCode::NothingToUndo)?;
        if last.by != *by {
            return Err(RefusalCode::NotYours);
        }
        match last.before {
            Before::Step(handling, escalated) => {
                self.handling = handling.if_over(grounds.condition)?;
                self.escalated = escalated;
            }
            Before::Rating {
                severity: before,
                judged,
                rated,
            } => {
                let unjudged = grounds.severity > judged;
                *severity = before.max(if unjudged { grounds.severity } else { before });
                (self.judged, self.rated) = (judged, rated);
            }
        }
        self.last = None;
        Ok(())
    }

    /// A person says how grave it is, having seen that its evidence says `gravest`. It is no less
    /// grave than the gravest of its children, `floor`, whatever he says of it alone.
    pub fn rate(
        &mut self,
        to: Severity,
        by: &Actor,
        (gravest, floor): (Severity, Severity),
        severity: &mut Severity,
    ) -> Result<(), RefusalCode> {
        if to == *severity {
            return Err(RefusalCode::AlreadyThere);
        }
        self.last = Some(Last {
            by: by.clone(),
            before: Before::Rating {
                severity: *severity,
                judged: self.judged,
                rated: self.rated,
            },
        });
        (self.judged, self.rated) = (gravest, to >= floor);
        *severity = to.max(floor);
        Ok(())
    }

    /// Evidence made it graver, or what was less grave has lasted: a person's word about that is
    /// no longer the last.
    pub fn graded(&mut self) {
        self.rated = false;
        let rating = |last: &Last| matches!(last.before, Before::Rating { .. });
        if self.last.as_ref().is_some_and(rating) {
            self.last = None;
        }
    }

    /// It cleared and becomes one with what is not over: as if it were back.
    pub fn is_back_with_another(&mut self) {
        if self.handling.after_return() == Handling::New {
            self.see_anew();
        }
    }

    /// It cleared and is back. `is_awaited`: something has become part of it that waits to be seen,
    /// and goes on to wait.
    pub fn back(&mut self, is_awaited: bool) {
        let after = self.handling.after_return();
        if after == Handling::New && !is_awaited {
            self.see_anew();
        }
        self.handling = after;
        self.last = None;
        (self.judged, self.rated) = (Severity::Unknown, false);
    }

    /// What explained it is over, and it is not: what somebody has acknowledged as a part of that
    /// is to be seen anew, as an alarm is that was suppressed by design (ISA-18.2). What somebody
    /// has dismissed is not: he has judged it by itself.
    pub fn appears(&mut self) {
        let dismissed = matches!(self.handling, Handling::Dismissed(_));
        if !dismissed && self.handling.after_return() == Handling::New {
            self.see_anew();
        }
    }

    /// Whether what it rests on by now overrules its dismissal: so many further sources, or
    /// something graver (INV-20), be it its own evidence of which a child had been as grave before.
    pub fn is_overruled(&self, grounds: Grounds, sources: u32) -> bool {
        let before = self.dismissed_on;
        let dismissed = matches!(self.handling, Handling::Dismissed(_));
        let further = grounds.sources.saturating_sub(before.sources);
        let graver = grounds.severity > before.severity || grounds.own > before.own;
        dismissed && (further >= sources || graver)
    }

    /// While it is dismissed: whoever was first heard after this was not known then.
    pub fn dismissed_at(&self) -> Option<Timestamp> {
        let dismissed = self.handling.dismissal().is_some();
        self.dismissed_at.filter(|_| dismissed)
    }

    /// The same, as it was saved.
    pub fn was_dismissed_at(&mut self, at: Option<Timestamp>) {
        self.dismissed_at = at;
    }

    /// A source joins it that nobody knew of when it was dismissed, whenever it was first heard.
    pub fn is_joined_by(&mut self, first_heard: Timestamp) {
        let before = first_heard - Millis(1);
        self.dismissed_at = self.dismissed_at.map(|at| at.min(before));
    }

    /// Whether a source that was first heard then was not known when it was dismissed.
    pub fn knew_nothing_of(&self, first_heard: Timestamp) -> bool {
        self.dismissed_at().is_some_and(|at| first_heard > at)
    }

    /// So many sources join it that weigh nothing: they overrule no dismissal.
    pub fn is_joined_by_weightless(&mut self, sources: u32) {
        if self.handling.dismissal().is_some() {
            let known = &mut self.dismissed_on.sources;
            *known = known.saturating_add(sources);
        }
    }

    /// One of these weighs something from here on.
    pub fn one_weighs(&mut self) {
        let known = &mut self.dismissed_on.sources;
        *known = known.saturating_sub(1);
    }

    /// Some of another that is dismissed, as this is, becomes a part of it: so many sources, which are so
    /// many `more` of this one. What was known of the other goes over first: who was not stays further
    /// there, as long as there is one.
    pub fn rests_on_more(&mut self, sources: u32, more: u32, other: &mut Self) {
        let both = [self.handling, other.handling];
        if both.iter().all(|handling| handling.dismissal().is_some()) {
            let (own, others) = (&mut self.dismissed_on, &mut other.dismissed_on);
            let known = sources.min(others.sources);
            others.sources -= known;
            own.sources = own.sources.saturating_add(known.min(more));
            own.severity = own.severity.max(others.severity);
            own.own = own.own.max(others.own);
        }
    }

    /// Some of what its dismissal rested on is of another incident from here on: what comes back is
    /// news again.
    pub fn rests_on_less(&mut self, grounds: Grounds) {
        let before = &mut self.dismissed_on;
        before.sources = before.sources.min(grounds.sources);
        before.severity = before.severity.min(grounds.severity);
        before.own = before.own.min(grounds.own);
    }

    /// That of a part which is another incident from here on.
    pub fn of_part(&self) -> Self {
        Self {
            last: None,
            escalated: None,
            judged: Severity::Unknown,
            rated: false,
            ..self.clone()
        }
    }

    /// Nobody has seen it as it is now.
    pub fn see_anew(&mut self) {
        self.handling = Handling::New;
        self.escalated = None;
        self.last = None;
    }

    /// What it is after another incident has become part of it, which was graver than it, as grave or
    /// less. A dismissal of both rests on what each of them rested on.
    pub fn after_merging(&mut self, other: &Self, other_is: Ordering) {
        self.last = None;
        self.judged = self.judged.min(other.judged);
        let before = self.handling;
        self.handling = before.after_merging(other.handling, other_is);
        if self.handling != before {
            self.escalated = None;
        } else if self.handling.dismissal().is_some() {
            let (own, others) = (&mut self.dismissed_on, other.dismissed_on);
            own.sources = own.sources.saturating_add(others.sources);
            own.severity = own.severity.max(others.severity);
            own.own = own.own.max(others.own);
            self.dismissed_at = self.dismissed_at.min(other.dismissed_at);
        }
    }

    pub fn put(&self, out: &mut impl Put) {
        out.put_u8(self.handling.number());
        out.put_option(self.escalated, |out, tier| out.put_u8(tier as u8));
        out.put_option(self.last.as_ref(), |out, last| {
            out.put_text(last.by.as_str());
            last.before.put(out);
        });
        out.put_u8(self.dismissed_on.condition as u8);
        out.put_u32(self.dismissed_on.sources);
        out.put_u8(self.dismissed_on.severity as u8);
        out.put_u8(self.dismissed_on.own as u8);
        out.put_u8(self.judged as u8);
        out.put_flag(self.rated);
    }

    /// The docket as it was put; before format 2 there was nothing but the handling, and before format
    /// 8 one word for its own evidence and its children.
    pub fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let handling = Handling::take(take)?;
        if format == 1 {
            return Ok(Self::handled(handling));
        }
        Ok(Self {
            handling,
            escalated: take.option(Tier::take)?,
            last: take.option(|take| {
                Ok(Last {
                    by: take.parsed("actor")?,
                    before: Before::take(take)?,
                })
            })?,
            dismissed_on: Grounds::take(format, take)?,
            dismissed_at: None,
            judged: Severity::take(take)?,
            rated: take.flag()?,
        })
    }
}

impl Grounds {
    fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let condition = Condition::take(take)?;
        let sources = take.u32()?;
        let severity = Severity::take(take)?;
        let own = match format {
            1..=7 => severity,
            _ => Severity::take(take)?,
        };
        Ok(Self {
            condition,
            sources,
            severity,
            own,
        })
    }
}

impl Before {
    fn put(self, out: &mut impl Put) {
        match self {
            Self::Step(handling, escalated) => {
                out.put_u8(0);
                out.put_u8(handling.number());
                out.put_option(escalated, |out, tier| out.put_u8(tier as u8));
            }
            Self::Rating {
                severity,
                judged,
                rated,
            } => {
                out.put_u8(1);
                out.put_u8(severity as u8);
                out.put_u8(judged as u8);
                out.put_flag(rated);
            }
        }
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        match take.u8()? {
            0 => Ok(Self::Step(Handling::take(take)?, take.option(Tier::take)?)),
            1 => Ok(Self::Rating {
                severity: Severity::take(take)?,
                judged: Severity::take(take)?,
                rated: take.flag()?,
            }),
            _ => Err(CodecError("a step that leads nowhere back")),
        }
    }
}
