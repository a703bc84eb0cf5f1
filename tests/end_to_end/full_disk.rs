//! A disk that is really full: the server goes on, says so, and takes readings again when there is
//! space. Needs a small file system to itself, so only where `IOC_TEST_TMPFS` is set and one may be
//! mounted; `tests/simulation/` proves the rest anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::kill::publish;
use crate::support::{Site, ioc, json_lines, river_city, wait_for};

/// Room for a few segments of 1 MiB of each log, and for the ballast.
const DISK: &str = "size=12m,mode=0700";
const BALLAST_BYTES: usize = 4 << 20;

/// A small file system; gone when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(path: PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "none"]).arg(&path);
        mount.status().ok()?.success().then_some(Self(path))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn p5_a_full_disk_ends_nothing_and_loses_nothing() {
    if std::env::var_os("IOC_TEST_TMPFS").is_none() {
        eprintln!("skipped: set IOC_TEST_TMPFS where a tmpfs may be mounted");
        return;
    }
    let site = Site::new(&river_city());
    let Some(_mount) = Mount::new(site.data()) else {
        eprintln!("skipped: no tmpfs may be mounted here");
        return;
    };
    let ballast = site.data().join("ballast");
    fs::write(&ballast, vec![7; BALLAST_BYTES]).unwrap();
    let server = site.start();
    let enough = Arc::new(AtomicBool::new(false));
    let publishing = {
        let (to, enough) = (server.mqtt, Arc::clone(&enough));
        thread::spawn(move || {
            let mut acked = BTreeSet::new();
            while !enough.load(Ordering::Relaxed) {
                let more = acked.len() + 500;
                publish(to, &mut acked, more).unwrap();
            }
            acked
        })
    };
    let ready = || server.get("/readyz").body;
    wait_for("the disk to be full", || {
        ready().contains("disk is full").then_some(())
    });
    let token = format!("Bearer {}", site.token());
    let order = server.post(
        "/api/v1/incidents/inc-7777777777/acknowledge",
        &[("authorization", &token)],
        "",
    );
    assert_eq!(order.status, 404, "journaled and judged: {}", order.body);
    fs::remove_file(ballast).unwrap();
    wait_for("space", || (ready() == "ready\n").then_some(()));
    enough.store(true, Ordering::Relaxed);
    let acked = publishing.join().unwrap();
    assert!(server.stop().success());
    let data = site.data();
    let dump = json_lines(&ioc(&["journal", "dump", data.to_str().unwrap()]).stdout);
    let readings = dump
        .iter()
        .filter_map(|line| line["reading"]["id"].as_str());
    let journaled: BTreeSet<_> = readings.map(str::to_owned).collect();
    let lost: Vec<_> = acked.difference(&journaled).collect();
    assert!(lost.is_empty(), "P1: acknowledged and lost: {lost:?}");
}
