//! An operator's console: it follows the stream, resumes where it stood, and acknowledges.
//!
//! Arrives: the server's messages over a connection with small buffers. Leaves: hellos and commands.
//! Whatever it is told is compared with the model at once: each frame goes on where the last ended,
//! holds the decisions as they left, and leaves nothing out that was not said to be left out.

use std::collections::BTreeMap;

use ioc_core::decision::Severity;
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use super::city::{ACTUATORS, COMMAND};
use super::messages::{Done, Folded, Frame, Kind, Refused, Snapshot, Welcome, kind_of, read};
use super::model::{Broken, Model, Promise, expect};
use super::process::TOKEN;
use super::socket::{Heard, Socket};
use super::story::Story;
use crate::chance::Chance;

const P4: Promise = Promise::P4NoGaps;
/// How many commands an operator has under way, at most.
const REQUESTS_MAX: usize = 4;

/// One operator with one console.
#[derive(Debug)]
pub struct Operator {
    name: String,
    /// The least severity that the operator asked for.
    severity_min: Option<Severity>,
    /// The last point that the console knows: its journal, number and hash.
    epoch: String,
    seq: u64,
    hash: String,
    /// The incidents that the console shows, each with the decision that it knows last of it.
    picture: BTreeMap<String, u64>,
    requests: BTreeMap<String, Request>,
    requests_made: u64,
    line: Option<Line>,
}

/// A command that was given.
#[derive(Debug)]
struct Request {
    /// What it asks for.
    order: Value,
    /// Whether it is under way on this connection.
    sent: bool,
    answered: bool,
}

/// A connection, from the console's side.
#[derive(Debug)]
struct Line {
    socket: Socket,
    phase: Phase,
    epoch: String,
    claim: Claim,
    /// How many updates the next frame was said to leave out.
    folded: Option<u64>,
}

/// Where the console says that it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Nowhere: the page was loaded anew.
    Nowhere,
    /// Where it does.
    Known,
    /// At a decision of that number, but another one.
    OtherHash,
    /// In another journal.
    OtherJournal,
    /// Further than anything that left.
    Ahead,
}

/// What the console waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Welcome,
    Snapshot,
    Live,
}

impl Operator {
    /// An operator who knows nothing yet.
    pub fn new(name: String, severity_min: Option<Severity>) -> Self {
        Self {
            name,
            severity_min,
            epoch: String::new(),
            seq: 0,
            hash: String::new(),
            picture: BTreeMap::new(),
            requests: BTreeMap::new(),
            requests_made: 0,
            line: None,
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// Whether the console knows all that left, and every command is answered.
    pub fn is_settled(&self, model: &Model) -> bool {
        let live = self
            .line
            .as_ref()
            .is_some_and(|line| line.phase == Phase::Live);
        let answered = self.requests.values().all(|request| request.answered);
        live && answered && self.seq == model.last()
    }

    /// Says hello on a new connection, as a rule with the last point that the console knows.
    pub fn connect(&mut self, stream: DuplexStream, chance: &mut Chance, story: &Story) {
        let mut socket = Socket::new(stream);
        let mut hello = json!({"type": "hello", "token": TOKEN, "readings": false});
        let claim = self.draw_claim(chance);
        if claim != Claim::Nowhere {
            hello["resume"] = json!({"epoch": self.epoch, "seq": self.seq, "hash": self.hash});
        }
        match claim {
            Claim::OtherHash => hello["resume"]["hash"] = "ab".repeat(32).into(),
            Claim::OtherJournal => hello["resume"]["epoch"] = "another".into(),
            Claim::Ahead => hello["resume"]["seq"] = (self.seq + 1_000_000).into(),
            Claim::Nowhere | Claim::Known => {}
        }
        if let Some(severity) = self.severity_min {
            hello["filter"] = json!({"severity_min": severity.word()});
        }
        story.tell(|| {
            let (name, seq) = (&self.name, self.seq);
            format!("{name} connects, claims {claim:?}, stands at decision {seq}")
        });
        socket.say(&hello);
        self.line = Some(Line {
            socket,
            phase: Phase::Welcome,
            epoch: String::new(),
            claim,
            folded: None,
        });
        self.requests
            .values_mut()
            .for_each(|request| request.sent = false);
    }

    /// Mostly where it stands, as consoles do; what else may be claimed must be seen through.
    fn draw_claim(&self, chance: &mut Chance) -> Claim {
        if self.epoch.is_empty() {
            return Claim::Nowhere;
        }
        match chance.below(20) {
            0 | 1 => Claim::Nowhere,
            2 => Claim::OtherHash,
            3 => Claim::OtherJournal,
            4 => Claim::Ahead,
            _ => Claim::Known,
        }
    }

    /// Loses its connection.
    pub fn lose_connection(&mut self, story: &Story) {
        if self.line.take().is_some() {
            story.tell(|| format!("{} loses the connection", self.name));
        }
    }

    /// Acknowledges an incident that the console shows, one that does not exist, or the same again; or
    /// orders a device to do something.
    pub fn command(&mut self, chance: &mut Chance, model: &Model, story: &Story) {
        let under_way = self.requests.values().filter(|request| !request.answered);
        if under_way.count() >= REQUESTS_MAX {
            return;
        }
        let again = chance.below(4 * self.requests.len() + 1);
        if let Some((id, request)) = self.requests.iter_mut().nth(again) {
            story.tell(|| format!("{} will repeat {id}", self.name));
            (request.sent, request.answered) = (false, false);
            return;
        }
        let order = match chance.one_in(3) {
            true => operate(chance, model),
            false => self.acknowledge(chance),
        };
        self.requests_made += 1;
        let id = format!("{}.{}", self.name, self.requests_made);
        story.tell(|| format!("{id} is to be {order}"));
        let request = Request {
            order,
            sent: false,
            answered: false,
        };
        self.requests.insert(id, request);
    }

    fn acknowledge(&self, chance: &mut Chance) -> Value {
        let nonsense = chance.one_in(10);
        let place = chance.below(self.picture.len().max(1));
        let shown = self.picture.keys().nth(place).filter(|_| !nonsense);
        let incident = shown.map_or("inc-0000000000", String::as_str);
        json!({"action": "acknowledge", "incident": incident})
    }

    /// Sends what is to be sent and reads up to so many messages.
    pub fn act(&mut self, most: u64, model: &mut Model, story: &Story) -> Result<(), Broken> {
        self.send_requests();
        for _ in 0..most {
            let Some(line) = &mut self.line else {
                return Ok(());
            };
            match line.socket.hear() {
                Heard::Text(text) => self.hear(&text, model, story)?,
                Heard::Control => {}
                Heard::Nothing => return Ok(()),
                Heard::Gone => self.lose_connection(story),
            }
        }
        Ok(())
    }

    fn send_requests(&mut self) {
        let Some(line) = &mut self.line else { return };
        for (id, request) in &mut self.requests {
            if !request.sent && !request.answered {
                let mut command = request.order.clone();
                command["type"] = "command".into();
                command["request_id"] = id.as_str().into();
                request.sent = line.socket.say(&command);
            }
        }
        line.socket.flush();
    }

    fn hear(&mut self, text: &str, model: &mut Model, story: &Story) -> Result<(), Broken> {
        story.tell(|| format!("{} hears {}", self.name, &text[..text.len().min(120)]));
        match kind_of(text) {
            Kind::Welcome => self.hear_welcome(&read(text), model),
            Kind::Snapshot => self.hear_snapshot(read(text), model),
            Kind::Frame => self.hear_frame(&read(text), model),
            Kind::Folded => {
                let folded: Folded = read(text);
                model.reached("updates folded", 1);
                self.line_mut().folded = Some(folded.updates_dropped);
                self.expect_next(folded.from)
            }
            Kind::Reset => {
                model.reached("snapshot: behind", 1);
                self.line_mut().phase = Phase::Snapshot;
                Ok(())
            }
            Kind::Ok => self.hear_ok(&read(text), model),
            Kind::Refused => {
                model.reached("command refused", 1);
                self.hear_refusal(&read(text));
                Ok(())
            }
            Kind::Beat => Ok(()),
        }
    }

    fn hear_welcome(&mut self, welcome: &Welcome, model: &mut Model) -> Result<(), Broken> {
        let same = model.hash_at(welcome.seq).as_ref() == Some(&welcome.hash);
        self.expect_that(same, || {
            format!("a welcome at decision {} that never left so", welcome.seq)
        })?;
        let claim = self.line_mut().claim;
        let reason = welcome.reason.as_deref();
        let expected = match (claim, reason) {
            (Claim::Nowhere, Some("first"))
            | (Claim::Known, None | Some("too_old"))
            | (Claim::OtherHash, Some("hash_differs" | "too_old"))
            | (Claim::OtherJournal, Some("epoch_changed"))
            | (Claim::Ahead, Some("ahead")) => true,
            // Until something left, nobody can tell that a journal began anew.
            (Claim::Known | Claim::OtherHash | Claim::Ahead, Some("epoch_changed")) => {
                self.seq == 0
            }
            _ => false,
        };
        self.expect_that(expected, || {
            format!("{claim:?} at {} gave {reason:?}", self.seq)
        })?;
        model.reached(
            match (claim, reason) {
                (_, None) => "resumed",
                (_, Some("first")) => "snapshot: first",
                (_, Some("too_old")) => "snapshot: too_old",
                _ => "snapshot: a false claim",
            },
            1,
        );
        self.line_mut().epoch.clone_from(&welcome.epoch);
        self.line_mut().phase = match reason {
            None => Phase::Live,
            Some(_) => Phase::Snapshot,
        };
        Ok(())
    }

    fn hear_snapshot(&mut self, snapshot: Snapshot, model: &Model) -> Result<(), Broken> {
        let expected = self.line_mut().phase == Phase::Snapshot;
        self.expect_that(expected, || "a snapshot out of the blue".into())?;
        let same = model.hash_at(snapshot.seq).as_ref() == Some(&snapshot.hash);
        self.expect_that(same && snapshot.seq >= self.seq, || {
            format!("a snapshot at decision {} that never left so", snapshot.seq)
        })?;
        let by_id = |incident: Value| (incident["id"].as_str().unwrap().to_owned(), incident);
        let mut shown: BTreeMap<_, _> = snapshot.incidents.into_iter().map(by_id).collect();
        self.picture.clear();
        for state in model.picture_at(snapshot.seq) {
            if !self.shows(state.json) {
                continue;
            }
            let incident = shown.remove(state.id);
            let members = state.json.as_object().unwrap();
            let same = incident.is_some_and(|incident| {
                members
                    .iter()
                    .all(|(name, value)| incident.get(name) == Some(value))
            });
            self.expect_that(same, || {
                format!(
                    "the snapshot at {} does not show {} as it is",
                    snapshot.seq, state.id
                )
            })?;
            self.picture.insert(state.id.to_owned(), state.seq);
        }
        self.expect_that(shown.is_empty(), || {
            format!("the snapshot shows {shown:?} as well")
        })?;
        let listed = snapshot.sensors_silent.iter().map(|each| &each.id[..]);
        let listed: Vec<_> = listed.collect();
        let silent = model.silent_at(snapshot.seq);
        self.expect_that(listed == silent, || {
            format!("{listed:?} are said to be silent, {silent:?} are")
        })?;
        self.line_mut().phase = Phase::Live;
        self.epoch = self.line_mut().epoch.clone();
        (self.seq, self.hash) = (snapshot.seq, snapshot.hash);
        Ok(())
    }

    /// A frame must hold every decision from the last known one on, as it left, unless the
    /// operator's filter hides it or it was said to be folded into a later one.
    fn hear_frame(&mut self, frame: &Frame<'_>, model: &Model) -> Result<(), Broken> {
        self.expect_next(frame.from)?;
        let same = model.hash_at(frame.to).as_ref() == Some(&frame.hash);
        self.expect_that(same && frame.to >= frame.from, || {
            format!("a frame up to decision {} that never left so", frame.to)
        })?;
        let mut held = frame.decisions.iter().peekable();
        let mut left_out = 0;
        for seq in frame.from..=frame.to {
            let told = &model.told[seq as usize - 1];
            let incident = told.decision.verdict.incident();
            let hidden = self
                .severity_min
                .is_some_and(|least| incident.is_some_and(|incident| incident.severity < least));
            let json = held.next_if(|held| held.get().as_bytes() == &told.json[..]);
            if json.is_some() {
                self.expect_that(!hidden, || format!("decision {seq} passes the filter"))?;
                self.note(seq, model);
            } else if !hidden {
                left_out += 1;
                self.expect_that(model.may_be_folded(seq), || {
                    format!(
                        "decision {seq} is not in the frame {}–{}",
                        frame.from, frame.to
                    )
                })?;
            }
        }
        let rest = held.next();
        self.expect_that(rest.is_none(), || {
            format!("the frame holds {rest:?}, which never left")
        })?;
        let folded = self.line_mut().folded.take();
        self.expect_that(left_out == folded.unwrap_or(0), || {
            format!("{left_out} decisions are left out, {folded:?} were said to be")
        })?;
        (self.seq, self.hash) = (frame.to, frame.hash.clone());
        match folded {
            Some(_) if self.severity_min.is_none() => self.expect_picture(model),
            _ => Ok(()),
        }
    }

    /// The console shows what this decision says.
    fn note(&mut self, seq: u64, model: &Model) {
        let verdict = &model.told[seq as usize - 1].decision.verdict;
        if let Some(incident) = verdict.incident() {
            let id = incident.id.to_string();
            match verdict.word() {
                "incident_merged" => self.picture.remove(&id),
                _ => self.picture.insert(id, seq),
            };
        }
    }

    /// After folded updates the picture is the same as after all of them.
    fn expect_picture(&self, model: &Model) -> Result<(), Broken> {
        for state in model.picture_at(self.seq) {
            let known = self.picture.get(state.id).copied();
            let same =
                known.is_some_and(|known| model.state_at(state.id, known) == Some(state.json));
            self.expect_that(same, || {
                format!(
                    "{} is shown as of {known:?}, but it is of {}",
                    state.id, state.seq
                )
            })?;
        }
        Ok(())
    }

    fn hear_ok(&mut self, done: &Done, model: &mut Model) -> Result<(), Broken> {
        let Done { request_id, seq } = done;
        let released = *seq <= model.last();
        let request = self.requests.get_mut(request_id);
        let request = request.expect("only requests are answered");
        request.answered = true;
        let again = model.answered.contains_key(request_id);
        model.answered.entry(request_id.clone()).or_insert(*seq);
        let came_to = match again {
            true => "command answered again",
            false => "command answered",
        };
        model.reached(came_to, 1);
        expect(released, Promise::AnsweredCommandsHold, || {
            format!("{request_id} is done as of decision {seq}, which has not left")
        })
    }

    fn hear_refusal(&mut self, refused: &Refused) {
        let request = self.requests.get_mut(&refused.request_id);
        let request = request.expect("only requests are answered");
        match &refused.code[..] {
            // To be sent again.
            "busy" | "stopping" | "storage_full" => request.sent = false,
            _ => request.answered = true,
        }
    }

    fn shows(&self, incident: &Value) -> bool {
        self.severity_min.is_none_or(|least| {
            let word = incident["severity"].as_str().unwrap();
            Severity::from_word(word).unwrap() >= least
        })
    }

    fn line_mut(&mut self) -> &mut Line {
        self.line.as_mut().expect("a message comes on a connection")
    }

    fn expect_next(&self, from: u64) -> Result<(), Broken> {
        self.expect_that(from == self.seq + 1, || {
            format!("after decision {} comes {from}", self.seq)
        })
    }

    fn expect_that(&self, holds: bool, how: impl FnOnce() -> String) -> Result<(), Broken> {
        expect(holds, P4, || format!("{}: {}", self.name, how()))
    }
}

/// An order to a device, perhaps in the place of the one that is under way there.
fn operate(chance: &mut Chance, model: &Model) -> Value {
    let (device, _) = ACTUATORS[chance.below(ACTUATORS.len())];
    let not_after_s = [0.05, 1.0, 20.0][chance.below(3)];
    let mut order = json!({"action": "operate", "actuator": device, "command": COMMAND,
        "not_after_s": not_after_s});
    if let Some(key) = model.under_way(device)
        && chance.one_in(2)
    {
        order["replaces"] = key.to_string().into();
    }
    order
}
