//! The keys that may push over HTTP: lines of `name hash sensors devices=…` in a file outside the
//! configuration.
//!
//! Arrives: the file's text; the host has checked that only its owner can read it. Leaves: keys.
//! Blank lines and lines that begin with `#` are ignored; `ioc key new` makes lines.

use ioc_gateway::keys::{KEYS_MAX, Key, Keys};

use super::mistake::{Mistakes, Place};

/// Reads the keys in `text`; `file` is only for messages.
///
/// # Errors
/// All mistakes.
pub fn parse(file: &str, text: &str) -> Result<Keys, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut keys: Vec<(&str, Key)> = Vec::new();
    let lines = (1..).zip(text.lines());
    for (line, text) in lines.filter(|(_, text)| !is_blank(text)) {
        let place = Place {
            line,
            column: 1,
            ..Place::whole(file)
        };
        match Key::of_line(text) {
            Ok(key) => keys.push(key),
            Err(error) => mistakes.add(&place, "", error.to_string()),
        }
    }
    if keys.len() > KEYS_MAX {
        let what = format!("{} keys are too many; at most {KEYS_MAX}", keys.len());
        mistakes.add(&Place::whole(file), "", what);
    }
    keys.sort_by(|a, b| a.0.cmp(b.0));
    for pair in keys.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let what = format!("key `{}` is named twice; remove one line", pair[0].0);
        mistakes.add(&Place::whole(file), "", what);
    }
    mistakes.or(Some(Keys::new(keys)))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use ioc_gateway::keys::NewKey;

    fn new(name: &str) -> NewKey {
        NewKey::new(name, &["wl-*".to_owned()], [1; 16]).unwrap()
    }

    #[test]
    fn keys_are_read_and_every_mistake_is_told() {
        let [a, b] = ["a", "b"].map(new);
        let text = format!("# ours\n\n{}\n{}\n", a.line, b.line);
        let keys = parse("keys", &text).unwrap();
        assert!(keys.find(&a.key).is_some() && keys.find(&b.key).is_some());

        let text = format!("{}\n{}\npump {} wl-1\nonly\n", a.line, a.line, a.key);
        let mistakes = parse("keys", &text).unwrap_err().to_string();
        expect![[r#"
            keys: key `a` is named twice; remove one line
            keys:3:1: the second word is not the hash of a key (64 hexadecimal digits); if it is the key itself, others may have read it: make a new one with `ioc key new`
            keys:4:1: not a name, a hash and sensors; `ioc key new NAME SENSORS` makes a line"#]]
        .assert_eq(&mistakes);
    }

    #[test]
    fn p5_keys_have_a_bound() {
        let hash = "0".repeat(64);
        let keys =
            |count: usize| -> String { (0..count).map(|n| format!("k{n} {hash} *\n")).collect() };
        assert!(parse("keys", &keys(KEYS_MAX)).is_ok());
        let refused = parse("keys", &keys(KEYS_MAX + 1)).unwrap_err();
        assert!(refused.to_string().contains("are too many"));
    }
}
