//! Everything the core can decide, with what it decided it from.
//!
//! Leaves: numbered [`Decision`]s, and their bytes for the decisions log. One kind of decision per
//! transition of a state machine; the set is closed and documented in `docs/PROTOCOL.md`, whose
//! JSON is written by `ioc-ws`.

use std::sync::Arc;

use crate::codec::{CodecError, Put, Take};
use crate::id::{
    Actor, ActuatorId, IncidentId, IncidentKind, NodeId, ReadingId, ReadingKind, RequestId, RuleId,
};
use crate::id::{SensorId, SuppressionId, ZoneId};
use crate::place::Position;
use crate::record::{BundleHash, Seq, incident_id};
use crate::time::Timestamp;

/// A closed set of words, each with its number in the logs and its word on the wire.
macro_rules! words {
    ($($type:ident { $($variant:ident = $word:literal),+ $(,)? })+) => { $(
        impl $type {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire and in `config/`.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.word() == word)
            }

            pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
                let number = take.u8()?;
                let found = Self::ALL.get(usize::from(number)).copied();
                found.ok_or(CodecError(concat!("unknown ", stringify!($type))))
            }
        }
    )+ };
}

mod command;
mod handling;
mod named;
mod suppression;
mod way;

pub use self::handling::{Dismissal, Handling, Step, Tier};
pub use self::named::Named;
pub use self::suppression::{Ending, How, Matcher, SuppressionChange, SuppressionState, Target};
pub use self::way::{Far, Network, Way};

pub use self::command::{
    Answer, AnswerWord, CommandChange, CommandState, Confirmation, EffectClass, Progress,
};

/// The number of a decision: consecutive from 1, never given twice, never changed once released.
pub type DecisionSeq = u64;

/// One thing the core decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Its number.
    pub seq: DecisionSeq,
    /// When, in logical time: the record's, or when the timer was due.
    pub at: Timestamp,
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub cause: Cause,
}

/// What was decided. An incident's verdict carries the incident as it is from then on.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Enough evidence: people must know.
    IncidentOpened(IncidentState),
    /// More evidence, a graver severity, a wider place. Told at most every 250 ms of logical time.
    IncidentUpdated(IncidentState),
    /// It is the same happening as another, which survives; this id resolves to it for ever.
    IncidentMerged {
        /// The one that ends.
        incident: IncidentState,
        /// The survivor.
        into: IncidentId,
    },
    /// All its sensors have been back to normal for as long as its rule asks; or a person has said
    /// that it is over, or its rule is gone by a reload.
    IncidentCleared(IncidentState),
    /// Its sensors fell silent, or came to be distrusted, before they were back to normal: nobody
    /// knows.
    IncidentUnknown(IncidentState),
    /// Evidence came back soon after it cleared: another episode, to be seen anew. Or it was
    /// unknown and its sensors speak again, whatever they say; it was dismissed and what came
    /// since says otherwise; or a person wants it to be seen anew: the same episode.
    IncidentReopened(IncidentState),
    /// What caused it has been found, or is another by now; its `parent` says which, if any.
    IncidentLinked(IncidentState),
    /// A person has seen it.
    IncidentAcknowledged(IncidentState),
    /// A person took a further step, or undid one.
    IncidentHandled {
        /// Which.
        step: Step,
        /// What was done about it before. What lies between was passed over.
        before: Handling,
        /// The incident.
        incident: IncidentState,
    },
    /// Nobody has seen it in time: it is passed on to whom it says.
    IncidentEscalated(IncidentState),
    /// A person says that a part of an incident is another happening: this one, from here on.
    IncidentSplit {
        /// The new one.
        incident: IncidentState,
        /// The one that it was a part of.
        from: IncidentId,
        /// What it took along.
        moved: Named,
    },
    /// A person says that evidence of another incident belongs to this one.
    IncidentEvidenceMoved {
        /// The one that has it from here on.
        incident: IncidentState,
        /// The one that had it.
        from: IncidentId,
        /// Which.
        moved: Named,
    },
    /// A person said how grave it is, or it has been less grave for as long as it takes to clear.
    IncidentRated(IncidentState),
    /// A sensor said nothing for as long as its rule allows.
    SensorSilent(SensorState),
    /// A silent sensor speaks again.
    SensorReturned(SensorState),
    /// A sensor is broken in this way.
    SensorFaulty(SensorState, SensorFault),
    /// It is no more, or the rule by which it was is gone.
    SensorSound(SensorState, SensorFault),
    /// So many sensors of a site are silent that it is the site that is.
    SiteSilent(SiteState),
    /// Fewer than half as many are.
    SiteReturned(SiteState),
    /// Another bundle of rules and city holds from here on.
    RulesChanged(BundleHash),
    /// A person's order could not be followed.
    CommandRefused(Refusal),
    /// A command to an actuator went on: what happened, and the command as it is from then on.
    Command(CommandChange, Box<CommandState>),
    /// Nobody is called for an incident from here on, or somebody is again: `shelved_until` says
    /// which.
    IncidentShelved(IncidentState),
    /// What caused an incident lasts and explains it, so that nobody is called for it from here on;
    /// or that is over, and it is not, so that somebody is: `suppressed` says which.
    IncidentSuppressed(IncidentState),
    /// Something is kept quiet on purpose: what happened, and how it stands from then on.
    Suppression(SuppressionChange, Box<SuppressionState>),
}

/// An incident as operators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentState {
    /// Its id.
    pub id: IncidentId,
    /// What it is.
    pub kind: IncidentKind,
    /// How grave (CAP 1.2 section 3.2.2). Rises by itself, and falls by a person's word or when
    /// what is less grave has lasted; when it reopens after it cleared, it is as grave as what
    /// reopens it.
    pub severity: Severity,
    /// How sure (CAP 1.2 section 3.2.2).
    pub certainty: Certainty,
    /// What the world does; sensors drive it.
    pub condition: Condition,
    /// What people do; only people drive it.
    pub handling: Handling,
    /// The middle of its evidence; `None` if none of it has a place.
    pub position: Option<Position>,
    /// The distance from there to its farthest evidence, in metres.
    pub radius_m: u32,
    /// The zone it began in; `_` if in none.
    pub zone: ZoneId,
    /// When it opened.
    pub opened_at: Timestamp,
    /// How often it has been active: 1, and one more each time it reopens after it cleared.
    pub episode: u32,
    /// How many sources have given evidence: sensors, and reports each by itself.
    pub sensors: u32,
    /// How many readings are evidence.
    pub readings: u64,
    /// The incident that caused this one.
    pub parent: Option<IncidentId>,
    /// Whom it was passed to, since nobody has seen it.
    pub escalated: Option<Tier>,
    /// Until when nobody is called for it, because a person wants it so.
    pub shelved_until: Option<Timestamp>,
    /// Whether nobody is called for it because it is a symptom of its parent, which lasts.
    pub suppressed: bool,
}

/// A sensor, in decisions about it rather than about the city.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorState {
    /// Its name.
    pub id: SensorId,
    /// What it measures.
    pub kind: ReadingKind,
    /// Where it stands.
    pub position: Option<Position>,
    /// Its zone.
    pub zone: ZoneId,
    /// When it was last heard, in logical time.
    pub last_heard_at: Timestamp,
}

/// A fault of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorFault {
    /// In which way it is broken, or was.
    pub kind: FaultKind,
    /// Whether what it says weighs nothing: for as long as this fault lasts; when it is over, whether
    /// still so by another one.
    pub distrusted: bool,
}

/// A site, in decisions about all its sensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteState {
    /// The zone's, the gateway's or the feeder's id.
    pub id: String,
    /// Which of them.
    pub by: SiteBy,
    /// Its zone; of a gateway or a feeder that of the sensor by which it was found.
    pub zone: ZoneId,
    /// How many of its sensors are silent.
    pub silent: u32,
    /// How many it has.
    pub sensors: u32,
    /// The detection that explains it: what was found about most of them, or about what feeds them.
    pub explained_by: Option<RuleId>,
}

/// What a site is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SiteBy {
    /// A zone of the city.
    Zone,
    /// What readings come through.
    Gateway,
    /// The nearest that feeds them and is measured itself.
    Feeder,
}

/// In which way a sensor is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FaultKind {
    /// Its state changes too often.
    Flapping,
    /// It has said the same for too long.
    Stuck,
    /// It says what cannot be.
    Impossible,
    /// Its clock is wrong.
    Skewed,
    /// Single readings lie far from those around them.
    Spiking,
}

/// An order that could not be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, as a stable word.
    pub code: RefusalCode,
    /// What it was about.
    pub about: About,
}

/// What an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An incident.
    Incident(IncidentId),
    /// An incident as it stands, which says what is possible instead.
    Standing {
        /// Which.
        incident: IncidentId,
        /// What people do about it.
        handling: Handling,
        /// What the world does.
        condition: Condition,
    },
    /// A kind of incident.
    Kind(IncidentKind),
    /// An actuator.
    Actuator(ActuatorId),
    /// Something that is, was or was to be kept quiet.
    Suppression(SuppressionId),
}

/// Why an order could not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// No incident has this id, or it is long over.
    UnknownIncident,
    /// Somebody has acknowledged it already.
    AlreadyAcknowledged,
    /// No actuator has this name.
    UnknownActuator,
    /// The actuator cannot do that.
    CommandNotAllowed,
    /// A command to this actuator is under way, and the order does not say that it replaces it.
    AlreadyPending,
    /// The command that is to be replaced is not the one that is under way.
    NotPending,
    /// As many commands are under way as there may be.
    TooManyPending,
    /// When the order was taken, it was too late for it.
    TooLate,
    /// It is so already.
    AlreadyThere,
    /// The step does not follow from where the incident stands.
    StepNotPossible,
    /// It cannot be over for people while it goes on, or nobody knows whether it does.
    StillActive,
    /// There is no last step of a person, or something has happened to it since.
    NothingToUndo,
    /// The last step was somebody else's.
    NotYours,
    /// No rule makes incidents of this kind.
    UnknownKind,
    /// The incident is over; what is new about it is another one.
    IncidentOver,
    /// A sensor is heard to be abnormal at this time.
    SensorsSayOtherwise,
    /// The two incidents are of different rules: one may be the cause of the other, but they are not
    /// one.
    DifferentRules,
    /// None of its evidence is of the sources that are named.
    NoSuchSource,
    /// All of its evidence is meant: nothing of the incident would be left.
    NothingLeft,
    /// As many incidents are open as can be remembered.
    TooManyIncidents,
    /// It would be among its own causes, or the chain of causes would be too long.
    WouldBeCircle,
    /// No rule, kind or zone has the name that says what is to be kept quiet.
    MatchesNothing,
    /// As much is kept quiet as may be.
    TooManySuppressions,
    /// Nothing that is kept quiet has this id: it is over, or never was.
    UnknownSuppression,
    /// What is extreme is not hidden.
    ExtremeNotShelved,
    /// It is a window of the configuration.
    SetByConfiguration,
}

/// What a decision was made from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cause {
    /// The correlation or detection rule; `None` where a person or a reload is the cause.
    pub rule: Option<RuleId>,
    /// The readings that this decision adds as evidence, in the order they were judged. Each is
    /// evidence of an incident once, however many rules take it.
    pub evidence: Vec<Evidence>,
    /// When the timer was due, if a timer is the cause.
    pub due: Option<Timestamp>,
    /// The person's request, if a person is the cause.
    pub request: Option<(RequestId, Actor)>,
    /// What the person said to it, at most [`NOTE_BYTES_MAX`] bytes; empty if nothing.
    pub note: Box<str>,
    /// The way along a network by which the incident has come from its parent, where this decision
    /// says that it has.
    pub way: Option<Box<Way>>,
}

/// How much a person may say to a step.
pub const NOTE_BYTES_MAX: usize = 512;

/// One reading that counts towards an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The reading's id, unique within the sensor.
    pub reading: ReadingId,
    /// The input record that brought it.
    pub seq: Seq,
    /// Who said it.
    pub sensor: SensorId,
    /// The detection rule that it satisfied; of several that took it at once, the weightiest.
    pub rule: RuleId,
    /// What it said, in the sensor's unit.
    pub value: f64,
    /// Metres to the nearest evidence already there; `None` for the first, or without places.
    pub distance_m: Option<u32>,
    /// The node of a network by which it belongs to the evidence already there: what feeds it, or
    /// where its water comes from.
    pub through: Option<NodeId>,
}

/// How grave (CAP 1.2 section 3.2.2), least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// Nobody has said.
    Unknown,
    /// Little to no known threat to life or property.
    Minor,
    /// Possible threat to life or property.
    Moderate,
    /// Significant threat to life or property.
    Severe,
    /// Extraordinary threat to life or property.
    Extreme,
}

/// How sure (CAP 1.2 section 3.2.2), least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Certainty {
    /// Nobody has said.
    Unknown,
    /// Not expected to occur.
    Unlikely,
    /// Possible but not likely.
    Possible,
    /// Likely: more than half.
    Likely,
    /// Determined to have occurred or to be going on.
    Observed,
}

impl Certainty {
    /// Whether an incident of which no more is known is taken to be there: one that nobody says to be
    /// possible is, when a person has looked and people are at work.
    #[must_use]
    pub fn is_believed(self, handling: Handling) -> bool {
        self >= Self::Possible || handling.is_work()
    }
}

/// What the world does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Condition {
    /// It is going on.
    Active,
    /// It is over.
    Cleared,
    /// Its sensors fell silent or are distrusted; it counts as active for every gate.
    Unknown,
}

words! {
    Severity {
        Unknown = "unknown", Minor = "minor", Moderate = "moderate", Severe = "severe",
        Extreme = "extreme",
    }
    Certainty {
        Unknown = "unknown", Unlikely = "unlikely", Possible = "possible", Likely = "likely",
        Observed = "observed",
    }
    Condition { Active = "active", Cleared = "cleared", Unknown = "unknown" }
    SiteBy { Zone = "zone", Gateway = "gateway", Feeder = "feeder" }
    FaultKind {
        Flapping = "flapping", Stuck = "stuck", Impossible = "impossible", Skewed = "skewed",
        Spiking = "spiking",
    }
    RefusalCode {
        UnknownIncident = "unknown_incident", AlreadyAcknowledged = "already_acknowledged",
        UnknownActuator = "unknown_actuator", CommandNotAllowed = "command_not_allowed",
        AlreadyPending = "already_pending", NotPending = "not_pending",
        TooManyPending = "too_many_pending", TooLate = "too_late",
        AlreadyThere = "already_there", StepNotPossible = "step_not_possible",
        StillActive = "still_active", NothingToUndo = "nothing_to_undo", NotYours = "not_yours",
        UnknownKind = "unknown_kind", IncidentOver = "incident_over",
        SensorsSayOtherwise = "sensors_say_otherwise", DifferentRules = "different_rules",
        NoSuchSource = "no_such_source", NothingLeft = "nothing_left",
        TooManyIncidents = "too_many_incidents", WouldBeCircle = "would_be_circle",
        MatchesNothing = "matches_nothing", TooManySuppressions = "too_many_suppressions",
        UnknownSuppression = "unknown_suppression",
        ExtremeNotShelved = "extreme_not_shelved", SetByConfiguration = "set_by_configuration",
    }
}

impl Verdict {
    /// The decision's `type` on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::IncidentOpened(_) => "incident_opened",
            Self::IncidentUpdated(_) => "incident_updated",
            Self::IncidentMerged { .. } => "incident_merged",
            Self::IncidentCleared(_) => "incident_cleared",
            Self::IncidentUnknown(_) => "incident_unknown",
            Self::IncidentReopened(_) => "incident_reopened",
            Self::IncidentLinked(_) => "incident_linked",
            Self::IncidentAcknowledged(_) => "incident_acknowledged",
            Self::IncidentHandled { step, .. } => step.told(),
            Self::IncidentEscalated(_) => "incident_escalated",
            Self::IncidentRated(_) => "incident_rated",
            Self::IncidentSplit { .. } => "incident_split",
            Self::IncidentEvidenceMoved { .. } => "incident_evidence_moved",
            Self::SensorSilent(_) => "sensor_silent",
            Self::SensorReturned(_) => "sensor_returned",
            Self::SensorFaulty(..) => "sensor_faulty",
            Self::SensorSound(..) => "sensor_sound",
            Self::SiteSilent(_) => "site_silent",
            Self::SiteReturned(_) => "site_returned",
            Self::RulesChanged(_) => "rules_changed",
            Self::CommandRefused(_) => "command_refused",
            Self::Command(change, _) => change.word(),
            Self::IncidentShelved(incident) => match incident.shelved_until {
                Some(_) => "incident_shelved",
                None => "incident_unshelved",
            },
            Self::IncidentSuppressed(incident) => match incident.suppressed {
                true => "incident_suppressed",
                false => "incident_unsuppressed",
            },
            Self::Suppression(change, _) => change.word(),
        }
    }

    /// The incident it is about, as it is from then on.
    pub const fn incident(&self) -> Option<&IncidentState> {
        match self {
            Self::IncidentOpened(incident)
            | Self::IncidentUpdated(incident)
            | Self::IncidentMerged { incident, .. }
            | Self::IncidentCleared(incident)
            | Self::IncidentUnknown(incident)
            | Self::IncidentReopened(incident)
            | Self::IncidentLinked(incident)
            | Self::IncidentHandled { incident, .. }
            | Self::IncidentSplit { incident, .. }
            | Self::IncidentEvidenceMoved { incident, .. }
            | Self::IncidentEscalated(incident)
            | Self::IncidentRated(incident)
            | Self::IncidentShelved(incident)
            | Self::IncidentSuppressed(incident)
            | Self::IncidentAcknowledged(incident) => Some(incident),
            Self::SensorSilent(_)
            | Self::SensorReturned(_)
            | Self::SensorFaulty(..)
            | Self::SensorSound(..)
            | Self::SiteSilent(_)
            | Self::SiteReturned(_)
            | Self::RulesChanged(_)
            | Self::CommandRefused(_)
            | Self::Suppression(..)
            | Self::Command(..) => None,
        }
    }

    /// What people moved: the incident that has it from here on, the one that had it, and which it is.
    pub const fn moved(&self) -> Option<(&IncidentState, IncidentId, &Named)> {
        if let Self::IncidentSplit {
            incident,
            from,
            moved,
        }
        | Self::IncidentEvidenceMoved {
            incident,
            from,
            moved,
        } = self
        {
            return Some((incident, *from, moved));
        }
        None
    }

    /// The sensor it is about.
    pub const fn sensor(&self) -> Option<&SensorState> {
        match self {
            Self::SensorSilent(sensor)
            | Self::SensorReturned(sensor)
            | Self::SensorFaulty(sensor, _)
            | Self::SensorSound(sensor, _) => Some(sensor),
            _ => None,
        }
    }

    /// The site that it is about, as it is from then on.
    pub fn site(&self) -> Option<&SiteState> {
        match self {
            Self::SiteSilent(site) | Self::SiteReturned(site) => Some(site),
            _ => None,
        }
    }

    /// The command to an actuator that it is about, as it is from then on.
    pub fn command(&self) -> Option<&CommandState> {
        match self {
            Self::Command(_, command) => Some(command),
            _ => None,
        }
    }

    /// What is kept quiet that it is about, as it is from then on.
    pub fn suppression(&self) -> Option<&SuppressionState> {
        match self {
            Self::Suppression(_, suppression) => Some(suppression),
            _ => None,
        }
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::IncidentOpened(_) => 1,
            Self::IncidentUpdated(_) => 2,
            Self::IncidentMerged { .. } => 3,
            Self::IncidentCleared(_) => 4,
            Self::IncidentUnknown(_) => 5,
            Self::IncidentReopened(_) => 6,
            Self::IncidentAcknowledged(_) => 7,
            Self::SensorSilent(_) => 8,
            Self::SensorReturned(_) => 9,
            Self::RulesChanged(_) => 10,
            Self::CommandRefused(Refusal { about, .. }) => match about {
                About::Incident(_) => 11,
                About::Actuator(_) => 20,
                About::Standing { .. } => 22,
                About::Kind(_) => 23,
                About::Suppression(_) => 42,
            },
            Self::IncidentHandled { .. } => 24,
            Self::IncidentEscalated(_) => 25,
            Self::IncidentRated(_) => 26,
            Self::IncidentSplit { .. } => 27,
            Self::IncidentEvidenceMoved { .. } => 28,
            Self::IncidentLinked(_) => 12,
            Self::Command(..) => 21,
            Self::SensorFaulty(..) => 30,
            Self::SensorSound(..) => 31,
            Self::SiteSilent(_) => 32,
            Self::SiteReturned(_) => 33,
            Self::Suppression(..) => 40,
            Self::IncidentShelved(_) => 41,
            Self::IncidentSuppressed(_) => 43,
        }
    }
}

impl Decision {
    /// Appends the decision's bytes, its number included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.seq);
        out.put_time(self.at);
        out.put_u8(self.verdict.tag());
        match &self.verdict {
            Verdict::IncidentMerged { incident, into } => {
                incident.put(out);
                out.put_u64(into.to_bits());
            }
            Verdict::IncidentOpened(incident)
            | Verdict::IncidentUpdated(incident)
            | Verdict::IncidentCleared(incident)
            | Verdict::IncidentUnknown(incident)
            | Verdict::IncidentReopened(incident)
            | Verdict::IncidentLinked(incident)
            | Verdict::IncidentEscalated(incident)
            | Verdict::IncidentRated(incident)
            | Verdict::IncidentShelved(incident)
            | Verdict::IncidentSuppressed(incident)
            | Verdict::IncidentAcknowledged(incident) => incident.put(out),
            Verdict::IncidentSplit {
                incident,
                from,
                moved,
            }
            | Verdict::IncidentEvidenceMoved {
                incident,
                from,
                moved,
            } => {
                incident.put(out);
                out.put_u64(from.to_bits());
                moved.put(out);
            }
            Verdict::IncidentHandled {
                step,
                before,
                incident,
            } => {
                out.put_u8(step.number());
                out.put_u8(before.number());
                incident.put(out);
            }
            Verdict::SensorSilent(sensor) | Verdict::SensorReturned(sensor) => sensor.encode(out),
            Verdict::SensorFaulty(sensor, fault) | Verdict::SensorSound(sensor, fault) => {
                sensor.encode(out);
                out.put_u8(fault.kind as u8);
                out.put_flag(fault.distrusted);
            }
            Verdict::SiteSilent(site) | Verdict::SiteReturned(site) => site.encode(out),
            Verdict::RulesChanged(bundle) => out.put(&bundle.0),
            Verdict::CommandRefused(refusal) => {
                out.put_u8(refusal.code as u8);
                match &refusal.about {
                    About::Incident(incident) => out.put_u64(incident.to_bits()),
                    About::Actuator(actuator) => out.put_text(actuator.as_str()),
                    About::Kind(kind) => out.put_text(kind.as_str()),
                    About::Suppression(id) => out.put_u64(id.to_bits()),
                    About::Standing {
                        incident,
                        handling,
                        condition,
                    } => {
                        out.put_u64(incident.to_bits());
                        out.put_u8(handling.number());
                        out.put_u8(*condition as u8);
                    }
                }
            }
            Verdict::Command(change, command) => {
                out.put_u8(*change as u8);
                command.put(out);
            }
            Verdict::Suppression(change, suppression) => {
                out.put_u8(*change as u8);
                suppression.put(out);
            }
        }
        self.cause.encode(out);
    }

    /// The decision in these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut take = Take(bytes);
        let take = &mut take;
        let (seq, at) = (take.u64()?, take.time()?);
        let verdict = match take.u8()? {
            1 => Verdict::IncidentOpened(IncidentState::decode(take)?),
            2 => Verdict::IncidentUpdated(IncidentState::decode(take)?),
            3 => {
                let incident = IncidentState::decode(take)?;
                Verdict::IncidentMerged {
                    incident,
                    into: incident_id(take)?,
                }
            }
            4 => Verdict::IncidentCleared(IncidentState::decode(take)?),
            5 => Verdict::IncidentUnknown(IncidentState::decode(take)?),
            6 => Verdict::IncidentReopened(IncidentState::decode(take)?),
            7 => Verdict::IncidentAcknowledged(IncidentState::decode(take)?),
            8 => Verdict::SensorSilent(SensorState::decode(take)?),
            9 => Verdict::SensorReturned(SensorState::decode(take)?),
            10 => Verdict::RulesChanged(BundleHash(take.array()?)),
            11 => Verdict::CommandRefused(Refusal {
                code: RefusalCode::take(take)?,
                about: About::Incident(incident_id(take)?),
            }),
            12 => Verdict::IncidentLinked(IncidentState::decode(take)?),
            20 => Verdict::CommandRefused(Refusal {
                code: RefusalCode::take(take)?,
                about: About::Actuator(take.parsed("actuator")?),
            }),
            21 => {
                let change = CommandChange::take(take)?;
                Verdict::Command(change, Box::new(CommandState::take(take)?))
            }
            22 => Verdict::CommandRefused(Refusal {
                code: RefusalCode::take(take)?,
                about: About::Standing {
                    incident: incident_id(take)?,
                    handling: Handling::take(take)?,
                    condition: Condition::take(take)?,
                },
            }),
            23 => Verdict::CommandRefused(Refusal {
                code: RefusalCode::take(take)?,
                about: About::Kind(take.parsed("incident kind")?),
            }),
            24 => Verdict::IncidentHandled {
                step: Step::take(take)?,
                before: Handling::take(take)?,
                incident: IncidentState::decode(take)?,
            },
            25 => Verdict::IncidentEscalated(IncidentState::decode(take)?),
            26 => Verdict::IncidentRated(IncidentState::decode(take)?),
            27 => Verdict::IncidentSplit {
                incident: IncidentState::decode(take)?,
                from: incident_id(take)?,
                moved: Named::take(take)?,
            },
            28 => Verdict::IncidentEvidenceMoved {
                incident: IncidentState::decode(take)?,
                from: incident_id(take)?,
                moved: Named::take(take)?,
            },
            30 => Verdict::SensorFaulty(SensorState::decode(take)?, SensorFault::decode(take)?),
            31 => Verdict::SensorSound(SensorState::decode(take)?, SensorFault::decode(take)?),
            32 => Verdict::SiteSilent(SiteState::decode(take)?),
            33 => Verdict::SiteReturned(SiteState::decode(take)?),
            40 => {
                let change = SuppressionChange::take(take)?;
                Verdict::Suppression(change, Box::new(SuppressionState::take(take)?))
            }
            41 => Verdict::IncidentShelved(IncidentState::decode(take)?),
            42 => Verdict::CommandRefused(Refusal {
                code: RefusalCode::take(take)?,
                about: About::Suppression(SuppressionId::take(take)?),
            }),
            43 => Verdict::IncidentSuppressed(IncidentState::decode(take)?),
            _ => return Err(CodecError("unknown verdict")),
        };
        let cause = Cause::decode(take)?;
        take.end()?;
        Ok(Self {
            seq,
            at,
            verdict,
            cause,
        })
    }
}

impl IncidentState {
    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_u64(self.id.to_bits());
        out.put_text(self.kind.as_str());
        out.put_u8(self.severity as u8);
        out.put_u8(self.certainty as u8);
        out.put_u8(self.condition as u8);
        out.put_u8(self.handling.number());
        out.put_option(self.position, Put::put_position);
        out.put_u32(self.radius_m);
        out.put_text(self.zone.as_str());
        out.put_time(self.opened_at);
        out.put_u32(self.episode);
        out.put_u32(self.sensors);
        out.put_u64(self.readings);
        // One bit for each of what most incidents do not have.
        let escalated = u8::from(self.escalated.is_some()) << 1;
        let shelved = u8::from(self.shelved_until.is_some()) << 3;
        let suppressed = u8::from(self.suppressed) << 4;
        out.put_u8(u8::from(self.parent.is_some()) | escalated | shelved | suppressed);
        if let Some(parent) = self.parent {
            out.put_u64(parent.to_bits());
        }
        if let Some(tier) = self.escalated {
            out.put_u8(tier as u8);
        }
        if let Some(until) = self.shelved_until {
            out.put_time(until);
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let state = Self {
            id: incident_id(take)?,
            kind: take.parsed("incident kind")?,
            severity: Severity::take(take)?,
            certainty: Certainty::take(take)?,
            condition: Condition::take(take)?,
            handling: Handling::take(take)?,
            position: take.option(Take::position)?,
            radius_m: take.u32()?,
            zone: take.parsed("zone")?,
            opened_at: take.time()?,
            episode: take.u32()?,
            sensors: take.u32()?,
            readings: take.u64()?,
            parent: None,
            escalated: None,
            shelved_until: None,
            suppressed: false,
        };
        state.with_the_rest(take)
    }

    fn with_the_rest(mut self, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let which = take.u8()?;
        if which & !0b1_1011 != 0 {
            return Err(CodecError("an incident with more than is known"));
        }
        if which & 1 != 0 {
            self.parent = Some(incident_id(take)?);
        }
        if which & 2 != 0 {
            self.escalated = Some(Tier::take(take)?);
        }
        if which & 8 != 0 {
            self.shelved_until = Some(take.time()?);
        }
        self.suppressed = which & 16 != 0;
        if self.suppressed && self.parent.is_none() {
            return Err(CodecError(
                "an incident that nothing explains is suppressed",
            ));
        }
        Ok(self)
    }
}

impl SensorState {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_text(self.id.as_str());
        out.put_text(self.kind.as_str());
        out.put_option(self.position, Vec::put_position);
        out.put_text(self.zone.as_str());
        out.put_time(self.last_heard_at);
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            id: take.parsed("sensor")?,
            kind: take.parsed("kind")?,
            position: take.option(Take::position)?,
            zone: take.parsed("zone")?,
            last_heard_at: take.time()?,
        })
    }
}

impl SiteState {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_text(&self.id);
        out.put_u8(self.by as u8);
        out.put_text(self.zone.as_str());
        out.put_u32(self.silent);
        out.put_u32(self.sensors);
        out.put_option(self.explained_by.as_ref(), |out, rule| {
            out.put_text(rule.as_str());
        });
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            id: take.text()?.to_owned(),
            by: SiteBy::take(take)?,
            zone: take.parsed("zone")?,
            silent: take.u32()?,
            sensors: take.u32()?,
            explained_by: take.option(|take| take.parsed("rule"))?,
        })
    }
}

impl SensorFault {
    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            kind: FaultKind::take(take)?,
            distrusted: take.flag()?,
        })
    }
}

impl Cause {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_option(self.rule.as_ref(), |out, rule| out.put_text(rule.as_str()));
        out.put_u32(self.evidence.len() as u32);
        for evidence in &self.evidence {
            evidence.put(out);
        }
        out.put_option(self.due, Vec::put_time);
        // One byte says which of them follow; a note came later than requests, and ways last.
        let noted = u8::from(!self.note.is_empty()) << 1;
        let led = u8::from(self.way.is_some()) << 2;
        out.put_u8(u8::from(self.request.is_some()) | noted | led);
        if let Some((request, actor)) = &self.request {
            out.put_text(request.as_str());
            out.put_text(actor.as_str());
        }
        if !self.note.is_empty() {
            out.put_text(&self.note);
        }
        if let Some(way) = &self.way {
            way.put(out);
        }
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let rule = take.option(|take| take.parsed("rule"))?;
        let count = take.u32()?;
        let evidence = (0..count)
            .map(|_| Evidence::decode(take))
            .collect::<Result<_, _>>()?;
        let due = take.option(Take::time)?;
        let which = take.u8()?;
        if which > 7 {
            return Err(CodecError("a cause with more than is known"));
        }
        let mut cause = Self {
            rule,
            evidence,
            due,
            ..Self::default()
        };
        if which & 1 != 0 {
            cause.request = Some((take.parsed("request id")?, take.parsed("actor")?));
        }
        if which & 2 != 0 {
            cause.note = note(take)?.into();
            if cause.note.is_empty() {
                return Err(CodecError("a note that says nothing"));
            }
        }
        if which & 4 != 0 {
            cause.way = Some(Box::new(Way::take(take)?));
        }
        Ok(cause)
    }
}

impl Evidence {
    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_text(self.reading.as_str());
        out.put_u64(self.seq);
        out.put_text(self.sensor.as_str());
        out.put_text(self.rule.as_str());
        out.put_f64(self.value);
        // One byte says which of the two follow; a node's came later than metres.
        let through = u8::from(self.through.is_some()) << 1;
        out.put_u8(u8::from(self.distance_m.is_some()) | through);
        if let Some(distance_m) = self.distance_m {
            out.put_u32(distance_m);
        }
        if let Some(through) = &self.through {
            out.put_text(through.as_str());
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Self {
            reading: take.parsed("reading id")?,
            seq: take.u64()?,
            sensor: take.parsed("sensor")?,
            rule: take.parsed("rule")?,
            value: take.f64()?,
            distance_m: None,
            through: None,
        }
        .with_nearness(take)
    }

    fn with_nearness(mut self, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let which = take.u8()?;
        if which > 3 {
            return Err(CodecError("evidence near in an unknown way"));
        }
        if which & 1 != 0 {
            self.distance_m = Some(take.u32()?);
        }
        if which & 2 != 0 {
            self.through = Some(take.parsed("node")?);
        }
        Ok(self)
    }
}

/// What a person said.
pub(crate) fn note<'a>(take: &mut Take<'a>) -> Result<&'a str, CodecError> {
    let note = take.text()?;
    if note.len() > NOTE_BYTES_MAX {
        return Err(CodecError("a note that is too long"));
    }
    Ok(note)
}

/// The rolling hash of all decisions up to one: what two runs must agree on, and what a console
/// shows when it resumes, so that a restored backup is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecisionHash(pub [u8; 32]);

impl DecisionHash {
    /// The hash after one more decision, given its bytes.
    #[must_use]
    pub fn after(self, encoded: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(encoded);
        Self(*hasher.finalize().as_bytes())
    }
}

/// A decision as it is released: with its bytes and the hash up to it.
#[derive(Debug, Clone)]
pub struct Released {
    /// The decision.
    pub decision: Arc<Decision>,
    /// The rolling hash up to and including it.
    pub hash: DecisionHash,
}
