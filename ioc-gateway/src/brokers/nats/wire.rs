//! What is said on a connection to a NATS server, byte by byte ("NATS Client Protocol").
//!
//! Arrives: what has come on a connection. Leaves: what the server says next, borrowed from there:
//! nothing is copied, and a message is not looked at more closely than it takes to find its end.
//! Promise: nobody who may publish writes a subject, headers or a payload that cannot be told from
//! the rest; what of them cannot be read is for who takes the message to say. Bound: [`LINE_MAX`]
//! bytes of a line. Next: `nats/line.rs`.

use std::borrow::Cow;
use std::str;

/// The longest line: a subject and a reply as long as servers let them be set up.
pub(super) const LINE_MAX: usize = 128 << 10;

/// What our only subscription of a connection is called.
const SID: &[u8] = b"1";
/// What a delivery of a stream is answered on begins so (ADR-15).
const ACK: &[u8] = b"$JS.ACK.";

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'b> {
    /// A message of our subscription.
    Message(Raw<'b>),
    /// What it is, as JSON.
    Info(&'b [u8]),
    /// Whether we are there.
    Ping,
    /// It is there.
    Pong,
    /// It does not want something.
    Error(Cow<'b, str>),
    /// That it has heard.
    Ok,
}

/// A message as it came. Whoever published it chose all but the reply of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'b> {
    pub subject: &'b [u8],
    /// Nothing, if it wants no answer.
    pub reply: &'b [u8],
    /// The block of headers (ADR-4), or nothing.
    pub headers: &'b [u8],
    pub payload: &'b [u8],
}

impl Raw<'_> {
    /// How many bytes it has, as servers count them.
    pub const fn bytes(&self) -> usize {
        self.subject.len() + self.reply.len() + self.headers.len() + self.payload.len()
    }
}

/// A message that is kept, without how it is answered.
#[derive(Debug)]
pub(super) struct Owned {
    bytes: Box<[u8]>,
    /// Where its headers begin,
    headers: usize,
    /// and its payload.
    payload: usize,
}

impl Owned {
    pub fn new(raw: Raw<'_>) -> Self {
        Self {
            bytes: [raw.subject, raw.headers, raw.payload].concat().into(),
            headers: raw.subject.len(),
            payload: raw.subject.len() + raw.headers.len(),
        }
    }

    /// How much memory it takes.
    pub const fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    pub fn raw(&self) -> Raw<'_> {
        Raw {
            subject: &self.bytes[..self.headers],
            reply: b"",
            headers: &self.bytes[self.headers..self.payload],
            payload: &self.bytes[self.payload..],
        }
    }
}

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'b> {
    /// This, in so many bytes.
    Said(Said<'b>, usize),
    /// Not all of it: there are at least so many bytes.
    Lacks(usize),
}

/// What came is not said by a NATS server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is no word of a NATS server: {0:?}")]
pub(super) struct Unheard(String);

/// Reads what a server says first.
///
/// # Errors
/// It is no NATS server, or something is lost.
pub(super) fn next(bytes: &[u8]) -> Result<Next<'_>, Unheard> {
    let within = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return match bytes.len() < LINE_MAX {
            true => Ok(Next::Lacks(bytes.len() + 1)),
            false => Err(unheard(bytes)),
        };
    };
    let line = &bytes[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (word, rest) = match memchr::memchr2(b' ', b'\t', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &line[line.len()..]),
    };
    let said = match word {
        b"MSG" => return message(bytes, end + 1, rest, false),
        b"HMSG" => return message(bytes, end + 1, rest, true),
        b"PING" => Said::Ping,
        b"PONG" => Said::Pong,
        b"+OK" => Said::Ok,
        b"INFO" => Said::Info(rest),
        b"-ERR" => Said::Error(error(rest)),
        _ => return Err(unheard(line)),
    };
    Ok(Next::Said(said, end + 1))
}

fn unheard(line: &[u8]) -> Unheard {
    let line = &line[..line.len().min(100)];
    Unheard(String::from_utf8_lossy(line).into_owned())
}

fn error(said: &[u8]) -> Cow<'_, str> {
    let said = said.trim_ascii();
    let quoted = said.strip_prefix(b"'");
    let said = quoted
        .and_then(|said| said.strip_suffix(b"'"))
        .unwrap_or(said);
    String::from_utf8_lossy(said)
}

/// `MSG <subject> <sid> [reply] <bytes>`, and `HMSG` with the bytes of the headers before those of
/// all. It is read from behind: a server lets a subject have spaces, and what is to the right of it
/// is the server's own.
fn message<'b>(
    bytes: &'b [u8],
    begins: usize,
    line: &'b [u8],
    has_headers: bool,
) -> Result<Next<'b>, Unheard> {
    let lost = || unheard(line);
    let (rest, all) = last_number(line).ok_or_else(lost)?;
    let (rest, headers) = match has_headers {
        true => last_number(rest).ok_or_else(lost)?,
        false => (rest, 0),
    };
    if headers > all {
        return Err(lost());
    }
    let (rest, last) = last_word(rest).ok_or_else(lost)?;
    let (subject, reply) = match last_word(rest) {
        Some((subject, _)) if last.starts_with(ACK) => (subject, last),
        // Behind a subject without spaces two words can only be the sid and the reply.
        Some((subject, SID)) if last != SID || !subject.contains(&b' ') => (subject, last),
        Some(_) | None => (rest, &last[..0]),
    };
    let end = begins.checked_add(all).ok_or_else(lost)?;
    let whole = end.checked_add(2).ok_or_else(lost)?;
    if bytes.len() < whole {
        return Ok(Next::Lacks(whole));
    }
    if &bytes[end..whole] != b"\r\n" {
        return Err(lost());
    }
    let (headers, payload) = bytes[begins..end].split_at(headers);
    let message = Raw {
        subject,
        reply,
        headers,
        payload,
    };
    Ok(Next::Said(Said::Message(message), whole))
}

/// What is before the last word of a line, and that.
fn last_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memrchr(b' ', line)?;
    Some((&line[..at], &line[at + 1..]))
}

fn last_number(line: &[u8]) -> Option<(&[u8], usize)> {
    let (rest, word) = last_word(line)?;
    let digits = str::from_utf8(word).ok().filter(|_| is_number(word))?;
    Some((rest, digits.parse().ok()?))
}

fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// A block of headers (ADR-4).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Headers<'b> {
    /// What the server says instead of a message; who publishes can write one, too.
    pub status: Option<u16>,
    /// That in words.
    pub description: &'b str,
    /// The headers, each with its first value, in the order of their names.
    pub named: Vec<(&'b str, Cow<'b, str>)>,
}

impl<'b> Headers<'b> {
    /// Those in a block; none where there is no block.
    ///
    /// What is no UTF-8, has no status of three digits where one is, a line without a colon, or a name of
    /// other than printable characters cannot be read: `None`.
    pub fn read(block: &'b [u8]) -> Option<Self> {
        if block.is_empty() {
            return Some(Self::default());
        }
        let mut lines = str::from_utf8(block).ok()?.lines().peekable();
        let status = lines.next()?.strip_prefix("NATS/1.0")?.trim();
        let (status, description) = status.split_once(' ').unwrap_or((status, ""));
        let status = match status {
            "" => None,
            digits => Some(status_of(digits)?),
        };
        let mut named: Vec<(&str, Cow<'_, str>)> = Vec::new();
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once(':')?;
            if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return None;
            }
            let mut value = Cow::from(value.trim());
            while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
                value += more.trim_end();
            }
            named.push((name, value));
        }
        // One that is there twice says what it said first.
        named.sort_by_key(|(name, _)| *name);
        named.dedup_by(|(later, _), (first, _)| later == first);
        Some(Self {
            status,
            description: description.trim(),
            named,
        })
    }

    /// What a header says, by its name in this case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.named.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| &**value)
    }
}

/// A status is three digits, from 100 on.
fn status_of(digits: &str) -> Option<u16> {
    let is_one = digits.len() == 3 && is_number(digits.as_bytes()) && !digits.starts_with('0');
    is_one.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> Said<'_> {
        match next(bytes) {
            Ok(Next::Said(said, length)) if length == bytes.len() => said,
            other => panic!("{other:?} of {}", bytes.len()),
        }
    }

    fn raw(bytes: &[u8]) -> [&str; 4] {
        let Said::Message(raw) = said(bytes) else {
            panic!("it is no message");
        };
        let kept = Owned::new(raw);
        assert_eq!(kept.raw(), Raw { reply: b"", ..raw });
        let parts = [raw.subject, raw.reply, raw.headers, raw.payload];
        assert_eq!(raw.bytes(), parts.map(<[u8]>::len).iter().sum::<usize>());
        parts.map(|part| str::from_utf8(part).unwrap())
    }

    #[test]
    fn what_a_server_says_is_read_from_where_it_lies() {
        assert_eq!(said(b"PING\r\n"), Said::Ping);
        assert_eq!(said(b"PONG\r\n"), Said::Pong);
        assert_eq!(said(b"+OK\r\n"), Said::Ok);
        let info = br#"{"server_id":"a"}"#;
        assert_eq!(said(b"INFO {\"server_id\":\"a\"}\r\n"), Said::Info(info));
        let error = Said::Error("Authorization Violation".into());
        assert_eq!(said(b"-ERR 'Authorization Violation'\r\n"), error);
        assert_eq!(raw(b"MSG a.b 1 2\r\n{}\r\n"), ["a.b", "", "", "{}"]);
        assert_eq!(raw(b"MSG a.b 1 c 2\r\n{}\r\n"), ["a.b", "c", "", "{}"]);
        for reply in ["1", "7"] {
            let whole = format!("MSG a 1 {reply} 2\r\n{{}}\r\n");
            assert_eq!(
                raw(whole.as_bytes()),
                ["a", reply, "", "{}"],
                "not of `a 1`"
            );
        }
        assert_eq!(raw(b"MSG a 5 1 2\r\n{}\r\n"), ["a 5", "", "", "{}"]);
        let block = b"HMSG a 1 $JS.ACK.s.c.1.2.3.4.5 12 14\r\nNATS/1.0\r\n\r\n{}\r\n";
        let reply = "$JS.ACK.s.c.1.2.3.4.5";
        assert_eq!(raw(block), ["a", reply, "NATS/1.0\r\n\r\n", "{}"]);
    }

    #[test]
    fn a_subject_may_have_spaces_and_look_like_what_is_behind_it() {
        let reply = "$JS.ACK.s.c.1.2.3.4.5";
        for subject in [
            "a b",
            "a 1",
            "a 1 2",
            "a 1 $JS.ACK.x 2",
            " ",
            "a\tb",
            "\u{3000}",
        ] {
            let whole = format!("MSG {subject} 1 {reply} 2\r\n\r\n\r\n");
            assert_eq!(raw(whole.as_bytes()), [subject, reply, "", "\r\n"]);
        }
    }

    #[test]
    fn what_has_not_come_whole_is_waited_for() {
        let whole = b"HMSG a 1 c 12 14\r\nNATS/1.0\r\n\r\n{}\r\n";
        for some in 0..whole.len() {
            match next(&whole[..some]) {
                Ok(Next::Lacks(lacks)) => assert!(some < lacks && lacks <= whole.len()),
                other => panic!("{other:?} of {some}"),
            }
        }
        assert!(matches!(next(whole), Ok(Next::Said(_, length)) if length == whole.len()));
    }

    #[test]
    fn p5_what_is_no_word_of_a_server_is_not_waited_for() {
        let long = vec![b'x'; LINE_MAX];
        assert_eq!(next(&long[1..]), Ok(Next::Lacks(LINE_MAX)));
        for other in [
            &long[..],
            b"HTTP/1.1 400 Bad Request\r\n",
            b"MSG a 1 x\r\n",
            b"MSG a 1 18446744073709551615\r\n",
            b"MSG a 1 99999999999999999999999\r\n",
            b"HMSG a 1 3 2\r\n",
            b"MSG 2\r\n{}\r\n",
            b"MSG a 1 2\r\n{}xx",
            b"\r\n",
        ] {
            let heard = next(other).map(|_| ());
            assert!(heard.is_err(), "{:?}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn headers_are_their_names_with_the_first_value_of_each() {
        let block = b"NATS/1.0\r\nContent-Type: a/b\r\nlong: x\r\n y\r\nlong: z\r\n\r\n";
        let headers = Headers::read(block).unwrap();
        assert_eq!(headers.get("Content-Type"), Some("a/b"));
        assert_eq!(headers.get("long"), Some("x y"));
        assert_eq!(headers.get("content-type"), None);
        assert_eq!(headers.named.len(), 2);
        let status = b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n";
        let headers = Headers::read(status).unwrap();
        assert_eq!(headers.status, Some(408));
        assert_eq!(headers.description, "Request Timeout");
        assert_eq!(Headers::read(b""), Some(Headers::default()));
    }

    #[test]
    fn p5_many_headers_are_read_in_one_pass() {
        let mut block = "NATS/1.0\r\n".to_owned();
        for number in 0..1_000_000 {
            block += &format!("name-{}: {number}\r\n", number % 900_000);
        }
        block += "\r\n";
        // One by one against all before it would take hours.
        let headers = Headers::read(block.as_bytes()).unwrap();
        assert_eq!(headers.named.len(), 900_000);
        assert_eq!(headers.get("name-7"), Some("7"));
    }

    #[test]
    fn headers_that_cannot_be_read_are_none() {
        for block in [
            &b"garbage\r\n\r\n"[..],
            b"NATS/1.0 9x9 hm\r\n\r\n",
            b"NATS/1.0 99 hm\r\n\r\n",
            b"NATS/1.0\r\nName: \xe9\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\nno name: x\r\n\r\n",
        ] {
            assert_eq!(Headers::read(block), None);
        }
    }
}
