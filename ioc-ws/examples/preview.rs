//! The console with a made-up evening: for working on the page without the rest of the product.
//!
//! `cargo run -p ioc-ws --example preview [CITY.geojson [ADDRESS]]`, then open the address that it
//! prints. In a debug build the page's files are read from disk: edit, then reload.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::serve::ListenerExt;
use ioc_core::decision::{About, Verdict};
use ioc_core::decision::{Cause, Certainty, Condition, Decision, DecisionHash, Evidence, Handling};
use ioc_core::decision::{IncidentState, Refusal, RefusalCode, Released, SensorState, Severity};
use ioc_core::id::{IncidentId, SensorId};
use ioc_core::place::Position;
use ioc_core::time::{Millis, Timestamp};
use ioc_ws::{CommandRequest, Guard, Order, Published, Sample, Token, Window, WindowOptions};
use serde_json::{Value, json};

/// What a sensor kind is called, what it makes, and what it says when all is well and when not.
const KINDS: [(&str, &str, f64, f64, &str); 7] = [
    ("water_level", "flood", 1.2, 3.6, "m"),
    ("street_water", "flood", 0.02, 0.4, "m"),
    ("smoke", "fire", 0.3, 12.0, "%/m"),
    ("traffic_speed", "congestion", 48.0, 6.0, "km/h"),
    ("feeder", "power_outage", 11.0, 0.0, "kV"),
    ("gas", "gas_leak", 1.0, 44.0, "%LEL"),
    ("pm25", "haze", 28.0, 180.0, "µg/m³"),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let city = match arguments.next() {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => made_up_city(),
    };
    let address = arguments.next().unwrap_or("127.0.0.1:8099".into());
    let epoch = format!("preview-{}", now().as_millis());
    let options = WindowOptions::new(epoch, Token::new("preview"), Arc::new(now));
    let (window, commands) = Window::new(options);
    window.set_city(city.to_string().into());
    let mut evening = Evening::new(&city, window.clone());
    std::thread::spawn(move || {
        evening.live(30);
        loop {
            let pause = crossbeam_channel::after(Duration::from_millis(900));
            crossbeam_channel::select! {
                recv(commands.receiver()) -> request => match request {
                    Ok(request) => evening.follow(request),
                    Err(_) => return,
                },
                recv(pause) -> _ => evening.live(1),
            }
        }
    });
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}/#token=preview", listener.local_addr()?);
    // A frame must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    Ok(axum::serve(listener, Guard::new([]).over(window.router())).await?)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_millis(since.expect("it is after 1970").as_millis() as i64)
}

struct Sensor {
    id: SensorId,
    kind: usize,
    zone: String,
    place: Position,
    silent: bool,
}

/// Everything that happens, from one seed.
struct Evening {
    window: Window,
    sensors: Vec<Sensor>,
    incidents: Vec<IncidentState>,
    seq: u64,
    records: u64,
    hash: DecisionHash,
    seed: u64,
}

impl Evening {
    fn new(city: &Value, window: Window) -> Self {
        let features = city["features"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        Self {
            window,
            sensors: features.iter().filter_map(sensor).collect(),
            incidents: Vec::new(),
            seq: 0,
            records: 0,
            hash: DecisionHash::default(),
            seed: 7,
        }
    }

    /// A number below `bound` (a linear congruence after Knuth: enough for a made-up city).
    fn pick(&mut self, bound: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.seed >> 33) as usize % bound.max(1)
    }

    /// Lets so many things happen, and every sensor speak now and then.
    fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            let open: Vec<_> = (0..self.incidents.len())
                .filter(|each| self.incidents[*each].condition != Condition::Cleared)
                .collect();
            match self.pick(12) {
                0 | 1 if open.len() < 14 => self.open(),
                2 => self.silence(),
                3 if open.len() > 9 => self.clear(open[0]),
                _ if !open.is_empty() => {
                    let which = open[self.pick(open.len())];
                    self.grow(which);
                }
                _ => self.open(),
            }
        }
        let samples = (0..40).map(|_| self.sample()).collect();
        self.window.sample(samples);
    }

    fn sample(&mut self) -> Sample {
        let which = self.pick(self.sensors.len());
        let noise = self.pick(100) as f64 / 400.0;
        let sensor = &self.sensors[which];
        let (kind, _, usual, _, unit) = KINDS[sensor.kind];
        Sample {
            sensor: sensor.id.clone(),
            kind: kind.parse().expect("a kind"),
            value: usual * (0.9 + noise),
            unit: unit.into(),
            observed_at: now(),
            position: None,
        }
    }

    fn open(&mut self) {
        let which = self.pick(self.sensors.len());
        let severity = Severity::ALL[1 + self.pick(3)];
        let sensor = &self.sensors[which];
        let kind = KINDS[sensor.kind].1;
        let state = IncidentState {
            id: IncidentId::derive(&[kind, sensor.id.as_str(), &self.seq.to_string()]),
            kind: kind.parse().expect("a kind"),
            severity,
            certainty: Certainty::Observed,
            condition: Condition::Active,
            handling: Handling::New,
            position: Some(sensor.place),
            radius_m: 0,
            zone: sensor.zone.parse().expect("a zone"),
            opened_at: now()
                - Millis::minutes(if self.seq < 40 {
                    40 - self.seq as i64
                } else {
                    0
                }),
            episode: 1,
            sensors: 1,
            readings: 1,
            parent: None,
            escalated: None,
            shelved_until: None,
            suppressed: false,
        };
        self.incidents.push(state.clone());
        let evidence = self.evidence(which, None);
        self.decide(Verdict::IncidentOpened(state), vec![evidence]);
    }

    fn grow(&mut self, which: usize) {
        let rises = self.pick(14) == 0;
        let place = self.incidents[which].position.expect("made with a place");
        let near = |sensor: &Sensor| {
            KINDS[sensor.kind].1 == self.incidents[which].kind.as_str()
                && sensor.place.distance_m(place) < 2500
        };
        let joining = (0..self.sensors.len()).filter(|each| near(&self.sensors[*each]));
        let joining: Vec<_> = joining.collect();
        let joining = joining[self.pick(joining.len())];
        let distance = self.sensors[joining].place.distance_m(place);
        let incident = &mut self.incidents[which];
        incident.sensors = (incident.sensors + u32::from(distance > incident.radius_m)).min(40);
        incident.radius_m = incident.radius_m.max(distance).min(1600);
        incident.readings += 1;
        if rises && incident.severity < Severity::Extreme {
            incident.severity = Severity::ALL[incident.severity as usize + 1];
        }
        let state = incident.clone();
        let evidence = self.evidence(joining, Some(distance));
        self.decide(Verdict::IncidentUpdated(state), vec![evidence]);
    }

    fn clear(&mut self, which: usize) {
        self.incidents[which].condition = Condition::Cleared;
        let state = self.incidents[which].clone();
        self.decide(Verdict::IncidentCleared(state), Vec::new());
    }

    fn silence(&mut self) {
        let which = self.pick(self.sensors.len());
        let sensor = &mut self.sensors[which];
        sensor.silent = !sensor.silent;
        let state = SensorState {
            id: sensor.id.clone(),
            kind: KINDS[sensor.kind].0.parse().expect("a kind"),
            position: Some(sensor.place),
            zone: sensor.zone.parse().expect("a zone"),
            last_heard_at: now() - Millis::minutes(5),
        };
        let verdict = match sensor.silent {
            true => Verdict::SensorSilent(state),
            false => Verdict::SensorReturned(state),
        };
        self.decide(verdict, Vec::new());
    }

    fn evidence(&mut self, which: usize, distance_m: Option<u32>) -> Evidence {
        self.records += 1;
        let noise = self.pick(100) as f64 / 250.0;
        let sensor = &self.sensors[which];
        let (kind, _, _, abnormal, _) = KINDS[sensor.kind];
        Evidence {
            reading: format!("r-{}", self.records).parse().expect("an id"),
            seq: self.records,
            sensor: sensor.id.clone(),
            rule: format!("{}-high", kind.replace('_', "-"))
                .parse()
                .expect("a rule"),
            value: abnormal * (1.0 + noise),
            distance_m,
            through: None,
        }
    }

    fn decide(&mut self, verdict: Verdict, evidence: Vec<Evidence>) {
        let rule = verdict
            .incident()
            .map(|incident| format!("{}-near", incident.kind));
        let cause = Cause {
            rule: rule.map(|rule| rule.replace('_', "-").parse().expect("a rule")),
            evidence,
            ..Cause::default()
        };
        self.release(verdict, cause);
    }

    fn release(&mut self, verdict: Verdict, cause: Cause) {
        self.seq += 1;
        let decision = Decision {
            seq: self.seq,
            at: now(),
            verdict,
            cause,
        };
        let mut bytes = Vec::new();
        decision.encode(&mut bytes);
        self.hash = self.hash.after(&bytes);
        let decision = Arc::new(decision);
        let hash = self.hash;
        self.window
            .release(vec![Published::new(Released { decision, hash })]);
    }

    /// Does what the core would do with an order.
    fn follow(&mut self, order: CommandRequest) {
        let Order::Acknowledge(id) = order.order else {
            return;
        };
        let known = self.incidents.iter_mut().find(|incident| incident.id == id);
        let verdict = match known {
            Some(incident) => {
                incident.handling = Handling::Acknowledged;
                Verdict::IncidentAcknowledged(incident.clone())
            }
            None => Verdict::CommandRefused(Refusal {
                code: RefusalCode::UnknownIncident,
                about: About::Incident(id),
            }),
        };
        let cause = Cause {
            request: Some((order.request, order.actor)),
            ..Cause::default()
        };
        self.records += 1;
        self.release(verdict, cause);
        // Whoever asked may be gone.
        let _ = order.answer.send(Ok(self.records));
    }
}

fn sensor(feature: &Value) -> Option<Sensor> {
    let properties = &feature["properties"];
    let kind = properties["kind"].as_str()?;
    let place = feature["geometry"]["coordinates"].as_array()?;
    Some(Sensor {
        id: feature["id"].as_str()?.parse().ok()?,
        kind: KINDS.iter().position(|(name, ..)| *name == kind)?,
        zone: properties["zone"].as_str().unwrap_or("_").to_owned(),
        place: Position::from_degrees(place.first()?.as_f64()?, place.get(1)?.as_f64()?)?,
        silent: false,
    })
}

/// Four by three zones, a river, and a sensor on every corner of a finer grid.
fn made_up_city() -> Value {
    let mut features = Vec::new();
    let corner = |x: f64, y: f64| json!([101.6 + x * 0.03, 3.08 + y * 0.03]);
    for (x, y) in (0..12).map(|each| (f64::from(each % 4), f64::from(each / 4))) {
        let ring = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
        let ring: Vec<_> = ring.iter().map(|(dx, dy)| corner(x + dx, y + dy)).collect();
        features.push(json!({"type":"Feature","id":format!("z{x}{y}"),
            "properties":{"type":"zone","name":format!("District {}", features.len() + 1)},
            "geometry":{"type":"Polygon","coordinates":[ring]}}));
    }
    for each in 0..140 {
        let (x, y) = (
            f64::from(each % 14) / 3.5 + 0.1,
            f64::from(each / 14) / 3.4 + 0.1,
        );
        let kind = KINDS[each as usize * 5 % KINDS.len()].0;
        features.push(json!({"type":"Feature","id":format!("{kind}-{each:03}"),
            "properties":{"type":"sensor","kind":kind,"zone":format!("z{}{}", x.floor(), y.floor())},
            "geometry":{"type":"Point","coordinates":corner(x, y)}}));
    }
    let river: Vec<_> = (0..=40)
        .map(|each| f64::from(each) / 10.0)
        .map(|x| corner(x, 1.6 + (x * 1.7).sin() * 0.4))
        .collect();
    features.push(
        json!({"type":"Feature","id":"river","properties":{"type":"river"},
        "geometry":{"type":"LineString","coordinates":river}}),
    );
    json!({"type":"FeatureCollection","name":"Made-up city","features":features})
}
