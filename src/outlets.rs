//! Where released decisions go: the window, MQTT subscribers, the list of dead letters, the book of
//! commands that are to be sent.

use ioc_core::CodecError;
use ioc_core::decision::{Decision, Released};
use ioc_gateway::commands::CommandBook;
use ioc_gateway::dead_letters::DeadLetters;
use ioc_gateway::mqtt;
use ioc_ws::{Published, Window};

use crate::snapshots::Snapshot;
use crate::snapshots::follower::restore_letters;
use crate::telemetry;
use crate::writer::{Outlet, OwnedDeadLetter};

/// All of them.
#[derive(Debug, Clone)]
pub struct Outlets {
    window: Window,
    /// What MQTT clients subscribe to.
    pub mqtt: mqtt::Deliveries,
    /// The messages that could not be read.
    pub dead_letters: DeadLetters,
    /// The commands to devices.
    pub commands: CommandBook,
}

impl Outlets {
    /// Outlets to this window, nobody subscribed yet.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            mqtt: mqtt::Deliveries::default(),
            dead_letters: DeadLetters::default(),
            commands: CommandBook::default(),
        }
    }
}

impl Outlet for Outlets {
    fn release(&mut self, decisions: Vec<Released>) {
        let published: Vec<_> = decisions.into_iter().map(Published::new).collect();
        for each in &published {
            telemetry::released(each.decision.verdict.word());
            if let Some(command) = each.decision.verdict.command() {
                self.commands.follow(command);
            }
            self.mqtt.decision(zone_of(&each.decision), &each.json);
        }
        self.window.release(published);
    }

    fn resume(&mut self, snapshot: &Snapshot) -> Result<(), CodecError> {
        let view = &snapshot.view;
        self.window.restore(view.format, &view.bytes)?;
        restore_letters(&snapshot.letters, &self.dead_letters)
    }

    fn dead_letter(&mut self, letter: &OwnedDeadLetter) {
        letter.note(&self.dead_letters);
    }
}

/// The zone that a decision is published under; `_` for what concerns none.
pub(crate) fn zone_of(decision: &Decision) -> &str {
    let incident = decision.verdict.incident().map(|incident| &incident.zone);
    let sensor = || decision.verdict.sensor().map(|sensor| &sensor.zone);
    let command = || decision.verdict.command().map(|command| &command.zone);
    let zone = incident.or_else(sensor).or_else(command);
    zone.map_or("_", |zone| zone.as_str())
}
