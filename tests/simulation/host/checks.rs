//! What must be true of the logs, given what the outside was told.
//!
//! Arrives: the final logs, read from the disk by themselves; the model. Leaves: the first broken
//! promise. Each check reads the logs anew and trusts nothing that the host derived while it ran.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::path::Path;

use ioc::journal::scan::scan;
use ioc::journal::{JournalError, Known, LogKind};
use ioc::pipeline::Numbering;
use ioc::recover::{DECISIONS_DIR, INPUTS_DIR};
use ioc_core::decision::EffectClass;
use ioc_core::folded::Folded;
use ioc_core::judgement::Judgement;
use ioc_core::reading::Reading;
use ioc_core::record::{EffectNews, Input, Record, Records};
use ioc_core::time::Timestamp;

use super::archive::Archive;
use super::city;
use super::model::{Broken, Connection, Model, Promise, Sent, expect};
use super::process::DATA;
use crate::disk::FaultDisk;

/// What lies in both logs.
pub struct Logs {
    /// Framed records, the first of which is the first.
    inputs: Vec<u8>,
    /// Decisions, each with its length.
    decisions: Vec<u8>,
}

impl Logs {
    /// Reads both logs of a host that has ended, with what it has removed of them.
    pub fn read(disk: &FaultDisk, archive: &Archive) -> Result<Self, Broken> {
        let unreadable = |what: &dyn Debug| Broken {
            promise: Promise::ItStartsAgain,
            how: format!("the logs cannot be read: {what:?}"),
        };
        let dirs = [INPUTS_DIR, DECISIONS_DIR].map(|dir| Path::new(DATA).join(dir));
        let whole = archive.whole(disk, &dirs);
        let whole = whole.map_err(|error| unreadable(&error))?;
        let read = |dir, kind| read(&whole, dir, kind).map_err(|error| unreadable(&error));
        let [inputs, decisions] = &dirs;
        Ok(Self {
            inputs: read(inputs, LogKind::Inputs)?,
            decisions: read(decisions, LogKind::Decisions)?,
        })
    }

    /// All records.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        Records::new(1, &self.inputs).map(|record| record.unwrap())
    }

    /// How many messages that could not be read were journaled.
    pub fn dead_letters(&self) -> usize {
        let is_letter = |record: &Record<'_>| matches!(record.input, Input::DeadLetter(_));
        self.records().filter(is_letter).count()
    }

    /// All that the model can say about the logs.
    /// `digest` is the state in which the host ended.
    pub fn check(&self, model: &Model, digest: [u8; 32]) -> Result<(), Broken> {
        self.check_times()?;
        self.check_arrivals(model)?;
        self.check_commands(model)?;
        self.check_devices(model)?;
        self.check_judgement(model, digest)?;
        check_evidence(model)
    }

    fn check_times(&self) -> Result<(), Broken> {
        let mut last = Timestamp::MIN;
        for record in self.records() {
            expect(record.at >= last, Promise::TimeNeverGoesBack, || {
                format!("record {} is of {}, after {last}", record.seq, record.at)
            })?;
            last = record.at;
        }
        Ok(())
    }

    /// P1: of every connection the log holds what was acknowledged; and of what each sensor said on
    /// it the first so many, in order and once, each in a record of its own or counted in one that
    /// follows.
    fn check_arrivals(&self, model: &Model) -> Result<(), Broken> {
        const P1: Promise = Promise::P1NothingAcknowledgedIsLost;
        let mut awaited: Vec<_> = model.connections.iter().map(Awaited::new).collect();
        // By which connection each sensor spoke last.
        let mut spoke: BTreeMap<&str, usize> = BTreeMap::new();
        for record in self.records() {
            let seq = record.seq;
            let (connection, found) = match record.input {
                Input::Reading(reading) => {
                    let (connection, sent) = sent_reading(&reading);
                    spoke.insert(reading.sensor, connection);
                    (connection, awaited[connection].find(&sent))
                }
                Input::DeadLetter(letter) => {
                    let (connection, sent) = sent_garbage(letter.payload);
                    (connection, awaited[connection].find(&sent))
                }
                Input::Folded(folded) => {
                    let connection = spoke[folded.sensor];
                    (connection, awaited[connection].account(&folded))
                }
                _ => continue,
            };
            expect(found.is_ok(), P1, || {
                let what = found.err().unwrap_or_default();
                format!("record {seq}, of connection {connection}: {what}")
            })?;
        }
        for (number, connection) in model.connections.iter().enumerate() {
            let lost = awaited[number].within(connection.acknowledged);
            expect(lost.is_empty(), P1, || {
                let acknowledged = connection.acknowledged;
                format!(
                    "of connection {number} {acknowledged} messages were acknowledged, and of \
                     these are not in the log: {lost:?}"
                )
            })?;
        }
        Ok(())
    }

    /// What was answered is in the log; a request acts once, however often it is sent.
    fn check_commands(&self, model: &Model) -> Result<(), Broken> {
        const HOLD: Promise = Promise::AnsweredCommandsHold;
        let request = |record: Record<'_>| match record.input {
            Input::Command(command) => Some(command.request.to_owned()),
            _ => None,
        };
        let journaled: BTreeSet<String> = self.records().filter_map(request).collect();
        let mut acted = BTreeMap::new();
        for told in &model.told {
            let decision = &told.decision;
            if !matches!(
                decision.verdict.word(),
                "incident_acknowledged" | "command_sent"
            ) {
                continue;
            }
            let (request, _) = decision
                .cause
                .request
                .as_ref()
                .expect("a person ordered it");
            let before = acted.insert(request.as_str().to_owned(), decision.seq);
            expect(before.is_none(), HOLD, || {
                format!(
                    "{request} acted at {before:?} and again at {}",
                    decision.seq
                )
            })?;
        }
        for (id, answered) in &model.answered {
            let done = acted.get(id).is_some_and(|seq| seq <= answered);
            expect(journaled.contains(id) && done, HOLD, || {
                let at = acted.get(id);
                format!(
                    "{id} was said to be done as of decision {answered}, but it acted at {at:?}"
                )
            })?;
        }
        Ok(())
    }

    /// What devices are said to have done is what they said; what of it was acknowledged is in the
    /// log, and so is, of what may be sent once, that it was about to be.
    fn check_devices(&self, model: &Model) -> Result<(), Broken> {
        const PROMISE: Promise = Promise::CommandsReachDevicesAsOrdered;
        let (mut said, mut started) = (BTreeSet::new(), BTreeSet::new());
        for record in self.records() {
            let Input::Effect(effect) = record.input else {
                continue;
            };
            match effect.news {
                EffectNews::Answered { word, .. } => drop(said.insert((effect.key, word.word()))),
                EffectNews::Started => drop(started.insert(effect.key)),
            }
        }
        let lost = model.feedback_acknowledged.difference(&said);
        let lost: Vec<_> = lost.collect();
        expect(
            lost.is_empty(),
            Promise::P1NothingAcknowledgedIsLost,
            || format!("{lost:?} was acknowledged, and is not in the log"),
        )?;
        for told in &model.told {
            let Some(command) = told.decision.verdict.command() else {
                continue;
            };
            let answer = command.answer.as_ref();
            let answered = answer
                .is_none_or(|answer| model.feedback.contains(&(command.key, answer.word.word())));
            expect(answered, PROMISE, || {
                format!(
                    "{} is said to have {answer:?}, which no device said",
                    command.key
                )
            })?;
        }
        for key in &model.reached_devices {
            let once = model.commands[key].effect == EffectClass::AtMostOnce;
            expect(!once || started.contains(key), PROMISE, || {
                format!("{key} may be sent once, and no record says that it was about to be")
            })?;
        }
        Ok(())
    }

    /// P2: the final inputs, judged from the beginning by one stage and one record at a time, give
    /// exactly the decisions that left and that lie in the decisions log, and the state in which the
    /// host ended.
    fn check_judgement(&self, model: &Model, digest: [u8; 32]) -> Result<(), Broken> {
        const P2: Promise = Promise::P2SameInputsSameDecisions;
        let mut judgement = Judgement::new(NonZeroUsize::MIN);
        city::bundles()
            .into_iter()
            .for_each(|bundle| judgement.provide(bundle));
        let mut numbering = Numbering::default();
        let mut encoded = Vec::new();
        let mut told = model.told.iter();
        for record in self.records() {
            let mut decisions = Vec::new();
            judgement.apply(&[record], &mut decisions);
            for judged in numbering.number(decisions, &mut encoded) {
                let left = told.next();
                let same = left.is_some_and(|left| {
                    left.hash == judged.hash && left.decision == judged.decision
                });
                expect(same, P2, || {
                    let left = left.map(|left| &left.decision);
                    let seq = record.seq;
                    format!(
                        "record {seq} gives {:?}; what left was {left:?}",
                        judged.decision
                    )
                })?;
            }
        }
        let left = told.next();
        expect(left.is_none(), P2, || {
            format!(
                "{:?} left, but follows from no record",
                left.map(|left| &left.decision)
            )
        })?;
        expect(encoded == self.decisions, P2, || {
            let (offline, logged) = (encoded.len(), self.decisions.len());
            format!("{offline} bytes of decisions follow from the inputs, {logged} are logged")
        })?;
        expect(judgement.digest() == digest, P2, || {
            "the final inputs lead to another state than the host ended in".into()
        })?;
        let broken = judgement.audit();
        expect(broken.is_empty(), Promise::InvariantsHold, || {
            format!("{broken:?}")
        })
    }
}

/// What was handed over on a connection, by what keeps its order.
struct Awaited<'a>(BTreeMap<&'a str, Line<'a>>);

/// What keeps its order, each with its place.
#[derive(Default)]
struct Line<'a> {
    /// What has not been found yet.
    ahead: VecDeque<(usize, &'a Sent)>,
    /// What must have been left out, for what came after it has been found.
    left_out: Vec<(usize, &'a Sent)>,
}

impl<'a> Awaited<'a> {
    fn new(connection: &'a Connection) -> Self {
        let mut awaited = BTreeMap::<_, Line<'_>>::new();
        for (place, sent) in connection.handed.iter().enumerate() {
            let line = awaited.entry(sent.subject()).or_default();
            line.ahead.push_back((place, sent));
        }
        Self(awaited)
    }

    /// Finds what comes next, or after some that were left out.
    fn find(&mut self, sent: &Sent) -> Result<(), String> {
        let line = self.0.get_mut(sent.subject());
        let line = line.ok_or_else(|| format!("{sent:?} was not handed over"))?;
        while let Some((place, next)) = line.ahead.pop_front() {
            if next == sent {
                return Ok(());
            }
            line.left_out.push((place, next));
        }
        Err(format!(
            "{sent:?} was not handed over after what is before it"
        ))
    }

    /// Accounts for what was left out.
    fn account(&mut self, folded: &Folded<'_>) -> Result<(), String> {
        let line = self.0.get_mut(folded.sensor);
        let left_out = line.map_or_else(Vec::new, |line| std::mem::take(&mut line.left_out));
        match left_out.len() == folded.left_out as usize {
            true => Ok(()),
            false => Err(format!("{folded:?} accounts for {left_out:?}")),
        }
    }

    /// Those among the first so many that are nowhere.
    fn within(&self, count: usize) -> Vec<&'a Sent> {
        let lines = self.0.values();
        let nowhere = lines.flat_map(|line| line.ahead.iter().chain(&line.left_out));
        let within = nowhere.filter(|(place, _)| *place < count);
        within.map(|(_, sent)| *sent).collect()
    }
}

/// P3: no reading is evidence twice.
fn check_evidence(model: &Model) -> Result<(), Broken> {
    let mut seen = BTreeMap::new();
    for told in &model.told {
        let decision = &told.decision;
        for evidence in &decision.cause.evidence {
            let reading = (evidence.sensor.as_str(), evidence.reading.as_str());
            let before = seen.insert(reading, decision.seq);
            expect(before.is_none(), Promise::P3Once, || {
                format!(
                    "{reading:?} is evidence at {before:?} and again at {}",
                    decision.seq
                )
            })?;
        }
    }
    Ok(())
}

/// The payloads of all batches of a log, one after another.
fn read(disk: &FaultDisk, dir: &Path, kind: LogKind) -> Result<Vec<u8>, JournalError> {
    let contents = scan(disk, dir, kind, Known::default())?;
    let mut bytes = Vec::new();
    contents.for_each(disk, 1, |_, payload| {
        bytes.extend_from_slice(payload);
        Ok::<_, JournalError>(())
    })?;
    Ok(bytes)
}

/// By which connection a reading came, and what it is.
fn sent_reading(reading: &Reading<'_>) -> (usize, Sent) {
    let via = reading.attributes.get("via");
    let connection = via.expect("every reading says how it came").parse();
    let sent = Sent::Reading(reading.sensor.to_owned(), reading.id.to_owned());
    (connection.unwrap(), sent)
}

fn sent_garbage(payload: &[u8]) -> (usize, Sent) {
    let text = std::str::from_utf8(payload).unwrap();
    let via = text.rsplit(' ').next().unwrap();
    let (connection, _place) = via.split_once('-').unwrap();
    (connection.parse().unwrap(), Sent::Garbage(text.to_owned()))
}
