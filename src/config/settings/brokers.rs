//! The brokers elsewhere that readings come from.
//!
//! Arrives: the lists of the section `brokers`. Leaves: options of the clients but for their
//! passwords, which lie in files that only the start reads.

mod nats;
mod tls;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ioc_gateway::brokers::TlsOptions;
use ioc_gateway::brokers::mqtt::{MqttBrokerOptions, Version};
use ioc_gateway::brokers::nats::NatsOptions;
use rumqttc::mqttbytes::valid_filter;

use self::tls::Schemes;
use super::layers::Layers;
use crate::args::Address;
use crate::config::field::{Field, Section};
use crate::config::filters;
use crate::config::mistake::Mistakes;
use crate::config::yaml::Value;

/// How many brokers of one kind there may be.
pub const BROKERS_MAX: usize = 16;
/// How many addresses one cluster may have.
pub const ADDRESSES_MAX: usize = 16;
/// How many topic filters of one kind a broker may have.
pub const TOPICS_MAX: usize = 64;
/// The most bytes of a filter, an identifier, a user's name.
const TEXT_BYTES_MAX: usize = 1024;

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brokers {
    /// Those that speak MQTT.
    pub mqtt: Vec<Broker<MqttBrokerOptions>>,
    /// Those that speak NATS.
    pub nats: Vec<Broker<NatsOptions>>,
}

/// One, but for its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker<T> {
    /// Everything else.
    pub options: T,
    /// Who we are there, if it asks.
    pub user: Option<User>,
}

/// A user of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
}

impl Brokers {
    /// The brokers of these settings; files are below `dir`.
    pub(super) fn read(
        layers: &Layers,
        dir: Option<&Path>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let field = layers.field("brokers.mqtt");
        let mqtt = list(&field, mistakes, |item, mistakes| mqtt(item, dir, mistakes));
        let names = mqtt.iter().flatten().map(|each| &*each.options.name);
        check_names(&field, names, mistakes);
        check_sessions(&field, &mqtt, mistakes);
        let field = layers.field("brokers.nats");
        let nats = list(&field, mistakes, |item, mistakes| {
            nats::read(item, dir, mistakes)
        });
        let names = nats.iter().flatten().map(|each| &*each.options.name);
        check_names(&field, names, mistakes);
        nats::check_consumers(&field, &nats, mistakes);
        Some(Self {
            mqtt: mqtt.into_iter().collect::<Option<_>>()?,
            nats: nats.into_iter().collect::<Option<_>>()?,
        })
    }

    /// How many connections are made to all of them.
    pub fn connections(&self) -> usize {
        let mqtt = self.mqtt.iter().map(|broker| broker.options.connections());
        let nats = self
            .nats
            .iter()
            .map(|broker| &broker.options)
            .map(NatsOptions::connections);
        mqtt.chain(nats).sum()
    }
}

fn list<T>(
    field: &Field<'_>,
    mistakes: &mut Mistakes,
    read: impl Fn(&Field<'_>, &mut Mistakes) -> T,
) -> Vec<T> {
    let items = field.items();
    if items.len() > BROKERS_MAX {
        let what = format!(
            "{} brokers are too many; at most {BROKERS_MAX}",
            items.len()
        );
        field.wrong(mistakes, what);
    }
    let items = items.iter().take(BROKERS_MAX);
    items.map(|item| read(item, mistakes)).collect()
}

fn check_names<'a>(
    field: &Field<'_>,
    names: impl Iterator<Item = &'a str>,
    mistakes: &mut Mistakes,
) {
    let mut seen = BTreeSet::new();
    for name in names.filter(|name| !name.is_empty() && !seen.insert(*name)) {
        let what = format!("two brokers are called `{name}`; give one another `name`");
        field.wrong(mistakes, what);
    }
}

/// Makes sure that no two connections to one broker have the same client identifier: they would take
/// turns in one session, and each would drop what the other had asked for.
fn check_sessions(
    field: &Field<'_>,
    brokers: &[Option<Broker<MqttBrokerOptions>>],
    mistakes: &mut Mistakes,
) {
    let mut taken: BTreeMap<(String, u16, String), &str> = BTreeMap::new();
    for (item, broker) in field.items().iter().zip(brokers) {
        let Some(options) = broker.as_ref().map(|broker| &broker.options) else {
            continue;
        };
        let mut told = BTreeSet::new();
        for id in options.client_ids() {
            let (host, port) = &options.address;
            match taken.entry((host.to_ascii_lowercase(), *port, id)) {
                Entry::Vacant(free) => _ = free.insert(&options.name),
                // Two of one name are told as such.
                Entry::Occupied(by) if *by.get() == options.name => {}
                Entry::Occupied(by) if told.insert(*by.get()) => {
                    let what = format!(
                        "`{}` and `{}` would both be `{}` at one broker, and each would drop what is for \
                         the other; write another `client_id`, or name one of them otherwise",
                        by.get(),
                        options.name,
                        by.key().2
                    );
                    item.wrong(mistakes, what);
                }
                Entry::Occupied(_) => {}
            }
        }
    }
}

const SCHEMES: Schemes = Schemes {
    plain: &["mqtt", "tcp"],
    port: 1883,
    secure: &["mqtts", "ssl", "tls"],
    secure_port: 8883,
    wanted: "an address, such as `broker.city.example:1883` or, with TLS, `mqtts://broker.city.example`",
};

/// A broker: keys, or just its address.
fn mqtt(
    item: &Field<'_>,
    dir: Option<&Path>,
    mistakes: &mut Mistakes,
) -> Option<Broker<MqttBrokerOptions>> {
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
    // What follows a mistake was not asked for yet, and is no unknown key.
    let read = keys(&mut section, dir, mistakes)?;
    section.finish(mistakes);
    Some(read)
}

/// A broker at this address with the defaults of everything else.
fn at(address: Address) -> MqttBrokerOptions {
    let name: String = address.host.replace(':', "-");
    MqttBrokerOptions {
        client_id: format!("ioc-{name}"),
        name,
        address: (address.host, address.port),
        ..MqttBrokerOptions::default()
    }
}

fn keys(
    section: &mut Section<'_>,
    dir: Option<&Path>,
    mistakes: &mut Mistakes,
) -> Option<Broker<MqttBrokerOptions>> {
    let tls = section.optional("tls");
    let address = section.required(mistakes, "address", "broker.city.example:1883");
    let place = address.and_then(|field| SCHEMES.read(&field, tls.is_some(), mistakes));
    let is_secure = place.as_ref().is_some_and(|place| place.is_secure);
    let nowhere = || MqttBrokerOptions {
        name: String::new(),
        ..MqttBrokerOptions::default()
    };
    let mut options = place.map_or_else(nowhere, |place| at(place.address));
    options.tls = match tls {
        Some(field) => tls::read(&field, dir, mistakes),
        None => is_secure.then(TlsOptions::default),
    };
    if let Some(field) = section.optional("name") {
        put(&mut options.name, name(&field, mistakes));
        options.client_id = format!("ioc-{}", options.name);
    }
    if let Some(field) = section.optional("version") {
        let versions = [("5", Version::V5), ("3.1.1", Version::V311)];
        put(&mut options.version, field.choice(mistakes, &versions));
    }
    if let Some(field) = section.optional("client_id") {
        let read = text(&field, mistakes, "an identifier");
        put(&mut options.client_id, read);
    }
    let user = user(section, dir, mistakes);
    if let Some(field) = section.optional("topics") {
        put(&mut options.topics, topics(&field, mistakes));
    }
    if let Some(field) = section.optional("urgent_topics") {
        put(&mut options.urgent_topics, topics(&field, mistakes));
    }
    if let Some(field) = section.optional("commands") {
        let read = field.choice(mistakes, &[("yes", true), ("no", false)]);
        put(&mut options.commands, read);
    }
    if options.topics.is_empty() && options.urgent_topics.is_empty() && !options.commands {
        section.wrong(
            mistakes,
            "there is neither a topic nor an urgent one, nor are commands sent",
        );
    }
    share(section, &mut options, mistakes);
    if let Some(field) = section.optional("inflight_max") {
        let read = field.integer(mistakes, 1..=65_535);
        put(&mut options.inflight_max, read.map(|most| most as u16));
    }
    if let Some(field) = section.optional("keep_alive_s") {
        let read = field.integer(mistakes, 1..=3600);
        put(&mut options.keep_alive, read.map(Duration::from_secs));
    }
    if let Some(field) = section.optional("session_s") {
        let read = field.integer(mistakes, 0..=u64::from(u32::MAX));
        put(&mut options.session_s, read.map(|seconds| seconds as u32));
    }
    Some(Broker { options, user })
}

/// Puts what was read in its place. What cannot be was told, and what follows is read all the same,
/// so that all that is wrong with a broker is told at once.
fn put<T>(place: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *place = read;
    }
}

/// The shared subscription: only brokers of version 5 have them.
fn share(section: &mut Section<'_>, options: &mut MqttBrokerOptions, mistakes: &mut Mistakes) {
    let share = section.optional("share");
    if let Some(field) = &share {
        let wanted = "the name of a group without `/`, `+` and `#`";
        let read = |text: &str| (!text.contains(['/', '+', '#'])).then(|| text.to_owned());
        options.share = field.read(mistakes, wanted, read);
        if options.version == Version::V311 {
            field.wrong(
                mistakes,
                "MQTT 3.1.1 has no shared subscriptions; write `version: 5`",
            );
        }
    }
    if let Some(field) = section.optional("connections") {
        let read = field.integer(mistakes, 1..=16);
        put(&mut options.connections, read.map(|count| count as u16));
        if options.connections > 1 && share.is_none() {
            let what = "each connection would get every message; write also `share: GROUP`";
            field.wrong(mistakes, what);
        }
    }
}

/// What people and machines call a broker.
fn name(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let wanted = "a name of at most 64 letters, digits, `.`, `_` and `-`";
    field.read(mistakes, wanted, |text| {
        let is_ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        (text.len() <= 64 && text.chars().all(is_ours)).then(|| text.to_owned())
    })
}

/// The user and the file with the password.
fn user(section: &mut Section<'_>, dir: Option<&Path>, mistakes: &mut Mistakes) -> Option<User> {
    let user = section.optional("user");
    let password = section.optional("password_file");
    if let (None, Some(field)) = (&user, &password) {
        field.wrong(mistakes, "a password without a `user`");
    }
    let user = user?;
    let name = text(&user, mistakes, "a user's name");
    if password.is_none() {
        user.doubtful(mistakes, "a user without a `password_file`");
    }
    let password_file = password.and_then(|field| field.file(dir, mistakes, "a file"));
    let name = name?;
    Some(User {
        name,
        password_file,
    })
}

fn topics(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let items = field.items();
    if items.len() > TOPICS_MAX {
        let what = format!("{} filters are too many; at most {TOPICS_MAX}", items.len());
        field.wrong(mistakes, what);
        return None;
    }
    let wanted = "a topic filter, such as `city/water/#`; for a shared one write `share: GROUP`";
    let read = |text: &str| {
        let is_one = valid_filter(text) && text.len() <= TEXT_BYTES_MAX;
        (is_one && !text.starts_with("$share/")).then(|| text.to_owned())
    };
    let items: Vec<_> = items
        .iter()
        .map(|item| {
            filters::doubt_topic(item, mistakes);
            item.read(mistakes, wanted, read)
        })
        .collect();
    items.into_iter().collect()
}

/// A text that fits into a packet.
fn text(field: &Field<'_>, mistakes: &mut Mistakes, wanted: &str) -> Option<String> {
    field.read(mistakes, wanted, |text| {
        (text.len() <= TEXT_BYTES_MAX).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests;
