//! A publisher and its connection to the door: it sends, and sends again what was not acknowledged.
//!
//! It behaves as an MQTT client with QoS 1 and a persistent session may: after a lost connection it
//! begins with what it has no acknowledgement of, in order or not, and now and then it repeats what
//! was acknowledged long ago, or sends what is no reading at all.

use std::collections::VecDeque;
use std::sync::Arc;

use ioc_gateway::door::{Door, Inputs, Ledger, NotHandedOver};
use ioc_gateway::formats::native::Scratch;
use ioc_gateway::formats::{Origin, append_native};

use super::model::{Model, Sent};
use super::story::Story;
use super::workload::Message;
use crate::chance::Chance;

/// How many acknowledged messages it remembers, to repeat them.
const REPEATABLE_MAX: usize = 32;
/// How many messages it hands over at once, at most.
const AT_ONCE_MAX: usize = 6;
/// How many may be under way.
const IN_FLIGHT_MAX: usize = 24;

/// One publisher.
#[derive(Debug)]
pub struct Publisher {
    name: String,
    /// What is to be sent, oldest first.
    backlog: VecDeque<Message>,
    /// What was acknowledged of late.
    repeatable: VecDeque<Message>,
    line: Option<Line>,
}

/// A connection.
#[derive(Debug)]
struct Line {
    /// Its number in the model.
    connection: usize,
    ledger: Arc<Ledger>,
    handed: u64,
    /// What has no acknowledgement yet, with how many were handed over up to it.
    in_flight: VecDeque<(u64, Message)>,
    scratch: Scratch,
}

impl Publisher {
    /// A publisher without a connection.
    pub fn new(name: String) -> Self {
        Self {
            name,
            backlog: VecDeque::new(),
            repeatable: VecDeque::new(),
            line: None,
        }
    }

    /// Something was measured.
    pub fn publish(&mut self, message: Message) {
        self.backlog.push_back(message);
    }

    /// Whether all is acknowledged.
    pub fn is_settled(&self) -> bool {
        self.backlog.is_empty() && self.nothing_under_way()
    }

    /// Whether all that was handed over is acknowledged.
    pub fn nothing_under_way(&self) -> bool {
        self.line
            .as_ref()
            .is_none_or(|line| line.in_flight.is_empty())
    }

    /// Hands over some of what is to be sent, on a new connection if there is none.
    pub fn send(&mut self, door: &Door, chance: &mut Chance, model: &mut Model, story: &Story) {
        let line = self.line.get_or_insert_with(|| Line::new(model));
        let room = IN_FLIGHT_MAX.saturating_sub(line.in_flight.len());
        let count = room.min(1 + chance.below(AT_ONCE_MAX));
        let messages: Vec<_> = self
            .backlog
            .drain(..count.min(self.backlog.len()))
            .collect();
        if messages.is_empty() {
            return;
        }
        if !line.hand_over(&messages, door, model) {
            messages
                .into_iter()
                .rev()
                .for_each(|message| self.backlog.push_front(message));
            return;
        }
        let (name, connection) = (&self.name, line.connection);
        story.tell(|| {
            let sent: Vec<_> = messages.iter().map(Message::to_string).collect();
            format!(
                "{name} hands over on connection {connection}: {}",
                sent.join(", ")
            )
        });
        let from = line.handed - messages.len() as u64;
        let numbered = (from + 1..).zip(messages);
        line.in_flight.extend(numbered);
    }

    /// Hears which messages are acknowledged.
    pub fn hear(&mut self, model: &mut Model, story: &Story) {
        let Some(line) = &mut self.line else { return };
        let settled = line.ledger.settled();
        let acknowledged = &mut model.connections[line.connection].acknowledged;
        if settled as usize > *acknowledged {
            *acknowledged = settled as usize;
            let (name, connection) = (&self.name, line.connection);
            story.tell(|| format!("{name} is acknowledged {settled} of connection {connection}"));
        }
        while let Some((_, message)) = line.in_flight.pop_front_if(|(upto, _)| *upto <= settled) {
            self.repeatable.push_back(message);
            if self.repeatable.len() > REPEATABLE_MAX {
                self.repeatable.pop_front();
            }
        }
    }

    /// Loses its connection, if it has one: what has no acknowledgement is to be sent again.
    pub fn lose_connection(&mut self, chance: &mut Chance, model: &mut Model, story: &Story) {
        let Some(line) = self.line.take() else { return };
        story.tell(|| format!("{} loses connection {}", self.name, line.connection));
        let mut again: Vec<_> = line
            .in_flight
            .into_iter()
            .map(|(_, message)| message)
            .collect();
        model.reached("reading sent again", again.len() as u64);
        if chance.one_in(3) {
            shuffle(&mut again, chance);
        }
        again
            .into_iter()
            .rev()
            .for_each(|message| self.backlog.push_front(message));
    }

    /// Repeats something that was acknowledged.
    pub fn repeat(&mut self, chance: &mut Chance) {
        if !self.repeatable.is_empty() {
            let place = chance.below(self.repeatable.len());
            self.backlog.push_back(self.repeatable[place].clone());
        }
    }
}

impl Line {
    fn new(model: &mut Model) -> Self {
        model.connections.push(Default::default());
        Self {
            connection: model.connections.len() - 1,
            ledger: Arc::default(),
            handed: 0,
            in_flight: VecDeque::new(),
            scratch: Scratch::default(),
        }
    }

    /// Whether the door took them.
    fn hand_over(&mut self, messages: &[Message], door: &Door, model: &mut Model) -> bool {
        let mut inputs = Inputs::default();
        let mut sent: Vec<Sent> = Vec::new();
        for (place, message) in (self.handed..).zip(messages) {
            let payload = message.payload(self.connection, place);
            let origin = Origin {
                source: "mqtt simulated",
                topic: "ioc/v1/readings",
            };
            let catalogue = door.catalogue();
            // What is no reading becomes a dead letter in its place.
            let _ = append_native(
                &mut inputs,
                payload.as_bytes(),
                None,
                origin,
                &catalogue,
                &mut self.scratch,
            );
            sent.push(message.sent(payload));
            if matches!(message, Message::Garbage(_)) {
                model.reached("garbage sent", 1);
            }
        }
        let upto = self.handed + messages.len() as u64;
        match door.try_hand_over(inputs, &self.ledger, upto) {
            Ok(()) => {
                self.handed = upto;
                model.connections[self.connection].handed.extend(sent);
                true
            }
            Err(NotHandedOver::Full(_)) => {
                model.reached("the door was full", 1);
                false
            }
            Err(NotHandedOver::Closed) => false,
        }
    }
}

fn shuffle(messages: &mut [Message], chance: &mut Chance) {
    for last in (1..messages.len()).rev() {
        messages.swap(last, chance.below(last + 1));
    }
}
