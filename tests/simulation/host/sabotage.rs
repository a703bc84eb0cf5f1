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
}

impl Sabotage {
    /// The work as the writer gets it.
    pub fn spoil(self, mut work: Work, model: &SharedModel) -> Work {
        match (self, &mut work) {
            (Self::AcknowledgeBeforeDurable, Work::Release(release)) => {
                release.acks.drain(..).for_each(|ack| ack.settle());
            }
            (Self::ReleaseBeforeDurable, Work::Release(release)) => {
                let mut model = model.lock().unwrap();
                release
                    .decisions
                    .iter()
                    .for_each(|each| model.released(each));
            }
            (Self::AnswerBeforeDurable, Work::Release(release)) => {
                for (sender, outcome) in release.answers.drain(..) {
                    let _ = sender.send(outcome);
                }
            }
            (Self::ForgetTheMark, Work::Append(append)) => append.mark = Mark::default(),
            _ => {}
        }
        work
    }
}
