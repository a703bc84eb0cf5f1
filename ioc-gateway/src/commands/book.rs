//! The commands that the host knows: those under way, and the last ones that are over.
//!
//! Arrives: the commands of a recovered state, then each command as a released decision leaves it.
//! Leaves: what is to be sent; whether an answer belongs to a command. Bounded as the core is: by
//! [`COMMANDS_PENDING_MAX`](ioc_core::limits::COMMANDS_PENDING_MAX) and
//! [`COMMANDS_REMEMBERED`]. Next: `commands/start.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ioc_core::decision::{CommandState, EffectClass, Progress};
use ioc_core::id::{ActuatorId, CommandKey};
use ioc_core::limits::COMMANDS_REMEMBERED;
use ioc_core::time::Timestamp;
use tokio::sync::watch;

/// All of them: cheap to clone, one for the process.
#[derive(Debug, Clone)]
pub struct CommandBook(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    /// Counts what changed, for those who send.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    under_way: BTreeMap<CommandKey, UnderWay>,
    over: BTreeMap<CommandKey, ActuatorId>,
    /// The keys of those that are over, oldest first.
    over_in_order: VecDeque<CommandKey>,
}

#[derive(Debug)]
struct UnderWay {
    command: Arc<CommandState>,
    start: Start,
}

/// Whether it may be sent, as far as its effect's class says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// As often as need be.
    Free,
    /// Once, when it is durable that it is about to be.
    Asked,
    /// Once, from now on.
    Durable,
    /// Not any more: it may have been, before this process began.
    Past,
}

impl Default for CommandBook {
    fn default() -> Self {
        Self(Arc::new(Shared {
            table: Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }
}

impl CommandBook {
    /// Begins with what a recovered state knows: the commands under way, each with whether it has
    /// been begun to be sent; and those that are over, oldest first.
    pub fn begin<'a>(
        &self,
        under_way: impl Iterator<Item = (&'a CommandState, bool)>,
        over: impl Iterator<Item = &'a CommandState>,
    ) {
        let mut table = self.lock();
        *table = Table::default();
        over.for_each(|command| table.put_over(command));
        for (command, is_started) in under_way {
            let start = match (command.effect, is_started) {
                (EffectClass::Idempotent, _) => Start::Free,
                (EffectClass::AtMostOnce, false) => Start::Asked,
                (EffectClass::AtMostOnce, true) => Start::Past,
            };
            let command = Arc::new(command.clone());
            let under_way = UnderWay { command, start };
            table.under_way.insert(under_way.command.key, under_way);
        }
        drop(table);
        self.changed();
    }

    /// Takes a command as a released decision leaves it.
    pub fn follow(&self, command: &CommandState) {
        let mut table = self.lock();
        let before = table.under_way.remove(&command.key);
        if command.is_over() {
            table.put_over(command);
        } else {
            let start = before.map(|before| before.start);
            let start = start.unwrap_or(match command.effect {
                EffectClass::Idempotent => Start::Free,
                EffectClass::AtMostOnce => Start::Asked,
            });
            let command = Arc::new(command.clone());
            let under_way = UnderWay { command, start };
            table.under_way.insert(under_way.command.key, under_way);
        }
        drop(table);
        self.changed();
    }

    /// Whether a command of this key was sent to this device, and may still be answered.
    pub fn is_of(&self, key: CommandKey, device: &str) -> bool {
        let table = self.lock();
        let under_way = table.under_way.get(&key).map(|each| &each.command.actuator);
        let actuator = under_way.or_else(|| table.over.get(&key));
        actuator.is_some_and(|actuator| actuator.as_str() == device)
    }

    /// What is to be sent now, in the order of the orders.
    pub(super) fn to_send(&self, now: Timestamp) -> Vec<Arc<CommandState>> {
        let table = self.lock();
        let to_send = table.under_way.values().filter(|each| {
            matches!(each.start, Start::Free | Start::Durable)
                && each.command.progress == Progress::Sent
                && each.command.not_after > now
        });
        let mut to_send: Vec<_> = to_send.map(|each| Arc::clone(&each.command)).collect();
        to_send.sort_by_key(|command| (command.ordered_at, command.key));
        to_send
    }

    /// Whether this one is to be sent still.
    pub(super) fn is_to_send(&self, key: CommandKey) -> bool {
        let table = self.lock();
        let under_way = table.under_way.get(&key);
        under_way.is_some_and(|each| each.command.progress == Progress::Sent)
    }

    /// What may be sent once, and of which that is to be made durable first.
    pub(super) fn to_start(&self, now: Timestamp) -> Vec<CommandKey> {
        let table = self.lock();
        let to_start = table.under_way.values().filter(|each| {
            each.start == Start::Asked
                && each.command.progress == Progress::Sent
                && each.command.not_after > now
        });
        to_start.map(|each| each.command.key).collect()
    }

    /// It is durable that this one is about to be sent.
    pub(super) fn is_durable(&self, key: CommandKey) {
        if let Some(under_way) = self.lock().under_way.get_mut(&key)
            && under_way.start == Start::Asked
        {
            under_way.start = Start::Durable;
        }
        self.changed();
    }

    /// Something to wait on for changes.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic while it was held cannot have left the table in a bad state.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn put_over(&mut self, command: &CommandState) {
        if self
            .over
            .insert(command.key, command.actuator.clone())
            .is_some()
        {
            return;
        }
        self.over_in_order.push_back(command.key);
        if self.over_in_order.len() > COMMANDS_REMEMBERED
            && let Some(oldest) = self.over_in_order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::command;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn once(actuator: &str) -> CommandState {
        CommandState {
            effect: EffectClass::AtMostOnce,
            ..command(actuator)
        }
    }

    fn sent(book: &CommandBook, now: Timestamp) -> Vec<String> {
        let to_send = book.to_send(now);
        to_send
            .iter()
            .map(|each| each.actuator.to_string())
            .collect()
    }

    #[test]
    fn inv_30_a_command_is_to_be_sent_until_its_device_answers_or_its_time_is_up() {
        let book = CommandBook::default();
        let gate = command("gate");
        book.follow(&gate);
        assert_eq!(sent(&book, NOW), ["gate"]);
        assert_eq!(sent(&book, gate.not_after), [""; 0]);
        let accepted = CommandState {
            progress: Progress::Accepted,
            ..gate.clone()
        };
        book.follow(&accepted);
        assert_eq!(sent(&book, NOW), [""; 0]);
        assert!(book.is_of(gate.key, "gate") && !book.is_of(gate.key, "sign"));
        let done = CommandState {
            progress: Progress::Done,
            ..gate.clone()
        };
        book.follow(&done);
        assert!(book.is_of(gate.key, "gate"), "it may answer late");
    }

    #[test]
    fn what_may_be_sent_once_waits_for_its_record_and_is_not_sent_after_a_restart() {
        let book = CommandBook::default();
        let siren = once("siren");
        book.follow(&siren);
        assert_eq!(sent(&book, NOW), [""; 0]);
        assert_eq!(book.to_start(NOW), [siren.key]);
        assert_eq!(book.to_start(siren.not_after), []);
        book.is_durable(siren.key);
        assert_eq!(sent(&book, NOW), ["siren"]);
        assert_eq!(book.to_start(NOW), []);
        book.begin(
            [(&siren, true), (&once("horn"), false)].into_iter(),
            std::iter::empty(),
        );
        assert_eq!(sent(&book, NOW), [""; 0]);
        assert_eq!(book.to_start(NOW), [once("horn").key]);
        book.is_durable(siren.key);
        assert_eq!(
            sent(&book, NOW),
            [""; 0],
            "nobody knows whether it was sent"
        );
    }

    #[test]
    fn p5_of_commands_that_are_over_the_last_may_be_answered() {
        let book = CommandBook::default();
        let over = |number: usize| CommandState {
            progress: Progress::Expired,
            ..command(&format!("gate-{number}"))
        };
        for number in 0..=COMMANDS_REMEMBERED {
            book.follow(&over(number));
        }
        assert!(!book.is_of(over(0).key, "gate-0"));
        assert!(book.is_of(over(1).key, "gate-1"));
        assert_eq!(book.lock().over.len(), COMMANDS_REMEMBERED);
    }
}
