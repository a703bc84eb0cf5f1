use std::fs;

use super::*;

fn source(files: &[(&str, &str)]) -> Source {
    let files = files.iter().map(|(name, text)| SourceFile {
        name: (*name).to_owned(),
        shown: (*name).to_owned(),
        bytes: text.as_bytes().to_vec(),
    });
    Source::of(files.collect())
}

#[test]
fn everything_in_the_shipped_directory_is_shipped() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let read = Source::read(Some(&dir), None).unwrap();
    assert_eq!(read.hash(), Source::read(None, None).unwrap().hash());
    let names: Vec<_> = read.files().iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, SHIPPED.map(|(name, _)| name));
}

#[test]
fn the_hash_is_of_names_and_contents_and_nothing_else() {
    let one = source(&[("kinds.yaml", "a"), ("rules/a.yaml", "b")]);
    let mut files = one.files().to_vec();
    files.reverse();
    files[0].shown = "elsewhere".to_owned();
    assert_eq!(Source::of(files).hash(), one.hash());
    let moved = source(&[("kinds.yaml", "ab"), ("rules/a.yaml", "")]);
    assert_ne!(moved.hash(), one.hash());
}

#[test]
fn a_bundle_is_had_back_as_it_was_stored_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("bundles");
    let one = source(&[("kinds.yaml", "a"), ("rules/a.yaml", "b")]);
    let hash = one.store(&store).unwrap();
    assert_eq!(one.store(&store).unwrap(), hash);
    assert_eq!(Source::load(&store, hash).unwrap(), one);
    assert_eq!(fs::read_dir(&store).unwrap().count(), 1);

    let path = path_of(&store, hash);
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = Source::load(&store, hash).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    // Storing it again heals it.
    one.store(&store).unwrap();
    assert_eq!(Source::load(&store, hash).unwrap(), one);

    let other = source(&[]).hash();
    assert!(matches!(
        Source::load(&store, other),
        Err(StoreError::Io { .. })
    ));
}

#[test]
fn what_a_directory_leaves_out_is_shipped_but_no_city_is_made_up() {
    let dir = tempfile::tempdir().unwrap();
    let empty = Source::read(Some(dir.path()), None).unwrap_err();
    assert!(
        empty.to_string().contains("no configuration here"),
        "{empty}"
    );

    fs::write(dir.path().join("ioc.yaml"), "").unwrap();
    let read = Source::read(Some(dir.path()), None).unwrap();
    assert!(read.files().iter().all(|file| file.name != CITY));
    assert!(
        read.files()
            .iter()
            .any(|file| file.name == "rules/flood.yaml")
    );

    fs::create_dir(dir.path().join("rules")).unwrap();
    fs::write(dir.path().join("rules/own.yaml"), "").unwrap();
    let read = Source::read(Some(dir.path()), None).unwrap();
    let names: Vec<_> = read.files().iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["kinds.yaml", "rules/own.yaml"]);
}

#[test]
fn a_packed_city_is_the_same_bundle_and_its_size_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("a.geojson");
    fs::write(&plain, "{}").unwrap();
    let packed = dir.path().join("b.geojson.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(File::create(&packed).unwrap(), Default::default());
    encoder.write_all(b"{}").unwrap();
    encoder.finish().unwrap();
    let hash = |path| Source::read(None, Some(path)).unwrap().hash();
    assert_eq!(hash(&plain), hash(&packed));
    assert_eq!(read_bounded(&packed, 1).unwrap().len(), 2);

    fs::write(&packed, "this is not packed at all").unwrap();
    let mistakes = Source::read(None, Some(&packed)).unwrap_err().to_string();
    assert!(
        mistakes.contains("b.geojson.gz: cannot be read: invalid gzip header"),
        "{mistakes}"
    );
}

#[test]
fn p5_files_of_rules_have_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    fs::create_dir(&rules).unwrap();
    for number in 0..=RULE_FILES_MAX {
        fs::write(rules.join(format!("r{number}.yaml")), "").unwrap();
    }
    let refused = Source::read(Some(dir.path()), None).unwrap_err();
    assert!(refused.to_string().contains("files are too many"));
    let long = vec![b'#'; yaml::FILE_BYTES_MAX + 1];
    fs::write(rules.join("r0.yaml"), long).unwrap();
    fs::remove_file(rules.join("r1.yaml")).unwrap();
    let refused = Source::read(Some(dir.path()), None).unwrap_err();
    assert!(refused.to_string().contains("more than 1048576 bytes"));
}
