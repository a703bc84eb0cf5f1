//! JSON (RFC 8259) of any shape, indexed where it lies.
//!
//! Arrives: the text of a message. Leaves: an [`Index`] of its values, by which [`Value`]s are
//! looked up; each keeps the very bytes it was written with, so that numbers lose nothing and a
//! dead letter can quote its part of the message. Promise: no recursion, no allocation but for the
//! index and for texts with escape sequences; what serde_json refuses is refused. Bounds:
//! [`DEPTH_MAX`]; the caller bounds the length. Next: `pointer.rs`.

use super::plain::plain_length;
use super::{Reason, Reject};

/// How deep lists and objects may lie within each other.
const DEPTH_MAX: usize = 64;
/// How many values an index keeps room for between messages: as many as a usual message has.
const KEPT_MAX: usize = 1024;

/// The values of one message. Used again for the next.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: Vec<Node>,
    /// Texts that had escape sequences, without them.
    texts: String,
    /// The lists and objects that are being read, outermost first.
    open: Vec<usize>,
}

/// One value, in the order of their beginnings: what a list or an object holds follows it, in an
/// object each member's name and then its value.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// Where it lies in the message.
    from: u32,
    to: u32,
    /// The node behind it and all that it holds.
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    False,
    True,
    Number,
    Text,
    /// A text that ends here among those without escape sequences, and begins so much before.
    Escaped(u32, u32),
    List,
    Object,
}

impl Index {
    /// Reads a whole message. What was read before is forgotten.
    pub fn read<'d>(&'d mut self, json: &'d str) -> Result<Value<'d>, Reject> {
        self.nodes.clear();
        self.texts.clear();
        self.open.clear();
        self.nodes.shrink_to(KEPT_MAX);
        self.texts.shrink_to(KEPT_MAX);
        let mut reader = Reader {
            index: self,
            json,
            at: 0,
        };
        reader.whole()?;
        Ok(Value {
            index: self,
            json,
            node: 0,
        })
    }
}

/// The pass over a message.
struct Reader<'r> {
    index: &'r mut Index,
    json: &'r str,
    at: usize,
}

impl Reader<'_> {
    fn whole(&mut self) -> Result<(), Reject> {
        loop {
            if self.value()? {
                // A list or an object began that is not empty.
                continue;
            }
            loop {
                self.blank();
                let Some(&open) = self.index.open.last() else {
                    return match self.peek() {
                        None => Ok(()),
                        Some(_) => Err(self.expected("the end")),
                    };
                };
                let is_object = self.index.nodes[open].kind == Kind::Object;
                match (self.peek(), is_object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.name()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => self.close(open),
                    (_, true) => return Err(self.expected("`,` or `}`")),
                    (_, false) => return Err(self.expected("`,` or `]`")),
                }
            }
        }
    }

    /// Reads a value; of a list or an object that is not empty only its beginning, and says so.
    fn value(&mut self) -> Result<bool, Reject> {
        self.blank();
        let from = self.at;
        match self.peek() {
            Some(b'{') => return self.begin(Kind::Object, b'}'),
            Some(b'[') => return self.begin(Kind::List, b']'),
            Some(b'"') => self.text()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Kind::True)?,
            Some(b'f') => self.word("false", Kind::False)?,
            Some(b'n') => self.word("null", Kind::Null)?,
            _ => return Err(self.expected("a value")),
        }
        debug_assert!(self.at > from, "a value has bytes");
        Ok(false)
    }

    fn begin(&mut self, kind: Kind, end: u8) -> Result<bool, Reject> {
        if self.index.open.len() == DEPTH_MAX {
            let detail = format!("lists or objects lie deeper than {DEPTH_MAX} in each other");
            return Err(Reject::new(Reason::NestingTooDeep, detail));
        }
        self.index.open.push(self.index.nodes.len());
        let from = self.at;
        self.at += 1;
        self.push(kind, from);
        self.blank();
        if self.peek() == Some(end) {
            self.close(self.index.nodes.len() - 1);
            return Ok(false);
        }
        if kind == Kind::Object {
            self.name()?;
        }
        Ok(true)
    }

    fn close(&mut self, open: usize) {
        self.at += 1;
        let next = self.index.nodes.len() as u32;
        let node = &mut self.index.nodes[open];
        node.to = self.at as u32;
        node.next = next;
        self.index.open.pop();
    }

    /// Reads a member's name and the colon behind it.
    fn name(&mut self) -> Result<(), Reject> {
        self.blank();
        if self.peek() != Some(b'"') {
            return Err(self.expected("a member's name"));
        }
        self.text()?;
        self.blank();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a text, section 7.
    fn text(&mut self) -> Result<(), Reject> {
        let from = self.at;
        let mut is_escaped = false;
        self.at += 1;
        loop {
            let rest = &self.json.as_bytes()[self.at..];
            self.at += plain_length(rest).unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.at += 1;
                    if self.peek().is_none() {
                        return Err(self.expected("a character"));
                    }
                }
                Some(_) | None => return Err(self.expected("`\"` at the end of a text")),
            }
            self.at += 1;
        }
        self.at += 1;
        let kind = if is_escaped {
            let text = serde_json::from_str::<String>(&self.json[from..self.at]);
            let text = text.map_err(|_| {
                self.at = from;
                self.expected("a text whose escape sequences are right")
            })?;
            self.index.texts.push_str(&text);
            Kind::Escaped(self.index.texts.len() as u32, text.len() as u32)
        } else {
            Kind::Text
        };
        self.push(kind, from);
        Ok(())
    }

    /// Reads a number, section 6.
    fn number(&mut self) -> Result<(), Reject> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.push(Kind::Number, from);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Reject> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            return Err(self.expected("a digit"));
        }
        Ok(())
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), Reject> {
        let from = self.at;
        if !self.json[from..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        self.push(kind, from);
        Ok(())
    }

    fn push(&mut self, kind: Kind, from: usize) {
        let next = self.index.nodes.len() as u32 + 1;
        self.index.nodes.push(Node {
            kind,
            from: from as u32,
            to: self.at as u32,
            next,
        });
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn expected(&self, what: &str) -> Reject {
        let detail = format!("expected {what} at byte {}", self.at + 1);
        Reject::new(Reason::JsonMalformed, detail)
    }
}

/// One value of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'d> {
    index: &'d Index,
    json: &'d str,
    node: usize,
}

impl<'d> Value<'d> {
    /// The JSON that it was written with.
    pub fn source(self) -> &'d str {
        let node = self.node();
        &self.json[node.from as usize..node.to as usize]
    }

    /// What it is, for people.
    pub fn word(self) -> &'static str {
        match self.node().kind {
            Kind::Null => "null",
            Kind::False => "false",
            Kind::True => "true",
            Kind::Number => "a number",
            Kind::Text | Kind::Escaped(..) => "a text",
            Kind::List => "a list",
            Kind::Object => "an object",
        }
    }

    /// Whether it is null.
    pub fn is_null(self) -> bool {
        self.node().kind == Kind::Null
    }

    /// The text, if it is one.
    pub fn text(self) -> Option<&'d str> {
        let node = self.node();
        match node.kind {
            Kind::Text => Some(&self.json[node.from as usize + 1..node.to as usize - 1]),
            Kind::Escaped(end, length) => {
                Some(&self.index.texts[(end - length) as usize..end as usize])
            }
            _ => None,
        }
    }

    /// Whether it is true, if it is true or false.
    pub fn truth(self) -> Option<bool> {
        match self.node().kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The text, or the number, `true` or `false` as written.
    pub fn as_word(self) -> Option<&'d str> {
        self.text().or_else(|| {
            let is_word = matches!(self.node().kind, Kind::Number | Kind::True | Kind::False);
            is_word.then(|| self.source())
        })
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.node().kind == Kind::Object
    }

    /// What the list holds; `None` if it is none.
    pub fn elements(self) -> Option<impl Iterator<Item = Value<'d>>> {
        (self.node().kind == Kind::List).then(|| self.inner())
    }

    /// What the object holds; `None` if it is none.
    pub fn members(self) -> Option<impl Iterator<Item = (&'d str, Value<'d>)>> {
        let mut inner = self.inner();
        let next = move || {
            let name = inner.next()?.text().expect("a member's name is a text");
            Some((name, inner.next()?))
        };
        self.is_object().then(|| std::iter::from_fn(next))
    }

    /// The member of this name, if it is an object that has one.
    ///
    /// # Errors
    /// If it has two: nobody can tell which one is meant.
    pub fn member(self, name: &str) -> Result<Option<Value<'d>>, Reject> {
        let (mut found, mut own) = (None, self.node + 1);
        let end = match self.node() {
            object if object.kind == Kind::Object => object.next as usize,
            _ => return Ok(None),
        };
        while own < end {
            let (called, value) = (
                Value { node: own, ..self },
                Value {
                    node: own + 1,
                    ..self
                },
            );
            if called.is_text(name) && found.replace(value).is_some() {
                let detail = format!("{name:?} is there twice; write it once");
                return Err(Reject::new(Reason::MemberRepeated, detail));
            }
            own = value.node().next as usize;
        }
        Ok(found)
    }

    /// Whether it is this text.
    fn is_text(self, text: &str) -> bool {
        let node = self.node();
        match node.kind {
            // Most are of another length: those are not even looked at.
            Kind::Text => {
                let within = node.from as usize + 1..node.to as usize - 1;
                within.len() == text.len() && self.json.as_bytes()[within] == *text.as_bytes()
            }
            _ => self.text() == Some(text),
        }
    }

    /// The values right within this one.
    fn inner(self) -> impl Iterator<Item = Value<'d>> {
        let (mut node, end) = (self.node + 1, self.node().next as usize);
        std::iter::from_fn(move || {
            let value = (node < end).then_some(Value { node, ..self })?;
            node = value.node().next as usize;
            Some(value)
        })
    }

    fn node(self) -> Node {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1);
        self.index.nodes[self.node]
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has looked at a value: what reading a message costs, on any machine.
    pub(super) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value as serde_json would have it.
    fn copy(value: Value<'_>) -> serde_json::Value {
        if let Some(text) = value.text() {
            return text.into();
        }
        if let Some(truth) = value.truth() {
            return truth.into();
        }
        if let Some(elements) = value.elements() {
            return elements.map(copy).collect();
        }
        if let Some(members) = value.members() {
            return members
                .map(|(name, value)| (name.to_owned(), copy(value)))
                .collect();
        }
        if value.is_null() {
            return serde_json::Value::Null;
        }
        serde_json::from_str(value.source()).unwrap_or("overflow".into())
    }

    /// Reads a text with both; they must agree.
    fn compare(json: &str) {
        let mut index = Index::default();
        let ours = index.read(json).map(copy);
        let raw = serde_json::from_str::<&serde_json::value::RawValue>(json);
        match (ours, serde_json::from_str::<serde_json::Value>(json)) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{json}"),
            // A number may be greater than serde_json can hold; ours is judged when it is used.
            (Ok(_), Err(_)) => assert!(raw.is_ok(), "{json}"),
            (Err(_), Err(_)) => {}
            (Err(reject), Ok(_)) => panic!("{json}: {reject:?}"),
        }
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        for json in [
            "null",
            " true ",
            "[]",
            "{}",
            "[ ]",
            "{ }",
            "-0.5e+3",
            r#""""#,
            r#""\u00e9\n\"""#,
            r#"[1,[2,{"a":[]},"x"],{}]"#,
            r#"{"a":1,"b":{"c":[true,false,null]},"\u0064":"e"}"#,
        ] {
            let mut index = Index::default();
            assert!(index.read(json).is_ok(), "{json}");
            compare(json);
        }
        for json in [
            "",
            "[",
            "]",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "tru",
            "nul",
            "[1}",
            "{\"a\":1]",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\n\"",
            "1 2",
            "NaN",
            "\"\\ud800\"",
            "{1:2}",
            "[1 2]",
        ] {
            let mut index = Index::default();
            assert!(index.read(json).is_err(), "{json}");
            compare(json);
        }
    }

    #[test]
    fn a_member_that_is_there_twice_is_refused_when_it_is_asked_for() {
        let mut index = Index::default();
        let value = index.read(r#"{"a":1,"b":2,"\u0061":3}"#).unwrap();
        assert_eq!(value.member("b").unwrap().unwrap().as_word(), Some("2"));
        assert!(value.member("c").unwrap().is_none());
        assert_eq!(
            value.member("a").unwrap_err().reason,
            Reason::MemberRepeated
        );
    }

    #[test]
    fn p5_depth_is_bounded_and_room_is_given_back() {
        let mut index = Index::default();
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(index.read(&deep(DEPTH_MAX)).is_ok());
        let reject = index.read(&deep(DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(reject.reason, Reason::NestingTooDeep);
        let wide = format!("[{}1]", "1,".repeat(100_000));
        assert!(index.read(&wide).is_ok());
        assert!(index.read("1").is_ok());
        assert!(index.nodes.capacity() < 4 * KEPT_MAX);
    }

    /// Looks members up among all of them, one by one.
    fn named<'d>(value: Value<'d>, name: &str) -> Vec<&'d str> {
        let members = value.members().into_iter().flatten();
        let named = members.filter(|(own, _)| *own == name);
        named.map(|(_, value)| value.source()).collect()
    }

    fn json() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "1", "-2.5e3", "null", "true", " ",
            "\"", "\\", "0", ".", "e", "\u{e9}",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json_on_noise(json in json()) {
            compare(&json);
        }

        #[test]
        fn a_member_is_looked_up_as_all_of_them_are(
            members in prop::collection::vec(r#""(a|b|ab|\\u0061|)":([17]|\[1,2\]|\{"a":3\}|"a")"#, 0..6),
        ) {
            let (json, mut index) = (format!("{{{}}}", members.join(",")), Index::default());
            let value = index.read(&json).unwrap();
            for name in ["a", "b", "ab", "", "\\u0061", "c"] {
                let found = value.member(name).map(|value| value.map(Value::source));
                match &named(value, name)[..] {
                    [] => prop_assert!(found == Ok(None)),
                    [one] => prop_assert!(found == Ok(Some(*one))),
                    _ => prop_assert!(found.is_err_and(|reject| reject.reason == Reason::MemberRepeated)),
                }
            }
        }

        #[test]
        fn it_agrees_with_serde_json_on_values(value in value()) {
            compare(&value.to_string());
            compare(&format!("{value:#}"));
        }
    }
}
