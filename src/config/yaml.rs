//! YAML as a tree that remembers where everything is written.
//!
//! Arrives: the text of one file. Leaves: a [`Node`] whose every key and value has its file, line
//! and column, so that a mistake found later can still point at it. Promise: bounded in size and
//! depth, whatever the file holds. Left out on purpose: aliases and tags (a file must say what it
//! means where it says it), several documents, keys that are not text. Scalars stay text: what is
//! a number is for the reader of the key to say, so `no` and `1e3` surprise nobody.
//! Next: `field.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::mistake::{Mistakes, Place};

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing was written, or `~` or `null`.
    Empty,
    /// A scalar, as written.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written; no key twice.
    Map(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is written.
    pub place: Place,
    /// Its value.
    pub value: Node,
}

/// The most bytes that a file may have.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// How deep lists and mappings may lie in one another.
const DEPTH_MAX: usize = 12;

/// Parses the text of `file`. A mistake of syntax ends the parse, others do not; `None` if there
/// was any mistake.
pub fn parse(file: &str, text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    if text.len() > FILE_BYTES_MAX {
        let what = format!(
            "{} bytes are too many; at most {FILE_BYTES_MAX}: split the file",
            text.len()
        );
        mistakes.add(&Place::whole(file), "", what);
        return None;
    }
    let mut builder = Builder::new(file);
    for event in Parser::new(StrInput::new(text)) {
        let stop = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => builder.syntax(&error),
        };
        if stop.is_break() {
            break;
        }
    }
    builder.finish(mistakes)
}

/// Builds the tree from events, without recursion.
struct Builder {
    file: Arc<str>,
    /// What is open, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    mistakes: Mistakes,
}

enum Open {
    List(Place, Vec<Node>),
    Map(Place, OpenMap),
}

/// A mapping that is not closed yet.
#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// The line of every key so far.
    lines: HashMap<String, u32>,
    /// The key whose value comes next.
    key: Option<(String, Place)>,
}

type Flow = std::ops::ControlFlow<()>;

impl Builder {
    fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            open: Vec::new(),
            root: None,
            mistakes: Mistakes::default(),
        }
    }

    fn place(&self, marker: &Marker) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line: marker.line() as u32,
            column: marker.col() as u32 + 1,
        }
    }

    fn syntax(&mut self, error: &ScanError) -> Flow {
        let place = self.place(error.marker());
        let what = format!("not YAML: {}", error.info());
        self.mistakes.add(&place, "", what);
        Flow::Break(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Flow {
        let place = self.place(&span.start);
        let tagged = match &event {
            Event::Scalar(_, _, _, tag)
            | Event::SequenceStart(_, tag)
            | Event::MappingStart(_, tag) => tag.is_some(),
            _ => false,
        };
        if tagged {
            let what = "tags (`!…`) have no meaning here; write the value without one";
            self.mistakes.add(&place, "", what);
        }
        match event {
            Event::Scalar(text, style, ..) => self.scalar(place, text.into_owned(), style),
            Event::SequenceStart(..) => return self.push(Open::List(place, Vec::new())),
            Event::MappingStart(..) => return self.push(Open::Map(place, OpenMap::default())),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) => {
                let what = "aliases (`*name`) have no meaning here; write the value out";
                self.mistakes.add(&place, "", what);
                self.attach(Node {
                    place,
                    value: Value::Empty,
                });
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                let what = "a second document begins here (`---`); one file is one document";
                self.mistakes.add(&place, "", what);
                return Flow::Break(());
            }
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamStart
            | Event::StreamEnd
            | Event::Nothing => {}
        }
        Flow::Continue(())
    }

    fn scalar(&mut self, place: Place, text: String, style: ScalarStyle) {
        let empty = style == ScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null");
        let value = if empty {
            Value::Empty
        } else {
            Value::Text(text)
        };
        self.attach(Node { place, value });
    }

    fn push(&mut self, open: Open) -> Flow {
        if self.open.len() == DEPTH_MAX {
            let (Open::List(place, _) | Open::Map(place, _)) = open;
            let what = format!("more than {DEPTH_MAX} levels in one another");
            self.mistakes.add(&place, "", what);
            return Flow::Break(());
        }
        self.open.push(open);
        Flow::Continue(())
    }

    fn close(&mut self) {
        let node = match self.open.pop() {
            Some(Open::List(place, nodes)) => Node {
                place,
                value: Value::List(nodes),
            },
            Some(Open::Map(place, map)) => Node {
                place,
                value: Value::Map(map.entries),
            },
            None => return,
        };
        self.attach(node);
    }

    /// Puts a whole node where it belongs: into the innermost open list or mapping.
    fn attach(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, map)) => match map.key.take() {
                None => map.key = Some(key_of(node, &mut self.mistakes)),
                Some((key, place)) => map.add(key, place, node, &mut self.mistakes),
            },
        }
    }

    fn finish(self, mistakes: &mut Mistakes) -> Option<Node> {
        let sound = self.mistakes.is_empty();
        let nothing = Node {
            place: Place::whole(&self.file),
            value: Value::Empty,
        };
        mistakes.append(self.mistakes);
        sound.then(|| self.root.unwrap_or(nothing))
    }
}

fn key_of(node: Node, mistakes: &mut Mistakes) -> (String, Place) {
    match node.value {
        Value::Text(text) => (text, node.place),
        Value::Empty | Value::List(_) | Value::Map(_) => {
            mistakes.add(&node.place, "", "a key must be a word");
            (String::new(), node.place)
        }
    }
}

impl OpenMap {
    fn add(&mut self, key: String, place: Place, value: Node, mistakes: &mut Mistakes) {
        if let Some(first) = self.lines.get(&key) {
            let what = format!("is written twice, first at line {first}; remove one");
            mistakes.add(&place, &key, what);
            return;
        }
        self.lines.insert(key.clone(), place.line);
        self.entries.push(Entry { key, place, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: &Expect) {
        let mut mistakes = Mistakes::default();
        let shown = match parse("a.yaml", text, &mut mistakes) {
            Some(node) => show(&node),
            None => mistakes.to_string(),
        };
        expected.assert_eq(&shown);
    }

    fn show(node: &Node) -> String {
        let at = format!("{}:{}", node.place.line, node.place.column);
        match &node.value {
            Value::Empty => format!("nothing@{at}"),
            Value::Text(text) => format!("{text:?}@{at}"),
            Value::List(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(show).collect();
                format!("[{}]@{at}", nodes.join(", "))
            }
            Value::Map(entries) => {
                let entries = entries.iter().map(|entry| {
                    let place = &entry.place;
                    let value = show(&entry.value);
                    format!("{}@{}:{}={value}", entry.key, place.line, place.column)
                });
                format!("{{{}}}@{at}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn every_key_and_value_keeps_its_place() {
        check(
            "rules:\n  high: { above: 3.0 m, for: [2 readings, 5 min] }\n  low:\n  gas: '10 %LEL'\n",
            &expect![[
                r#"{rules@1:1={high@2:3={above@2:11="3.0 m"@2:18, for@2:25=["2 readings"@2:31, "5 min"@2:43]@2:30}@2:9, low@3:3=nothing@3:6, gas@4:3="10 %LEL"@4:8}@2:3}@1:1"#
            ]],
        );
        check("# only a comment\n", &expect!["nothing@0:0"]);
    }

    #[test]
    fn what_a_file_must_not_hold_is_said_all_at_once() {
        check(
            "a: &x 1\nb: *x\nc: !!int 3\na: 2\n[d]: 1\n---\ne: 1\n",
            &expect![[r#"
                a.yaml:2:4: aliases (`*name`) have no meaning here; write the value out
                a.yaml:3:4: tags (`!…`) have no meaning here; write the value without one
                a.yaml:4:1 a: is written twice, first at line 1; remove one
                a.yaml:5:1: a key must be a word
                a.yaml:6:1: a second document begins here (`---`); one file is one document"#]],
        );
    }

    #[test]
    fn a_syntax_mistake_has_its_place() {
        check(
            "a: 1\nb: [1, 2\nc: 3\n",
            &expect!["a.yaml:3:2: not YAML: illegal placement of ':' indicator"],
        );
        check(
            "a: 1\n\tb: 2\n",
            &expect!["a.yaml:1:4: not YAML: while scanning a plain scalar, found a tab"],
        );
        check(
            "a: b: c\n",
            &expect!["a.yaml:1:5: not YAML: mapping values are not allowed in this context"],
        );
    }

    #[test]
    fn size_and_depth_are_bounded() {
        check(
            &"[".repeat(20),
            &expect!["a.yaml:1:13: more than 12 levels in one another"],
        );
        // The parser has a bound of its own for what it must look ahead.
        check(
            &"[".repeat(100_000),
            &expect!["a.yaml:1:256: not YAML: recursion limit exceeded"],
        );
        check(
            &" ".repeat(FILE_BYTES_MAX + 1),
            &expect!["a.yaml: 1048577 bytes are too many; at most 1048576: split the file"],
        );
    }
}
