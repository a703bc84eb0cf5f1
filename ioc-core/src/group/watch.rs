//! The sensors of which one detection was found, of late: what rules about several sensors remember.
//!
//! Arrives: findings of one detection. Leaves: since when each sensor is found, and whether it lasts.
//! Promise: a bounded number of sensors; those whose detection is over for long go first. What is
//! doubted (`detect/examine.rs`) begins nothing. Next: `sequence.rs`.

use std::collections::BTreeMap;

use crate::codec::{CodecError, Put, Take};
use crate::detection::{Detection, Finding, Sighting};
use crate::id::{SensorId, ZoneId};
use crate::limits::SEQUENCE_SENSORS_MAX;
use crate::replaced::is_named;
use crate::rules::Rules;
use crate::time::Timestamp;

/// What is found, when, and under which rules and city.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub finding: &'a Finding,
    pub at: Timestamp,
    pub rules: &'a Rules,
}

/// The sensors of which one detection was found, of late.
#[derive(Debug, Default)]
pub(super) struct Watch(pub BTreeMap<SensorId, Seen>);

#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub since: Timestamp,
    /// When it was over; `None` while it lasts.
    pub ended: Option<Timestamp>,
    pub zone: Option<ZoneId>,
    pub sighting: Sighting,
}

/// What a finding is to a watch.
pub(super) enum News<'a> {
    /// It is found anew.
    Begins(&'a Sighting),
    /// It goes on, with a further reading.
    GoesOn(&'a Sighting),
    /// It is over.
    Ends,
    /// Somebody reports it: of its own moment, though it counts until then.
    Reported(&'a Sighting, Timestamp),
}

/// What a finding is to a watch: nothing, if it is doubted or of another sort. That something is
/// over is believed of whomever: nothing follows from what is not there.
pub(super) fn news(finding: &Finding) -> Option<News<'_>> {
    match &finding.detection {
        Detection::Cleared => Some(News::Ends),
        _ if finding.doubted => None,
        Detection::Raised { sightings, .. } => sightings.last().map(News::Begins),
        Detection::Updated { sighting, .. } => Some(News::GoesOn(sighting)),
        Detection::Reported {
            sighting, until, ..
        } => Some(News::Reported(sighting, *until)),
        Detection::Stirred
        | Detection::Worsened(_)
        | Detection::Eased(_)
        | Detection::Withdrawn(_)
        | Detection::Silent(_)
        | Detection::Returned(_)
        | Detection::SilenceForgotten(_)
        | Detection::Faulty(_)
        | Detection::Sound(_)
        | Detection::SiteSilent(_)
        | Detection::SiteReturned(_)
        | Detection::Contributed(_)
        | Detection::Observed(_)
        | Detection::Heard(_) => None,
    }
}

impl Watch {
    /// Whether the detection lasts about a sensor.
    pub fn lasts(&self, sensor: &SensorId) -> bool {
        let seen = self.0.get(sensor);
        seen.is_some_and(|seen| seen.ended.is_none())
    }

    /// What a source says is no more of what it reported before is over, if it is the last that is
    /// remembered of it. Returns whether it is.
    pub fn withdraw(&mut self, moment: Moment<'_>, names: &str) -> bool {
        let seen = self.0.get_mut(&moment.finding.sensor);
        let named = |seen: &&mut Seen| is_named(&seen.sighting.reading, names);
        let Some(seen) = seen.filter(named) else {
            return false;
        };
        seen.ended = Some(seen.ended.map_or(moment.at, |ended| ended.min(moment.at)));
        true
    }

    /// What a sensor said to last did so until then, for all that is known. Returns what that was, if it
    /// said so.
    pub fn lose(&mut self, sensor: &SensorId, until: Timestamp) -> Option<Seen> {
        let seen = self.0.get_mut(sensor)?;
        if seen.ended.is_some() {
            return None;
        }
        seen.ended = Some(until.max(seen.since));
        Some(seen.clone())
    }

    /// What a sensor said to last before it was lost goes on, for its detection is raised still.
    pub fn go_on(&mut self, sensor: &SensorId) {
        if let Some(seen) = self.0.get_mut(sensor) {
            seen.ended = None;
        }
    }

    /// Takes note of a finding, and forgets what was over by `keep_from`. Returns 1 if there was no
    /// room for it. `reports_end`: when a report is over that came then and counts until then.
    pub fn note(
        &mut self,
        moment: Moment<'_>,
        keep_from: Timestamp,
        reports_end: fn(Timestamp, Timestamp) -> Timestamp,
    ) -> u64 {
        let Moment { finding, at, .. } = moment;
        let (sighting, ended) = match news(finding) {
            None => return 0,
            Some(News::Ends) => {
                if let Some(seen) = self.0.get_mut(&finding.sensor) {
                    seen.ended = seen.ended.or(Some(at));
                }
                return 0;
            }
            Some(News::Begins(sighting) | News::GoesOn(sighting)) => (sighting, None),
            Some(News::Reported(sighting, until)) => (sighting, Some(reports_end(at, until))),
        };
        let lasts = self.lasts(&finding.sensor);
        if let Some(seen) = self
            .0
            .get_mut(&finding.sensor)
            .filter(|_| lasts && ended.is_none())
        {
            seen.sighting = sighting.clone();
            return 0;
        }
        if self.0.len() >= SEQUENCE_SENSORS_MAX {
            let recent = |seen: &Seen| seen.ended.is_none_or(|ended| ended >= keep_from);
            self.0.retain(|_, seen| recent(seen));
        }
        if self.0.len() >= SEQUENCE_SENSORS_MAX && !self.0.contains_key(&finding.sensor) {
            return 1;
        }
        let seen = Seen {
            since: at,
            ended,
            zone: finding.zone.clone(),
            sighting: sighting.clone(),
        };
        self.0.insert(finding.sensor.clone(), seen);
        0
    }

    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.0.len());
        for (sensor, seen) in &self.0 {
            out.put_text(sensor.as_str());
            out.put_time(seen.since);
            out.put_option(seen.ended, Put::put_time);
            out.put_option(seen.zone.as_ref(), |out, zone| out.put_text(zone.as_str()));
            seen.sighting.put(out);
        }
    }

    pub fn take_bytes(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut watch = Self::default();
        for _ in 0..take.count(SEQUENCE_SENSORS_MAX)? {
            let sensor = take.parsed("sensor")?;
            let seen = Seen {
                since: take.time()?,
                ended: take.option(Take::time)?,
                zone: take.option(|take| take.parsed("zone"))?,
                sighting: Sighting::take(take)?,
            };
            watch.0.insert(sensor, seen);
        }
        Ok(watch)
    }
}
