//! What evidence says in words: the headline of another agency's alert, and where to read on.
//!
//! Arrives: statements of readings, before the decisions that follow from these; the decisions.
//! Leaves: of each incident what its evidence said, for whoever asks over REST. Promise: a
//! statement goes with its reading, also where incidents become one or are split; what is no
//! evidence keeps nothing out that is; what its source takes back is told as withdrawn. What is
//! known goes with the process, but the host has the newest recalled when it starts. Bounds:
//! [`WAITING_MAX`], [`INCIDENTS_MAX`], [`OF_INCIDENT_MAX`], [`WITHDRAWN_MAX`].
//! Next: `rest.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use ioc_core::decision::{Decision, Named, Verdict};
use ioc_core::id::{IncidentId, ReadingId, SensorId};
use ioc_core::reading::Reading;

/// How many statements wait to be those of evidence; the one that has waited longest goes first.
const WAITING_MAX: usize = 8_192;
/// Of how many incidents it is held what their evidence said; that to which nothing was added for
/// longest goes first.
const INCIDENTS_MAX: usize = 1_024;
/// How many statements are held of one incident: the newest.
const OF_INCIDENT_MAX: usize = 8;
/// How many names of what was taken back are held; the one that was named longest ago goes first.
const WITHDRAWN_MAX: usize = 8_192;
/// From which number on what is heard is numbered; what is recalled comes before.
const HEARD_FROM: u64 = 1 << 32;

/// What a reading says in words, by its attributes `headline`, `web` and `replaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who says it.
    pub sensor: SensorId,
    /// In which reading.
    pub reading: ReadingId,
    /// What, in a sentence, cut to [`Statement::HEADLINE_BYTES_MAX`]; empty if nothing.
    pub headline: Box<str>,
    /// Where to read on: an address of the web.
    pub web: Option<Box<str>>,
    /// The names of the sensor's earlier reports in whose place it stands, as the attribute
    /// `replaces` has them: what these said holds no more.
    pub replaces: Box<str>,
}

impl Statement {
    /// How much of a headline is held.
    pub const HEADLINE_BYTES_MAX: usize = 512;
    /// How long an address may be; a longer one is left out, for half of one leads nowhere.
    pub const WEB_BYTES_MAX: usize = 1024;
    /// How long the names of what it replaces may be together; more of them replace nothing here.
    pub const REPLACES_BYTES_MAX: usize = 1024;

    /// What a reading says in words or takes back, if anything.
    pub fn of(reading: &Reading<'_>) -> Option<Self> {
        const VALID: &str = "a reading's names are valid";
        if reading.attributes.is_empty() {
            return None;
        }
        let headline = reading.attributes.get("headline").unwrap_or_default();
        let web = reading.attributes.get("web").filter(|web| is_web(web));
        let replaces = reading.attributes.get("replaces");
        let replaces = replaces.filter(|names| names.len() <= Self::REPLACES_BYTES_MAX);
        if headline.is_empty() && web.is_none() && replaces.is_none_or(str::is_empty) {
            return None;
        }
        let end = headline.floor_char_boundary(Self::HEADLINE_BYTES_MAX);
        Some(Self {
            sensor: reading.sensor.parse().expect(VALID),
            reading: reading.id.parse().expect(VALID),
            headline: headline[..end].into(),
            web: web.map(Into::into),
            replaces: replaces.unwrap_or_default().into(),
        })
    }

    /// Whether it says something besides what it takes back.
    pub fn is_in_words(&self) -> bool {
        !self.headline.is_empty() || self.web.is_some()
    }

    /// Whether it stands in the place of another one: a name is the id of a reading, or what it
    /// begins with before a `/`.
    fn takes_the_place_of(&self, other: &Self) -> bool {
        let is_of = |name: &str| {
            let rest = other.reading.as_str().strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.sensor == other.sensor && self.replaces.split_ascii_whitespace().any(is_of)
    }
}

/// Whether a text is an address that a browser may be sent to: of the web, and of the host that it
/// shows, for what stands before an `@` is none (RFC 3986 section 7.6).
fn is_web(text: &str) -> bool {
    let is_of = |scheme: &&str| {
        let start = text.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let Some(scheme) = ["https://", "http://"].into_iter().find(is_of) else {
        return false;
    };
    let rest = &text[scheme.len()..];
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    text.len() <= Statement::WEB_BYTES_MAX
        && text.bytes().all(is_plain)
        && !authority.is_empty()
        && !authority.contains('@')
}

/// All of them, shared by the keeper, who writes, and those who ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements(Arc<RwLock<Table>>);

#[derive(Debug, Default)]
struct Table {
    waiting: BTreeMap<(SensorId, ReadingId), Arc<Heard>>,
    /// All that wait, and some that do no more.
    oldest_first: VecDeque<Arc<Heard>>,
    of: BTreeMap<IncidentId, Told>,
    added: u64,
    withdrawn: Withdrawn,
    /// How many were heard, and how many recalled.
    heard: u64,
    recalled: u64,
}

/// A statement, and when it was heard.
#[derive(Debug)]
struct Heard {
    statement: Statement,
    number: u64,
}

/// The names by which sensors took back what they had said.
#[derive(Debug, Default)]
struct Withdrawn {
    /// Each with the number of the last that took back what it means.
    names: BTreeMap<(SensorId, Box<str>), u64>,
    oldest_first: VecDeque<(SensorId, Box<str>)>,
}

impl Withdrawn {
    fn note(&mut self, by: &Statement, number: u64) {
        for name in by.replaces.split_ascii_whitespace() {
            let name = (by.sensor.clone(), Box::from(name));
            if let Some(last) = self.names.get_mut(&name) {
                *last = number.max(*last);
                continue;
            }
            if self.oldest_first.len() == WITHDRAWN_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.names.remove(&oldest);
            }
            self.oldest_first.push_back(name.clone());
            self.names.insert(name, number);
        }
    }

    /// Whether a statement was taken back after it was heard.
    fn contain(&self, heard: &Heard) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let reading = heard.statement.reading.as_str();
        let ends = reading.match_indices('/').map(|(end, _)| end);
        let mut names = ends.chain([reading.len()]).map(|end| &reading[..end]);
        names.any(|name| {
            let name = (heard.statement.sensor.clone(), Box::from(name));
            let last = self.names.get(&name);
            last.is_some_and(|last| *last > heard.number)
        })
    }
}

/// What the evidence of an incident said, oldest first.
#[derive(Debug, Default)]
struct Told {
    statements: VecDeque<Arc<Heard>>,
    /// Which addition the last one was.
    last: u64,
}

impl Statements {
    /// Takes statements of readings that may become evidence.
    pub fn hear(&self, statements: Vec<Statement>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for statement in statements {
            table.heard += 1;
            let number = HEARD_FROM + table.heard;
            table.hear(statement, number);
        }
    }

    /// Takes what was said before all that is heard.
    pub fn recall(&self, statements: Vec<Statement>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for statement in statements {
            table.recalled += 1;
            let number = table.recalled;
            table.hear(statement, number);
        }
    }

    /// Goes along with decisions.
    pub fn follow<'a>(&self, decisions: impl Iterator<Item = &'a Decision>) {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_empty = table.waiting.is_empty() && table.of.is_empty();
        drop(table);
        if is_empty {
            return;
        }
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        decisions.for_each(|decision| table.follow(decision));
    }

    /// What the evidence of an incident said, the newest first, and whether that was withdrawn.
    pub fn of(&self, incident: IncidentId) -> Vec<(Statement, bool)> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let told = table.of.get(&incident).into_iter();
        let newest_first = told.flat_map(|told| told.statements.iter().rev());
        let each = |heard: &Arc<Heard>| (heard.statement.clone(), table.withdrawn.contain(heard));
        newest_first.map(each).collect()
    }
}

impl Table {
    fn hear(&mut self, statement: Statement, number: u64) {
        self.withdrawn.note(&statement, number);
        if !statement.is_in_words() {
            return;
        }
        let name = (statement.sensor.clone(), statement.reading.clone());
        if self.waiting.contains_key(&name) {
            return;
        }
        if self.oldest_first.len() == WAITING_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            let said = &oldest.statement;
            let name = (said.sensor.clone(), said.reading.clone());
            let waits = self.waiting.get(&name);
            if waits.is_some_and(|waiting| Arc::ptr_eq(waiting, &oldest)) {
                self.waiting.remove(&name);
            }
        }
        let heard = Arc::new(Heard { statement, number });
        self.oldest_first.push_back(Arc::clone(&heard));
        self.waiting.insert(name, heard);
    }

    fn follow(&mut self, decision: &Decision) {
        if let Verdict::IncidentMerged { incident, into } = &decision.verdict {
            self.join(incident.id, *into);
        }
        if let Some((incident, from, moved)) = decision.verdict.moved() {
            self.part(from, incident.id, moved);
        }
        let Some(incident) = decision.verdict.incident() else {
            return;
        };
        if self.waiting.is_empty() {
            return;
        }
        for evidence in &decision.cause.evidence {
            let name = (evidence.sensor.clone(), evidence.reading.clone());
            if let Some(statement) = self.waiting.remove(&name) {
                self.add(incident.id, statement);
            }
        }
    }

    fn add(&mut self, incident: IncidentId, heard: Arc<Heard>) {
        if !self.of.contains_key(&incident) && self.of.len() == INCIDENTS_MAX {
            let longest_ago = self.of.iter().min_by_key(|(_, told)| told.last);
            if let Some(id) = longest_ago.map(|(id, _)| *id) {
                self.of.remove(&id);
            }
        }
        self.added += 1;
        let told = self.of.entry(incident).or_default();
        told.last = self.added;
        told.statements
            .retain(|own| !heard.statement.takes_the_place_of(&own.statement));
        if told.statements.len() == OF_INCIDENT_MAX {
            told.statements.pop_front();
        }
        told.statements.push_back(heard);
    }

    /// Two incidents are one.
    fn join(&mut self, gone: IncidentId, into: IncidentId) {
        if let Some(told) = self.of.remove(&gone) {
            for statement in told.statements {
                self.add(into, statement);
            }
        }
    }

    /// Evidence of one incident is another's.
    fn part(&mut self, from: IncidentId, to: IncidentId, moved: &Named) {
        let Some(told) = self.of.get_mut(&from) else {
            return;
        };
        let is_moved = |heard: &Arc<Heard>| {
            let statement = &heard.statement;
            moved.first.iter().any(|(sensor, reading)| {
                let is_of = reading.as_ref().is_none_or(|own| *own == statement.reading);
                *sensor == statement.sensor && is_of
            })
        };
        let all = std::mem::take(&mut told.statements);
        let (gone, stays): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(is_moved);
        told.statements = stays;
        for statement in gone {
            self.add(to, statement);
        }
    }
}

#[cfg(test)]
mod tests;
