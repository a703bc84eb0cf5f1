//! What the world outside has been told, and may rely on from then on.
//!
//! Arrives: every decision at the moment when it leaves, every acknowledgement, every answer, each
//! from where the outside meets the host. Leaves: the first broken promise. Kept apart from the
//! workload: it knows nothing of what was planned, and survives every crash of the host.
//! Next: `checks.rs`, which compares it with what lies in the logs at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ioc_core::decision::{
    CommandState, Decision, DecisionHash, Progress, Released, Severity, Verdict,
};
use ioc_core::id::CommandKey;
use ioc_ws::decision_json;
use serde_json::Value;

/// The promises of the host that the simulation watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Nothing acknowledged is lost.
    P1NothingAcknowledgedIsLost,
    /// The same inputs give the same decisions.
    P2SameInputsSameDecisions,
    /// A redelivered reading changes nothing.
    P3Once,
    /// A console misses no decision, or is told that it needs a new snapshot.
    P4NoGaps,
    /// A number that was published never changes its meaning.
    NumbersKeepTheirMeaning,
    /// A command that was answered is in the log, and acted once.
    AnsweredCommandsHold,
    /// A command reaches its device after its order left, before its time is up, and once if that is
    /// how it is; and what devices said is what came of it.
    CommandsReachDevicesAsOrdered,
    /// Logical time never goes back.
    TimeNeverGoesBack,
    /// A build that ended cleanly leaves nothing that another one must not judge.
    AnotherBuildTakesOver,
    /// The invariants of the core's state hold.
    InvariantsHold,
    /// After whatever happened, the host starts again.
    ItStartsAgain,
    /// When faults stop, everything is settled within a bound of steps.
    Liveness,
}

/// A promise that did not hold, and how that showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How it showed.
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is broken: {}", self.promise, self.how)
    }
}

/// Fails with this promise unless something holds.
pub fn expect(holds: bool, promise: Promise, how: impl FnOnce() -> String) -> Result<(), Broken> {
    match holds {
        true => Ok(()),
        false => Err(Broken {
            promise,
            how: how(),
        }),
    }
}

/// A decision as it left.
#[derive(Debug, Clone)]
pub struct Told {
    /// The decision.
    pub decision: Arc<Decision>,
    /// The rolling hash up to it.
    pub hash: DecisionHash,
    /// Its JSON.
    pub json: Bytes,
}

/// What a publisher handed over, as the log must show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A reading, by sensor and id.
    Reading(String, String),
    /// A message that is no reading, by its payload.
    Garbage(String),
}

impl Sent {
    /// What keeps its order on its way: what one sensor says, or what is no reading.
    pub fn subject(&self) -> &str {
        match self {
            Self::Reading(sensor, _) => sensor,
            Self::Garbage(_) => "garbage",
        }
    }
}

/// One connection of a publisher.
#[derive(Debug, Default)]
pub struct Connection {
    /// What was handed over, in order.
    pub handed: Vec<Sent>,
    /// How many of them were acknowledged.
    pub acknowledged: usize,
}

/// An incident at some point.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// Its id.
    pub id: &'a str,
    /// The decision that left it so.
    pub seq: u64,
    /// How decisions show it.
    pub json: &'a Value,
}

/// How often a run, or many, came to what they are made to come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached(BTreeMap<&'static str, u64>);

impl Reached {
    /// Adds what another run came to.
    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// What many runs must have come to, and have not.
    pub fn missing(&self) -> Vec<&'static str> {
        let all = EVENTS.iter().copied();
        all.filter(|what| !self.0.contains_key(what)).collect()
    }
}

/// What hundreds of runs come to: a simulation that does not reach a case proves nothing of it.
const EVENTS: &[&str] = &[
    "process killed",
    "process killed within an operation",
    "power cut",
    "power cut within an operation",
    "ended by a failed operation",
    "ended while it started",
    "stopped cleanly",
    "reading sent again",
    "garbage sent",
    "the door was full",
    "telemetry folded",
    "resumed",
    "snapshot: first",
    "snapshot: too_old",
    "snapshot: behind",
    "snapshot: a false claim",
    "started on a full disk",
    "refused to start on a full disk",
    "segments removed",
    "snapshot made",
    "snapshot rotten",
    "started from a snapshot",
    "ended beside the engine",
    "another build took over",
    "another build was refused a tail",
    "updates folded",
    "command answered",
    "command answered again",
    "command refused",
    "command reached its device",
    "command sent again",
    "feedback acknowledged",
    "command_sent",
    "command_accepted",
    "command_done",
    "command_rejected",
    "command_expired",
    "command_superseded",
    "command_outcome_unknown",
    "incident_opened",
    "incident_updated",
    "incident_merged",
    "incident_cleared",
    "incident_unknown",
    "incident_reopened",
    "incident_acknowledged",
    "sensor_silent",
    "rules_changed",
];

/// All that the outside knows.
#[derive(Debug, Default)]
pub struct Model {
    /// Decisions by number, from 1.
    pub told: Vec<Told>,
    /// Connections by their number.
    pub connections: Vec<Connection>,
    /// Commands that were answered with `ok`, by request id: the decision as of which they are done.
    pub answered: BTreeMap<String, u64>,
    /// Commands to devices, each as the last decision about it left it.
    pub commands: BTreeMap<CommandKey, CommandState>,
    /// Those that have reached a device, ever.
    pub reached_devices: BTreeSet<CommandKey>,
    /// What devices have said of commands, and what of it was acknowledged.
    pub feedback: BTreeSet<(CommandKey, &'static str)>,
    pub feedback_acknowledged: BTreeSet<(CommandKey, &'static str)>,
    /// The journal's identity, once a decision left under it.
    epoch: Option<String>,
    /// What became of each incident: the number of the decision, and the incident then.
    incidents: BTreeMap<String, Vec<(u64, Option<Value>)>>,
    /// When each sensor fell silent or returned: the number of the decision, and whether silent.
    silent: BTreeMap<String, Vec<(u64, bool)>>,
    broken: Option<Broken>,
    /// How often the run came to what it must come to.
    pub reached: Reached,
}

/// The model as it is shared between the host's outlet and the world.
pub type SharedModel = Arc<Mutex<Model>>;

impl Model {
    /// A decision leaves: for the first time, or again after a start.
    pub fn released(&mut self, released: &Released) {
        let seq = released.decision.seq;
        let next = self.told.len() as u64 + 1;
        let checked = match seq {
            known if known < next => {
                let told = &self.told[known as usize - 1];
                let same = told.hash == released.hash && told.decision == released.decision;
                expect(same, Promise::NumbersKeepTheirMeaning, || {
                    let (was, is) = (&told.decision, &released.decision);
                    format!("decision {seq} was {was:?} and is {is:?}")
                })
            }
            _ => expect(seq == next, Promise::P4NoGaps, || {
                format!("decision {seq} left after decision {}", next - 1)
            }),
        };
        if seq == next {
            self.note(released);
        }
        self.check(checked);
    }

    fn note(&mut self, released: &Released) {
        let json = decision_json(&released.decision);
        self.reached(released.decision.verdict.word(), 1);
        if let Some(incident) = released.decision.verdict.incident() {
            let merged = matches!(released.decision.verdict, Verdict::IncidentMerged { .. });
            let parsed: Value = serde_json::from_slice(&json).unwrap();
            let state = (!merged).then(|| parsed["incident"].clone());
            let states = self.incidents.entry(incident.id.to_string()).or_default();
            states.push((released.decision.seq, state));
        }
        if let Some(command) = released.decision.verdict.command() {
            self.commands.insert(command.key, command.clone());
        }
        if let Some(sensor) = released.decision.verdict.sensor() {
            let is_silent = matches!(released.decision.verdict, Verdict::SensorSilent(_));
            let states = self.silent.entry(sensor.id.to_string()).or_default();
            states.push((released.decision.seq, is_silent));
        }
        self.told.push(Told {
            decision: Arc::clone(&released.decision),
            hash: released.hash,
            json,
        });
    }

    /// The run came to this, so often.
    pub fn reached(&mut self, what: &'static str, times: u64) {
        *self.reached.0.entry(what).or_default() += times;
    }

    /// Keeps what is broken, if nothing was before.
    pub fn check(&mut self, checked: Result<(), Broken>) {
        if let (Err(broken), None) = (checked, &self.broken) {
            self.broken = Some(broken);
        }
    }

    /// What is broken, if anything is.
    pub fn verdict(&self) -> Result<(), Broken> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// The number of the last decision that left.
    pub fn last(&self) -> u64 {
        self.told.len() as u64
    }

    /// The host shows itself under this identity.
    pub fn shows_epoch(&mut self, epoch: &str) {
        let known = self.epoch.get_or_insert_with(|| epoch.to_owned());
        // Until something left, nobody can tell that a journal began anew.
        if self.told.is_empty() {
            epoch.clone_into(known);
        }
        let same = known == epoch;
        self.check(expect(same, Promise::NumbersKeepTheirMeaning, || {
            format!("the journal's identity changed to {epoch}")
        }));
    }

    /// The hash after this decision, as the wire writes it.
    pub fn hash_at(&self, seq: u64) -> Option<String> {
        let hash = match seq {
            0 => DecisionHash::default(),
            _ => self.told.get(seq as usize - 1)?.hash,
        };
        Some(hash.0.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The command to this device that is under way, as far as is known.
    pub fn under_way(&self, device: &str) -> Option<CommandKey> {
        let is_it = |command: &&CommandState| {
            let is_over = !matches!(command.progress, Progress::Sent | Progress::Accepted);
            command.actuator.as_str() == device && !is_over
        };
        self.commands
            .values()
            .find(is_it)
            .map(|command| command.key)
    }

    /// The incidents after this decision, as the wire shows them.
    pub fn picture_at(&self, seq: u64) -> impl Iterator<Item = State<'_>> {
        self.incidents.iter().filter_map(move |(id, states)| {
            let upto = states.partition_point(|(at, _)| *at <= seq);
            let (seq, state) = states[..upto].last()?;
            let json = state.as_ref()?;
            Some(State {
                id,
                seq: *seq,
                json,
            })
        })
    }

    /// The sensors that are silent after this decision, in order.
    pub fn silent_at(&self, seq: u64) -> Vec<&str> {
        let is_silent = |states: &[(u64, bool)]| {
            let upto = states.partition_point(|(at, _)| *at <= seq);
            states[..upto]
                .last()
                .is_some_and(|(_, is_silent)| *is_silent)
        };
        let silent = self.silent.iter().filter(|(_, states)| is_silent(states));
        silent.map(|(id, _)| &id[..]).collect()
    }

    /// The incident as this decision, which is about it, left it.
    pub fn state_at(&self, id: &str, seq: u64) -> Option<&Value> {
        let states = self.incidents.get(id)?;
        let place = states.binary_search_by_key(&seq, |(at, _)| *at).ok()?;
        states[place].1.as_ref()
    }

    /// Whether a slow console may be spared this decision, because a later one tells as much.
    pub fn may_be_folded(&self, seq: u64) -> bool {
        let told = &self.told[seq as usize - 1];
        let Verdict::IncidentUpdated(updated) = &told.decision.verdict else {
            return false;
        };
        let states = &self.incidents[&updated.id.to_string()];
        let before = states.partition_point(|(at, _)| *at < seq);
        let before = states[..before]
            .last()
            .and_then(|(_, state)| state.as_ref());
        let graver = before.is_none_or(|before| {
            let word = before["severity"].as_str().unwrap_or_default();
            Severity::from_word(word).is_none_or(|before| updated.severity > before)
        });
        !graver
    }
}
