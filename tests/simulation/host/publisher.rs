//! A publisher and its connection to the door: it sends, and sends again what was not acknowledged.
//!
//! What it sends while the telemetry lane is full is folded, as an adapter does it.
//!
//! It behaves as an MQTT client with QoS 1 and a persistent session may: after a lost connection it
//! begins with what it has no acknowledgement of, in order or not, and now and then it repeats what
//! was acknowledged long ago, or sends what is no reading at all.

use std::collections::VecDeque;
use std::sync::Arc;

use ioc_gateway::door::{Counts, Door, Encoded, Inputs, Lane, Lanes, Ledger, NotHandedOver};
use ioc_gateway::formats::native::Scratch;
use ioc_gateway::formats::{Origin, append_native};

use super::model::Model;
use super::sabotage::Sabotage;
use super::story::Story;
use super::workload::Message;
use crate::chance::Chance;

/// How many acknowledged messages it remembers, to repeat them.
const REPEATABLE_MAX: usize = 32;
/// How many messages it hands over at once, at most.
const AT_ONCE_MAX: usize = 6;

/// One publisher.
#[derive(Debug)]
pub struct Publisher {
    name: String,
    /// What is to be sent, oldest first.
    backlog: VecDeque<Message>,
    /// What was acknowledged of late.
    repeatable: VecDeque<Message>,
    line: Option<Line>,
    /// How many may be under way.
    in_flight_max: usize,
    sabotage: Sabotage,
}

/// A connection.
#[derive(Debug)]
struct Line {
    /// Its number in the model.
    connection: usize,
    ledger: Arc<Ledger>,
    inputs: Inputs,
    /// How many inputs went to the door.
    handed_over: Counts,
    /// What found the door full.
    waiting: Lanes<Option<(Encoded, u64)>>,
    /// What has no acknowledgement yet, with how many inputs there were up to it.
    in_flight: VecDeque<(Counts, Message)>,
    scratch: Scratch,
}

impl Publisher {
    /// A publisher without a connection.
    pub fn new(name: String, in_flight_max: usize, sabotage: Sabotage) -> Self {
        Self {
            name,
            backlog: VecDeque::new(),
            repeatable: VecDeque::new(),
            line: None,
            in_flight_max,
            sabotage,
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

    /// Hands over some of what is to be sent, on a new connection if there is none. What finds its
    /// lane full waits there, while the other lane goes on.
    pub fn send(&mut self, door: &Door, chance: &mut Chance, model: &mut Model, story: &Story) {
        let line = self.line.get_or_insert_with(|| Line::new(model));
        let room = self.in_flight_max.saturating_sub(line.in_flight.len());
        let count = room.min(1 + chance.below(AT_ONCE_MAX));
        let count = count.min(self.backlog.len());
        let messages: Vec<_> = self.backlog.drain(..count).collect();
        let (name, connection) = (&self.name, line.connection);
        if !messages.is_empty() {
            story.tell(|| {
                let sent: Vec<_> = messages.iter().map(Message::to_string).collect();
                let sent = sent.join(", ");
                format!("{name} sends on connection {connection}: {sent}")
            });
        }
        for message in messages {
            line.take(message, door, self.sabotage, model);
        }
        line.hand_over(door, model);
    }

    /// Hands over what it has decoded, as a connection that ends does.
    pub fn hand_over(&mut self, door: &Door, model: &mut Model) {
        if let Some(line) = &mut self.line {
            line.hand_over(door, model);
        }
    }

    /// Hears which messages are acknowledged.
    pub fn hear(&mut self, model: &mut Model, story: &Story) {
        let Some(line) = &mut self.line else { return };
        let settled = line.ledger.settled();
        let mut heard = 0;
        while let Some((_, message)) = line
            .in_flight
            .pop_front_if(|(upto, _)| settled.cover(*upto))
        {
            heard += 1;
            self.repeatable.push_back(message);
            if self.repeatable.len() > REPEATABLE_MAX {
                self.repeatable.pop_front();
            }
        }
        let acknowledged = &mut model.connections[line.connection].acknowledged;
        *acknowledged += heard;
        if heard > 0 {
            let (name, connection) = (&self.name, line.connection);
            story.tell(|| {
                format!("{name} is acknowledged {acknowledged} of connection {connection}")
            });
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
            inputs: Inputs::default(),
            handed_over: Counts::default(),
            waiting: Lanes::default(),
            in_flight: VecDeque::new(),
            scratch: Scratch::default(),
        }
    }

    /// Decodes a message, as an adapter does.
    fn take(&mut self, message: Message, door: &Door, sabotage: Sabotage, model: &mut Model) {
        let handed = &mut model.connections[self.connection].handed;
        let payload = message.payload(self.connection, handed.len());
        let origin = Origin {
            source: "mqtt simulated",
            topic: "ioc/v1/readings",
        };
        let would_be_folded = self.waiting.telemetry.is_some();
        if !(would_be_folded && sabotage == Sabotage::LoseWhatIsFolded) {
            // What is no reading becomes a dead letter in its place.
            let _ = append_native(
                &mut self.inputs,
                payload.as_bytes(),
                None,
                origin,
                &door.catalogue(),
                &mut self.scratch,
            );
        }
        handed.push(message.sent(payload));
        if matches!(message, Message::Garbage(_)) {
            model.reached("garbage sent", 1);
        }
        let upto = self.handed_over + self.waiting_counts() + self.inputs.counts();
        self.in_flight.push_back((upto, message));
    }

    fn waiting_counts(&self) -> Counts {
        Lanes::each(|lane| {
            let waiting = self.waiting.of(lane).as_ref();
            waiting.map_or(0, |(inputs, _)| u64::from(inputs.count()))
        })
    }

    /// Hands over what has room at the door.
    fn hand_over(&mut self, door: &Door, model: &mut Model) {
        if self.waiting.telemetry.is_some() && self.inputs.fold(0) > 0 {
            model.reached("telemetry folded", 1);
        }
        for lane in Lane::ALL {
            let upto = *self.handed_over.of(lane);
            let (inputs, upto) = self.waiting.of_mut(lane).take().unwrap_or_else(|| {
                let inputs = self.inputs.take(lane);
                let upto = upto + u64::from(inputs.count());
                (inputs, upto)
            });
            if inputs.is_empty() {
                continue;
            }
            match door.try_hand_over(lane, inputs, &self.ledger, upto) {
                Ok(()) => *self.handed_over.of_mut(lane) = upto,
                Err(NotHandedOver::Full(inputs)) => {
                    model.reached("the door was full", 1);
                    *self.waiting.of_mut(lane) = Some((inputs, upto));
                }
                Err(NotHandedOver::Closed) => {}
            }
        }
    }
}

fn shuffle(messages: &mut [Message], chance: &mut Chance) {
    for last in (1..messages.len()).rev() {
        messages.swap(last, chance.below(last + 1));
    }
}
