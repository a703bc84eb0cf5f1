//! Has the state become one of those that people must know of?
//!
//! Arrives: one sensor's readings, in the order they were received. Leaves: the place of the state
//! among the rule's lists, which persistence is then asked of (`threshold.rs`). Without `from`
//! being in the state is enough, for a door that was open before anybody listened is open; with it
//! the state that it came from must have been seen. Next: `settle.rs`.

use crate::bundle::{Becomes, States};
use crate::codec::{CodecError, Put, Take};
use crate::decision::Severity;
use crate::detect::threshold::{self, Outcome};
use crate::detection::Sighting;
use crate::explain::{LevelsLook, StateLook};
use crate::reading::Reading;
use crate::time::Timestamp;

/// What one rule knows of one sensor's state.
#[derive(Debug)]
pub(super) struct State {
    /// Whether the last state that is in no list is one that the rule asks to come from.
    from_seen: bool,
    persistence: threshold::State,
}

/// What a reading says of the state: its place among the rule's lists, from 1; 0 for a state that
/// the rule asks to come from, -1 for any other.
pub(super) fn signal(rule: &Becomes, reading: &Reading<'_>) -> Option<f64> {
    let text = match &rule.attribute {
        Some(attribute) => Some(reading.attributes.get(attribute)?),
        None => None,
    };
    let says = |states: &States| match states {
        States::Values(values) => values.contains(&reading.value),
        States::Texts(texts) => text.is_some_and(|text| texts.iter().any(|own| own == text)),
    };
    let place = (1_u8..).zip(&rule.states);
    let place = place.filter(|(_, states)| says(states)).last();
    Some(match place {
        Some((place, _)) => f64::from(place),
        None if rule.from.as_ref().is_some_and(says) => 0.0,
        None => -1.0,
    })
}

impl States {
    /// Each as a reading says it.
    fn shown(&self) -> Vec<String> {
        match self {
            Self::Values(values) => values.iter().map(f64::to_string).collect(),
            Self::Texts(texts) => texts.clone(),
        }
    }
}

impl State {
    pub fn new(rule: &Becomes) -> Self {
        Self {
            from_seen: false,
            persistence: threshold::State::new(&rule.threshold, None),
        }
    }

    /// Takes over a rule that means the same.
    pub fn refit(&mut self, rule: &Becomes) {
        self.persistence.refit(&rule.threshold, None);
    }

    /// Forgets how late it was, by a clock that has been set back since.
    pub fn set_clock_back(&mut self) {
        self.persistence.set_clock_back();
    }

    /// When the latest that was judged was observed.
    pub fn observed_to(&self) -> Timestamp {
        self.persistence.observed_to()
    }

    /// How grave it is, if it is raised.
    pub fn raised(&self) -> Option<Severity> {
        self.persistence.raised()
    }

    /// Takes over what another rule had raised of a sensor that nobody hears, as that had found it: it
    /// came from where it had to.
    pub fn stay_raised(&mut self, rule: &Becomes, severity: Severity) {
        self.from_seen = rule.from.is_some();
        self.persistence.stay_raised(&rule.threshold, severity);
    }

    /// Whether what it judges next is the first after its sensor was silent.
    pub fn hears_after_silence(&mut self, so: bool) {
        self.persistence.hears_after_silence(so);
    }

    /// Judges one reading by its [`signal`].
    pub fn judge(
        &mut self,
        rule: &Becomes,
        signal: f64,
        (observed_at, at): (Timestamp, Timestamp),
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        if signal <= 0.0 && !self.persistence.is_late(observed_at) {
            self.from_seen = signal == 0.0;
        }
        let came = rule.from.is_none() || self.from_seen;
        let place = if came { signal } else { 0.0 };
        let times = (observed_at, at);
        let (threshold, state) = (&rule.threshold, &mut self.persistence);
        state.judge(threshold, None, place.max(0.0), times, sighting)
    }

    pub fn due(&self, rule: &Becomes) -> Option<Timestamp> {
        self.persistence.due(&rule.threshold)
    }

    pub fn fire(&mut self, rule: &Becomes, due: Timestamp, silent: bool) -> Outcome {
        self.persistence.fire(&rule.threshold, due, silent)
    }

    /// How it stands to the lists of states, for whoever asks why.
    pub fn look(&self, rule: &Becomes, signal: f64) -> LevelsLook {
        let came = rule.from.is_none() || self.from_seen;
        let place = if came { signal.max(0.0) } else { 0.0 };
        self.persistence.look(&rule.threshold, None, Some(place))
    }

    /// Which state a reading says, for whoever asks why; nothing if it says none.
    pub fn said(&self, rule: &Becomes, reading: &Reading<'_>) -> Option<StateLook> {
        let place = signal(rule, reading)?;
        let says = match &rule.attribute {
            Some(attribute) => reading.attributes.get(attribute)?.to_owned(),
            None => reading.value.to_string(),
        };
        let levels = &rule.threshold.levels;
        let level = (place > 0.0).then(|| &levels[place as usize - 1]);
        Some(StateLook {
            says,
            severity: level.map(|level| level.severity),
            from: rule.from.as_ref().map_or_else(Vec::new, States::shown),
            came: rule.from.is_none() || self.from_seen,
        })
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, rule: &Becomes, out: &mut impl Put) {
        out.put_flag(self.from_seen);
        self.persistence.put(&rule.threshold, out);
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(take: &mut Take<'_>, rule: &Becomes) -> Result<Self, CodecError> {
        Ok(Self {
            from_seen: take.flag()?,
            persistence: threshold::State::take(take, &rule.threshold, None)?,
        })
    }
}
