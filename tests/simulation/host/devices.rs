//! Devices behind a broker of the world's own: they hear commands, and answer late, twice or never.
//!
//! Arrives: what the host publishes. Leaves: feedback through the door. Promise: what reaches a
//! device is compared with the model at once: its order has left, nobody has answered it, its time
//! is not up; and what may be sent once has been sent to nobody before, in no life of the host.
//! Devices and their broker survive the host; a connection to it does not.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use ioc_core::decision::{AnswerWord, CommandState, EffectClass, Progress};
use ioc_core::id::CommandKey;
use ioc_gateway::brokers::Links;
use ioc_gateway::brokers::links::Link;
use ioc_gateway::catalogue::Now;
use ioc_gateway::commands::{self, Attempt, Broken as LinkBroken, CommandBook, Way};
use ioc_gateway::door::{Counts, Door, Inputs, Lane, Ledger};
use ioc_gateway::formats::{Message, Workspace, append_message};

use super::model::{Broken, Model, Promise, SharedModel, expect};
use super::story::Story;
use crate::chance::Chance;

/// How many commands devices remember, to answer them again.
const REMEMBERED_MAX: usize = 16;

/// What a device may say, the good more often.
const WORDS: [AnswerWord; 6] = [
    AnswerWord::Accepted,
    AnswerWord::Accepted,
    AnswerWord::Done,
    AnswerWord::Done,
    AnswerWord::Rejected,
    AnswerWord::Failed,
];

/// A command that has reached its device.
#[derive(Debug, Clone)]
pub struct Heard {
    key: CommandKey,
    device: String,
}

/// What the broker has for the devices: shared by all lives of the host.
pub type Broker = Arc<Mutex<VecDeque<Heard>>>;

/// The host's side of the way to the broker: futures that run when the world says so.
pub struct Sender(Vec<Pin<Box<dyn Future<Output = ()>>>>);

impl Sender {
    /// Begins to send what this book has, as the host does it.
    pub fn new(book: &CommandBook, door: &Door, now: &Now, to: (&Broker, &SharedModel)) -> Self {
        let (broker, model) = (Arc::clone(to.0), Arc::clone(to.1));
        let way = ToBroker {
            link: Links::default().add("devices"),
            broker,
            model,
        };
        let starting = commands::start(book.clone(), door.clone(), now.clone(), pending());
        let (book, now) = (book.clone(), now.clone());
        let sending = async move { commands::over(&way, &book, &now, pending()).await };
        Self(vec![Box::pin(starting), Box::pin(sending)])
    }

    /// Goes on as far as it can. Precondition: within a runtime.
    pub fn step(&mut self) {
        let context = &mut Context::from_waker(Waker::noop());
        // What has ended has no engine any more.
        self.0
            .retain_mut(|future| future.as_mut().poll(context).is_pending());
    }
}

struct ToBroker {
    link: Link,
    broker: Broker,
    model: SharedModel,
}

impl Way for ToBroker {
    const WORD: &'static str = "simulated";
    type Connection = ();

    fn link(&self) -> &Link {
        &self.link
    }

    async fn connect(&self) -> Result<(), LinkBroken> {
        Ok(())
    }

    async fn publish(
        &self,
        (): &mut (),
        due: &[Arc<CommandState>],
        now: &Now,
    ) -> Result<Vec<Attempt>, LinkBroken> {
        let mut model = self.model.lock().unwrap();
        let mut broker = self.broker.lock().unwrap();
        for command in due {
            let checked = check(command, now, &mut model);
            model.check(checked);
            broker.push_back(Heard {
                key: command.key,
                device: command.actuator.to_string(),
            });
        }
        Ok(vec![Attempt::Made; due.len()])
    }

    async fn broken((): &mut ()) -> LinkBroken {
        pending().await
    }
}

/// Whether this one may reach its device now.
fn check(command: &CommandState, now: &Now, model: &mut Model) -> Result<(), Broken> {
    const PROMISE: Promise = Promise::CommandsReachDevicesAsOrdered;
    let (key, now) = (command.key, now.now());
    model.reached("command reached its device", 1);
    let left = model.commands.get(&key);
    let (progress, effect) = left.map(|left| (left.progress, left.effect)).unzip();
    expect(progress == Some(Progress::Sent), PROMISE, || {
        format!("{key} reaches its device, and what left of it last is {progress:?}")
    })?;
    expect(command.not_after > now, PROMISE, || {
        format!(
            "{key} reaches its device at {now}, after {}",
            command.not_after
        )
    })?;
    let is_first = model.reached_devices.insert(key);
    let may_again = effect == Some(EffectClass::Idempotent);
    if !is_first {
        model.reached("command sent again", 1);
    }
    expect(is_first || may_again, PROMISE, || {
        format!("{key} may be sent once, and reaches its device again")
    })
}

/// All devices, and their connection to the door.
#[derive(Debug, Default)]
pub struct Devices {
    /// What was heard of late.
    heard: VecDeque<Heard>,
    line: Option<Line>,
}

/// What was said since the host began.
#[derive(Debug, Default)]
struct Line {
    ledger: Arc<Ledger>,
    said: u64,
    unsettled: VecDeque<(u64, CommandKey, AnswerWord)>,
}

impl Devices {
    /// Hear what the broker has, and perhaps answer something.
    pub fn act(
        &mut self,
        (broker, door): (&Broker, &Door),
        chance: &mut Chance,
        model: &mut Model,
        story: &Story,
    ) {
        for heard in broker.lock().unwrap().drain(..) {
            story.tell(|| format!("{} hears {}", heard.device, heard.key));
            self.heard.push_back(heard);
        }
        while self.heard.len() > REMEMBERED_MAX {
            self.heard.pop_front();
        }
        if !self.heard.is_empty() && chance.one_in(2) {
            let heard = self.heard[chance.below(self.heard.len())].clone();
            self.answer(&heard, WORDS[chance.below(WORDS.len())], door, model, story);
        }
        self.settle(model);
    }

    fn answer(
        &mut self,
        heard: &Heard,
        word: AnswerWord,
        door: &Door,
        model: &mut Model,
        story: &Story,
    ) {
        let catalogue = door.catalogue();
        if !catalogue.commands.is_of(heard.key, &heard.device) {
            // It would be a dead letter, and rightly so.
            return;
        }
        let payload = format!(r#"{{"key":"{}","state":"{}"}}"#, heard.key, word.word());
        let topic = format!("ioc/v1/feedback/{}", heard.device);
        let message = Message {
            topic: &topic,
            payload: payload.as_bytes(),
            ..Message::default()
        };
        let (mut inputs, workspace) = (Inputs::default(), &mut Workspace::default());
        append_message(
            &mut inputs,
            message,
            "devices",
            &catalogue,
            workspace,
            &mut |_| {},
        );
        let line = self.line.get_or_insert_default();
        let urgent = inputs.take(Lane::Urgent);
        let upto = line.said + 1;
        if door
            .try_hand_over(Lane::Urgent, urgent, &line.ledger, upto)
            .is_err()
        {
            return;
        }
        story.tell(|| format!("{} says {} of {}", heard.device, word.word(), heard.key));
        line.said = upto;
        line.unsettled.push_back((upto, heard.key, word));
        model.feedback.insert((heard.key, word.word()));
    }

    /// Hears what of it is acknowledged.
    fn settle(&mut self, model: &mut Model) {
        let Some(line) = &mut self.line else { return };
        let Counts { urgent, .. } = line.ledger.settled();
        while let Some((_, key, word)) = line.unsettled.pop_front_if(|(upto, ..)| *upto <= urgent) {
            model.reached("feedback acknowledged", 1);
            model.feedback_acknowledged.insert((key, word.word()));
        }
    }

    /// Lose their connection, after they may have heard what was acknowledged.
    pub fn lose_connection(&mut self, model: &mut Model) {
        self.settle(model);
        self.line = None;
    }
}
