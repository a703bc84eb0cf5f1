//! What judging costs: a reading beside its parsing and logging, however many rules and incidents
//! there are; and the worst record when much happens at once.
//!
//! Sketch: a reading that no rule looks at is looked up by its sensor (one cold line of the table,
//! one of the sensor) and told from a redelivery: 100 to 200 ns, where its JSON costs 300 ns and
//! its bytes in the log with their hash 200 ns. One that joins an incident is heard by a tree of
//! members, a tree of timers and a cell of the map: 1 to 2 µs. So a record may touch a thousand
//! things in 2 ms, and what touches more is to be spread.
//!
//! Run with `cargo bench --bench judgement`. Costs are processor time of the thread, the least of
//! several rounds, for the machine does other things too: what is compared is measured in turns, and
//! of rounds that are the same the least of each part is taken, of scenes that of each record.

mod rates;
mod storm;

use std::time::Duration;

use clap::Parser;
use ioc_bench::report::{self, Target};
use ioc_bench::stepped;

/// What judging costs, in processor time.
///
/// Example: cargo bench --bench judgement -- --only storm --sensors 20000
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench judgement --")]
struct Options {
    /// Only this part.
    #[arg(long)]
    only: Option<Part>,
    /// Only scenes of a storm whose names have this in them.
    #[arg(long, default_value = "")]
    scene: String,
    /// How many sensors a city has.
    #[arg(long, default_value_t = 100_000)]
    sensors: usize,
    /// How many rounds; the least cost is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// `cargo bench` says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Reading,
    Storm,
}

/// How long a record may hold the engine.
const RECORD_MAX: Duration = Duration::from_millis(2);

fn main() {
    let options = Options::parse();
    let wanted = |part| options.only.is_none_or(|only| only == part);
    if wanted(Part::Reading) {
        readings(&options);
    }
    if wanted(Part::Storm) {
        storm(&options);
    }
}

fn readings(options: &Options) {
    // In the caches, and not.
    let both =
        [500, options.sensors].map(|sensors| (sensors, rates::shares(sensors, options.rounds)));
    for (sensors, shares) in &both {
        println!(
            "{sensors} sensors: parse {:.0} ns, log {:.0} ns, judge {:.0} ns of no rule, {:.0} ns normal",
            shares.parse,
            shares.parse_and_log - shares.parse,
            shares.of_no_rule,
            shares.normal
        );
        let ratio = Target::AtMost(2.0).judge(shares.of_no_rule / shares.parse_and_log);
        println!("  judging what no rule looks at over parsing and logging it: {ratio}");
    }
    let [(_, warm), (_, cold)] = &both;
    let waited = (cold.of_no_rule - warm.of_no_rule) / cold.cold_line;
    println!(
        "a line of memory that is waited for: {:.0} ns; such lines a reading of no rule: {}",
        cold.cold_line,
        Target::AtMost(2.0).judge(waited)
    );
    let rules = [10, 100, 2_000];
    let under = |rules| move || rates::of_kind("voltage", 500, rules);
    let [few, some, many] = rules.map(under);
    let costs = rates::least(options.rounds, [&few, &some, &many]);
    grows("rules", &rules, &costs);
    let incidents = [10, 100, 10_000];
    let [few, some, many] = incidents.map(|incidents| move || rates::joining(incidents));
    let costs = rates::least(options.rounds, [&few, &some, &many]);
    grows("open incidents", &incidents, &costs);
}

/// Tells how a cost grows from the first of some numbers to the last.
fn grows(what: &str, numbers: &[usize], costs: &[rates::Nanos]) {
    for (number, cost) in numbers.iter().zip(costs) {
        println!("{number:>8} {what}: {cost:.0} ns a reading");
    }
    let ratio = costs[costs.len() - 1] / costs[0];
    let from = numbers[0];
    println!(
        "  the most over {from}: {}",
        Target::AtMost(1.2).judge(ratio)
    );
}

fn storm(options: &Options) {
    println!("\nworst record of each sort, in processor time of the thread:");
    let scenes = storm::SCENES.iter();
    for (name, scene) in scenes.filter(|(name, _)| name.contains(&options.scene)) {
        let (sorts, _) = stepped::least(options.rounds, || scene(options.sensors));
        println!("{name}");
        for (what, sort) in &sorts {
            println!(
                "  {what:<32} {:>8} records, p99 {:>8}, worst {:>8}, number {}",
                sort.count(),
                report::time(sort.p99()),
                report::time(sort.worst()),
                sort.worst_number()
            );
        }
        let worst = sorts.iter().filter(|(what, _)| **what != "first reload");
        let worst = worst
            .map(|(_, sort)| sort.worst())
            .max()
            .unwrap_or_default();
        let ratio = worst.as_secs_f64() / RECORD_MAX.as_secs_f64();
        println!(
            "  the worst over 2 ms: {}",
            Target::AtMost(1.0).judge(ratio)
        );
    }
}
