//! A disk that fills under the running host: readings wait, people go on for a while, then are told
//! why not; all goes on by itself when there is space again, also after a start on the full disk.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use ioc::clock::TimeSource;
use ioc::journal::JournalId;
use ioc::journal::disk::Disk;
use ioc::pipeline::BatchLimits;
use ioc::retention::Retention;
use ioc::snapshots::Due;
use ioc_core::record::{BuildHash, DeadLetter};
use ioc_gateway::door::{Counts, Inputs, Lane, Ledger};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use super::archive::Archive;
use super::checks::Logs;
use super::city;
use super::devices::Broker;
use super::model::SharedModel;
use super::process::{Process, Start, TOKEN, WindowBounds};
use super::sabotage::Sabotage;
use super::time::SimulatedTime;
use crate::disk::FaultDisk;

/// Of which an eighth is kept for people.
const SEGMENT_BYTES: u64 = 256 << 10;
const CAPACITY: u64 = 1 << 30;
/// What each message that arrives takes, about.
const MESSAGE_BYTES: usize = 4000;
/// How often the parts are stepped for something to come about.
const ROUNDS_MAX: usize = 200;

/// A host, one connection to its door, and people.
pub struct Scene {
    disk: FaultDisk,
    time: Arc<SimulatedTime>,
    model: SharedModel,
    process: Option<Process>,
    ledger: Arc<Ledger>,
    sent: Counts,
    asked: u64,
    runtime: Runtime,
}

impl Scene {
    /// A host that has just started on an empty disk.
    pub fn new() -> Self {
        let mut scene = Self {
            disk: FaultDisk::new(0, CAPACITY, false),
            time: Arc::default(),
            model: Arc::default(),
            process: None,
            ledger: Arc::default(),
            sent: Counts::default(),
            asked: 0,
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
        };
        scene.start();
        scene
    }

    fn start(&mut self) {
        let bundles = Arc::new(city::bundles());
        let start = Start {
            build: BuildHash([7; 32]),
            shards: NonZeroUsize::MIN,
            bundle: Arc::clone(&bundles[0]),
            bundles,
            new_journal: JournalId([1; 16]),
            segment_bytes: SEGMENT_BYTES,
            decisions_shown: 1000,
            snapshots: Due {
                every: Duration::from_secs(3600),
                records: 1 << 40,
            },
            retention: Retention::EVERYTHING,
            limits: BatchLimits {
                records_max: 100,
                bytes_max: 32 << 10,
            },
            waiting_bytes_max: 64 << 20,
            window: WindowBounds {
                ring_decisions_max: 1000,
                fold_after_decisions: 1000,
                round_bytes_max: 1 << 20,
            },
            sabotage: Sabotage::None,
        };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let time = Arc::clone(&self.time) as Arc<dyn TimeSource>;
        let outside = (&self.model, &Broker::default());
        let process = Process::start(&start, &disk, &time, outside);
        self.process = Some(process.unwrap_or_else(|error| panic!("{error:?}")));
        self.ledger = Arc::default();
        self.sent = Counts::default();
        self.steps();
    }

    /// Steps everything, while a little time passes.
    pub fn steps(&mut self) {
        let process = self.process.as_mut().unwrap();
        for _ in 0..ROUNDS_MAX {
            self.time.pass(Duration::from_millis(1));
            process.pipeline.as_mut().unwrap().step().unwrap();
            process.belt.carry(usize::MAX);
            process.writer.step().unwrap();
        }
        process.step_keeper();
    }

    /// Messages arrive, as many as this at once.
    fn send(&mut self, messages: u64) {
        let mut inputs = Inputs::default();
        for _ in 0..messages {
            inputs.push_dead_letter(&DeadLetter {
                source: "test",
                topic: "",
                reason: "none",
                detail: "",
                payload: &[7; MESSAGE_BYTES],
                payload_bytes: MESSAGE_BYTES as u32,
                ..DeadLetter::default()
            });
        }
        self.hand_over(Lane::Telemetry, inputs);
    }

    /// Hands over what is of a lane.
    pub fn hand_over(&mut self, lane: Lane, mut inputs: Inputs) {
        let sent = self.sent.of_mut(lane);
        *sent += inputs.counts().of(lane);
        let door = &self.process.as_ref().unwrap().door;
        let inputs = inputs.take(lane);
        let handed_over = door.try_hand_over(lane, inputs, &self.ledger, *sent);
        handed_over.unwrap();
    }

    /// What lies in the logs.
    pub fn logs(&self) -> Logs {
        let logs = Logs::read(&self.disk, &Archive::default());
        logs.unwrap_or_else(|_| panic!("damaged"))
    }

    /// What a person hears who acknowledges an incident that is not there: the order is journaled
    /// and judged like any other.
    fn order(&mut self) -> StatusCode {
        self.asked += 1;
        let _entered = self.runtime.enter();
        let request = Request::post("/api/v1/incidents/inc-7777777777/acknowledge")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("idempotency-key", format!("order-{}", self.asked))
            .body(Body::empty())
            .unwrap();
        let router = self.process.as_ref().unwrap().window.router();
        let mut answer = pin!(router.oneshot(request));
        for _ in 0..ROUNDS_MAX {
            let context = &mut Context::from_waker(Waker::noop());
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return answer.unwrap().status();
            }
            self.steps();
        }
        panic!("no answer");
    }

    /// Messages arrive until none is acknowledged any more; returns how many were.
    fn fill(&mut self) -> u64 {
        self.disk.resize(self.disk.used());
        loop {
            let before = self.settled();
            self.send(5);
            self.steps();
            if self.settled() == before {
                return before;
            }
        }
    }

    /// How many messages are acknowledged.
    pub fn settled(&self) -> u64 {
        self.ledger.settled().total()
    }

    /// Somebody makes space.
    fn free(&mut self) {
        self.disk.resize(CAPACITY);
        self.time.pass(Duration::from_secs(2));
        self.steps();
    }
}

#[test]
fn p5_on_a_full_disk_readings_wait_and_people_go_on_until_they_are_told_why_not() {
    let mut scene = Scene::new();
    scene.send(3);
    scene.steps();
    assert_eq!(scene.settled(), 3);
    let settled = scene.fill();
    // What was made ahead is used up, but for the reserve.
    assert!(settled > SEGMENT_BYTES / MESSAGE_BYTES as u64, "{settled}");
    for order in 0..20 {
        assert_eq!(scene.order(), StatusCode::NOT_FOUND, "order {order}");
    }
    let mut answers = (0..1000).map(|_| scene.order());
    let refused = answers.find(|status| *status != StatusCode::NOT_FOUND);
    drop(answers);
    assert_eq!(refused, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(scene.settled(), settled);
    scene.free();
    assert_eq!(scene.settled(), scene.sent.total(), "all goes on by itself");
    assert_eq!(scene.order(), StatusCode::NOT_FOUND);
}

#[test]
fn p1_a_start_on_a_full_disk_serves_people_and_goes_on_when_there_is_space() {
    let mut scene = Scene::new();
    let settled = scene.fill();
    // Killed; the cache is what it was.
    scene.process = None;
    scene.disk.restart();
    scene.start();
    for order in 0..20 {
        assert_eq!(scene.order(), StatusCode::NOT_FOUND, "order {order}");
    }
    scene.free();
    scene.send(100);
    scene.steps();
    assert_eq!(scene.settled(), 100);
    let letters = scene.logs().dead_letters();
    assert!(letters >= settled as usize + 100, "{letters} of {settled}");
}

#[test]
fn an_arrival_larger_than_what_is_left_is_taken_in_parts() {
    let mut scene = Scene::new();
    // More than a segment holds; acknowledged as a whole.
    scene.send(3 * SEGMENT_BYTES / MESSAGE_BYTES as u64);
    for _ in 0..10 {
        scene.steps();
    }
    assert_eq!(scene.settled(), scene.sent.total());
}
