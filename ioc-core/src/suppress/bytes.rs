//! What is kept quiet as bytes, in the order of ids and names.
//!
//! The indices and the timers follow from it and are made anew. Next: `operate/bytes.rs`.

use super::held::{Entry, Held, Subject, What};
use super::windows::Windows;
use super::{Active, Suppressions};
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, FaultKind, SensorFault, Severity, SuppressionState, Target};
use crate::detection::{Hearing, Sighting};
use crate::id::SuppressionId;
use crate::limits::{SUPPRESSED_MAX, SUPPRESSIONS_MAX, WINDOWS_MAX};
use crate::rules::Rules;

impl Suppressions {
    /// Puts the whole state.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.active.len());
        for active in self.active.values() {
            active.put(out);
        }
        self.windows.put(out);
        out.put_count(self.over.len());
        self.over.iter().for_each(|id| out.put_u64(id.to_bits()));
        out.put_option(self.step_due, Put::put_time);
        out.put_count(self.held.entries().len());
        for (subject, entry) in self.held.entries() {
            subject.put(out);
            entry.put(out);
        }
    }

    /// The state as it was put under the same rules.
    pub fn take(take: &mut Take<'_>, rules: &Rules) -> Result<Self, CodecError> {
        let mut suppressions = Self::default();
        for _ in 0..take.count(SUPPRESSIONS_MAX + WINDOWS_MAX)? {
            suppressions.restore(Active::take(take)?)?;
        }
        suppressions.windows = Windows::take(take, rules)?;
        let over = take.count(usize::MAX)?;
        let over = take.each(over, SuppressionId::take)?;
        if !over.is_sorted_by(|one, next| one < next) {
            return Err(CodecError("suppressions are not in order"));
        }
        suppressions.over = over.into_iter().collect();
        suppressions.step_due = take.option(Take::time)?;
        suppressions.held = take_held(take)?;
        Ok(suppressions)
    }

    fn restore(&mut self, active: Active) -> Result<(), CodecError> {
        let id = active.state.id;
        if self
            .active
            .last_key_value()
            .is_some_and(|(last, _)| *last >= id)
        {
            return Err(CodecError("suppressions are not in order"));
        }
        match &active.state.target {
            Target::Detections(matcher) => self.index.insert(id, matcher),
            Target::Incident(incident) => {
                self.by_incident.insert(*incident, id);
            }
        }
        self.timers.insert((active.next_due(), id));
        self.active.insert(id, active);
        Ok(())
    }
}

fn take_held(take: &mut Take<'_>) -> Result<Held, CodecError> {
    let mut held = Held::default();
    let mut last: Option<Subject> = None;
    for _ in 0..take.count(SUPPRESSED_MAX)? {
        let subject = Subject::take(take)?;
        if last.as_ref().is_some_and(|last| *last >= subject) {
            return Err(CodecError("what is held is not in order"));
        }
        last = Some(subject.clone());
        held.insert(subject, Entry::take(take)?);
    }
    Ok(held)
}

impl Active {
    fn put(&self, out: &mut impl Put) {
        self.state.put(out);
        out.put_option(self.remind_at, Put::put_time);
        out.put_option(self.tell_at, Put::put_time);
        out.put_time(self.told_at);
        out.put_flag(self.silent);
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            state: SuppressionState::take(take)?,
            remind_at: take.option(Take::time)?,
            tell_at: take.option(Take::time)?,
            told_at: take.time()?,
            silent: take.flag()?,
        })
    }
}

impl Subject {
    fn put(&self, out: &mut impl Put) {
        out.put_text(self.sensor.as_str());
        out.put_text(self.rule.as_str());
        out.put_option(self.report.as_ref(), |out, id| out.put_text(id.as_str()));
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            sensor: take.parsed("sensor")?,
            rule: take.parsed("rule")?,
            report: take.option(|take| take.parsed("reading id"))?,
        })
    }
}

impl Entry {
    fn put(&self, out: &mut impl Put) {
        out.put_u64(self.by.to_bits());
        out.put_option(self.zone.as_ref(), |out, zone| out.put_text(zone.as_str()));
        for flag in [self.doubted, self.known, self.silent] {
            out.put_flag(flag);
        }
        self.what.put(out);
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let entry = Self {
            by: SuppressionId::take(take)?,
            zone: take.option(|take| take.parsed("zone"))?,
            doubted: take.flag()?,
            known: take.flag()?,
            silent: take.flag()?,
            what: What::take(take)?,
        };
        let is_bare = matches!(
            entry.what,
            What::Raised { sighting: None, .. } | What::Cleared
        );
        match is_bare && !entry.known {
            true => Err(CodecError(
                "what nobody has heard of is held without a reading",
            )),
            false => Ok(entry),
        }
    }
}

impl What {
    fn put(&self, out: &mut impl Put) {
        match self {
            Self::Raised {
                severity,
                certainty,
                sighting,
            } => {
                out.put_u8(0);
                out.put_u8(*severity as u8);
                out.put_u8(*certainty as u8);
                out.put_option(sighting.as_ref(), |out, sighting| sighting.put(out));
            }
            Self::Cleared => out.put_u8(1),
            Self::Reported {
                severity,
                certainty,
                until,
                observed_at,
                sighting,
            } => {
                out.put_u8(2);
                out.put_u8(*severity as u8);
                out.put_u8(*certainty as u8);
                out.put_time(*until);
                out.put_time(*observed_at);
                sighting.put(out);
            }
            Self::Silent(hearing) => {
                out.put_u8(3);
                put_hearing(hearing, out);
            }
            Self::Faulty {
                fault,
                hearing,
                shown,
            } => {
                out.put_u8(4);
                out.put_u8(fault.kind as u8);
                out.put_flag(fault.distrusted);
                put_hearing(hearing, out);
                out.put_option(shown.as_ref(), |out, shown| shown.put(out));
            }
        }
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(match take.u8()? {
            0 => Self::Raised {
                severity: Severity::take(take)?,
                certainty: Certainty::take(take)?,
                sighting: take.option(Sighting::take)?,
            },
            1 => Self::Cleared,
            2 => Self::Reported {
                severity: Severity::take(take)?,
                certainty: Certainty::take(take)?,
                until: take.time()?,
                observed_at: take.time()?,
                sighting: Sighting::take(take)?,
            },
            3 => Self::Silent(take_hearing(take)?),
            4 => Self::Faulty {
                fault: SensorFault {
                    kind: FaultKind::take(take)?,
                    distrusted: take.flag()?,
                },
                hearing: take_hearing(take)?,
                shown: take.option(Sighting::take)?,
            },
            _ => return Err(CodecError("something unknown is held")),
        })
    }
}

/// What people will be told of a sensor. Which rules are raised about it is no part of that.
fn put_hearing(hearing: &Hearing, out: &mut impl Put) {
    out.put_text(hearing.kind.as_str());
    out.put_option(hearing.position, Put::put_position);
    out.put_time(hearing.last_heard_at);
}

fn take_hearing(take: &mut Take<'_>) -> Result<Hearing, CodecError> {
    Ok(Hearing {
        kind: take.parsed("kind")?,
        position: take.option(Take::position)?,
        last_heard_at: take.time()?,
        raised: Vec::new(),
        heard_by: Vec::new(),
        untold: false,
    })
}
