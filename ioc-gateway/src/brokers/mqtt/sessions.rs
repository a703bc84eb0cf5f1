//! Which sessions brokers keep for us, and by which filters.
//!
//! Arrives: the links that are configured, and what they have subscribed to. Leaves: sessions that no
//! link has any more, for whoever reads the same broker; filters that are not asked for any more; which of
//! a broker's sessions have subscribed, for before all have none gives up a filter: what it chooses may be
//! another's from then on, of whichever link. A
//! broker tells nobody which these are, and would keep messages for a session without a reader for
//! ever: of a shared subscription, a part of all. So it is noted, before it is subscribed to, in a
//! file of the data directory. Bound: [`LEFT_MAX`] sessions that no link has, [`FILTERS_MAX`] filters of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::MqttBrokerOptions;
use crate::telemetry;

/// How many sessions that no link has any more are remembered.
const LEFT_MAX: usize = 256;
/// How many filters of one session are remembered.
const FILTERS_MAX: usize = 256;
/// Where a session is noted to be that no broker has let us into yet.
const NOWHERE: u64 = 0;
/// Where one is that another process may have.
const ELSEWHERE: u64 = u64::MAX;

/// The sessions of the process: cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Where they are kept, if anywhere.
    file: Option<PathBuf>,
    /// Which directory that is in.
    home: u64,
    known: Mutex<BTreeMap<Place, Known>>,
    /// Whom it is told that one has subscribed.
    moves: watch::Sender<()>,
}

/// A session: at which broker, and under which identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    broker: String,
    client_id: String,
}

#[derive(Debug, Default)]
struct Known {
    filters: BTreeSet<String>,
    /// Those that are configured.
    asked: Vec<String>,
    /// The link that has it, or that reads what is left in it.
    link: Option<String>,
    is_left: bool,
    /// Whether it has subscribed since the start,
    has_subscribed: bool,
    /// whether its connection of then is there still,
    is_there: bool,
    /// and how often one has broken, or was not made.
    breaks: u64,
    /// The directory that it was noted in once a broker had let us in: it may be a process elsewhere that
    /// has the session, of whose data directory ours is a copy.
    home: u64,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    broker: String,
    client_id: String,
    filters: Vec<String>,
    home: u64,
}

/// A session that no link has any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    pub client_id: String,
    pub filters: Vec<String>,
}

impl Sessions {
    /// Those that a file tells of, and those that these links are to have.
    pub fn kept(file: Option<PathBuf>, links: &[MqttBrokerOptions]) -> Self {
        let read = file.as_deref().map(read).transpose();
        // What cannot be read is not written over.
        let (file, known) = match read {
            Ok(known) => (file, known),
            Err(error) => {
                telemetry::broker_sessions_unusable(&error);
                (None, None)
            }
        };
        let mut known = known.unwrap_or_default();
        let is_none = links.is_empty() && known.is_empty();
        let home = file
            .as_deref()
            .filter(|_| !is_none)
            .map_or(NOWHERE, home_of);
        for link in links {
            for (client_id, filters) in super::subscriptions(link) {
                let place = Place::of(link, &client_id);
                let session = known.entry(place).or_default();
                session.filters.extend(filters.iter().cloned());
                session.asked = filters;
                session.link = Some(link.name.clone());
                session.is_left = false;
            }
        }
        known.retain(|_, session| !session.is_left || session.home != NOWHERE);
        let used: BTreeSet<_> = links
            .iter()
            .flat_map(MqttBrokerOptions::client_ids)
            .collect();
        for (place, session) in &mut known {
            // Who has moved to another address, or calls that by another name, has it still.
            if session.is_left && !used.contains(&place.client_id) {
                let is_ours = session.home == home;
                let heirs = links
                    .iter()
                    .filter(|link| is_ours && broker_of(link) == place.broker);
                // As a rule it was a connection of the link that is called so.
                let is_other =
                    |link: &&MqttBrokerOptions| !place.client_id.starts_with(&link.client_id);
                let heir = heirs.min_by_key(is_other);
                session.link = heir.map(|link| link.name.clone());
                telemetry::broker_session_left(
                    &place.broker,
                    &place.client_id,
                    session.link.as_deref(),
                );
            }
        }
        bound(&mut known);
        let sessions = Self(Arc::new(Shared {
            file,
            home,
            known: Mutex::new(known),
            moves: watch::Sender::default(),
        }));
        if !is_none {
            sessions.write(&sessions.known());
        }
        sessions
    }

    /// What is left for a link to read.
    pub(super) fn left_to(&self, link: &MqttBrokerOptions) -> Vec<Left> {
        let known = self.known();
        let left = known.iter().filter(|(place, session)| {
            session.is_left
                && session.link.as_ref() == Some(&link.name)
                && place.broker == broker_of(link)
        });
        let left = left.map(|(place, session)| Left {
            client_id: place.client_id.clone(),
            filters: session.filters.iter().cloned().collect(),
        });
        left.collect()
    }

    /// What is asked for of a link's broker, by whichever link.
    pub(super) fn asked_of(&self, link: &MqttBrokerOptions) -> Vec<String> {
        let (known, broker) = (self.known(), broker_of(link));
        let sessions = known.iter().filter(|(place, _)| place.broker == broker);
        let asked = sessions.flat_map(|(_, session)| session.asked.iter().cloned());
        asked.collect()
    }

    /// A session has subscribed to what is asked for.
    pub(super) fn subscribed(&self, link: &MqttBrokerOptions, client_id: &str) {
        if let Some(session) = self.known().get_mut(&Place::of(link, client_id)) {
            (session.has_subscribed, session.is_there) = (true, true);
        }
        self.0.moves.send_replace(());
    }

    /// A connection of a session has broken, or was not made.
    pub(super) fn broke(&self, link: &MqttBrokerOptions, client_id: &str) {
        if let Some(session) = self.known().get_mut(&Place::of(link, client_id)) {
            (session.is_there, session.breaks) = (false, session.breaks + 1);
        }
    }

    /// How often connections for what is configured have broken at a link's broker, of whichever link;
    /// nothing while one of them is not there, or where there is none.
    pub(super) fn beside(&self, link: &MqttBrokerOptions) -> Option<u64> {
        let (known, broker) = (self.known(), broker_of(link));
        let configured = known
            .iter()
            .filter(|(place, session)| place.broker == broker && !session.is_left);
        let mut breaks = None;
        for (_, session) in configured {
            *breaks.get_or_insert(0) += session.is_there.then_some(session.breaks)?;
        }
        breaks
    }

    /// Waits until all sessions at a link's broker that are configured have, of whichever link.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn all_have_subscribed(&self, link: &MqttBrokerOptions) {
        let (broker, mut moves) = (broker_of(link), self.0.moves.subscribe());
        while self.awaits(&broker) && moves.changed().await.is_ok() {}
    }

    fn awaits(&self, broker: &str) -> bool {
        let known = self.known();
        let mut sessions = known.iter().filter(|(place, _)| place.broker == broker);
        sessions.any(|(_, session)| !session.is_left && !session.has_subscribed)
    }

    /// By which other filters than these a session may get messages.
    pub(super) fn others(
        &self,
        link: &MqttBrokerOptions,
        client_id: &str,
        filters: &[String],
    ) -> Vec<String> {
        let known = self.known();
        let Some(session) = known.get(&Place::of(link, client_id)) else {
            return Vec::new();
        };
        let others = session
            .filters
            .iter()
            .filter(|each| !filters.contains(each));
        others.cloned().collect()
    }

    /// A broker has let us in under a session's name: it is ours, unless it was noted elsewhere.
    pub(super) fn let_in(&self, link: &MqttBrokerOptions, client_id: &str) {
        let mut known = self.known();
        if let Some(session) = known.get_mut(&Place::of(link, client_id))
            && session.home == NOWHERE
            && self.0.home != NOWHERE
        {
            session.home = self.0.home;
            self.write(&known);
        }
    }

    /// Another process may have a session: it is never read out.
    pub(super) fn is_anothers(&self, link: &MqttBrokerOptions, client_id: &str) {
        let mut known = self.known();
        if let Some(session) = known.get_mut(&Place::of(link, client_id)) {
            session.home = ELSEWHERE;
            self.write(&known);
        }
    }

    /// A session has these filters and no others.
    pub(super) fn has(&self, link: &MqttBrokerOptions, client_id: &str, filters: &[String]) {
        let mut known = self.known();
        if let Some(session) = known.get_mut(&Place::of(link, client_id))
            && session.filters.len() > filters.len()
        {
            session.filters = filters.iter().cloned().collect();
            self.write(&known);
        }
    }

    /// A session is no more.
    pub(super) fn over(&self, link: &MqttBrokerOptions, client_id: &str) {
        let mut known = self.known();
        known.remove(&Place::of(link, client_id));
        self.write(&known);
    }

    fn write(&self, known: &BTreeMap<Place, Known>) {
        let Some(file) = &self.0.file else { return };
        if let Err(error) = replace(file, known) {
            telemetry::broker_sessions_unusable(&error);
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Place, Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(link: &MqttBrokerOptions, client_id: &str) -> Self {
        Self {
            broker: broker_of(link),
            client_id: client_id.to_owned(),
        }
    }
}

fn broker_of(link: &MqttBrokerOptions) -> String {
    let (host, port) = &link.address;
    format!("{}:{port}", host.to_ascii_lowercase())
}

/// Forgets what is too much: sessions that nobody reads before those that somebody does.
fn bound(known: &mut BTreeMap<Place, Known>) {
    for session in known.values_mut() {
        while session.filters.len() > FILTERS_MAX {
            session.filters.pop_last();
        }
    }
    let left = known.iter().filter(|(_, session)| session.is_left);
    let mut left: Vec<_> = left
        .map(|(place, session)| (session.link.is_none(), place.clone()))
        .collect();
    left.sort();
    for (_, place) in left.into_iter().skip(LEFT_MAX) {
        telemetry::broker_session_forgotten(&place.broker, &place.client_id);
        known.remove(&place);
    }
}

/// What a file says, if it is there: of no link so far.
fn read(file: &Path) -> io::Result<BTreeMap<Place, Known>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        text => text?,
    };
    let session = |line: &str| {
        let line: Line = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(error) => {
                telemetry::broker_sessions_unusable(&error.into());
                return None;
            }
        };
        let place = Place {
            broker: line.broker,
            client_id: line.client_id,
        };
        let known = Known {
            filters: line.filters.into_iter().collect(),
            asked: Vec::new(),
            link: None,
            is_left: true,
            has_subscribed: false,
            is_there: false,
            breaks: 0,
            home: line.home,
        };
        Some((place, known))
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.filter_map(session).collect())
}

/// Which directory a file is in: a copy is another. Made, if it is not there.
fn home_of(file: &Path) -> u64 {
    let dir = file.parent().expect("it lies in a directory");
    let made = fs::create_dir_all(dir).and_then(|()| fs::metadata(dir));
    made.map_or(NOWHERE, |dir| dir.ino())
}

/// Writes a file as a whole.
fn replace(file: &Path, known: &BTreeMap<Place, Known>) -> io::Result<()> {
    let mut text = Vec::new();
    for (place, session) in known {
        let line = Line {
            broker: place.broker.clone(),
            client_id: place.client_id.clone(),
            filters: session.filters.iter().cloned().collect(),
            home: session.home,
        };
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    let dir = file.parent().expect("it lies in a directory");
    fs::create_dir_all(dir)?;
    let new = file.with_extension("new");
    let mut written = fs::File::create(&new)?;
    written.write_all(&text)?;
    // A name must not stand before what it names.
    written.sync_data()?;
    fs::rename(new, file)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, connections: u16) -> MqttBrokerOptions {
        MqttBrokerOptions {
            name: name.to_owned(),
            client_id: format!("ioc-{name}"),
            topics: vec!["city/#".to_owned()],
            share: (connections > 1).then(|| "g".to_owned()),
            connections,
            ..MqttBrokerOptions::default()
        }
    }

    #[test]
    fn p1_sessions_that_no_link_has_any_more_are_left_to_who_reads_the_same_broker() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sessions/mqtt");
        let kept = |links: &[MqttBrokerOptions]| Sessions::kept(Some(file.clone()), links);
        let three = link("a", 3);
        let let_in = |sessions: &Sessions, link: &MqttBrokerOptions| {
            let ids = crate::brokers::mqtt::subscriptions(link).into_iter();
            ids.for_each(|(id, _)| sessions.let_in(link, &id));
        };
        let_in(&kept(std::slice::from_ref(&three)), &three);
        let two = link("a", 2);
        let sessions = kept(std::slice::from_ref(&two));
        let left = Left {
            client_id: "ioc-a-3".to_owned(),
            filters: vec!["$share/g/city/#".to_owned()],
        };
        assert_eq!(sessions.left_to(&two), [left]);
        assert_eq!(sessions.asked_of(&two), ["$share/g/city/#"; 2]);
        // It stays with the link that it was of.
        let links = [link("b", 1), two.clone()];
        let sessions = kept(&links);
        assert_eq!(sessions.left_to(&links[0]), []);
        assert_eq!(sessions.left_to(&links[1]).len(), 1);
        assert_eq!(sessions.asked_of(&links[1]).len(), 3, "of both links");
        let renamed = link("b", 1);
        let sessions = kept(std::slice::from_ref(&renamed));
        let ids = |link: &MqttBrokerOptions| {
            let left = sessions.left_to(link).into_iter();
            left.map(|left| left.client_id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&renamed), ["ioc-a", "ioc-a-2", "ioc-a-3"]);
        sessions.over(&renamed, "ioc-a-2");
        assert_eq!(ids(&renamed), ["ioc-a", "ioc-a-3"]);
        // A copy of the directory may be of a process that runs.
        let copy = dir.path().join("copy/mqtt");
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, &copy).unwrap();
        let copied = Sessions::kept(Some(copy), std::slice::from_ref(&renamed));
        assert_eq!(copied.left_to(&renamed), []);
        // At another broker nobody can read them.
        let mut elsewhere = link("b", 1);
        elsewhere.address.1 = 1884;
        let sessions = kept(std::slice::from_ref(&elsewhere));
        assert_eq!(sessions.left_to(&elsewhere), []);
        assert_eq!(
            kept(std::slice::from_ref(&renamed)).left_to(&renamed).len(),
            2
        );
    }

    #[test]
    fn p1_filters_of_before_are_known_until_they_are_unsubscribed_from() {
        let dir = tempfile::tempdir().unwrap();
        let file = Some(dir.path().join("sessions/mqtt"));
        let mut one = link("a", 1);
        Sessions::kept(file.clone(), std::slice::from_ref(&one));
        one.topics = vec!["city/water/#".to_owned()];
        for _ in 0..2 {
            let sessions = Sessions::kept(file.clone(), std::slice::from_ref(&one));
            let others = sessions.others(&one, "ioc-a", &one.topics);
            assert_eq!(others, ["city/#"]);
        }
        let sessions = Sessions::kept(file.clone(), std::slice::from_ref(&one));
        sessions.has(&one, "ioc-a", &one.topics);
        let sessions = Sessions::kept(file, std::slice::from_ref(&one));
        assert!(sessions.others(&one, "ioc-a", &one.topics).is_empty());
    }

    #[test]
    fn p5_no_more_than_so_many_sessions_and_filters_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sessions/mqtt");
        let mut known = BTreeMap::new();
        for n in 0..LEFT_MAX + 10 {
            let place = Place {
                broker: "gone:1883".to_owned(),
                client_id: format!("c{n}"),
            };
            let filters = (0..FILTERS_MAX + 10).map(|n| format!("t/{n}"));
            let session = Known {
                filters: filters.collect(),
                home: 1,
                ..Known::default()
            };
            known.insert(place, session);
        }
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        replace(&file, &known).unwrap();
        let one = link("a", 1);
        let sessions = Sessions::kept(Some(file), std::slice::from_ref(&one));
        let known = sessions.known();
        assert_eq!(known.len(), LEFT_MAX + 1, "and what is configured");
        assert!(known.values().all(|each| each.filters.len() <= FILTERS_MAX));
    }
}
