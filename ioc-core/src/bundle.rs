//! The rules and the city that the core judges by, as checked and immutable data.
//!
//! Arrives: what the host made of the files under `config/`. Leaves: one [`Bundle`], named by the
//! hash of its sources. Not here: text; whoever builds a bundle has parsed and checked it.

mod suppression;

pub use self::suppression::{MaintenanceWindow, Schedule, SuppressionRules};

use std::fmt;

use crate::decision::{Certainty, EffectClass, Matcher, Severity, SiteBy};
use crate::id::{
    ActuatorId, CommandName, IncidentKind, NodeId, ReadingKind, RuleId, SensorId, ZoneId,
};
use crate::limits::ZONES_DEPTH_MAX;
use crate::place::{Polygon, Position};
use crate::record::BundleHash;
use crate::time::{Millis, Timestamp};

/// All that the core judges by. Rules are sorted by name, city features by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The hash of the files it was made from.
    pub hash: BundleHash,
    /// What is abnormal.
    pub detections: Vec<DetectionRule>,
    /// What belongs together.
    pub correlations: Vec<CorrelationRule>,
    /// What is asked of people.
    pub handling: HandlingRules,
    /// What may be kept quiet.
    pub suppression: SuppressionRules,
    /// Where everything is.
    pub city: City,
}

/// What is asked of people about incidents, of whatever rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlingRules {
    /// How soon an incident must be seen, by [`Severity`]; after it, after twice and three times it
    /// somebody else is told. `None`: nobody is.
    pub acknowledge_within: [Option<Millis>; 5],
    /// How many further sources overrule a dismissal; at least 1.
    pub overruled_by: u32,
    /// How long what a person reports counts.
    pub report_lasting: Millis,
    /// Whether an incident whose evidence has been less grave for as long as it takes to clear is
    /// less grave itself.
    pub lowers: bool,
}

impl HandlingRules {
    /// Nobody is told, and nothing gets less grave by itself.
    pub const NONE: Self = Self {
        acknowledge_within: [None; 5],
        overruled_by: 2,
        report_lasting: Millis::minutes(180),
        lowers: false,
    };

    /// How soon an incident as grave as this must be seen.
    pub fn acknowledge_within(&self, severity: Severity) -> Option<Millis> {
        self.acknowledge_within[severity as usize]
    }
}

/// What is abnormal about readings of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionRule {
    /// Its name, unique among all rules of the bundle.
    pub name: RuleId,
    /// The hash of its meaning: state is kept over a reload that leaves it unchanged.
    pub hash: u64,
    /// The readings it looks at.
    pub kind: ReadingKind,
    /// Attributes that a reading must have, each with one of these values. Empty: all readings.
    /// Silence asks for none: any reading of the sensor breaks it.
    pub matching: Vec<AttributeMatch>,
    /// For how long readings wait, from when they were observed, so that they are judged in that
    /// order; zero: they are judged as they come. Windows and reports ask for none: order means
    /// nothing to them.
    pub settle: Millis,
    /// The question it asks.
    pub test: Test,
}

/// An attribute and the values that satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeMatch {
    /// The attribute's name.
    pub name: String,
    /// Any of these.
    pub values: Vec<String>,
}

/// The question that a detection rule asks of a sensor's readings.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Is the value beyond a level?
    Threshold(Threshold),
    /// Does the value rise or fall too fast?
    Rate(Rate),
    /// Is the value another than usual for this hour of the week?
    Usual(Usual),
    /// Has the state become one of those that people must know of?
    Becomes(Becomes),
    /// What do the readings of some time come to?
    Window(Window),
    /// Has the sensor said nothing?
    Silence(Silence),
    /// Is the sensor broken?
    Fault(Fault),
    /// What do the latest values of several sensors come to?
    Across(Across),
    /// Does the sensor leap while its neighbours do not? Of several sensors, about one.
    Alone(Alone),
    /// Is a whole site silent? Of several sensors.
    SiteSilence(SiteSilence),
    /// Does one detection follow another, or is it missing? Of several sensors.
    Sequence(Sequence),
    /// Somebody reports something: each reading is evidence by itself.
    Report(Report),
}

/// A level with hysteresis and persistence.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Which side is abnormal.
    pub side: Side,
    /// The levels, least severe first, at least one. A sensor's own `warning` replaces the
    /// moderate one and its `danger` the severe one, where the rule has them. A value exactly at a
    /// level is not beyond it.
    pub levels: Vec<Level>,
    /// By how many hundredths of the way to the second level the least one lies further out, be they
    /// the rule's or the sensor's own; 0: not at all, as where there is no second one.
    pub margin_percent: u32,
    /// How far back past the least level a value must come to be normal again, in the unit; >= 0.
    /// Exactly so far is enough. A sensor's own levels keep this gap.
    pub clear_gap: f64,
    /// How many readings in a row must be beyond the level; at least 1. Each level asks for its
    /// own, so that one spike does not make a detection graver.
    pub readings_min: u32,
    /// If it is given: not in a row, but among the last so many readings; at least `readings_min`
    /// and at most 64.
    pub readings_among: Option<u32>,
    /// For how long it must have been beyond the level, by logical time: since the first of the
    /// row, or since the last readings were all within it. Then time alone raises it, unless the
    /// sensor is silent.
    pub lasting: Millis,
    /// How many readings in a row must be normal again to clear; at least 1.
    pub clear_readings_min: u32,
}

/// Which side of a level is abnormal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Values greater than the level.
    Above,
    /// Values less than the level.
    Below,
}

/// One level of a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// How grave it is to be beyond it.
    pub severity: Severity,
    /// The level, in the unit of the kind.
    pub value: f64,
}

/// How much a value changes over a time, with hysteresis and persistence. It is taken from the
/// sensor's own recent readings by the times at which they were observed, as the median over all
/// pairs of them, so that one spike changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Which way is abnormal.
    pub direction: Direction,
    /// The time that a change is told for; at least a second.
    pub over: Millis,
    /// What is asked of the change over that time, which is positive in the abnormal direction, in
    /// the unit of the kind. The side is [`Side::Above`]; a sensor's own levels are not of it.
    pub threshold: Threshold,
}

/// Which way a value changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It grows.
    Rises,
    /// It shrinks.
    Falls,
}

/// How far a value is from what is usual in this hour of the week, with hysteresis and persistence.
/// Usual is the median of that hour's medians of the last weeks.
#[derive(Debug, Clone, PartialEq)]
pub struct Usual {
    /// Which way is abnormal: [`Direction::Rises`] is above what is usual.
    pub direction: Direction,
    /// In how many weeks an hour must have been seen before anything is told of it; at least 1 and
    /// at most [`USUAL_WEEKS_MAX`](crate::limits::USUAL_WEEKS_MAX).
    pub weeks_min: u32,
    /// A departure within so many deviations of those weeks from each other is none.
    pub spreads: u32,
    /// What is asked of the departure, which is positive in the abnormal direction, in the unit of
    /// the kind. The side is [`Side::Above`]; a sensor's own levels are not of it.
    pub threshold: Threshold,
}

/// A state that must be known of, with persistence.
#[derive(Debug, Clone, PartialEq)]
pub struct Becomes {
    /// The attribute that says the state; `None`: the value does. A reading without the attribute
    /// says nothing.
    pub attribute: Option<String>,
    /// The states that are abnormal: a list for each level of `threshold`, in the same order.
    pub states: Vec<States>,
    /// The states that it must come from; `None`: any, or none that is known.
    pub from: Option<States>,
    /// What is asked of the place of the state's level, from 1; a state that is in no list is 0.
    /// So the level of the first list is 0.5, of the second 1.5. The side is [`Side::Above`].
    pub threshold: Threshold,
}

/// What the readings of some time come to, by the times at which they were observed, with
/// hysteresis and persistence.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// What is made of them.
    pub of: Aggregate,
    /// How long a window is: so many steps, at most [`WINDOW_STEPS_MAX`](crate::limits::WINDOW_STEPS_MAX).
    pub length: Millis,
    /// How much later the next one begins; at least a second as a rule, and never zero.
    pub step: Millis,
    /// How long after its end a window waits for readings that come late; at most as long as it is.
    pub lateness: Millis,
    /// Of how many readings on a mean, the least or the greatest is known; at least one. A count and
    /// a sum are always known.
    pub at_least: u32,
    /// What is asked of it. Where readings are counted, windows are; a sensor's own levels are not
    /// of it.
    pub threshold: Threshold,
}

/// What is made of the readings of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// How many they are; of none 0.
    Count,
    /// Their sum, to a millionth of the unit; of none 0.
    Sum,
    /// Their mean; of none nothing is known.
    Mean,
    /// The least; of none nothing is known.
    Least,
    /// The greatest; of none nothing is known.
    Greatest,
}

/// A sensor that leaps, from one reading to the next, and is alone in it: it spikes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alone {
    /// How far, in the unit of the kind; half of it is flat.
    pub height: f64,
    /// Within how long, and how long after it the neighbours are asked.
    pub within: Millis,
    /// Who its neighbours are.
    pub near: Near,
    /// How fast what is real travels at least, in metres a second, where the city does not say how
    /// long the water takes: by then it has come to a neighbour. `None`: within that time.
    pub speed_m_per_s: Option<u32>,
    /// Of fewer neighbours that are heard nothing is known; at least 1.
    pub neighbours_min: u32,
}

/// Who the neighbours of a sensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Near {
    /// Those so many metres away at most.
    Metres(u32),
    /// Those of the same group.
    Group(GroupBy),
}

/// What the values of several sensors come to, by the times at which they were observed, with
/// hysteresis and persistence.
#[derive(Debug, Clone, PartialEq)]
pub struct Across {
    /// Which sensors belong together.
    pub by: GroupBy,
    /// What is made of their values.
    pub of: Statistic,
    /// Which of their values.
    pub counts: Counted,
    /// How old a value may be when a step ends: at most
    /// [`WINDOW_STEPS_MAX`](crate::limits::WINDOW_STEPS_MAX) steps, and whole ones where readings
    /// are counted.
    pub fresh: Millis,
    /// How much later the next step ends; at least a second as a rule, and never zero.
    pub step: Millis,
    /// How long after its end a step waits for readings that come late.
    pub lateness: Millis,
    /// Of fewer sensors nothing is known; at least 1. Of how many readings there are and of their
    /// sum something is known of nobody too.
    pub sensors_min: u32,
    /// What is asked of it. Where readings are counted, steps are; a sensor's own levels are not of
    /// it.
    pub threshold: Threshold,
}

/// Which sensors belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// Those of one zone; who is registered in none is where the reading says.
    Zone,
    /// Those of the zones that are parts of one zone; of one that is part of none, its own.
    ParentZone,
    /// All.
    City,
    /// What comes through one gateway.
    Gateway,
    /// Those on one river.
    River,
    /// Those on one line.
    Line,
    /// Those at one stop of a line: a station.
    Stop,
    /// What one feeder feeds directly.
    Feeder,
}

impl GroupBy {
    /// The word for it in rules.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::ParentZone => "parent_zone",
            Self::City => "city",
            Self::Gateway => "gateway",
            Self::River => "river",
            Self::Line => "line",
            Self::Stop => "stop",
            Self::Feeder => "feeder",
        }
    }
}

/// Which values of several sensors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The latest of each sensor.
    Sensors,
    /// Every one.
    Readings,
}

/// What is made of the values of several sensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// How many they are.
    Count,
    /// Their sum, to a millionth of the unit.
    Sum,
    /// Their mean.
    Mean,
    /// The value of the nearest rank: 0 is the least, 100 the greatest.
    Percentile(u8),
    /// The value that so many of them reach.
    Vote(u32),
}

/// As rules say it.
impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Sum => f.write_str("sum"),
            Self::Mean => f.write_str("mean"),
            Self::Percentile(0) => f.write_str("min"),
            Self::Percentile(50) => f.write_str("median"),
            Self::Percentile(100) => f.write_str("max"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::Vote(sensors) => write!(f, "vote of {sensors}"),
        }
    }
}

/// A list of states; at least one.
#[derive(Debug, Clone, PartialEq)]
pub enum States {
    /// By the value of the reading.
    Values(Vec<f64>),
    /// By the text of an attribute.
    Texts(Vec<String>),
}

/// Silence: a finding about the sensor, and what makes an incident's condition unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Silent after so many of the sensor's registered intervals …
    pub intervals: u32,
    /// … but at least so long. Sensors without a registered interval are never silent.
    pub at_least: Millis,
}

/// A fault of the sensor, seen by its own readings: a finding about the sensor, not about the city.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Which.
    pub sign: FaultSign,
    /// Whether what the sensor says of this kind weighs nothing for as long as it lasts.
    pub distrust: bool,
    /// In what these detections find, by name; in all that is found of this kind, if none is named.
    pub of: Vec<RuleId>,
}

/// By what a fault is seen.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultSign {
    /// Its state changes too often.
    Flapping(Flapping),
    /// It has said the same for too long.
    Stuck(Stuck),
    /// It says what cannot be.
    Impossible(Impossible),
    /// Its clock is wrong.
    Skewed(Skewed),
    /// Single readings lie far from those around them.
    Spiking(Spiking),
}

/// Changes of state among the last [`FLAPPING_READINGS`](crate::limits::FLAPPING_READINGS)
/// readings, newer ones weighing more, as hundredths of what it were if each were one.
#[derive(Debug, Clone, PartialEq)]
pub struct Flapping {
    /// What a change is.
    pub by: Changes,
    /// From how many hundredths on it flaps; 1 to 100.
    pub high: u32,
    /// Below how many it has ceased to; at least 1 and at most `high`.
    pub low: u32,
}

/// What a change of state is.
#[derive(Debug, Clone, PartialEq)]
pub enum Changes {
    /// Another state in the eyes of any of these.
    Of(Vec<Seen>),
    /// A value so far from the one before, observed no longer ago than that.
    Jumps {
        /// How far, in the unit of the kind.
        by: f64,
        /// How long ago at most.
        within: Millis,
    },
}

/// By what a state is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Beyond the least level, or back from it as far as that asks. Nothing else is asked of it.
    Level(Threshold),
    /// In which of its lists the state is. Nothing else is asked of it.
    State(Becomes),
}

/// The same value for so long.
#[derive(Debug, Clone, PartialEq)]
pub struct Stuck {
    /// For how long, by the times of observation.
    pub lasting: Millis,
    /// Values that it may say for as long as it likes.
    pub except: Vec<f64>,
    /// So it may say what is less than this …
    pub except_below: Option<f64>,
    /// … and what is more than this.
    pub except_above: Option<f64>,
    /// How many readings in a row must each differ from the one before to end it; at least 1.
    pub clear_readings_min: u32,
}

impl Stuck {
    /// Whether a sensor may say this for as long as it likes.
    pub fn excepts(&self, value: f64) -> bool {
        self.except.contains(&value)
            || self.except_below.is_some_and(|least| value < least)
            || self.except_above.is_some_and(|most| value > most)
    }
}

/// Values that cannot be; at least one of the two limits is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impossible {
    /// Nothing is less.
    pub below: Option<f64>,
    /// Nothing is greater.
    pub above: Option<f64>,
    /// How many in a row; at least 1.
    pub readings_min: u32,
    /// How many possible ones in a row end it; at least 1.
    pub clear_readings_min: u32,
}

/// Times of observation that cannot be right; at least one of the two limits is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skewed {
    /// They lie further than this after the time of receipt.
    pub ahead: Option<Millis>,
    /// They lie further than this before it.
    pub behind: Option<Millis>,
    /// How many readings in a row, all the same way; at least 1.
    pub readings_min: u32,
    /// How many right ones in a row end it; at least 1.
    pub clear_readings_min: u32,
}

/// Single readings that lie far from those before and after, which agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spiking {
    /// How far from both, in the unit of the kind. Those two differ by less than half of it.
    pub height: f64,
    /// So many …
    pub spikes_min: u32,
    /// … of so many readings, at most 64. It ends when less than half as many are left.
    pub among: u32,
}

/// Many sensors of one site that are silent at one time: told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteSilence {
    /// What a site is.
    pub by: SiteBy,
    /// So many hundredths of the site's sensors that silence rules watch, …
    pub percent: u32,
    /// … and at least so many.
    pub sensors_min: u32,
    /// How long a sensor that falls silent is not told by itself, so that its site may be.
    pub hold: Millis,
    /// The detections that explain it, each once, by name: found about its sensors, or about what
    /// feeds them.
    pub explained_by: Vec<RuleId>,
}

/// One detection after another near it, or one that is not followed by another: a detection of its
/// own, about the sensor of the second, or where that is missing, of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The detection rule that begins it.
    pub first: RuleId,
    /// The one that follows, or must not be missing; another one.
    pub then: RuleId,
    /// Whether it is abnormal that the second is missing when the time is over.
    pub absent: bool,
    /// The one that keeps it quiet if it was found near by in the meantime, or lasts.
    pub unless: Option<RuleId>,
    /// How long after the first.
    pub within: Millis,
    /// How near the first, in metres; the same sensor always is.
    pub within_m: u32,
    /// Whether what feeds it and what it feeds is near as well, over all levels.
    pub fed_by: bool,
    /// How grave it is.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
}

/// A report by a person or another system.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How grave one is.
    pub severity: Severity,
    /// How sure one is.
    pub certainty: Certainty,
    /// How long one counts that does not say so itself.
    pub lasting: Millis,
    /// Only readings of at least this value say anything (a magnitude, say); `None`: all do.
    pub value_min: Option<f64>,
    /// The attribute by which a reading says itself until when it counts: up to
    /// [`REPORT_COUNTS_MAX`](crate::limits::REPORT_COUNTS_MAX) from when it came.
    pub until: Option<String>,
    /// The attribute by which a reading names what its source reported before, and what it takes
    /// the place of, be it a report itself or none: by their ids, or by what these begin with
    /// before a `/`, with blanks between them.
    pub replaces: Option<String>,
    /// Who says so: the attribute whose value is the same in all that one and the same reports, which
    /// is one source however often it comes; `sensor` for the sensor's own name. `None`, and of
    /// readings without the attribute: each is a source of its own.
    pub distinct: Option<String>,
}

/// The word by which a report rule names the sensor itself as who says so.
pub const BY_SENSOR: &str = "sensor";

/// Which detections make which kind of incident.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationRule {
    /// Its name, unique among all rules of the bundle.
    pub name: RuleId,
    /// The hash of its meaning.
    pub hash: u64,
    /// The kind of incident it makes. Several rules may make one kind; each correlates alone.
    pub incident: IncidentKind,
    /// The detection rules whose findings it takes.
    pub detections: Vec<RuleId>,
    /// How much a source with a finding of the detection rule at the same place of
    /// [`detections`](Self::detections) counts towards `sources_min`: 1 as a rule, 0 for what
    /// joins but never opens, more for what needs less company. A source with findings of several
    /// rules counts by the weightiest. What weighs nothing neither keeps an incident from clearing
    /// nor reopens it. As many as detections.
    pub weights: Vec<u32>,
    /// How near evidence must be to evidence of the incident, in metres; 0: nothing belongs to it by
    /// its place.
    pub within_m: u32,
    /// The networks along which evidence belongs together however far it is. What lies in one of
    /// them joins nothing else in it by metres alone.
    pub along: Along,
    /// What belongs together however far it is: what has the same value of one of these, sorted,
    /// each once: an attribute of the reading, or the gateway that its sensor is registered with.
    pub same: Vec<String>,
    /// What is never one incident, however near it is: what says different texts under one of these
    /// attributes, sorted, each once. What says none, and what people report, goes with any.
    pub group_by: Vec<String>,
    /// How near it must be in the sources' own time, if that matters.
    pub front: Option<Front>,
    /// If it is given: what was observed longer ago when it arrives opens nothing and joins nothing,
    /// unless its sensor is a member already.
    pub stale_after: Option<Millis>,
    /// How long after the incident's last evidence more may join it. While one of its sensors is
    /// abnormal it may always be joined, and those that are its members always join it.
    pub within: Millis,
    /// How many distinct sensors, each counted with its weight, must agree at one time before it
    /// opens; at least 1. Reports of one source count each by itself.
    pub sources_min: u32,
    /// How long all its sensors must have been normal until it clears (T_clear). An abnormal
    /// reading that raises nothing begins this time anew.
    pub clear_after: Millis,
    /// How long after clearing it reopens rather than a new one opening (T_reopen).
    pub reopen_within: Millis,
    /// What its incidents may cause, sorted by the kind of incident, each once.
    pub may_cause: Vec<Effect>,
}

impl CorrelationRule {
    /// Whether this rule takes the same evidence for the same happenings as another did: only how much
    /// of it opens an incident, and how long anything takes, may be otherwise.
    pub(crate) fn relates_as(&self, other: &Self) -> bool {
        let Self {
            name,
            incident,
            detections,
            weights,
            within_m,
            along,
            same,
            group_by,
            front,
            may_cause,
            hash: _,
            stale_after: _,
            within: _,
            sources_min: _,
            clear_after: _,
            reopen_within: _,
        } = self;
        let made = (name, incident, may_cause) == (&other.name, &other.incident, &other.may_cause);
        let from = (detections, weights) == (&other.detections, &other.weights);
        let near = (within_m, along) == (&other.within_m, &other.along);
        let shared = (same, group_by) == (&other.same, &other.group_by);
        made && from && near && shared && *front == other.front
    }
}

/// What an incident may cause: incidents of a kind, of whatever rule, that begin near it and in its
/// time are its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The kind of incident that is caused.
    pub incident: IncidentKind,
    /// How near the middle of its evidence must be to evidence of the cause when it opens, in metres;
    /// 0: nothing has a cause by its place.
    pub within_m: u32,
    /// The networks along which it comes from its cause: from what feeds it, with the water, from
    /// stop to stop. What lies in one of them comes along it, all of it, and not by metres. Of water
    /// so many hundredths of the time that it takes are the latest, and as many fewer the soonest.
    pub along: Along,
    /// Until when it may begin.
    pub lag: Lag,
    /// How long before the first evidence of the cause: a cause may be noticed later than what it
    /// has done.
    pub before: Millis,
    /// Whether it is explained by the cause while that lasts, so that nobody is called for it.
    pub symptom: bool,
}

/// How long what is caused may take to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// So long after the last evidence of its cause: a flood goes on doing harm while it lasts.
    AfterLast(Millis),
    /// So long after its cause opened: what a quake breaks, it breaks at once, however long people
    /// go on calling about it. Not after its first evidence, which may be older by chance.
    AfterOpening(Millis),
}

impl Lag {
    /// Until when what is caused may begin, by a cause that opened and was last noticed so.
    pub fn end(self, opened_at: Timestamp, last_evidence_at: Timestamp) -> Timestamp {
        match self {
            Self::AfterLast(lag) => last_evidence_at + lag,
            Self::AfterOpening(lag) => opened_at + lag,
        }
    }
}

/// What happens once and is noticed where and when it arrives: a quake, a blast, a wave. A source
/// that noticed it at another time than it can have arrived there noticed something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// How far apart sources may have observed it …
    pub tolerance: Millis,
    /// … and, if it travels, how fast at least, in metres a second: the time that it takes from the
    /// nearest evidence is added.
    pub speed_m_per_s: Option<u32>,
    /// Whose times are asked, sorted; of none named all. People notice when they pick up the telephone.
    pub of: Vec<RuleId>,
}

impl Front {
    /// Whether it is asked when this was observed.
    pub fn asks(&self, detection: &RuleId) -> bool {
        self.of.is_empty() || self.of.contains(detection)
    }

    /// How far apart it may have been observed so many metres from each other; without any it has
    /// not travelled.
    pub(crate) fn allowed(&self, metres: Option<u32>) -> Millis {
        let travel = match (metres, self.speed_m_per_s) {
            (Some(metres), Some(speed)) => i64::from(metres) * 1_000 / i64::from(speed),
            _ => 0,
        };
        Millis(self.tolerance.0.saturating_add(travel))
    }
}

/// The networks that a correlation rule follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Along {
    /// Power: with what feeds a source and with what it feeds, over all levels; with what has the
    /// same feeder if nobody measures that one, else if it is near as well.
    pub fed_by: bool,
    /// Water: downstream within so many hundredths of the time that the water takes; upstream
    /// within that time itself.
    pub flows_to_percent: Option<u32>,
    /// The same river, within so many metres.
    pub river_m: Option<u32>,
    /// The same line, so many stops away at most.
    pub line_stops: Option<u32>,
    /// How long what is fed may stay dark when its feeder is well again before it is an incident of
    /// its own; `None`: for ever.
    pub nested_after: Option<Millis>,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct City {
    /// Areas, sorted by id.
    pub zones: Vec<Zone>,
    /// Sensors, sorted by id.
    pub sensors: Vec<Sensor>,
    /// Actuators, sorted by id.
    pub actuators: Vec<Actuator>,
    /// What lies in a network, sensors and assets, sorted by id.
    pub nodes: Vec<Node>,
}

/// An area of the city.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// Its id.
    pub id: ZoneId,
    /// Its name for people.
    pub name: String,
    /// The zone that it is part of.
    pub parent: Option<ZoneId>,
    /// Its outlines: one, or several for a multi-polygon.
    pub areas: Vec<Polygon>,
}

/// A registered sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// Its name.
    pub id: SensorId,
    /// What it measures.
    pub kind: ReadingKind,
    /// The unit that its readings are converted to; empty if none is registered.
    pub unit: String,
    /// Where it stands.
    pub position: Option<Position>,
    /// Its zone, if registered; else the one that its place lies in.
    pub zone: Option<ZoneId>,
    /// What its readings come through, if that is registered.
    pub gateway: Option<NodeId>,
    /// How often it reports.
    pub interval: Option<Millis>,
    /// Its own moderate level.
    pub warning: Option<f64>,
    /// Its own severe level.
    pub danger: Option<f64>,
    /// Whether the rules' levels mean anything for it.
    pub scale: Scale,
}

/// Something that can be ordered to do something.
#[derive(Debug, Clone, PartialEq)]
pub struct Actuator {
    /// Its name.
    pub id: ActuatorId,
    /// Where it stands.
    pub position: Option<Position>,
    /// Its zone, if registered; else the one that its place lies in.
    pub zone: Option<ZoneId>,
    /// What may be done about a command of which nobody knows whether it arrived.
    pub effect: EffectClass,
    /// For how long a command may be sent, unless its order says so.
    pub deadline: Millis,
    /// How much longer its outcome is waited for.
    pub outcome_within: Millis,
    /// What it can be ordered to do, sorted by name.
    pub commands: Vec<ActuatorCommand>,
}

/// One thing that an actuator can be ordered to do.
#[derive(Debug, Clone, PartialEq)]
pub struct ActuatorCommand {
    /// Its name.
    pub name: CommandName,
    /// What shows that it is done, independently of what the device says.
    pub confirmed_by: Option<ConfirmedBy>,
}

/// A reading that shows that a command is done.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfirmedBy {
    /// Of this sensor, of the kind that it is registered with.
    pub sensor: SensorId,
    /// What it must say.
    pub expected: Expected,
}

/// What a value must be, in the unit of the sensor's kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected {
    /// Exactly this.
    Is(f64),
    /// More than this.
    Above(f64),
    /// Less than this.
    Below(f64),
}

impl Expected {
    /// Whether a value is as expected.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Is(expected) => value == expected,
            Self::Above(level) => value > level,
            Self::Below(level) => value < level,
        }
    }
}

/// How a sensor or an asset lies in the city's networks. Nothing feeds itself and no water flows
/// back to where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The sensor's or the asset's id.
    pub id: NodeId,
    /// What it gets its power from.
    pub fed_by: Option<NodeId>,
    /// Where its water goes.
    pub flows_to: Option<Flow>,
    /// The river that it lies on.
    pub river: Option<String>,
    /// Its stop on a line.
    pub stop: Option<Stop>,
}

/// Where water goes, and how long it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The next place downstream.
    pub to: NodeId,
    /// How long the water takes.
    pub lag: Millis,
}

/// A stop on a line of the metro, of a bus, of pedestrians.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The line's name.
    pub line: String,
    /// Where on the line: the next stop has one more.
    pub order: i32,
}

/// What a sensor's values can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// The rules' levels, and its own where it registers them.
    #[default]
    OfKind,
    /// Its own levels only, because it measures from another zero or in a unit that nobody can
    /// convert: a rule's level that it does not replace does not exist for it. Without levels of
    /// its own no threshold applies.
    Own,
}

impl Bundle {
    /// Whether a finding of this rule about this sensor, which is in this zone, fits.
    pub fn fits(
        &self,
        matcher: &Matcher,
        sensor: &SensorId,
        rule: &RuleId,
        zone: Option<&ZoneId>,
    ) -> bool {
        let detection = || {
            let place = self.detections.binary_search_by(|own| own.name.cmp(rule));
            place.ok().map(|place| &self.detections[place])
        };
        let is_of_kind = |kind: &ReadingKind| detection().is_some_and(|own| own.kind == *kind);
        let is_in = |wanted: &ZoneId| {
            let zone = zone.filter(|zone| *zone != wanted);
            zone.is_none_or(|zone| self.city.zones_around(zone).any(|own| own == wanted))
        };
        matcher.sensor.as_ref().is_none_or(|own| own == sensor)
            && matcher.rule.as_ref().is_none_or(|own| own == rule)
            && matcher.kind.as_ref().is_none_or(is_of_kind)
            && matcher.zone.as_ref().is_none_or(is_in)
    }
}

impl DetectionRule {
    /// Whether it is about what another detection rule finds.
    pub fn names(&self, other: &RuleId) -> bool {
        match &self.test {
            Test::Sequence(rule) => {
                let named = [Some(&rule.first), Some(&rule.then), rule.unless.as_ref()];
                named.contains(&Some(other))
            }
            Test::SiteSilence(rule) => rule.explained_by.contains(other),
            Test::Threshold(_)
            | Test::Rate(_)
            | Test::Usual(_)
            | Test::Becomes(_)
            | Test::Window(_)
            | Test::Silence(_)
            | Test::Fault(_)
            | Test::Across(_)
            | Test::Alone(_)
            | Test::Report(_) => false,
        }
    }
}

impl Test {
    /// What is asked of the levels, if there are any.
    pub const fn threshold(&self) -> Option<&Threshold> {
        match self {
            Self::Threshold(threshold)
            | Self::Rate(Rate { threshold, .. })
            | Self::Usual(Usual { threshold, .. })
            | Self::Becomes(Becomes { threshold, .. })
            | Self::Window(Window { threshold, .. })
            | Self::Across(Across { threshold, .. }) => Some(threshold),
            Self::Silence(_)
            | Self::Fault(_)
            | Self::Alone(_)
            | Self::SiteSilence(_)
            | Self::Sequence(_)
            | Self::Report(_) => None,
        }
    }
}

impl City {
    /// The actuator of this name.
    pub fn actuator(&self, id: &str) -> Option<&Actuator> {
        let place = self
            .actuators
            .binary_search_by(|actuator| actuator.id.as_str().cmp(id));
        place.ok().map(|place| &self.actuators[place])
    }

    /// The zone of this id.
    pub fn zone(&self, id: &ZoneId) -> Option<&Zone> {
        let place = self.zones.binary_search_by(|zone| zone.id.cmp(id));
        place.ok().map(|place| &self.zones[place])
    }

    /// The zone and those that it is part of, the innermost first, so many levels at most.
    pub fn zones_around(&self, zone: &ZoneId) -> impl Iterator<Item = &ZoneId> {
        let parent = |zone: &&Zone| self.zone(zone.parent.as_ref()?);
        let zones = std::iter::successors(self.zone(zone), parent);
        zones.take(ZONES_DEPTH_MAX).map(|zone| &zone.id)
    }

    /// The zone that a sensor is registered in or lies in.
    pub fn zone_of(&self, sensor: &SensorId) -> Option<ZoneId> {
        let place = self.sensors.binary_search_by(|own| own.id.cmp(sensor));
        let sensor = &self.sensors[place.ok()?];
        let lies_in = || self.zone_at(sensor.position?).map(|zone| zone.id.clone());
        sensor.zone.clone().or_else(lies_in)
    }

    /// The zone that a place lies in: of several the one with the least id.
    pub fn zone_at(&self, place: Position) -> Option<&Zone> {
        self.zones
            .iter()
            .find(|zone| zone.areas.iter().any(|area| area.contains(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_zones_are_looked_through_so_deep_and_no_deeper() {
        let id = |number: usize| format!("z-{number:02}").parse::<ZoneId>().unwrap();
        let zone = |number: usize| Zone {
            id: id(number),
            name: String::new(),
            parent: number.checked_sub(1).map(id),
            areas: Vec::new(),
        };
        let city = City {
            zones: (0..=ZONES_DEPTH_MAX).map(zone).collect(),
            ..City::default()
        };
        let innermost = id(ZONES_DEPTH_MAX);
        let around: Vec<_> = city.zones_around(&innermost).collect();
        assert_eq!(around.len(), ZONES_DEPTH_MAX);
        assert_eq!(
            (around[0], around[1]),
            (&innermost, &id(ZONES_DEPTH_MAX - 1))
        );
        assert!(!around.contains(&&id(0)));
    }
}
