//! The NATS servers among the brokers elsewhere.

use std::path::Path;
use std::time::Duration;

use ioc_gateway::brokers::TlsOptions;
use ioc_gateway::brokers::nats::NatsOptions;

use super::tls::{self, Schemes};
use super::{Broker, TEXT_BYTES_MAX, TOPICS_MAX, name, text, user};
use crate::args::Address;
use crate::config::field::{Field, Section};
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
        address: (address.host, address.port),
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
    let place = field.and_then(|field| SCHEMES.read(&field, tls.is_some(), mistakes));
    let is_secure = place.as_ref().is_some_and(|place| place.is_secure);
    let mut options = place.map_or_else(NatsOptions::default, |place| at(place.address));
    options.tls = match tls {
        Some(field) => Some(tls::read(&field, dir, mistakes)?),
        None => is_secure.then(TlsOptions::default),
    };
    if let Some(field) = section.optional("name") {
        options.name = name(&field, mistakes)?;
        options.durable = durable_of(&options.name);
    }
    let user = user(section, dir, mistakes);
    if let Some(field) = section.optional("credentials_file") {
        let path = field.text(mistakes, "a file")?;
        options.credentials_file = Some(dir.unwrap_or(Path::new("")).join(path));
    }
    if let Some(field) = section.optional("decisions") {
        options.decisions = field.choice(mistakes, &[("yes", true), ("no", false)])?;
    }
    if let Some(field) = section.optional("commands") {
        options.commands = field.choice(mistakes, &[("yes", true), ("no", false)])?;
    }
    if let Some(field) = section.optional("subjects") {
        options.subjects = subjects(&field, mistakes)?;
    }
    let token = "letters, digits, `_` and `-`";
    let is_token = |text: &str| {
        let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (text.len() <= 64 && text.chars().all(is_ours)).then(|| text.to_owned())
    };
    if let Some(field) = section.optional("stream") {
        options.stream = Some(field.read(mistakes, token, is_token)?);
    }
    if let Some(field) = section.optional("durable") {
        options.durable = field.read(mistakes, token, is_token)?;
    }
    if let Some(field) = section.optional("queue") {
        options.queue = Some(text(&field, mistakes, "the name of a group")?);
        if options.stream.is_some() {
            field.wrong(
                mistakes,
                "a stream is not shared by a queue group; leave one of them out",
            );
        }
    }
    if let Some(field) = section.optional("inflight_max") {
        options.inflight_max = field.integer(mistakes, 1..=32_768)? as u32;
    }
    if let Some(field) = section.optional("ack_wait_s") {
        options.ack_wait = Duration::from_secs(field.integer(mistakes, 1..=3600)?);
    }
    if options.subjects.is_empty() && !options.decisions {
        section.wrong(
            mistakes,
            "there is neither a subject to read nor are decisions sent",
        );
    }
    Some(Broker { options, user })
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
    let is_subject = |text: &str| {
        let tokens: Vec<_> = text.split('.').collect();
        let is_token = |(at, token): (usize, &&str)| {
            let wild = *token == "*" || (*token == ">" && at + 1 == tokens.len());
            wild || !(token.is_empty() || token.contains(['*', '>', ' ', '\t']))
        };
        let is_one = text.len() <= TEXT_BYTES_MAX && tokens.iter().enumerate().all(is_token);
        is_one.then(|| text.to_owned())
    };
    let mut subjects: Vec<String> = Vec::new();
    for item in &items {
        match item.read(mistakes, wanted, is_subject) {
            Some(subject) if subjects.contains(&subject) => {
                item.wrong(mistakes, format!("`{subject}` stands here twice"));
            }
            subject => subjects.extend(subject),
        }
    }
    (subjects.len() == items.len()).then_some(subjects)
}
