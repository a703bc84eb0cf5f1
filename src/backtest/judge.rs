//! One judgement of a backtest: takes inputs, judges them in batches, keeps the story.
//!
//! Next: `story.rs`.

use std::io::Write;
use std::sync::Arc;

use ioc_core::bundle::{Bundle, Test};
use ioc_core::counters::RuleCounters;
use ioc_core::decision::{Decision, Verdict};
use ioc_core::id::RuleId;
use ioc_core::judgement::Judgement;
use ioc_core::record::{Input, Record, Records, Seq};
use ioc_core::time::Timestamp;
use ioc_gateway::catalogue::Catalogue;

use super::story::Story;
use super::{BacktestError, BacktestOptions, Summary};

/// How many records are judged at once: enough to share the work out, few enough to stay in cache.
const BATCH_RECORDS: usize = 1024;
/// How many dead letters the summary shows.
const DEAD_SHOWN_MAX: usize = 5;

/// A judgement of all that is fed to it.
pub(super) struct Judge<'a> {
    pub catalogue: &'a Catalogue,
    pub story: Story,
    pub summary: Summary,
    judgement: Judgement,
    bundle: Arc<Bundle>,
    sink: Sink<'a>,
    /// Whether the story is of use: two runs are compared, or orders are to be addressed.
    follows: bool,
    /// Framed records that wait to be judged, their number, and the number of the first.
    payload: Vec<u8>,
    count: usize,
    first: Seq,
    at: Timestamp,
}

/// Where decisions go.
pub(super) enum Sink<'a> {
    /// Printed, each as a line of JSON.
    Print(&'a mut dyn Write),
    /// Only their story is kept.
    Nothing,
}

/// What a judgement came to.
#[derive(Debug)]
pub(crate) struct Judged {
    pub summary: Summary,
    pub story: Story,
    /// How often each detection rule found something to begin.
    pub alarms: Vec<(RuleId, u64)>,
}

/// How often each detection rule found something to begin: a detection, a silence, a fault, and of a
/// rule that takes reports each of them.
pub(crate) fn alarms(rules: &Bundle, counters: &[(RuleId, RuleCounters)]) -> Vec<(RuleId, u64)> {
    let is_report = |name: &RuleId| {
        let place = rules.detections.binary_search_by(|own| own.name.cmp(name));
        place.is_ok_and(|place| matches!(rules.detections[place].test, Test::Report(_)))
    };
    let begun = |(rule, counters): &(RuleId, RuleCounters)| {
        let begun = match is_report(rule) {
            true => counters.evidence,
            false => counters.raised + counters.silent + counters.faulty,
        };
        (rule.clone(), begun)
    };
    counters.iter().map(begun).collect()
}

impl<'a> Judge<'a> {
    pub fn new(options: &'a BacktestOptions, sink: Sink<'a>) -> Self {
        let mut judgement = Judgement::new(options.shards);
        judgement.provide(Arc::clone(&options.bundle));
        Self {
            catalogue: &options.catalogue,
            story: Story::default(),
            summary: Summary::default(),
            judgement,
            bundle: Arc::clone(&options.bundle),
            follows: matches!(sink, Sink::Nothing) || options.readings.is_dir(),
            sink,
            payload: Vec::new(),
            count: 0,
            first: 1,
            at: Timestamp::MIN,
        }
    }

    /// Takes an input, to be judged in its turn.
    pub fn add(&mut self, at: Timestamp, input: &Input<'_>) -> Result<(), BacktestError> {
        if self.first == 1 && self.count == 0 {
            self.frame(at, &Input::Reload(self.bundle.hash));
        }
        self.frame(at, input);
        self.summary.readings += u64::from(input.reading().is_some());
        match self.count >= BATCH_RECORDS {
            true => self.judge(),
            false => Ok(()),
        }
    }

    /// Takes note of a message that no decoder could read.
    pub fn dead(&mut self, line: u64, reason: &str, detail: &str) {
        self.summary.dead_letters += 1;
        if self.summary.first_dead.len() < DEAD_SHOWN_MAX {
            let text = format!("line {line}: {reason}: {detail}");
            self.summary.first_dead.push(text);
        }
    }

    fn frame(&mut self, at: Timestamp, input: &Input<'_>) {
        self.at = self.at.max(at);
        Record::frame_input(self.at, input, &mut self.payload);
        self.count += 1;
    }

    /// Judges all that waits.
    pub fn judge(&mut self) -> Result<(), BacktestError> {
        let framed = Records::new(self.first, &self.payload);
        let mut records = Vec::with_capacity(self.count);
        records.extend(framed.map(|record| record.expect("framed by this process")));
        let mut decisions = Vec::new();
        self.judgement.apply(&records, &mut decisions);
        drop(records);
        self.payload.clear();
        self.first += self.count as Seq;
        self.count = 0;
        decisions
            .iter()
            .try_for_each(|decision| self.take(decision))
    }

    fn take(&mut self, decision: &Decision) -> Result<(), BacktestError> {
        self.summary.decisions += 1;
        let opened = matches!(decision.verdict, Verdict::IncidentOpened(_));
        self.summary.opened += u64::from(opened);
        if self.follows {
            self.story.take(decision);
        }
        if let Sink::Print(out) = &mut self.sink {
            out.write_all(&ioc_ws::decision_json(decision))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Judges what is left.
    pub fn finish(mut self) -> Result<Judged, BacktestError> {
        self.judge()?;
        if let Sink::Print(out) = self.sink {
            out.flush()?;
        }
        Ok(Judged {
            alarms: alarms(&self.bundle, &self.judgement.counters().rules),
            summary: self.summary,
            story: self.story,
        })
    }
}
