//! The judgement as it was before a record, made again.
//!
//! Arrives: a record's number. Leaves: what became of it, judged once more. The way goes from the
//! newest snapshot before it; where none is kept, from the log's beginning; where that is not the
//! first record either, from nothing, and that is said. Next: `reading.rs`.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use ioc_core::bundle::Bundle;
use ioc_core::explain::Explanation;
use ioc_core::judgement::Judgement;
use ioc_core::reading::Reading;
use ioc_core::record::{BundleHash, Input, Record, Seq};
use ioc_ws::Statement;
use serde_json::Value;

use super::{Bundles, WhyError, find};
use crate::inspect::{InspectError, reading_json};
use crate::journal::disk::{Disk, SystemDisk};
use crate::recover::RecoverError;
use crate::rejudge::Rejudge;
use crate::skipped::SkippedList;
use crate::snapshots::{self, SNAPSHOTS_DIR, Snapshot};

/// A record judged once more.
#[derive(Debug)]
pub(super) struct Replayed {
    pub explanation: Explanation,
    /// The reading, for people.
    pub reading: Value,
    /// What it says in words, if anything.
    pub statement: Option<Statement>,
    /// The rules that held.
    pub bundle: Option<Arc<Bundle>>,
    /// The record that the way began after, and whether all that came before it is known.
    pub from: Seq,
    pub is_exact: bool,
    /// How many records were judged again.
    pub judged: u64,
}

/// Judges all records up to this one again, and looks at it.
pub(super) fn replay(data: &Path, seq: Seq, bundles: Bundles<'_>) -> Result<Replayed, WhyError> {
    let (skipped, _) = SkippedList::load(&SystemDisk, data).map_err(RecoverError::from)?;
    let skipped = Arc::new(skipped);
    let begun = nearest(data, seq, bundles, &skipped);
    let contents = find::inputs(data, begun.as_ref().map(|begun| begun.next))?;
    let first = contents.end.first;
    let (mut rejudge, is_exact) = match begun {
        Some(begun) => (begun, true),
        None => (begin(data, first, bundles, skipped), first == 1),
    };
    let from = rejudge.next - 1;
    let mut found = None;
    let read = contents.for_each(&SystemDisk, rejudge.next, |header, payload| {
        if header.next() <= from + 1 || found.is_some() {
            return Ok(());
        }
        let records = rejudge.read(header, payload, bundles, &mut |_| ())?;
        let place = records.partition_point(|record| record.seq < seq);
        let begin = records.partition_point(|record| record.seq <= from);
        rejudge.apply(&records[begin..place], &mut Vec::new())?;
        if let Some(record) = records.get(place) {
            found = Some(look(&mut rejudge, record));
        }
        Ok::<_, WhyError>(())
    });
    // What lies after the record may be half written.
    let found = match found {
        Some(found) => found?,
        None => {
            read?;
            return Err(InspectError::NoRecord { seq }.into());
        }
    };
    let (explanation, reading, statement) = found;
    Ok(Replayed {
        bundle: rejudge.bundle.and_then(|hash| bundles(hash).ok()),
        explanation,
        reading,
        statement,
        from,
        is_exact,
        judged: seq - from,
    })
}

type Looked = (Explanation, Value, Option<Statement>);

fn look(rejudge: &mut Rejudge, record: &Record<'_>) -> Result<Looked, WhyError> {
    let Some(reading) = record.input.reading() else {
        return Err(WhyError::NoReading { seq: record.seq });
    };
    let (shown, statement) = (shown(reading), Statement::of(reading));
    let statement = statement.filter(Statement::is_in_words);
    Ok((rejudge.judgement.explain(record), shown, statement))
}

pub(super) fn shown(reading: &Reading<'_>) -> Value {
    let mut shown = reading_json(reading);
    if let Some(members) = shown.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    shown
}

/// The newest snapshot before a record that this build can use.
fn nearest(
    data: &Path,
    seq: Seq,
    bundles: Bundles<'_>,
    skipped: &Arc<SkippedList>,
) -> Option<Rejudge> {
    let dir = data.join(SNAPSHOTS_DIR);
    let listed = snapshots::list(&SystemDisk, &dir).ok()?;
    let mut before = listed.iter().rev().filter(|(through, _)| *through < seq);
    before.find_map(|(_, path)| {
        let bytes = SystemDisk.read(path).ok()?;
        load(&Snapshot::decode(&bytes).ok()?, bundles, skipped)
    })
}

fn load(snapshot: &Snapshot, bundles: Bundles<'_>, skipped: &Arc<SkippedList>) -> Option<Rejudge> {
    let point = &snapshot.point;
    let held = point.bundle.map(bundles).transpose().ok()?;
    let state = &snapshot.state;
    let judgement = Judgement::load(state.format, NonZeroUsize::MIN, &state.bytes, held).ok()?;
    Some(Rejudge {
        judgement,
        numbering: point.numbering,
        next: point.through + 1,
        last_at: Some(point.at),
        bundle: point.bundle,
        skipped: Arc::clone(skipped),
    })
}

/// Before the first record that is kept. If that is not the first of all, the rules that held then
/// are those that the oldest snapshot names, as far as anybody knows.
fn begin(data: &Path, first: Seq, bundles: Bundles<'_>, skipped: Arc<SkippedList>) -> Rejudge {
    let mut rejudge = Rejudge::new(Judgement::new(NonZeroUsize::MIN), skipped);
    rejudge.next = first;
    if first > 1
        && let Some(hash) = oldest_bundle(data)
        && let Ok(bundle) = bundles(hash)
    {
        rejudge.judgement.provide(bundle);
        rejudge.bundle = Some(hash);
        let reload = Record {
            seq: first - 1,
            at: ioc_core::time::Timestamp::MIN,
            input: Input::Reload(hash),
        };
        rejudge.judgement.apply(&[reload], &mut Vec::new());
    }
    rejudge
}

fn oldest_bundle(data: &Path) -> Option<BundleHash> {
    let listed = snapshots::list(&SystemDisk, &data.join(SNAPSHOTS_DIR)).ok()?;
    let mut listed = listed.iter();
    listed.find_map(|(_, path)| {
        let bytes = SystemDisk.read(path).ok()?;
        Snapshot::decode(&bytes).ok()?.point.bundle
    })
}
