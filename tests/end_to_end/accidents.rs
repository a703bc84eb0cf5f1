//! What can happen to a data directory, what is said then, and the ways out that
//! `docs/ACCIDENTS.md` gives: each of its commands is typed here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use ioc::journal::disk::SystemDisk;
use ioc::journal::{BatchHeader, JournalId, Known, Log, LogKind, LogOptions, Mark, remove_before};
use ioc_core::decision::Decision;
use ioc_core::record::BuildHash;
use ioc_core::time::{Millis, Timestamp};
use serde_json::Value;

use crate::snapshots::{calm, snapshot_after};
use crate::support::{
    IOC, Server, Site, command_of, high_water, ioc, json_lines, level, other_build, river_city,
};

/// What a command said to people.
pub fn told(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(said).unwrap()
}

/// The segments of a log, each with where its batches begin.
pub fn log_segments(site: &Site, log: &str) -> Vec<(PathBuf, Vec<(usize, BatchHeader)>)> {
    let dir = fs::read_dir(site.data().join(log)).unwrap();
    let mut paths: Vec<_> = dir.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    let batches = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((header, _, _)) = BatchHeader::decode(&bytes[at..]) {
            found.push((at, header));
            at += BatchHeader::BYTES + header.length as usize;
        }
        found
    };
    paths
        .into_iter()
        .map(|path| (path.clone(), batches(&path)))
        .collect()
}

/// Turns a bit over, or back.
pub fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Starts a server that must not come up; returns its exit code and what it said.
pub fn refused(mut command: Command) -> (Option<i32>, String) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // It says where it listens when it is up, and nothing if it is not to come up.
    let mut up = String::new();
    let stdout = process.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut up).unwrap();
    if !up.is_empty() {
        process.kill().unwrap();
    }
    let output = process.wait_with_output().unwrap();
    assert_eq!(up, "", "it came up");
    (output.status.code(), told(&output))
}

fn journal(args: &[&str], site: &Site) -> Output {
    let data = site.data();
    let mut all = vec!["journal", args[0], data.to_str().unwrap()];
    all.extend(&args[1..]);
    ioc(&all)
}

fn dump(site: &Site) -> Vec<Value> {
    let dump = journal(&["dump"], site);
    assert!(dump.status.success(), "{}", told(&dump));
    json_lines(&dump.stdout)
}

fn snapshots(site: &Site) -> Vec<PathBuf> {
    let dir = fs::read_dir(site.data().join("snapshots")).unwrap();
    let mut paths: Vec<_> = dir.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A server with a flood and two snapshots, and what REST shows of it.
fn with_two_snapshots(site: &Site) -> (Server, u64) {
    let server = site.start();
    server.post_readings(&high_water());
    let mut through = 0;
    for round in 0..2 {
        server.post_readings(&calm(round * 300, 290));
        server.post_readings(&calm(round * 300 + 290, 10));
        through = snapshot_after(&server, through + 100);
    }
    (server, through)
}

#[test]
fn a_damaged_record_after_the_newest_snapshot_is_reported_with_its_place() {
    let site = Site::new(&river_city());
    let (server, through) = with_two_snapshots(&site);
    for n in 0..4 {
        server.post_readings(&calm(600 + n, 1));
    }
    server.kill();
    let segments = log_segments(&site, "inputs");
    let (path, batches) = segments.last().unwrap();
    // Not the last one: a later batch says that it was durable.
    let (offset, batch) = batches[batches.len() - 3];
    assert!(batch.first > through + 1);
    let whole = dump(&site);
    flip(path, offset + BatchHeader::BYTES + 20);

    let place = format!(
        "{} at byte {offset}: record {}",
        path.display(),
        batch.first
    );
    let (code, told_by_start) = refused(site.command());
    assert_eq!(code, Some(65), "{told_by_start}");
    assert!(told_by_start.contains(&place), "{told_by_start}");
    let verified = journal(&["verify"], &site);
    assert_eq!(verified.status.code(), Some(65));
    let told = told(&verified);
    assert!(told.contains(&place), "{told}");
    assert!(
        told.contains("all readable, complete up to"),
        "the decisions: {told}"
    );
    assert!(
        told.contains("whole, its place not checked"),
        "the snapshots: {told}"
    );
    let dumped = journal(&["dump"], &site);
    assert_eq!(dumped.status.code(), Some(65), "{}", self::told(&dumped));
    let said = String::from_utf8_lossy(&dumped.stderr).into_owned();
    assert!(said.contains(&place), "{said}");
    let left = whole
        .into_iter()
        .filter(|line| line["type"].is_string() || line["seq"].as_u64() < Some(batch.first));
    let left: Vec<_> = left.collect();
    assert_eq!(json_lines(&dumped.stdout), left, "all but what is lost");
    let before = (batch.first - 1).to_string();
    let record = journal(&["dump", "--record", &before], &site);
    assert!(record.status.success(), "{}", self::told(&record));
    assert!(!told.contains("both logs are whole"), "{told}");
    let lost = journal(&["dump", "--record", &batch.first.to_string()], &site);
    assert_eq!(lost.status.code(), Some(65), "{}", self::told(&lost));

    // The way out is a copy of the directory; here the bit is turned back.
    flip(path, offset + BatchHeader::BYTES + 20);
    assert!(site.start().stop().success());
    assert!(journal(&["verify"], &site).status.success());
}

#[test]
fn damaged_decisions_are_reported_with_their_place_unless_nobody_asks_for_them_any_more() {
    let site = Site::new(&river_city());
    let command = || {
        let mut command = site.command();
        command.env("IOC_WINDOW_RING_DECISIONS_MAX", "1000");
        command
    };
    let begin = Timestamp::parse(b"2026-03-14T00:00:00Z").unwrap();
    let high = |n: i64| {
        let at = begin + Millis::seconds(30 * n);
        level(&format!("high-{n}"), "wl-1", &at.to_string(), 3.7)
    };
    for run in 0..2 {
        let server = Server::start(command());
        for batch in 0..4 {
            let from = 1600 * run + 400 * batch;
            server.post_readings(&(from..from + 400).map(high).collect::<Vec<_>>());
        }
        assert!(server.stop().success());
    }
    let segments = log_segments(&site, "decisions");
    let (old, batches) = &segments[0];
    let (offset, _) = batches[batches.len() / 2];
    flip(old, offset + 10);
    let server = Server::start(command());
    assert_eq!(server.incidents().len(), 1);
    assert!(server.stop().success());
    assert_eq!(journal(&["verify"], &site).status.code(), Some(65));
    flip(old, offset + 10);

    let newest = segments.iter().rfind(|(_, batches)| batches.len() > 2);
    let (new, batches) = newest.unwrap();
    let (offset, batch) = batches[batches.len() - 2];
    flip(new, offset + 10);
    let (code, told) = refused(command());
    assert_eq!(code, Some(65), "{told}");
    let place = format!("{} at byte {offset}: record {}", new.display(), batch.first);
    assert!(told.contains(&place), "{told}");
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_one_before_and_that_for_the_log() {
    let site = Site::new(&river_city());
    let (server, _) = with_two_snapshots(&site);
    let shown = server.incidents();
    server.kill();
    let [older, newer] = snapshots(&site).try_into().unwrap();
    flip(&newer, 100);
    let verified = journal(&["verify"], &site);
    assert_eq!(verified.status.code(), Some(65));
    let told = told(&verified);
    assert!(told.contains("is of no use: it is damaged"), "{told}");
    let name = newer.file_name().unwrap().to_str().unwrap();
    assert!(
        told.contains(&format!("snapshots/{name} is of no use")),
        "{told}"
    );
    assert!(told.contains("both logs are whole"), "{told}");
    assert!(
        told.contains("whole, in its place in the log"),
        "the other one: {told}"
    );

    let server = site.start();
    assert_eq!(server.incidents(), shown);
    server.kill();
    flip(&older, 100);
    let server = site.start();
    assert_eq!(server.incidents(), shown, "the whole log is judged again");
    server.kill();

    // In a segment of its own, what is left begins with another record than the first.
    let (first, _) = log_segments(&site, "inputs").remove(0);
    let gone = site.dir.path().join("gone.log");
    fs::rename(&first, &gone).unwrap();
    let (code, words) = refused(site.command());
    assert_eq!(code, Some(65), "{words}");
    assert!(words.contains("record 1 is missing or damaged"), "{words}");
    fs::rename(&gone, &first).unwrap();
    assert!(site.start().stop().success());
}

#[test]
fn a_log_whose_beginning_a_snapshot_stands_for_verifies() {
    let site = Site::new(&river_city());
    let (server, _) = with_two_snapshots(&site);
    assert!(server.stop().success());
    assert!(site.start().stop().success());
    // As retention does it: the log knows where it begins now.
    let (_, second) = log_segments(&site, "inputs").swap_remove(1);
    let (_, begin) = second[0];
    let inputs = site.data().join("inputs");
    remove_before(&SystemDisk, &inputs, LogKind::Inputs, begin.first).unwrap();
    let verified = journal(&["verify"], &site);
    let told_of_it = told(&verified);
    assert!(verified.status.success(), "{told_of_it}");
    let begins = format!("begins with number {}", begin.first);
    assert!(told_of_it.contains(&begins), "{told_of_it}");
    assert!(told_of_it.contains("both logs are whole"), "{told_of_it}");
    assert_eq!(dump(&site)[0]["seq"], begin.first);
    let again = ["backtest", "--city", &site.args[1]];
    let again = ioc(&[&again[..], &[site.data().to_str().unwrap()]].concat());
    assert!(
        told(&again).contains("is no longer kept"),
        "{}",
        told(&again)
    );
    assert!(site.start().stop().success());

    fs::remove_dir_all(site.data().join("snapshots")).unwrap();
    let verified = journal(&["verify"], &site);
    assert_eq!(verified.status.code(), Some(65));
    let (code, words) = refused(site.command());
    assert_eq!(code, Some(65), "{words}");
    for words in [words, told(&verified)] {
        let beginning = format!("the inputs log begins with record {}", begin.first);
        assert!(words.contains(&beginning), "{words}");
    }
}

#[test]
fn directories_of_two_journals_are_not_taken_for_one() {
    let [site, other] = [(); 2].map(|()| {
        let site = Site::new(&river_city());
        let server = site.start();
        server.post_readings(&high_water());
        assert!(server.stop().success());
        site
    });
    // A snapshot from elsewhere only costs time.
    let [foreign] = snapshots(&other).try_into().unwrap();
    let mut bytes = fs::read(&foreign).unwrap();
    let own = site.data().join("snapshots");
    fs::write(own.join(format!("{:020}.snapshot", 9999)), &bytes).unwrap();
    bytes.clear();
    let verified = journal(&["verify"], &site);
    assert_eq!(verified.status.code(), Some(65));
    assert!(
        told(&verified).contains("it belongs to journal"),
        "{}",
        told(&verified)
    );
    let server = site.start();
    assert_eq!(server.incidents().len(), 1);
    assert!(server.stop().success());

    let decisions = site.data().join("decisions");
    fs::remove_dir_all(&decisions).unwrap();
    fs::rename(other.data().join("decisions"), &decisions).unwrap();
    let (code, told) = refused(site.command());
    assert_eq!(code, Some(65), "{told}");
    assert!(
        told.contains("put the two directories of one journal together"),
        "{told}"
    );
}

/// A site whose last record names rules that are lost: every start dies in it.
fn crash_loop() -> (Site, String) {
    let site = Site::new(&river_city());
    let server = site.start();
    server.post_readings(&high_water());
    server.kill();
    let city = river_city().replace("Old Town", "New Town");
    fs::write(&site.args[1], city).unwrap();
    site.start().kill();
    let lines = dump(&site);
    let reload = lines
        .iter()
        .rfind(|line| line["reload"].is_object())
        .unwrap();
    let bundle = reload["reload"]["bundle"].as_str().unwrap();
    fs::remove_file(site.data().join(format!("bundles/{bundle}.bundle"))).unwrap();
    (site, reload["seq"].to_string())
}

#[test]
fn a_crash_loop_ends_with_a_persons_word_that_holds_for_every_build() {
    let (site, record) = crash_loop();
    for _ in 0..2 {
        let (code, told) = refused(site.command());
        assert_eq!(code, Some(1), "{told}");
        let named = format!("record {record} could not be judged: the rules that it names");
        assert!(told.contains(&named), "{told}");
        let better = "put them back from a backup into the directory `bundles`";
        assert!(told.contains(better), "{told}");
        assert!(
            told.contains(&format!("start with --skip-record {record}")),
            "{told}"
        );
    }
    let looked_at = json_lines(&journal(&["dump", "--record", &record], &site).stdout);
    assert_eq!(looked_at.len(), 1);
    assert!(looked_at[0]["reload"].is_object(), "{looked_at:?}");
    let none = journal(&["dump", "--record", "1000"], &site);
    assert_eq!(none.status.code(), Some(64), "{}", told(&none));
    let skipped = journal(&["skip", &record], &site);
    assert!(skipped.status.success(), "{}", told(&skipped));
    let said = told(&skipped);
    let passed_over = format!("record {record} is passed over from the next start on: ");
    assert!(said.starts_with(&passed_over), "{said}");
    let bundle = looked_at[0]["reload"]["bundle"].as_str().unwrap();
    assert!(said.contains(bundle), "{said}");
    let again = journal(&["skip", &record], &site);
    assert!(again.status.success(), "{}", told(&again));
    let said = told(&again);
    assert!(
        said.starts_with(&format!("record {record} is skipped already: ")),
        "{said}"
    );
    let server = site.start();
    assert_eq!(server.incidents().len(), 1, "what came before it stands");
    server.kill();

    let lines = dump(&site);
    let skipped: Vec<_> = lines
        .iter()
        .filter(|line| line["skipped"] == true)
        .collect();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0]["seq"].to_string(), record);
    let words = lines.iter().filter(|line| line["skip"].is_object());
    assert_eq!(words.count(), 1, "the log says so");
    let verified = journal(&["verify"], &site);
    assert!(verified.status.success(), "{}", told(&verified));
    assert!(told(&verified).contains(&format!("record {record} is skipped")));

    // Said again it changes nothing, and another build needs no second word.
    let mut again = site.command();
    again.args(["--skip-record", &record]);
    assert!(Server::start(again).stop().success());
    let other = other_build(site.dir.path());
    assert!(Server::start(command_of(&other, &site)).stop().success());
    fs::remove_dir_all(site.data().join("snapshots")).unwrap();
    let server = Server::start(command_of(&other, &site));
    assert_eq!(server.incidents().len(), 1);
}

#[test]
fn a_start_tells_what_it_judged_again_what_the_last_end_left_and_which_records_are_skipped() {
    let (site, record) = crash_loop();
    let mut skipping = site.command();
    skipping.args(["--skip-record", &record]);
    let server = Server::start(skipping);
    let went_on = "going on where the journal ends";
    server.told(went_on);
    server.told(&format!(
        "records that a person has had skipped count=1 records=\"{record}\""
    ));
    assert!(server.stop().success());

    let server = site.start();
    let clean = server.told(went_on);
    assert!(clean.contains("judged_again=0 left_unsettled=0"), "{clean}");
    server.told(&format!("skipped count=1 records=\"{record}\""));
    server.post_readings(&calm(0, 150));
    server.kill();
    // Killed without a snapshot: all that came after the last is judged again.
    let server = site.start();
    let unclean = server.told(went_on);
    assert!(!unclean.contains("judged_again=0"), "{unclean}");
    assert!(!unclean.contains("left_unsettled=0"), "{unclean}");
    assert!(server.stop().success());
}

#[test]
fn p2_a_skipped_reading_is_evidence_of_nothing_anywhere() {
    let site = Site::new(&river_city());
    let server = site.start();
    let [a, b] = high_water();
    server.post_readings(&[a]);
    server.kill();
    let seq_of = |id: &str| {
        let lines = dump(&site);
        let line = lines.iter().find(|line| line["reading"]["id"] == id);
        line.expect("it is journaled")["seq"].to_string()
    };
    let record = seq_of("a");
    let mut skipping = site.command();
    skipping.args(["--skip-record", &record]);
    let server = Server::start(skipping);
    // The rule wants two readings: with the first one skipped, this is not enough.
    server.post_readings(&[b]);
    assert_eq!(server.incidents().len(), 0);
    server.kill();
    let server = site.start();
    assert_eq!(server.incidents().len(), 0);
    server.post_readings(&[level("c", "wl-1", "2026-03-14T06:50:00Z", 3.5)]);
    let shown = server.incidents();
    assert_eq!(shown.len(), 1);
    assert!(server.stop().success());

    let evidence = |lines: &[Value]| {
        let opened = lines.iter().find(|line| line["type"] == "incident_opened");
        opened.expect("it opened")["cause"]["events"].clone()
    };
    assert_eq!(evidence(&dump(&site)), serde_json::json!(["b", "c"]));
    let data = site.data();
    let again = ["backtest", "--city", &site.args[1], data.to_str().unwrap()];
    let again = ioc(&again);
    assert_eq!(
        evidence(&json_lines(&again.stdout)),
        serde_json::json!(["b", "c"])
    );

    // Whatever is lost of what was made of the log, the log and the list are enough.
    fs::remove_dir_all(data.join("snapshots")).unwrap();
    let other = other_build(site.dir.path());
    for build in [Path::new(IOC), &other] {
        let server = Server::start(command_of(build, &site));
        assert_eq!(server.incidents(), shown);
        assert!(server.stop().success());
    }
}

#[test]
fn a_lost_list_of_skipped_records_is_missed_though_a_snapshot_stands_for_them() {
    let (site, record) = crash_loop();
    let mut skipping = site.command();
    skipping.args(["--skip-record", &record]);
    assert!(Server::start(skipping).stop().success());
    let list = site.data().join("skipped");
    let kept = fs::read(&list).unwrap();
    fs::remove_file(&list).unwrap();
    // A start does not read what the log says of it before the snapshot.
    let way_out = format!("put it back, or start with --skip-record {record}");
    let (code, told_by_start) = refused(site.command());
    assert_eq!(code, Some(65), "{told_by_start}");
    assert!(told_by_start.contains(&way_out), "{told_by_start}");
    let says_it_once = || {
        let verified = journal(&["verify"], &site);
        assert_eq!(verified.status.code(), Some(65));
        let told = String::from_utf8(verified.stdout).unwrap();
        assert_eq!(told.matches(&way_out).count(), 1, "{told}");
    };
    says_it_once();

    let made_again = || {
        let mut again = site.command();
        again.args(["--skip-record", &record]);
        assert!(Server::start(again).stop().success());
        assert!(journal(&["verify"], &site).status.success());
        // It is said of the same record, with the same hash.
        assert_eq!(fs::read(&list).unwrap()[..66], kept[..66]);
    };
    made_again();
    assert!(site.start().stop().success());

    // As retention does it: only the snapshots know of it now.
    let (_, last) = log_segments(&site, "inputs").pop().unwrap();
    let inputs = site.data().join("inputs");
    remove_before(&SystemDisk, &inputs, LogKind::Inputs, last[0].1.first).unwrap();
    fs::remove_file(&list).unwrap();
    says_it_once();
    made_again();
}

#[test]
fn what_cannot_be_skipped_is_refused_with_what_to_do() {
    let site = Site::new(&river_city());
    let server = site.start();
    let locked = journal(&["skip", "1"], &site);
    assert_eq!(locked.status.code(), Some(1));
    assert!(
        told(&locked).contains("another ioc uses"),
        "{}",
        told(&locked)
    );
    server.post_readings(&high_water());
    server.kill();
    let refusals = [
        ("0", "0 is not in 1.."),
        ("1", "has judged it and gone on"),
        ("1000", "the log ends with record"),
    ];
    for (seq, why) in refusals {
        let refused = journal(&["skip", seq], &site);
        assert_eq!(refused.status.code(), Some(64), "{}", told(&refused));
        assert!(told(&refused).contains(why), "{}", told(&refused));
    }
    assert!(site.start().stop().success());
    let refused = journal(&["skip", "1"], &site);
    assert_eq!(refused.status.code(), Some(64));
    assert!(
        told(&refused).contains("a snapshot as of record"),
        "{}",
        told(&refused)
    );
}

/// Puts a decision into the log that this build would not derive.
fn forge_a_decision(site: &Site) {
    let data = site.data();
    let (_, batches) = log_segments(site, "inputs").pop().unwrap();
    let (_, inputs) = *batches.last().unwrap();
    let options = LogOptions {
        dir: data.join("decisions"),
        kind: LogKind::Decisions,
        segment_bytes: 1 << 20,
        build: BuildHash(*blake3::hash(&fs::read(IOC).unwrap()).as_bytes()),
    };
    let opened = Log::open(
        Arc::new(SystemDisk),
        options,
        JournalId([0; 16]),
        Known::default(),
    );
    let (mut log, contents) = opened.unwrap();
    let (mut last, mut bytes) = (Vec::new(), Vec::new());
    let mut rolling = Default::default();
    contents
        .for_each(&SystemDisk, 0, |header, payload| {
            if header.count > 0 {
                last = payload.to_vec();
                rolling = header.mark.hash;
            }
            Ok::<_, ioc::journal::JournalError>(())
        })
        .unwrap();
    let mut rest = &last[..];
    let mut decision = None;
    while let Some((length, after)) = rest.split_first_chunk() {
        let (encoded, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        decision = Some(Decision::decode(encoded).unwrap());
        rest = after;
    }
    let mut decision = decision.expect("something was decided");
    decision.seq += 1;
    decision.encode(&mut bytes);
    let mark = Mark {
        number: inputs.next() - 1,
        hash: ioc_core::decision::DecisionHash::after(rolling, &bytes),
    };
    let framed = [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat();
    log.append(1, &framed, mark, Timestamp::default()).unwrap();
    log.sync().unwrap();
}

#[test]
fn a_build_that_derives_other_decisions_than_it_released_stops_and_another_goes_on() {
    let site = Site::new(&river_city());
    let server = site.start();
    server.post_readings(&high_water());
    server.kill();
    forge_a_decision(&site);
    let published = dump(&site);
    let (code, told_by_start) = refused(site.command());
    assert_eq!(code, Some(65), "{told_by_start}");
    assert!(
        told_by_start.contains("other decisions than it released"),
        "{told_by_start}"
    );
    let other = other_build(site.dir.path());
    let server = Server::start(command_of(&other, &site));
    assert_eq!(server.incidents().len(), 1);
    assert!(server.stop().success());
    let decisions = |lines: Vec<Value>| -> Vec<Value> {
        let decisions = lines.into_iter().filter(|line| line["type"].is_string());
        decisions.collect()
    };
    let published = decisions(published);
    assert_eq!(decisions(dump(&site))[..published.len()], published);
}

#[test]
fn a_clock_far_from_the_journal_is_believed_only_on_a_persons_word() {
    let mut site = Site::new(&river_city());
    let server = site.start();
    server.post_readings(&[level("old", "wl-1", "2018-06-03T16:00:00Z", 1.0)]);
    assert!(server.stop().success());
    site.args[3] = "system".to_owned();
    let (code, told) = refused(site.command());
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("start once with --accept-clock"), "{told}");
    let mut believing = site.command();
    believing.arg("--accept-clock");
    assert!(Server::start(believing).stop().success());
    assert!(site.start().stop().success(), "once is enough");
}

#[test]
fn each_command_for_accidents_explains_itself_with_examples() {
    for command in ["verify", "dump", "adopt", "skip"] {
        let help = ioc(&["journal", command, "--help"]);
        let told = told(&help);
        assert!(
            told.contains(&format!("  ioc journal {command} data")),
            "{told}"
        );
    }
}

/// What stands for what a message has in the place of its fields.
const FIELDS: [&str; 8] = ["A", "B", "N", "X", "Y", "PATH", "DATA", "NAME"];

/// The page's quotes of what is said, without commands: their parts between fields and dots.
fn quotes() -> Vec<(&'static str, Vec<String>)> {
    let page = include_str!("../../docs/ACCIDENTS.md");
    let prose = page.split("```").step_by(2);
    let quotes = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let said = |quote: &&str| {
        let is_command = quote.starts_with("ioc ") || quote.starts_with("cp ");
        !is_command && quote.split_whitespace().count() > 2
    };
    let parts = |quote: &'static str| {
        let words = quote.split(' ').map(|word| {
            let name = word.trim_end_matches([':', ',']);
            match FIELDS.contains(&name) {
                true => word.replace(name, "{}"),
                false => word.to_owned(),
            }
        });
        let pattern = words.collect::<Vec<_>>().join(" ");
        let parts = pattern.split('…').map(|part| part.trim().to_owned());
        (quote, parts.filter(|part| !part.is_empty()).collect())
    };
    quotes.filter(said).map(parts).collect()
}

/// The sources as their messages are said: in one line, with `{}` for each field.
fn said_by_the_sources() -> String {
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut all = String::new();
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.file_name().is_some_and(|name| name != "tests.rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut said = String::new();
    for line in all.lines().map(str::trim_start) {
        match line.strip_suffix('\\') {
            Some(goes_on) => said.push_str(goes_on),
            None => said.extend([line, "\n"]),
        }
    }
    let mut named = said.split('{');
    let mut out = named.next().unwrap().to_owned();
    for rest in named {
        match rest.split_once('}') {
            Some((field, after)) if !field.contains(char::is_whitespace) => {
                out.extend(["{}", after]);
            }
            _ => out.extend(["{", rest]),
        }
    }
    out
}

#[test]
fn the_page_quotes_what_is_said() {
    let (quotes, said) = (quotes(), said_by_the_sources());
    assert!(quotes.len() > 15, "{quotes:?}");
    let never_said: Vec<_> = quotes
        .iter()
        .filter(|(_, parts)| !parts.iter().all(|part| said.contains(part)))
        .collect();
    assert!(never_said.is_empty(), "{never_said:#?}");
}
