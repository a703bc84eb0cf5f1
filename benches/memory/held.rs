//! How much memory what is remembered takes, by an allocator that counts.

use ioc_bench::city::{Builder, on_grid};
use ioc_bench::stepped::Stepped;
use ioc_core::time::Millis;
use peak_alloc::PeakAlloc;

/// What is allocated now and was at most.
#[global_allocator]
pub static ALLOCATED: PeakAlloc = PeakAlloc;

/// How many bytes more are held after some work, for each of so many things.
fn held(count: usize, stepped: &mut Stepped, work: impl FnOnce(&mut Stepped)) -> usize {
    stepped.costs = Vec::new();
    let before = ALLOCATED.current_usage();
    work(stepped);
    stepped.costs = Vec::new();
    ALLOCATED.current_usage().saturating_sub(before) / count
}

fn name(number: usize) -> String {
    format!("s-{number:06}")
}

/// Bytes for each thing that is remembered.
pub fn bytes_each(count: usize) -> [(&'static str, usize); 6] {
    let city = Builder::new()
        .sensors(count, "voltage", name, |number| on_grid(number, 3_000))
        .above_three("alarm", "voltage", 1)
        .silent("no-voltage", "voltage")
        .mean_of_an_hour("flow-high", "flow")
        .incidents("outages", "outage", "alarm", |_| ());
    let mut stepped = Stepped::under(&city.build(1));
    let first = held(count, &mut stepped, |stepped| {
        all(stepped, count, "voltage", 1.0);
    });
    let full = held(count, &mut stepped, |stepped| {
        often(stepped, 32, count, "voltage", 1.0);
    });
    let window = held(count, &mut stepped, |stepped| {
        for _ in 0..60 {
            stepped.until(stepped.now() + Millis::minutes(1), "tick");
            all(stepped, count, "flow", 1.0);
        }
    });
    let incident = held(count, &mut stepped, |stepped| {
        all(stepped, count, "voltage", 5.0);
    });
    let evidence = held(count, &mut stepped, |stepped| {
        often(stepped, 128, count, "voltage", 5.0);
    });
    let live = incident + evidence;
    let freed = ALLOCATED.current_usage();
    all(&mut stepped, count, "voltage", 1.0);
    stepped.until(stepped.now() + Millis::minutes(60), "tick");
    stepped.costs = Vec::new();
    let freed = freed.saturating_sub(ALLOCATED.current_usage()) / count;
    [
        (
            "a sensor that was heard once, with a level and a silence rule",
            first,
        ),
        ("more when it was heard 33 times", full),
        ("its window of 60 steps over another kind", window),
        ("an incident with one source and one reading", incident),
        ("more when 128 further readings are evidence", evidence),
        (
            "what stays of it when it is over",
            live.saturating_sub(freed),
        ),
    ]
}

fn all(stepped: &mut Stepped, count: usize, kind: &str, value: f64) {
    for number in 0..count {
        stepped.reads("reading", &name(number), kind, value);
    }
}

fn often(stepped: &mut Stepped, times: usize, count: usize, kind: &str, value: f64) {
    for _ in 0..times {
        stepped.until(stepped.now() + Millis::seconds(10), "tick");
        all(stepped, count, kind, value);
    }
}
