//! Promises broken on purpose, on the way between engine and writer: does the simulation notice?

use ioc::journal::Mark;
use ioc::writer::Work;

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
    /// Of several decisions at once one is journaled, but not shown.
    HideADecision,
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
                Self::HideADecision if release.decisions.len() > 2 => {
                    drop(release.decisions.remove(1));
                }
                Self::HideADecision | Self::ForgetTheMark | Self::None => {}
            },
        }
        work
    }
}
