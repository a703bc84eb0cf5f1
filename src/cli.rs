//! The command line: what can be typed, and which part of the program does it.
//!
//! Arrives: arguments. Leaves: a call of the part that does the work, and its failure as one
//! message and an exit code. Nothing is done here.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use ioc_core::record::{Adopted, Seq};
use ioc_gateway::formats::Message;

use crate::args::Address;
use crate::backtest::{self, BacktestError, BacktestOptions, Summary};
use crate::clock::ClockMode;
use crate::config::check;
use crate::config::mistake::Mistakes;
use crate::config::settings::{self, Settings};
use crate::config::source::Source;
use crate::demo::{self, DemoArgs};
use crate::host::{self, Devices, HostError, RunOptions};
use crate::inspect::{self, InspectError};
use crate::journal::JournalError;
use crate::key::{self, KeyCommand, KeyError};
use crate::labels;
use crate::letters::{self, LettersArgs};
use crate::map;
use crate::progress;
use crate::quiet::{self, QuietArgs, QuietError};
use crate::reach::Waiting;
use crate::recover::{self, RecoverError};
use crate::reload;
use crate::reload::command::{ReloadArgs, ReloadError};
use crate::rules::Rules;
use crate::scenarios::{self, TestError, TestOptions};
use crate::send::{self, SendArgs};
use crate::shadow;
use crate::shadow::http::ShadowArgs;
use crate::simulate::{self, SimulateArgs};
use crate::skipped::SkippedError;
use crate::streams::{self, StreamsArgs};
use crate::watch::{self, WatchArgs};
use crate::why::{self, About, WhyError};

/// The real-time backend of a city's Integrated Operations Centre.
///
/// Sensors publish readings over MQTT and HTTP; ioc turns the flood into the few incidents that
/// people must act on and streams every decision to the operators' consoles.
#[derive(Debug, Parser)]
#[command(name = "ioc", version, propagate_version = true, after_help = FIRST_STEPS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  ioc demo                          a whole simulated city; open the address it prints
  ioc run --data data               the server; MQTT on 127.0.0.1:1883, HTTP on 127.0.0.1:8080
  ioc send readings.jsonl           publish recorded readings to it
  ioc watch                         the decisions, live, in this terminal
  ioc backtest readings.jsonl       what would have been decided, without a server";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Run(RunArgs),
    /// Run the server on a simulated city, with a throw-away data directory
    Demo(DemoArgs),
    /// Publish a simulated city's readings over MQTT or NATS
    Simulate(SimulateArgs),
    /// Publish recorded readings over MQTT, NATS or HTTP
    Send(SendArgs),
    /// Judge recorded readings offline and print the decisions
    Backtest(BacktestArgs),
    /// Try the rules on the scenarios that lie beside them
    Test(TestArgs),
    /// Why an incident is as it is, or why a reading led to nothing
    Why(WhyArgs),
    /// What people said is one incident, is not, was real or was a false alarm: a line a reading
    #[command(after_help = LABELS_HELP)]
    Labels {
        /// The data directory
        #[arg(default_value = "data")]
        data: PathBuf,
    },
    /// Watch the decisions of a server live
    Watch(WatchArgs),
    /// Check a configuration: every mistake, with its place and what to write instead
    Check(CheckArgs),
    /// Have a running server read its rules again: all or nothing
    Reload(ReloadArgs),
    /// How rules that tell nobody would have decided, beside the live ones
    Shadow(ShadowArgs),
    /// What is kept quiet on purpose, by whom, why, until when; and orders to keep something quiet
    Quiet(QuietArgs),
    /// Show what a message becomes by the mappings, and why
    Map(MapArgs),
    /// Print the settings with their defaults, each explained
    Config,
    /// Show what a server could not read, and have it read again
    DeadLetters(LettersArgs),
    /// Make the JetStream streams that ioc reads from and writes to
    Streams(StreamsArgs),
    /// Keys for those who push readings over HTTP
    #[command(subcommand)]
    Key(KeyCommand),
    /// Inspect a data directory, and ways out of accidents that change it
    #[command(subcommand)]
    Journal(JournalCommand),
}

/// What `ioc run` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Settings come from config/ioc.yaml (see `ioc config`); IOC_<SECTION>_<KEY> in the environment
overrides them, for example IOC_HTTP_LISTEN=127.0.0.1:0.

Prints `listening http ADDRESS`, `listening mqtt ADDRESS` and then `ready` on stdout.
SIGTERM or Ctrl-C drains: nothing acknowledged is lost, nothing unacknowledged is claimed. SIGHUP
has the rules read again (see `ioc reload`), or drains where the server runs in a terminal.")]
struct RunArgs {
    /// Directory of ioc.yaml, kinds.yaml, mappings.yaml, rules/ and city.geojson [default: compiled in]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Directory of the journal; made if missing [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// City file (GeoJSON, .gz too) in place of the configuration's
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// What logical time follows: system, scaled:N (N times faster), or readings (recorded data)
    #[arg(long, value_name = "CLOCK")]
    clock: Option<ClockMode>,
    /// Believe a system clock more than 30 days away from the journal, this once
    #[arg(long)]
    accept_clock: bool,
    /// Pass this record over for good, because no start gets past it (see `ioc journal skip`)
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    skip_record: Vec<Seq>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc backtest --city city.geojson readings.jsonl.gz > decisions.jsonl
  ioc backtest --config my-rules data              what other rules would have made of it
  ioc backtest --against my-rules data             how that differs from the shipped ones
  ioc backtest --config now --against new --json storm.jsonl > difference.json

With --against, both sets of rules judge the same readings, and the difference is printed: incidents
that one of them alone opens, or opens earlier, later, more or less severe (matched by the readings
that they are made of), and how many alarms each detection rule raised. Orders that people gave
about incidents are addressed to those with the same evidence, or reported as unmatched.

READINGS are native readings, one JSON object a line, in the order of their arrival; each line's
received_at (else observed_at) is the clock. Decisions go to stdout, one a line; progress and a
summary to stderr.")]
struct BacktestArgs {
    /// City file (GeoJSON, .gz too) in place of the configuration's
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// Directory of the rules [default: compiled in]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Directory of other rules: print how the incidents and alarms differ, not the decisions
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Print the difference as JSON
    #[arg(long, requires = "against")]
    json: bool,
    /// How many sensor stages share the sensors; the decisions are the same with any number
    #[arg(long, value_name = "N", default_value = "1")]
    shards: NonZeroUsize,
    /// Recorded readings (JSONL, .gz too, - for stdin), or a data directory
    readings: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = TEST_HELP)]
struct TestArgs {
    /// City file (GeoJSON, .gz too) in place of the configuration's
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// Only scenarios whose file or title contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Show what was decided of scenarios that hold, too
    #[arg(long)]
    show: bool,
    /// The configuration directory; its scenarios are DIR/scenarios/*.txt
    #[arg(default_value = "config")]
    dir: PathBuf,
}

const TEST_HELP: &str = "\
A scenario is a story of the city and what is to come of it, a statement a line:

  scenario Two gauges that agree are one flood
    from 10:00 to 10:10 every 1 min  wl-0007, wl-0008  3.0 m to 4.0 m
    at 10:05                         caller emergency_call 1 category=flood at 200 m north of wl-0007
    at 10:08                         ana acknowledges flood
    expect flood opened by 10:06 severe
    expect no flood cleared until 11:00

Time is virtual: a day takes milliseconds. An incident that opens and that no line expects is a
failure; `expect nothing` says that none opens, `ignore KIND` that a kind is of no interest.
docs/TESTING_RULES.md explains every statement.

Examples:
  ioc test                          the scenarios of ./config
  ioc test my-city --only flood
  ioc test my-city --only \"Two gauges\" --show    what was decided, also if it holds

Exit codes: 0 all hold, 1 some failed, 64 mistakes in the rules or the scenarios.";

#[derive(Debug, Args)]
#[command(after_help = WHY_HELP)]
struct WhyArgs {
    /// inc-…, SENSOR/READING, a reading's id, a sensor (its last reading), or #981 (a record)
    about: About,
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const LABELS_HELP: &str = "\
Examples:
  ioc labels data > labels.jsonl
  ioc labels data | jq 'select(.verdict == \"false_alarm\") | .sensor' | sort | uniq -c

Of each incident that somebody merged, split, moved evidence of, linked, rated, confirmed or
dismissed, each reading that is its evidence: {\"sensor\", \"reading\", \"record\", \"incident\", \"kind\",
\"verdict\", \"by\", \"caused_by\"}. The incident is the one that it belongs to by now; the verdict is real,
false_alarm, test, planned, not_ours, or null while nobody has said. What nobody looked at is no label.
Only reads, also beside a running server.";

const WHY_HELP: &str = "\
Examples:
  ioc why inc-7k2q9xw3tf            every decision about it: rules, readings, distances, timers
  ioc why wl-0412                   what became of the last reading of this sensor
  ioc why wl-0412/e5c1              of this one
  ioc why '#981' --json

Of a reading it tells how far it came: known already, no rule of its kind, how far below which level,
1 of 2 readings, late, a candidate that weighs 2 of 3, or the incident that it is evidence of. It is
judged again from the nearest snapshot, by the rules that held then; the server keeps nothing for it.
Only reads, also beside a running server, which answers the same at /api/v1/why/… .";

#[derive(Debug, Args)]
struct CheckArgs {
    /// City file (GeoJSON, .gz too) in place of the configuration's
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// The directory to check
    #[arg(default_value = "config")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc map zigbee2mqtt/hall < message.json
  ioc map --config my-city weather/7/report message.json
  ioc map --header 'ce-specversion: 1.0' --header 'ce-id: 7' --header 'ce-source: /pumps' \\
      --header 'ce-type: level' --header 'content-type: application/json' events/pumps data.json

Prints a line for each reading that the message becomes, as native JSON, and for each part that
becomes a dead letter, with its place and the reason. Nothing is sent. The exit code is 0 if there
are readings and no dead letter.")]
struct MapArgs {
    /// Directory of mappings.yaml, kinds.yaml and city.geojson [default: compiled in]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// City file (GeoJSON, .gz too) in place of the configuration's
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// The content type that comes with it
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// A header that comes with it over HTTP or NATS, as `ce-type: level` of a CloudEvent (repeatable)
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = map::named_value)]
    headers: Vec<(String, String)>,
    /// A user property that comes with it over MQTT 5, as `type: level` of a CloudEvent (repeatable)
    #[arg(long = "property", value_name = "NAME: VALUE", value_parser = map::named_value)]
    properties: Vec<(String, String)>,
    /// The topic that the message is published to
    topic: String,
    /// The message (- for stdin)
    #[arg(default_value = "-")]
    message: PathBuf,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Check both logs and the snapshots from end to end: hash chains, records, decisions
    #[command(after_help = VERIFY_HELP)]
    Verify {
        /// The data directory
        data: PathBuf,
    },
    /// Print each record and each decision as a line of JSON
    #[command(after_help = DUMP_HELP)]
    Dump {
        /// The data directory
        data: PathBuf,
        /// Only this record
        #[arg(long, value_name = "SEQ")]
        record: Option<Seq>,
    },
    /// Let this build judge what another build left unfinished, at its next start
    #[command(after_help = ADOPT_HELP)]
    Adopt {
        /// The data directory
        data: PathBuf,
    },
    /// Pass a record over for good that no start gets past
    #[command(after_help = SKIP_HELP)]
    Skip {
        /// The data directory
        data: PathBuf,
        /// The number of the record, as the failed start names it
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        seq: Seq,
    },
}

const VERIFY_HELP: &str = "\
Examples:
  ioc journal verify data           exit code 0: all is whole; 65: something is damaged
  ioc journal verify backup/data    a copy that was taken while no server ran

Only reads, also beside a running server. Each part that is damaged is named with its place; the
others are checked all the same. A damaged snapshot alone is 65 too, though a start does without it:
then the last line still says that both logs are whole. A torn tail is no damage: the next start
cuts it.";

const DUMP_HELP: &str = "\
Examples:
  ioc journal dump data > data.jsonl
  ioc journal dump data --record 981        the record that a failed start names

Only reads, also beside a running server. A damaged log is printed up to the damage, and the other
one all the same; then it ends with exit code 65 and the place.";

const ADOPT_HELP: &str = "\
Examples:
  ioc journal adopt data && ioc run --data data

For a start that is refused because another build did not end cleanly. Better is to start that
build once more and to stop it with SIGTERM. The word holds for the next start of this very
executable and is journaled; no decision that was published changes its number or its meaning.
Where there is nothing to adopt, that is said, and it is no mistake: the exit code is 0.";

const SKIP_HELP: &str = "\
Examples:
  cp -a data data.before                    first, so that the record can be looked into
  ioc journal dump data --record 981        what it is
  ioc journal skip data 981                 or: ioc run --data data --skip-record 981
  ioc journal dump data | grep skipped      the records that are skipped

For a start that ends with `record 981 could not be judged`. The record keeps its
number and its time passes, but nothing is decided from it: now, at every later
start, and with every build. There is no way back but the copy.

Refused is a record that is not in the log, that a snapshot stands for, or that
this build has judged and gone on from. A good record at the log's end may not be
refused: skip only what a start has named.";

/// Why a command failed, for the person who typed it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// The whole chain of causes; empty if all has been said already.
    pub message: String,
}

impl Failure {
    /// Something did not work.
    pub const FAILED: u8 = 1;
    /// Bad usage or settings (EX_USAGE of BSD's sysexits).
    pub const USAGE: u8 = 64;
    /// A damaged journal (EX_DATAERR of BSD's sysexits).
    pub const DAMAGED: u8 = 65;
    /// Nobody listens at an address (EX_UNAVAILABLE of BSD's sysexits).
    pub const UNAVAILABLE: u8 = 69;

    fn new(code: u8, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self { code, message }
    }

    fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(Self::FAILED, error)
    }

    fn usage(mistakes: &Mistakes) -> Self {
        Self {
            code: Self::USAGE,
            message: mistakes.to_string(),
        }
    }

    /// Whoever read our output has gone: nothing to complain about.
    fn output(error: &io::Error) -> Result<(), Self> {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(Self::failed(error)),
        }
    }
}

impl Cli {
    /// Reads what was typed.
    ///
    /// # Errors
    /// What is wrong with it; or the help or the version, if that was asked for.
    pub fn read() -> Result<Self, clap::Error> {
        let matches = flowing(Self::command()).try_get_matches()?;
        Self::from_arg_matches(&matches)
    }

    /// Does what was typed.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => run(args),
            Command::Demo(args) => demo::run(&args).map_err(|error| host_failure(&error)),
            Command::Simulate(args) => {
                reach(args.to.address(), args.waiting)?;
                block_on(simulate::command(args))
            }
            Command::Send(args) => {
                reach(Some(args.to.address()), args.waiting)?;
                block_on(send::command(args))
            }
            Command::Backtest(args) => backtest(&args),
            Command::Test(args) => test(args),
            Command::Why(args) => tell_why(&args),
            Command::Labels { data } => tell_labels(&data),
            Command::Watch(args) => {
                reach(Some(&args.url.0), args.waiting)?;
                block_on(watch::command(args))
            }
            Command::Check(args) => check_configuration(&args),
            Command::Reload(args) => reload_rules(args),
            Command::Shadow(args) => block_on(shadow::http::command(args)),
            Command::Quiet(args) => keep_quiet(args),
            Command::Map(args) => map_message(&args),
            Command::Config => print(settings::DEFAULTS),
            Command::DeadLetters(args) => block_on(letters::command(args)),
            Command::Streams(args) => block_on(streams::command(args)),
            Command::Key(command) => new_key(&command),
            Command::Journal(command) => journal(command),
        }
    }
}

/// A command whose help breaks its lines where the terminal ends: what is written in lines of its
/// own would be broken once more there.
fn flowing(command: clap::Command) -> clap::Command {
    let help = command
        .get_after_help()
        .map(|help| joined(&help.to_string()));
    let command = command.mut_subcommands(flowing);
    match help {
        Some(help) => command.after_help(help),
        None => command,
    }
}

/// A text with the lines of a paragraph in one; what is indented stays as it is.
fn joined(text: &str) -> String {
    let mut whole = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let is_prose = !line.is_empty() && !line.starts_with(' ');
        if !whole.is_empty() {
            whole.push(if goes_on && is_prose { ' ' } else { '\n' });
        }
        whole.push_str(line);
        goes_on = is_prose && !line.ends_with(':');
    }
    whole
}

fn run(args: RunArgs) -> Result<(), Failure> {
    let mut settings = load_settings(args.config.as_deref())?;
    if let Some(clock) = args.clock {
        let ClockMode(kind) = clock;
        settings.clock = kind;
    }
    if let Some(data) = args.data {
        settings.data = data;
    }
    let options = RunOptions {
        devices: Devices::OfTheWorld,
        settings,
        config: args.config,
        city: args.city,
        accept_clock: args.accept_clock,
        skip_records: args.skip_record,
    };
    host::run(options).map_err(|error| host_failure(&error))
}

fn load_settings(dir: Option<&Path>) -> Result<Settings, Failure> {
    Settings::load(dir, std::env::vars()).map_err(|mistakes| Failure::usage(&mistakes))
}

fn host_failure(error: &HostError) -> Failure {
    let code = match error {
        HostError::Usage(_) => Failure::USAGE,
        HostError::Recover(error) => recover_code(error),
        _ => Failure::FAILED,
    };
    Failure::new(code, error)
}

fn recover_code(error: &RecoverError) -> u8 {
    use SkippedError::{
        Damaged, Forgotten, Full, Journal, Judged, Missing, Mixed, Other, Snapshotted,
    };
    match error {
        RecoverError::Journal(JournalError::Damage(_))
        | RecoverError::Diverged { .. }
        | RecoverError::Mixed { .. }
        | RecoverError::Beginning { .. }
        | RecoverError::Skipped(Damaged { .. } | Mixed { .. } | Other { .. } | Forgotten { .. }) => {
            Failure::DAMAGED
        }
        RecoverError::Skipped(Missing { .. } | Snapshotted { .. } | Judged { .. } | Full) => {
            Failure::USAGE
        }
        RecoverError::Skipped(Journal(_))
        | RecoverError::Journal(_)
        | RecoverError::ForeignTail { .. }
        | RecoverError::Unjudged { .. }
        | RecoverError::Rules { .. }
        | RecoverError::Bundle { .. }
        | RecoverError::Snapshot { .. }
        | RecoverError::Record { .. } => Failure::FAILED,
    }
}

fn block_on<E: std::error::Error + 'static>(
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::failed(&error))?;
    runtime
        .block_on(work)
        .map_err(|error| Failure::failed(&error))
}

/// Whether somebody listens at an address, which a command would otherwise try for ever.
fn reach(address: Option<&Address>, waiting: Waiting) -> Result<(), Failure> {
    let Some(address) = address else {
        return Ok(());
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::failed(&error))?;
    let reached = runtime.block_on(waiting.first_try(address));
    reached.map_err(|error| Failure::new(Failure::UNAVAILABLE, &error))
}

fn backtest(args: &BacktestArgs) -> Result<(), Failure> {
    if let Some(other) = &args.against {
        return compare(args, other);
    }
    let options = backtest_options(args, args.config.as_deref())?;
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match backtest::run(&options, &mut out) {
        Ok(summary) => {
            tell(&summary);
            Ok(())
        }
        Err(error) => backtest_failure(error),
    }
}

/// The same readings by two sets of rules.
fn compare(args: &BacktestArgs, other: &Path) -> Result<(), Failure> {
    let own = backtest_options(args, args.config.as_deref())?;
    let other = (backtest_options(args, Some(other))?, other.display());
    let name = args.config.as_deref();
    let name = name.map_or("shipped".to_owned(), |dir| dir.display().to_string());
    match backtest::compare([&own, &other.0], [name, other.1.to_string()]) {
        Ok(difference) if args.json => print(&format!("{}\n", difference.to_json())),
        Ok(difference) => print(&difference.to_string()),
        Err(error) => backtest_failure(error),
    }
}

fn backtest_options(args: &BacktestArgs, dir: Option<&Path>) -> Result<BacktestOptions, Failure> {
    if let Some(shipped) = shipped(dir.is_none(), args.city.is_none()) {
        progress::tell(shipped);
    }
    let source = Source::read(dir, args.city.as_deref());
    let source = source.map_err(|mistakes| Failure::usage(&mistakes))?;
    let compiled = source
        .compile()
        .map_err(|mistakes| Failure::usage(&mistakes))?;
    if !compiled.warnings.is_empty() {
        progress::tell(&compiled.warnings);
    }
    let settings = load_settings(dir)?;
    Ok(BacktestOptions {
        readings: args.readings.clone(),
        catalogue: compiled.catalogue(settings.door.unregistered),
        bundle: compiled.bundle,
        shards: args.shards,
    })
}

/// What of that which readings are judged by was not named, and is therefore as shipped.
fn shipped(rules: bool, city: bool) -> Option<&'static str> {
    match (rules, city) {
        (true, true) => Some(
            "by the shipped rules and the shipped city, Kota Seraya; --config DIR judges by your \
             own, --city FILE by your city",
        ),
        (true, false) => Some("by the shipped rules; --config DIR judges by your own"),
        (false, _) => None,
    }
}

fn backtest_failure(error: BacktestError) -> Result<(), Failure> {
    match error {
        BacktestError::Output(error) => Failure::output(&error),
        BacktestError::Journal(InspectError::Journal(JournalError::Damage(damage))) => {
            Err(Failure::new(Failure::DAMAGED, &damage))
        }
        error => Err(Failure::failed(&error)),
    }
}

fn tell(summary: &Summary) {
    for dead in &summary.first_dead {
        progress::tell(format_args!("dead letter: {dead}"));
    }
    let seconds = summary.took.as_secs_f64();
    progress::tell(format_args!(
        "{} readings in {seconds:.2} s ({:.0}/s), {} dead letters; {} decisions, {} incidents",
        summary.readings,
        summary.readings as f64 / seconds.max(1e-9),
        summary.dead_letters,
        summary.decisions,
        summary.opened,
    ));
    let (moved, lost) = (summary.commands_remapped, summary.commands_unmatched);
    if moved + lost > 0 {
        progress::tell(format_args!(
            "orders about incidents: {moved} addressed to others with the same evidence, {lost} \
             about none that is here"
        ));
    }
}

fn test(args: TestArgs) -> Result<(), Failure> {
    let settings = load_settings(Some(&args.dir))?;
    let options = TestOptions {
        dir: args.dir,
        city: args.city,
        only: args.only,
        show: args.show,
        unregistered: settings.door.unregistered,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match scenarios::run(&options, &mut out) {
        Ok(summary) if summary.held + summary.failed == 0 => Err(Failure {
            code: Failure::USAGE,
            message: "no scenario is called so".to_owned(),
        }),
        Ok(summary) if summary.failed == 0 => Ok(()),
        Ok(_) => Err(Failure {
            code: Failure::FAILED,
            message: String::new(),
        }),
        Err(TestError::Mistakes(mistakes)) => Err(Failure::usage(&mistakes)),
        Err(TestError::Output(error)) => Failure::output(&error),
    }
}

fn tell_why(args: &WhyArgs) -> Result<(), Failure> {
    is_data_directory(&args.data)?;
    let bundles = Rules::new(&args.data, None, None).bundles();
    match why::answer(&args.data, &args.about, &*bundles) {
        Ok(answer) if args.json => print(&format!("{}\n", answer.to_json())),
        Ok(answer) => print(&answer.to_string()),
        Err(error) => {
            let code = match error {
                WhyError::Unknown { .. } | WhyError::NoReading { .. } => Failure::USAGE,
                WhyError::Journal(_) => Failure::FAILED,
            };
            Err(Failure::new(code, &error))
        }
    }
}

fn tell_labels(data: &Path) -> Result<(), Failure> {
    is_data_directory(data)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let told = labels::run(data, &mut out).and_then(|told| Ok(out.flush().map(|()| told)?));
    match told {
        Ok(told) => {
            eprintln!("{} incidents, {} readings", told.incidents, told.readings);
            if told.unsure > 0 {
                eprintln!(
                    "{} further readings cannot be told from the log",
                    told.unsure
                );
            }
            Ok(())
        }
        Err(InspectError::Output(error)) => Failure::output(&error),
        Err(error) => Err(Failure::new(Failure::DAMAGED, &error)),
    }
}

fn check_configuration(args: &CheckArgs) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match check::run(Some(&args.dir), args.city.as_deref(), &mut out) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure {
            code: Failure::USAGE,
            message: String::new(),
        }),
        Err(error) => Failure::output(&error),
    }
}

fn keep_quiet(args: QuietArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::failed(&error))?;
    let done = runtime.block_on(quiet::command(args));
    done.map_err(|error| match error {
        QuietError::Usage(_) => Failure::new(Failure::USAGE, &error),
        error => Failure::failed(&error),
    })
}

fn reload_rules(args: ReloadArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::failed(&error))?;
    let done = runtime.block_on(reload::command::command(args));
    done.map_err(|error| match error {
        ReloadError::Mistakes(_) => Failure::new(Failure::USAGE, &error),
        error => Failure::failed(&error),
    })
}

fn map_message(args: &MapArgs) -> Result<(), Failure> {
    let source = Source::read(args.config.as_deref(), args.city.as_deref());
    let compiled = source.and_then(|source| source.compile());
    let compiled = compiled.map_err(|mistakes| Failure::usage(&mistakes))?;
    let settings = load_settings(args.config.as_deref())?;
    let catalogue = compiled.catalogue(settings.door.unregistered);
    let payload = if args.message == Path::new("-") {
        map::read_message(io::stdin().lock())
    } else {
        File::open(&args.message).and_then(map::read_message)
    };
    let payload = payload.map_err(|error| Failure {
        code: Failure::USAGE,
        message: format!("cannot read {}: {error}", args.message.display()),
    })?;
    let beside = map::Beside::of(&args.headers, &args.properties);
    let event = beside.event();
    let message = Message {
        topic: &args.topic,
        payload: &payload,
        content_type: args.content_type.as_deref().or(beside.content_type()),
        event: &event,
        ..Message::default()
    };
    match map::run(&catalogue, message, &mut io::stdout().lock()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure {
            code: Failure::FAILED,
            message: String::new(),
        }),
        Err(error) => Failure::output(&error),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .or_else(|error| Failure::output(&error))
}

fn new_key(command: &KeyCommand) -> Result<(), Failure> {
    match key::command(command, &mut io::stdout().lock()) {
        Ok(()) => Ok(()),
        Err(KeyError::Output(error)) => Failure::output(&error),
        Err(error @ (KeyError::Line(_) | KeyError::Mistakes(_) | KeyError::Unknown { .. })) => {
            Err(Failure::new(Failure::USAGE, &error))
        }
        Err(error @ (KeyError::File { .. } | KeyError::Read { .. } | KeyError::Random(_))) => {
            Err(Failure::failed(&error))
        }
    }
}

fn is_data_directory(data: &Path) -> Result<(), Failure> {
    if !data.join(recover::INPUTS_DIR).is_dir() {
        let message = format!(
            "{} is no data directory of ioc: it holds no {}/",
            data.display(),
            recover::INPUTS_DIR
        );
        return Err(Failure {
            code: Failure::USAGE,
            message,
        });
    }
    Ok(())
}

fn journal(command: JournalCommand) -> Result<(), Failure> {
    let (JournalCommand::Verify { data }
    | JournalCommand::Dump { data, .. }
    | JournalCommand::Adopt { data }
    | JournalCommand::Skip { data, .. }) = &command;
    is_data_directory(data)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let inspected = match command {
        JournalCommand::Verify { data } => inspect::verify(&data, &mut out),
        JournalCommand::Dump { data, record } => match record {
            Some(seq) => inspect::dump_record(&data, seq, &mut out),
            None => inspect::dump(&data, &mut out),
        },
        JournalCommand::Adopt { data } => return adopt(&data),
        JournalCommand::Skip { data, seq } => return skip(&data, seq),
    };
    match inspected.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => Ok(()),
        Err(InspectError::Output(error)) => Failure::output(&error),
        Err(error) => {
            // What was found before it stands above it.
            let _ = out.flush();
            let code = match error {
                InspectError::NoRecord { .. } => Failure::USAGE,
                _ => Failure::DAMAGED,
            };
            Err(Failure::new(code, &error))
        }
    }
}

fn adopt(data: &Path) -> Result<(), Failure> {
    let adopted = host::adopt(data).map_err(|error| host_failure(&error))?;
    let Some((tail, own)) = adopted else {
        return print("nothing to adopt: no other build has left anything unfinished\n");
    };
    let [build, own] = [tail.build, own].map(|build| inspect::hex(&build.0[..8]));
    let Adopted { from, to, .. } = tail;
    print(&format!(
        "records {from} to {to}, judged by build {build}… which did not end cleanly, are taken \
         over by this build, {own}…, at its next start\n"
    ))
}

fn skip(data: &Path, seq: Seq) -> Result<(), Failure> {
    let is_new = host::skip(data, seq).map_err(|error| host_failure(&error))?;
    let mut record = Vec::new();
    // What the list says holds, whether the record can be shown or not.
    let shown = inspect::dump_record(data, seq, &mut record);
    let record = match shown {
        Ok(()) => String::from_utf8_lossy(&record),
        Err(error) => error.to_string().into(),
    };
    let record = shortened(record.trim_end());
    let word = if is_new {
        "passed over from the next start on"
    } else {
        "skipped already"
    };
    print(&format!("record {seq} is {word}: {record}\n"))
}

/// So much of a record tells which one it is.
const RECORD_CHARS_SHOWN: usize = 300;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(RECORD_CHARS_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help of each command, by its name, at this width.
    fn helps(command: &mut clap::Command, told: &mut Vec<(String, String)>) {
        let name = command.get_name().to_owned();
        told.push((name, command.render_long_help().to_string()));
        let inner = command.get_subcommands_mut();
        inner.for_each(|command| helps(command, told));
    }

    fn sized(command: clap::Command, width: usize) -> clap::Command {
        let command = command.term_width(width);
        command.mut_subcommands(|command| sized(command, width))
    }

    #[test]
    fn a_paragraph_of_help_is_broken_by_the_terminal_alone() {
        let text = "Examples:\n  ioc a\n  ioc b\n\nOne\ntwo\n\nthree:\n  four";
        assert_eq!(
            joined(text),
            "Examples:\n  ioc a\n  ioc b\n\nOne two\n\nthree:\n  four"
        );
        for width in [80, 100] {
            let mut told = Vec::new();
            helps(&mut sized(flowing(Cli::command()), width), &mut told);
            assert!(told.len() > 20, "{}", told.len());
            let texts = told
                .iter()
                .map(|(_, text)| text.lines().collect::<Vec<_>>());
            for lines in texts {
                // A line that ends early is the last of its paragraph.
                let broken = lines.windows(2).find(|pair| {
                    let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
                    let [line, next] = pair else { return false };
                    let word = next.split(' ').next().unwrap_or_default();
                    let fits = line.chars().count() + 1 + word.chars().count() <= width;
                    is_prose(line) && is_prose(next) && !line.ends_with(':') && fits
                });
                assert_eq!(broken, None, "at {width}");
            }
        }
    }

    #[test]
    fn what_is_to_be_read_again_must_be_said_and_all_ways_are_told() {
        let error = Cli::try_parse_from(["ioc", "dead-letters", "replay"]).unwrap_err();
        let told = error.to_string();
        for way in ["--all", "--seq", "--reason", "--topic"] {
            assert!(told.contains(way), "{told}");
        }
        let both = [
            "ioc",
            "dead-letters",
            "replay",
            "--reason",
            "a",
            "--topic",
            "b",
        ];
        assert!(Cli::try_parse_from(both).is_ok());
    }
}
