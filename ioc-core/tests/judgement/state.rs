//! A saved state: it goes on as the one that was saved (P2), damage is an error and never a panic,
//! and every format that is read loads for ever.

use std::num::NonZeroUsize;
use std::sync::Arc;

use expect_test::{Expect, expect, expect_file};
use ioc_core::bundle::{Bundle, Expected};
use ioc_core::decision::EffectClass;
use ioc_core::decision::Severity::{Minor, Moderate, Severe};
use ioc_core::judgement::{Judgement, STATE_FORMAT, STATE_FORMATS_READ};
use ioc_core::record::BundleHash;
use ioc_core::time::Millis;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::history as timeline;
use crate::workload::{Variant, bundle, day, history};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

fn saved(judgement: &Judgement) -> Vec<u8> {
    let mut bytes = Vec::new();
    judgement.save(&mut bytes);
    bytes
}

/// A state that some part of a day comes to, and the bundle that holds in it.
fn part_of(history: &History, part: Index) -> (Vec<u8>, Option<Arc<Bundle>>) {
    let mut begun = history.clone();
    begun.inputs.truncate(part.index(history.inputs.len() + 1));
    let (judgement, _) = begun.judge(&Manner::plain());
    let bytes = saved(&judgement);
    let hash = Judgement::saved_under(STATE_FORMAT, &bytes).unwrap();
    let mut bundles = history.bundles.iter();
    let held = hash.map(|hash| bundles.find(|bundle| bundle.hash == hash).unwrap());
    (bytes, held.cloned())
}

/// Loads bytes that may be damaged. Whatever loads holds together, and is saved and loads again.
fn load_damaged(bytes: &[u8], bundle: Option<&Arc<Bundle>>) -> bool {
    let load = |bytes: &[u8]| Judgement::load(STATE_FORMAT, ONE, bytes, bundle.cloned());
    let Ok(judgement) = load(bytes) else {
        return false;
    };
    assert_eq!(judgement.audit(), []);
    let again = load(&saved(&judgement)).unwrap();
    assert_eq!(again.digest(), judgement.digest());
    true
}

proptest! {
    #[test]
    fn a_damaged_state_is_an_error_or_another_state_and_never_a_panic(
        day in day(), part in any::<Index>(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        cut in any::<Index>(),
    ) {
        let (mut bytes, held) = part_of(&history(&day), part);
        prop_assert!(load_damaged(&bytes, held.as_ref()));
        prop_assert!(!load_damaged(&bytes[..cut.index(bytes.len())], held.as_ref()));
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        load_damaged(&bytes, held.as_ref());
        bytes.push(0);
        prop_assert!(!load_damaged(&bytes, held.as_ref()));
    }

    #[test]
    fn foreign_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!load_damaged(&bytes, None));
        let of_another_bundle = saved(&Judgement::new(ONE));
        prop_assert!(!load_damaged(&of_another_bundle, Some(&bundle(Variant::Usual))));
    }
}

#[test]
fn a_count_that_no_bytes_follow_costs_no_memory() {
    let bytes = saved(&example().judge(&Manner::plain()).0);
    for place in 0..bytes.len() - 4 {
        let mut damaged = bytes.clone();
        damaged[place..place + 4].fill(0xff);
        load_damaged(&damaged, Some(&example_bundle()));
    }
}

#[test]
fn a_format_that_is_not_read_is_an_error() {
    let bytes = saved(&Judgement::new(ONE));
    let load = |format| Judgement::load(format, ONE, &bytes, None).map(|_| ());
    assert_eq!(load(STATE_FORMAT), Ok(()));
    assert!(load(STATE_FORMATS_READ.start() - 1).is_err());
    assert!(load(STATE_FORMATS_READ.end() + 1).is_err());
    assert!(Judgement::saved_under(STATE_FORMAT + 1, &bytes).is_err());
}

#[test]
fn a_rule_that_means_something_else_by_now_is_an_error() {
    let (judgement, _) = example().judge(&Manner::plain());
    let bytes = saved(&judgement);
    let load = |bundle: Bundle| Judgement::load(STATE_FORMAT, ONE, &bytes, Some(bundle.into()));
    let bundle = Bundle::clone(&example_bundle());
    assert!(load(bundle.clone()).is_ok());
    let mut other = bundle.clone();
    other.detections[0].hash += 1;
    assert!(load(other).is_err());
    let mut other = bundle.clone();
    other.correlations[0].hash += 1;
    assert!(load(other).is_err());
    let mut other = bundle;
    other.correlations.pop();
    assert!(load(other).is_err());
}

#[test]
fn the_bundle_that_held_needs_not_be_provided_again() {
    let mut history = example();
    history.reload(MIDNIGHT + Millis::minutes(700), example_bundle());
    let records = history.records();
    let (before, reload) = records.split_at(records.len() - 1);
    let mut judgement = Judgement::new(ONE);
    judgement.provide(example_bundle());
    judgement.apply(before, &mut Vec::new());
    let bytes = saved(&judgement);
    assert_eq!(
        Judgement::saved_under(STATE_FORMAT, &bytes),
        Ok(Some(example_bundle().hash))
    );
    let mut loaded = Judgement::load(STATE_FORMAT, ONE, &bytes, Some(example_bundle())).unwrap();
    loaded.apply(reload, &mut Vec::new());
    judgement.apply(reload, &mut Vec::new());
    assert_eq!(loaded.digest(), judgement.digest());
}

/// A bundle whose hashes are given, so that what rules are made of may change.
fn example_bundle() -> Arc<Bundle> {
    let close = ("close", Some(("gate-shut", Expected::Is(1.0))));
    let builder = BundleBuilder::new()
        .sensor_with("gauge-1", "level", |sensor| {
            sensor.position = Some(metres(0, 0));
            sensor.interval = Some(Millis::minutes(1));
        })
        .sensor("gauge-2", "level", metres(300, 0))
        .threshold("high", "level", &[(Moderate, 3.0), (Severe, 4.0)], |rule| {
            rule.readings_min = 2;
            rule.clear_gap = 0.5;
        })
        .threshold("long", "level", &[(Minor, 2.0)], |rule| {
            rule.lasting = Millis::minutes(90);
        })
        .silence("silent", "level", 2, Millis::minutes(5))
        .report("call", "call", Minor, Millis::minutes(30))
        .sensor("gate-shut", "state", metres(0, 0))
        .actuator("gate", EffectClass::Idempotent, &[close, ("flash", None)])
        .actuator("siren", EffectClass::AtMostOnce, &[("sound", None)])
        .correlation("crowds", "crowd", &["call"], |rule| rule.sources_min = 3)
        .correlation("floods", "flood", &["high", "call"], |rule| {
            rule.weights = vec![2, 1];
            rule.sources_min = 2;
            rule.within = Millis::minutes(20);
        });
    let mut bundle = Bundle::clone(&builder.build());
    bundle.hash = BundleHash([0x51; 32]);
    let detections = bundle.detections.iter_mut().map(|rule| &mut rule.hash);
    let correlations = bundle.correlations.iter_mut().map(|rule| &mut rule.hash);
    for (hash, number) in detections.chain(correlations).zip(1..) {
        *hash = number;
    }
    Arc::new(bundle)
}

/// A flood that is over, one that is acknowledged and waits to clear, one that merged away; two
/// callers that are no crowd yet; a gauge that is silent, one that has been high for some time; a
/// gate that is shut before it has answered, a siren that may have been sounded, a command that
/// nobody took.
fn example() -> History {
    timeline(
        &[("first", &example_bundle())],
        "08:00 gauge-1 3.5
         08:01 gauge-1 4.5
         08:02 gauge-1 1.0
         09:00 gauge-2 3.1
         09:00 gauge-2 3.2
         09:01 ack flood#2 by=ana request=r-1
         09:02 gauge-2 2.2
         09:05 calls-1 1.0 kind=call at=2000,0 about=water
         09:05 calls-2 1.0 kind=call at=2100,0
         09:05 calls-3 1.0 kind=call at=0,3000
         09:05 calls-4 1.0 kind=call at=0,3900
         09:06 calls-5 1.0 kind=call at=1150,0
         09:07 gauge-1 0.5
         09:08 calls-6 1.0 kind=call at=9000,0
         09:09 gauge-2 2.4 observed=09:01
         09:07:30 order gate flash request=o-1
         09:08:31 order gate close request=o-2
         09:08:32 order siren sound request=o-3
         09:08:33 sent siren
         09:08:34 gate-shut 1
         09:09 tick",
    )
}

/// What each format's golden state comes to.
fn digests() -> [(u16, Expect); 8] {
    [
        (
            1,
            expect!["50475061350e492e8f5b4ed5970b220a9e4f9bc3650145d4d371234258750ea2"],
        ),
        (
            2,
            expect!["231b6f401098de5aa3d4f0d17db45f7e2d840e19ceab85075b4e3a44eff630f1"],
        ),
        (
            3,
            expect!["8972439f5ef4dcf4d87beb933cb3baca239d161b43345b3bfa25c91d0eee2dc8"],
        ),
        (
            4,
            expect!["8972439f5ef4dcf4d87beb933cb3baca239d161b43345b3bfa25c91d0eee2dc8"],
        ),
        (
            5,
            expect!["8972439f5ef4dcf4d87beb933cb3baca239d161b43345b3bfa25c91d0eee2dc8"],
        ),
        (
            6,
            expect!["2d4ed3b78e7794c2733591adb0f635bb8dfc9ae7c7cc6a7da4af4bfc8bdfafb2"],
        ),
        (
            7,
            expect!["05928f8066b3e87d03a6809a76473ba5df2df7a506e151d45c6bac7f5af840a5"],
        ),
        (
            8,
            expect!["f88928ee39b6a0608c0ecab3048d59f760a2d33efa5952cbf7ed6a04629bcb79"],
        ),
    ]
}

#[test]
fn the_bytes_of_a_state_do_not_change() {
    let (judgement, _) = example().judge(&Manner::plain());
    let lines: Vec<_> = saved(&judgement).chunks(48).map(hex).collect();
    expect_file!["../golden/state-8.hex"].assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn every_format_that_is_read_loads_and_goes_on() {
    let goldens = [
        (1, include_str!("../golden/state-1.hex")),
        (2, include_str!("../golden/state-2.hex")),
        (3, include_str!("../golden/state-3.hex")),
        (4, include_str!("../golden/state-4.hex")),
        (5, include_str!("../golden/state-5.hex")),
        (6, include_str!("../golden/state-6.hex")),
        (7, include_str!("../golden/state-7.hex")),
        (8, include_str!("../golden/state-8.hex")),
    ];
    let formats: Vec<_> = goldens.iter().map(|(format, _)| *format).collect();
    assert!(STATE_FORMATS_READ.eq(formats), "each has a golden file");
    for ((format, golden), (_, digest)) in goldens.into_iter().zip(digests()) {
        let bundle = Some(example_bundle());
        let loaded = Judgement::load(format, ONE, &bytes(golden), bundle).unwrap();
        assert_eq!(loaded.audit(), []);
        digest.assert_eq(&blake3::Hash::from(loaded.digest()).to_hex());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
