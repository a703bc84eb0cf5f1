//! Promises broken on purpose, on the way from the engine to the writer and from there to the
//! window: does the simulation notice?

use ioc::journal::Mark;
use ioc::writer::Work;
use ioc_core::decision::{CommandState, EffectClass, Released};

use super::model::SharedModel;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    None,
    /// Acknowledgements leave before their records are durable.
    AcknowledgeBeforeDurable,
    /// Decisions leave before the records that they follow from are durable.
    ReleaseBeforeDurable,
    /// Commands are answered before they are durable.
    AnswerBeforeDurable,
    /// Batches do not say what had been decided before them.
    ForgetTheMark,
    /// Some messages are durable, but nobody is told.
    ForgetAcknowledgements,
    /// Of several decisions at once the window is not told one.
    HideADecision,
    /// What comes while telemetry is folded goes into no record, and is acknowledged.
    LoseWhatIsFolded,
    /// A start takes what may be sent once for what may be sent again.
    ForgetTheEffect,
}

impl Sabotage {
    /// The work as the writer gets it.
    pub fn spoil(self, mut work: Work, model: &SharedModel) -> Work {
        match &mut work {
            Work::Append(append) if self == Self::ForgetTheMark => append.mark = Mark::default(),
            Work::Append(_) => {}
            Work::Release(release) => match self {
                Self::AcknowledgeBeforeDurable => {
                    release.acks.drain(..).for_each(|ack| ack.settle());
                }
                Self::ReleaseBeforeDurable => {
                    let mut model = model.lock().unwrap();
                    let decisions = release.decisions.iter();
                    decisions.for_each(|each| model.released(each));
                }
                Self::AnswerBeforeDurable => {
                    for (sender, outcome) in release.answers.drain(..) {
                        // Whoever asked may have gone.
                        let _ = sender.send(outcome);
                    }
                }
                Self::ForgetAcknowledgements => std::mem::forget(release.acks.pop()),
                Self::HideADecision
                | Self::LoseWhatIsFolded
                | Self::ForgetTheMark
                | Self::ForgetTheEffect
                | Self::None => {}
            },
        }
        work
    }

    /// A command as a start finds it.
    pub fn recover(self, command: &CommandState) -> CommandState {
        let effect = match self {
            Self::ForgetTheEffect => EffectClass::Idempotent,
            _ => command.effect,
        };
        CommandState {
            effect,
            ..command.clone()
        }
    }

    /// The decisions as the window is told them.
    pub fn hide(self, mut decisions: Vec<Released>) -> Vec<Released> {
        if self == Self::HideADecision && decisions.len() > 2 {
            decisions.remove(1);
        }
        decisions
    }
}
