//! Our own examples, damaged and spliced, through every target. `PROPTEST_CASES` says how often.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::damage::Damage;
use super::*;

/// What the names of examples begin with of which nothing is to be taken.
const REFUSED: &str = "refused_";
/// The longest example once it is damaged: pieces of it may be repeated.
const BYTES_MAX: usize = 16 << 10;

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The names of the files in a directory, without what follows the first dot.
fn stems(dir: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| name.split('.').next().unwrap().to_owned())
        .collect()
}

/// The examples of a target, each with its name.
fn examples(target: Target) -> Vec<(String, Vec<u8>)> {
    let dir = fuzz_dir().join("seeds").join(target.name());
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

static EXAMPLES: LazyLock<Vec<(Target, Vec<u8>)>> = LazyLock::new(|| {
    let of = |target: &Target| {
        let target = *target;
        let bytes = examples(target).into_iter().map(|(_, bytes)| bytes);
        bytes.map(move |bytes| (target, bytes)).collect::<Vec<_>>()
    };
    Target::ALL.iter().flat_map(of).collect()
});

#[test]
fn every_target_has_a_binary_a_line_of_its_page_and_examples() {
    let names: BTreeSet<_> = Target::ALL
        .iter()
        .map(|target| target.name().to_owned())
        .collect();
    assert_eq!(names.len(), Target::ALL.len());
    assert_eq!(stems(&fuzz_dir().join("fuzz_targets")), names);
    assert_eq!(stems(&fuzz_dir().join("seeds")), names);
    let manifest = fs::read_to_string(fuzz_dir().join("Cargo.toml")).unwrap();
    let page = fs::read_to_string(fuzz_dir().join("README.md")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn of_every_example_something_is_taken_but_of_those_that_are_to_be_refused() {
    for target in Target::ALL {
        for (name, bytes) in examples(*target) {
            let taken = target.run(&bytes);
            let wanted = !name.starts_with(REFUSED);
            assert_eq!(taken > 0, wanted, "{}/{name}: {taken}", target.name());
        }
    }
}

proptest! {
    // A case takes some microseconds: more of them than of other properties.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases * 16,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_becomes_of_an_example_no_promise_is_broken(
        which: Index,
        other: Index,
        splice: Option<(Index, Index)>,
        damages in prop::collection::vec(Damage::any(), 0..6),
    ) {
        let (target, example) = &EXAMPLES[which.index(EXAMPLES.len())];
        let mut bytes = example.clone();
        if let Some((keep, from)) = splice {
            let (_, other) = &EXAMPLES[other.index(EXAMPLES.len())];
            bytes.truncate(keep.index(bytes.len()) + 1);
            bytes.extend_from_slice(&other[from.index(other.len())..]);
        }
        for damage in &damages {
            damage.apply(&mut bytes);
            bytes.truncate(BYTES_MAX);
        }
        target.run(&bytes);
    }

    #[test]
    fn whatever_the_bytes_no_promise_is_broken(which: Index, bytes: Vec<u8>) {
        Target::ALL[which.index(Target::ALL.len())].run(&bytes);
    }
}
