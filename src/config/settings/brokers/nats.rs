//! The NATS servers among the brokers elsewhere.

use std::path::Path;
use std::time::Duration;

use ioc_core::time::Timestamp;
use ioc_gateway::brokers::TlsOptions;
use ioc_gateway::brokers::nats::{NatsOptions, Since, covers};

use super::tls::{self, Place, Schemes};
use super::{ADDRESSES_MAX, Broker, TEXT_BYTES_MAX, TOPICS_MAX, name, put, text, user};
use crate::args::Address;
use crate::config::field::{Field, Section};
use crate::config::filters;
use crate::config::mistake::Mistakes;
use crate::config::yaml::Value;

const SCHEMES: Schemes = Schemes {
    plain: &["nats"],
    port: 4222,
    secure: &["tls"],
    secure_port: 4222,
    wanted: "an address, such as `nats.city.example:4222` or, with TLS, `tls://nats.city.example`",
};

/// A server: keys, or just its address.
pub(super) fn read(
    item: &Field<'_>,
    dir: Option<&Path>,
    mistakes: &mut Mistakes,
) -> Option<Broker<NatsOptions>> {
    if let Value::Text(_) = item.node.value {
        let place = SCHEMES.read(item, false, mistakes)?;
        let mut options = at(place.address);
        options.tls = place.is_secure.then(TlsOptions::default);
        return Some(Broker {
            options,
            user: None,
        });
    }
    let mut section = Section::of(item, mistakes)?;
    let read = keys(&mut section, dir, mistakes)?;
    section.finish(mistakes);
    Some(read)
}

/// A server at this address with the defaults of everything else.
fn at(address: Address) -> NatsOptions {
    let name: String = address.host.replace(':', "-");
    NatsOptions {
        durable: durable_of(&name),
        name,
        addresses: vec![(address.host, address.port)],
        ..NatsOptions::default()
    }
}

fn durable_of(name: &str) -> String {
    // A dot separates tokens of a subject, and a consumer's name is one token.
    format!("ioc-{}", name.replace('.', "-"))
}

fn keys(
    section: &mut Section<'_>,
    dir: Option<&Path>,
    mistakes: &mut Mistakes,
) -> Option<Broker<NatsOptions>> {
    let tls = section.optional("tls");
    let field = section.required(mistakes, "address", "nats.city.example:4222");
    let places = field.map(|field| places(&field, tls.is_some(), mistakes));
    let places = places.unwrap_or_default();
    let is_secure = places.iter().any(|place| place.is_secure);
    let mut servers = places.into_iter().map(|place| at(place.address));
    let nowhere = || NatsOptions {
        name: String::new(),
        ..NatsOptions::default()
    };
    let mut options = servers.next().unwrap_or_else(nowhere);
    let others = servers.flat_map(|other| other.addresses);
    options.addresses.extend(others);
    options.tls = match tls {
        Some(field) => tls::read(&field, dir, mistakes),
        None => is_secure.then(TlsOptions::default),
    };
    if let Some(field) = section.optional("name") {
        put(&mut options.name, name(&field, mistakes));
        options.durable = durable_of(&options.name);
    }
    let user = user(section, dir, mistakes);
    who_we_are(section, (dir, user.is_some()), &mut options, mistakes);
    let words = [("yes", true), ("no", false)];
    if let Some(field) = section.optional("handshake_first") {
        put(&mut options.handshake_first, field.choice(mistakes, &words));
        if options.handshake_first && options.tls.is_none() {
            let what = "there is no handshake without TLS; write `tls://` before the address";
            field.wrong(mistakes, what);
        }
    }
    if let Some(field) = section.optional("inbox_prefix") {
        let wanted = "a subject without wildcards, such as `_INBOX_ioc`";
        let read = |text: &str| {
            let is_one = is_subject(text) && !text.contains(['*', '>']);
            is_one.then(|| text.to_owned())
        };
        options.inbox_prefix = field.read(mistakes, wanted, read);
    }
    if let Some(field) = section.optional("decisions") {
        put(&mut options.decisions, field.choice(mistakes, &words));
    }
    if let Some(field) = section.optional("commands") {
        put(&mut options.commands, field.choice(mistakes, &words));
    }
    if let Some(field) = section.optional("subjects") {
        put(&mut options.subjects, subjects(&field, mistakes));
    }
    let stream = section.optional("stream");
    if let Some(field) = &stream {
        options.stream = field.read(mistakes, TOKEN, token);
    }
    of_stream(section, stream.is_some(), &mut options, mistakes);
    if let Some(field) = section.optional("durable") {
        put(&mut options.durable, field.read(mistakes, TOKEN, token));
    }
    if let Some(field) = section.optional("queue") {
        options.queue = text(&field, mistakes, "the name of a group");
        if options.stream.is_some() {
            field.wrong(
                mistakes,
                "a stream is not shared by a queue group; leave one of them out",
            );
        }
    }
    if let Some(field) = section.optional("inflight_max") {
        let read = field.integer(mistakes, 1..=32_768);
        put(&mut options.inflight_max, read.map(|most| most as u32));
    }
    if let Some(field) = section.optional("ack_wait_s") {
        let read = field.integer(mistakes, 1..=3600);
        put(&mut options.ack_wait, read.map(Duration::from_secs));
    }
    if options.subjects.is_empty() && !options.decisions {
        section.wrong(
            mistakes,
            "there is neither a subject to read nor are decisions sent",
        );
    }
    Some(Broker { options, user })
}

/// What shows who we are, where that is no user: a server asks for one thing only.
fn who_we_are(
    section: &mut Section<'_>,
    (dir, has_user): (Option<&Path>, bool),
    options: &mut NatsOptions,
    mistakes: &mut Mistakes,
) {
    let token = section.optional("token_file");
    let credentials = section.optional("credentials_file");
    for (field, is_other) in [(&token, credentials.is_some()), (&credentials, false)] {
        if let (Some(field), true) = (field, has_user || is_other) {
            let what =
                "a server asks for a user, a token or a credentials file; leave the others out";
            field.wrong(mistakes, what);
        }
    }
    options.token_file = token.and_then(|field| field.file(dir, mistakes, "a file"));
    options.credentials_file = credentials.and_then(|field| field.file(dir, mistakes, "a file"));
}

/// Makes sure that no two links read by one consumer of a stream: each would acknowledge what the other
/// has not read. Two users may belong to two accounts, and have streams of the same name.
pub(super) fn check_consumers(
    field: &Field<'_>,
    servers: &[Option<Broker<NatsOptions>>],
    mistakes: &mut Mistakes,
) {
    let items = field.items();
    let read = items.iter().zip(servers);
    let read = read.filter_map(|(item, server)| Some((item, server.as_ref()?)));
    let read: Vec<_> = read.collect();
    for (at, (item, server)) in read.iter().enumerate() {
        let same = |(_, other): &&(_, &Broker<NatsOptions>)| is_one_consumer(server, other);
        let Some((_, other)) = read[..at].iter().find(same) else {
            continue;
        };
        let (ours, theirs) = (&server.options, &other.options);
        let what = format!(
            "`{}` and `{}` would read a subject of one stream by one consumer, `{}`; write another \
             `durable`, or name one of them otherwise",
            theirs.name, ours.name, ours.durable
        );
        let is_one_account = who(server) == who(other);
        match is_one_account {
            true => item.wrong(mistakes, what),
            false => item.doubtful(
                mistakes,
                format!("{what}; unless their users have streams of their own"),
            ),
        }
    }
}

/// Whether both read a subject by a consumer of the same name, of a stream of the same name.
fn is_one_consumer(one: &Broker<NatsOptions>, other: &Broker<NatsOptions>) -> bool {
    let (one, other) = (&one.options, &other.options);
    let is_at = |(host, port): &(String, u16)| {
        let mut others = other.addresses.iter();
        others.any(|(there, at)| port == at && host.eq_ignore_ascii_case(there))
    };
    one.stream.is_some()
        && (&one.stream, &one.domain, &one.durable)
            == (&other.stream, &other.domain, &other.durable)
        && one
            .subjects
            .iter()
            .any(|subject| other.subjects.contains(subject))
        && one.addresses.iter().any(is_at)
}

/// By whom a server lets us in.
fn who(server: &Broker<NatsOptions>) -> (Option<&str>, [Option<&Path>; 3]) {
    let user = server.user.as_ref().map(|user| &*user.name);
    let NatsOptions {
        token_file,
        credentials_file,
        tls,
        ..
    } = &server.options;
    let certificate = tls.as_ref().and_then(|tls| tls.identity.as_ref());
    let certificate = certificate.map(|identity| &*identity.certificate_file);
    let files = [
        token_file.as_deref(),
        credentials_file.as_deref(),
        certificate,
    ];
    (user, files)
}

/// Where a server is, or several of a cluster are.
fn places(field: &Field<'_>, has_keys: bool, mistakes: &mut Mistakes) -> Vec<Place> {
    let items = field.items();
    if items.len() > ADDRESSES_MAX {
        let what = format!(
            "{} addresses are too many; at most {ADDRESSES_MAX} of one cluster",
            items.len()
        );
        field.wrong(mistakes, what);
        return Vec::new();
    }
    if items.is_empty() {
        field.wrong(mistakes, "an empty list; write at least one address");
    }
    let places = items.iter();
    let places = places.filter_map(|item| SCHEMES.read(item, has_keys, mistakes));
    let places: Vec<_> = places.collect();
    let is_secure = |place: &Place| place.is_secure;
    if places.iter().any(is_secure) && !places.iter().all(is_secure) {
        field.wrong(
            mistakes,
            "write `tls://` before all of them, or before none",
        );
    }
    places
}

/// What only a stream has.
fn of_stream(
    section: &mut Section<'_>,
    is_of_stream: bool,
    options: &mut NatsOptions,
    mistakes: &mut Mistakes,
) {
    if let Some(field) = section.optional("domain") {
        options.domain = field.read(mistakes, TOKEN, token);
        if !is_of_stream {
            field.wrong(mistakes, "is that of a stream; write also `stream: NAME`");
        }
    }
    if let Some(field) = section.optional("from") {
        let wanted = "`first`, `new` or a time, such as `2026-03-14T06:45:00Z`";
        let read = field.read(mistakes, wanted, |text| match text {
            "first" => Some(Since::First),
            "new" => Some(Since::New),
            time => Timestamp::parse(time.as_bytes()).map(Since::Time).ok(),
        });
        put(&mut options.from, read);
        if !is_of_stream && options.from != Since::First {
            field.wrong(
                mistakes,
                "core subjects keep nothing; write also `stream: NAME`",
            );
        }
    }
}

/// What [`token`] reads.
const TOKEN: &str = "letters, digits, `_` and `-`";

fn token(text: &str) -> Option<String> {
    let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (text.len() <= 64 && text.chars().all(is_ours)).then(|| text.to_owned())
}

fn is_subject(text: &str) -> bool {
    let tokens: Vec<_> = text.split('.').collect();
    let is_token = |(at, token): (usize, &&str)| {
        let wild = *token == "*" || (*token == ">" && at + 1 == tokens.len());
        wild || !(token.is_empty() || token.contains(['*', '>', ' ', '\t']))
    };
    text.len() <= TEXT_BYTES_MAX && tokens.iter().enumerate().all(is_token)
}

fn subjects(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let items = field.items();
    if !(0..=TOPICS_MAX).contains(&items.len()) {
        let what = format!(
            "{} subjects are too many; at most {TOPICS_MAX}",
            items.len()
        );
        field.wrong(mistakes, what);
        return None;
    }
    let wanted = "a subject, such as `city.water.*` or `city.>`";
    let subject = |text: &str| is_subject(text).then(|| text.to_owned());
    let mut subjects: Vec<String> = Vec::new();
    for item in &items {
        filters::doubt_subject(item, mistakes);
        match item.read(mistakes, wanted, subject) {
            Some(subject) if subjects.contains(&subject) => {
                item.wrong(mistakes, format!("`{subject}` stands here twice"));
            }
            Some(subject) => {
                let mut before = subjects.iter();
                if let Some(wide) = before.find(|each| covers(each, &subject)) {
                    let what = format!(
                        "all of `{subject}` is read by `{wide}`, which stands before it; write it before \
                         that one, or leave it out"
                    );
                    item.doubtful(mistakes, what);
                }
                subjects.push(subject);
            }
            None => {}
        }
    }
    (subjects.len() == items.len()).then_some(subjects)
}
