//! An engine that a record stops, on threads of its own.

use std::path::Path;
use std::time::Duration;

use ioc_core::record::BundleHash;
use ioc_gateway::door::{Counts, Door, DoorOptions, Inputs, Lane, Ledger};
use ioc_ws::{Token, Window, WindowOptions};

use super::*;
use crate::clock::{ClockMode, SystemTimeSource, TimeSource};
use crate::journal::JournalId;
use crate::journal::disk::{Disk, SystemDisk};
use crate::outlets::Outlets;
use crate::recover::{self, Bundles, RecoverError, RecoverOptions};
use crate::retention::Retention;
use crate::snapshots::follower::{self, Surroundings};
use crate::snapshots::{Due, FollowerOptions, Section};

const BUILD: BuildHash = BuildHash([1; 32]);
/// Rules that nobody has: a record that names them stops an engine.
const UNKNOWN: BundleHash = BundleHash([9; 32]);

/// A start of everything but the sockets.
struct Start {
    door: Door,
    engine: Engine,
}

fn recover(data: &Path, skip: &[u64], window: &Window) -> Result<Recovered, RecoverError> {
    let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
    let options = RecoverOptions {
        data,
        segment_bytes: 1 << 20,
        build: BUILD,
        new_journal: JournalId([7; 16]),
        decisions_shown: 1000,
        time: &SystemTimeSource::default(),
    };
    let mut opened = recover::open(&disk, options)?;
    opened.skip(skip)?;
    let mut outlets = Outlets::new(window.clone());
    let none: Bundles<'_> = &|_| Err("there are none".to_owned());
    opened.replay(std::num::NonZeroUsize::MIN, none, &mut outlets)
}

fn window() -> (Window, Commands) {
    let now = Arc::new(ioc_core::time::Timestamp::default);
    let options = WindowOptions::new("epoch".into(), Token::new("token"), now);
    let (window, commands, _) = Window::unattended(options);
    (window, commands)
}

fn start(data: &Path, skip: &[u64]) -> Result<Start, RecoverError> {
    let (window, commands) = window();
    let recovered = recover(data, skip, &window)?;
    let time: Arc<dyn TimeSource> = Arc::new(SystemTimeSource::default());
    let mode: ClockMode = "system".parse().unwrap();
    let clock = Clock::start(Arc::clone(&time), mode, recovered.last_at, false).unwrap();
    let (door, arrivals) = Door::new(DoorOptions::default(), Arc::default());
    let outlets = Outlets::new(window.clone());
    let around = Surroundings {
        disk: Arc::new(SystemDisk),
        data: data.to_owned(),
        journal: recovered.logs.0.journal(),
        build: BUILD,
        time,
        durable: Arc::clone(&recovered.durable),
        bundles: Box::new(|_| Err("there are none".to_owned())),
        view: Box::new(Section::default),
        counted: ioc_ws::Counted::default(),
    };
    let options = FollowerOptions {
        due: Due {
            every: Duration::MAX,
            records: u64::MAX,
        },
        retention: Retention::EVERYTHING,
        decisions_shown: 1000,
    };
    let follower = follower::beside(around, options, &recovered, &outlets.dead_letters);
    let start = EngineStart {
        recovered,
        clock,
        build: BUILD,
        rules: None,
        arrivals,
        commands,
        reloads: crossbeam_channel::never(),
        samples: Samples::new(window),
        limits: BatchLimits {
            records_max: 100,
            bytes_max: 1 << 20,
        },
        outlet: Box::new(outlets),
        follower,
    };
    let engine = Engine::start(start).expect("it starts");
    Ok(Start { door, engine })
}

#[tokio::test]
async fn what_an_engine_that_panics_withheld_is_not_acknowledged_and_the_next_start_names_why() {
    let data = tempfile::tempdir().unwrap();
    let Start { door, engine } = start(data.path(), &[]).unwrap();
    let mut inputs = Inputs::default();
    inputs.push(Lane::Urgent, &Input::Reload(UNKNOWN));
    let ledger = Arc::new(Ledger::default());
    let inputs = inputs.take(Lane::Urgent);
    let handed_over = door.try_hand_over(Lane::Urgent, inputs, &ledger, 1);
    handed_over.unwrap();
    engine.ended().await;
    assert!(
        ledger.settled_beyond(Counts::default()).await.is_err(),
        "it is told that it waits in vain"
    );
    assert_eq!(ledger.settled(), Counts::default());
    let stopped = engine.stop(Duration::from_secs(600));
    assert!(
        matches!(stopped, Err(HostError::Thread("engine"))),
        "{stopped:?}"
    );

    let culprit = 2;
    let named = recover(data.path(), &[], &window().0);
    assert!(
        matches!(&named, Err(RecoverError::Rules { seq, .. }) if *seq == culprit),
        "{named:?}"
    );
    let Start {
        door: _door,
        engine,
    } = start(data.path(), &[culprit]).unwrap();
    assert!(engine.stop(Duration::from_secs(600)).is_ok());
}
