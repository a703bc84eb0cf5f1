//! Two builds on one data directory: who may go on from what the other left, and on whose word.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::accidents::{flip, log_segments, refused, told};
use crate::snapshots::{calm, snapshot_after};
use crate::support::{
    IOC, Server, Site, command_of, high_water, ioc, json_lines, level, other_build, river_city,
};

/// A site, and another build of the program.
struct Builds {
    site: Site,
    other: PathBuf,
}

impl Builds {
    fn new() -> Self {
        let site = Site::new(&river_city());
        let other = other_build(site.dir.path());
        Self { site, other }
    }

    fn start_other(&self) -> Server {
        Server::start(command_of(&self.other, &self.site))
    }

    fn adopt(&self, build: &Path) -> Output {
        let mut adopt = Command::new(build);
        adopt.args(["journal", "adopt"]).arg(self.site.data());
        adopt.output().unwrap()
    }

    /// The start of a build, which must fail because of the other's tail.
    fn is_refused(&self, build: &Path) {
        let (code, told) = refused(command_of(build, &self.site));
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("judged by another build"), "{told}");
        assert!(told.contains("stop it with SIGTERM"), "{told}");
        assert!(told.contains("ioc journal adopt"), "{told}");
    }

    /// The published decisions.
    fn published(&self) -> Vec<Value> {
        let dump = ioc(&["journal", "dump", self.site.data().to_str().unwrap()]);
        assert!(dump.status.success(), "{}", told(&dump));
        let lines = json_lines(&dump.stdout);
        let decisions = lines.into_iter().filter(|line| line["type"].is_string());
        decisions.collect()
    }
}

/// Nothing that was published has changed, and numbers go on without a gap.
fn go_on_from(before: &[Value], after: &[Value]) {
    assert_eq!(&after[..before.len()], before, "published decisions stand");
    for (place, decision) in after.iter().enumerate() {
        assert_eq!(decision["seq"], place as u64 + 1, "numbers are consecutive");
    }
}

#[test]
fn p2_a_drained_build_hands_over_to_another_and_back_without_a_word() {
    let builds = Builds::new();
    let server = builds.site.start();
    server.post_readings(&high_water());
    let shown = server.incidents();
    assert!(server.stop().success());
    // The second snapshot is as of a record in the second segment.
    assert!(builds.site.start().stop().success());
    let before = builds.published();

    // Only a start from the other's snapshot gets past what is damaged before it.
    let (first, _) = log_segments(&builds.site, "inputs").remove(0);
    flip(&first, 250);
    let server = builds.start_other();
    assert_eq!(server.incidents(), shown);
    let more = level("c", "wl-1", "2026-03-14T06:55:00Z", 4.4);
    server.post_readings(&[more]);
    assert!(server.stop().success());
    flip(&first, 250);
    let between = builds.published();
    go_on_from(&before, &between);
    assert!(between.len() > before.len());

    // The way back is the same.
    let server = builds.site.start();
    let more = level("d", "wl-1", "2026-03-14T07:00:00Z", 4.4);
    server.post_readings(&[more]);
    assert!(server.stop().success());
    let after = builds.published();
    go_on_from(&between, &after);
    assert!(after.len() > between.len());
}

#[test]
fn p2_a_tail_that_another_build_left_is_judged_only_on_a_persons_word_and_the_word_is_used_once() {
    let builds = Builds::new();
    let server = builds.site.start();
    assert_eq!(server.post_readings(&high_water()).status, 200);
    server.post_readings(&calm(0, 300));
    server.post_readings(&calm(300, 10));
    // A snapshot does not help: the tail comes after it.
    snapshot_after(&server, 100);
    let shown = server.incidents();
    server.post_readings(&calm(310, 5));
    let locked = builds.adopt(&builds.other);
    assert_eq!(locked.status.code(), Some(1));
    assert!(
        told(&locked).contains("another ioc uses"),
        "{}",
        told(&locked)
    );
    server.kill();
    let before = builds.published();

    builds.is_refused(&builds.other);
    let nothing = builds.adopt(Path::new(IOC));
    assert!(nothing.status.success(), "{}", told(&nothing));
    assert!(
        told(&nothing).contains("nothing to adopt"),
        "{}",
        told(&nothing)
    );
    assert!(!builds.site.data().join("adopt").exists());
    let adopted = builds.adopt(&builds.other);
    assert!(adopted.status.success(), "{}", told(&adopted));
    let [from, to] = [IOC.as_ref(), &*builds.other]
        .map(|build| blake3::hash(&std::fs::read(build).unwrap()).to_hex()[..16].to_owned());
    let said = told(&adopted);
    assert!(said.contains(&format!("judged by build {from}…")), "{said}");
    assert!(said.contains(&format!("this build, {to}…")), "{said}");
    let server = builds.start_other();
    assert_eq!(server.incidents(), shown, "what was released stands");
    server.kill();
    go_on_from(&before, &builds.published());
    // Killed at once: what it took over is its own, though no decision followed from it.
    let server = builds.start_other();
    server.post_readings(&calm(315, 5));
    server.kill();

    // Now the first one is the other, and the word was not for it, nor is there any left.
    builds.is_refused(Path::new(IOC));
    assert!(builds.adopt(Path::new(IOC)).status.success());
    let server = builds.site.start();
    server.post_readings(&calm(320, 5));
    server.kill();
    builds.is_refused(&builds.other);

    // Drained, anybody may go on.
    assert!(builds.site.start().stop().success());
    assert!(builds.start_other().stop().success());
    go_on_from(&before, &builds.published());
    let dump = ioc(&["journal", "dump", builds.site.data().to_str().unwrap()]);
    let adopted = json_lines(&dump.stdout);
    let adopted = adopted.iter().filter(|line| line["adopted"].is_object());
    assert_eq!(adopted.count(), 2, "each word is journaled");
}
