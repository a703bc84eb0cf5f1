//! From the text of a file to its scenarios.
//!
//! Arrives: lines, one statement each. Leaves: a [`Script`], and of every line that is not
//! understood what to write instead. What a statement begins with says what it is: `scenario`,
//! `at`, `from`, `until`, `expect`, `ignore`; before the first scenario `city` and `date`. Not
//! here: whether sensors and kinds exist (`stage.rs`). Next: `expected.rs`.

use std::sync::Arc;

use ioc_core::decision::{Dismissal, Step};
use ioc_core::place::Position;
use ioc_core::time::{Millis, Timestamp};

use super::clock::{self, Moment};
use super::expected;
use super::script::{Event, Name, Said, Scenario, Script, Spot, What};
use super::words::{Parsed, Word, Words, Wrong};
use crate::config::mistake::{Mistakes, Place};
use crate::config::quantity;
use crate::config::suggest::did_you_mean;

/// The first day, unless a file says another.
const DATE: &str = "2026-03-14";
/// The most scenarios of a file.
pub(super) const SCENARIOS_MAX: usize = 1000;
/// The most things that happen in a file.
const STEPS_MAX: usize = 200_000;

const STATEMENTS: [&str; 8] = [
    "scenario", "at", "from", "until", "expect", "ignore", "city", "date",
];

/// Reads a file.
pub(super) fn parse(shown: &str, text: &str, mistakes: &mut Mistakes) -> Script {
    let mut reader = Reader {
        file: shown.into(),
        line: 0,
        midnight: midnight(DATE).expect("a date"),
        city: None,
        scenarios: Vec::new(),
        steps: 0,
    };
    for line in text.lines() {
        reader.line += 1;
        if let Err(Wrong { column, what }) = reader.statement(line) {
            mistakes.add(&reader.place(column), "", what);
        }
    }
    if reader.scenarios.is_empty() {
        let what = "holds no scenario; begin one with `scenario` and its title";
        mistakes.add(&Place::whole(shown), "", what);
    }
    for scenario in &reader.scenarios {
        check_whole(scenario, mistakes);
    }
    Script {
        city: reader.city,
        scenarios: reader.scenarios,
    }
}

/// What a scenario lacks as a whole.
fn check_whole(scenario: &Scenario, mistakes: &mut Mistakes) {
    if scenario.steps.is_empty() {
        let what = "nothing happens in it; write for example `at 10:00 wl-0007 3.5 m`";
        mistakes.add(&scenario.place, "scenario", what);
    }
    if scenario.expected.is_empty() {
        let what = "expects nothing; if nothing is to come of it, write `expect nothing`";
        mistakes.add(&scenario.place, "scenario", what);
    }
}

fn midnight(date: &str) -> Option<Timestamp> {
    Timestamp::parse(format!("{date}T00:00:00Z").as_bytes()).ok()
}

/// The file as far as it has been read.
struct Reader {
    file: Arc<str>,
    line: u32,
    midnight: Timestamp,
    city: Option<(String, Place)>,
    scenarios: Vec<Scenario>,
    steps: usize,
}

/// When something happens: once, several times, or every so often.
struct When {
    times: Vec<Timestamp>,
    /// Whether it is a period, over which a value may change.
    period: bool,
}

impl Reader {
    fn place(&self, column: u32) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line: self.line,
            column,
        }
    }

    fn statement(&mut self, line: &str) -> Parsed<()> {
        let mut words = Words::of(line)?;
        let Some(first) = words.take() else {
            return Ok(());
        };
        match first.text.trim_end_matches(':') {
            "scenario" => self.begin(&first, &mut words),
            "city" | "date" if !self.scenarios.is_empty() => first.wrong(format!(
                "`{}` holds for the whole file; write it before the first scenario",
                first.text
            )),
            "city" => {
                let name = words.need("the name of a file beside this one")?;
                self.city = Some((name.text, self.place(name.column)));
                end(&mut words)
            }
            "date" => {
                let date = words.need("a date such as 2026-03-14")?;
                match midnight(&date.text) {
                    Some(midnight) => self.midnight = midnight,
                    None => return date.wrong("write a date as 2026-03-14"),
                }
                end(&mut words)
            }
            word @ ("at" | "from" | "until" | "expect" | "ignore") => {
                if self.scenarios.is_empty() {
                    return first.wrong("begin a scenario first: `scenario` and its title");
                }
                match word {
                    "at" => self.at(&mut words),
                    "from" => self.period(&mut words),
                    "until" => self.until(&mut words),
                    "expect" => self.expect(line, first.column, &mut words),
                    _ => self.ignore(&mut words),
                }
            }
            other => first.wrong(format!(
                "`{other}` begins no statement{}; write `at TIME SENSOR VALUE`, `from TIME to TIME \
                 every SPAN …`, `until TIME`, `expect …`, `ignore KIND`, or `scenario` and a title",
                did_you_mean(other, STATEMENTS)
            )),
        }
    }

    fn begin(&mut self, first: &Word, words: &mut Words) -> Parsed<()> {
        let title = words.rest();
        if title.is_empty() {
            return first.wrong("a scenario has a title: what is to come of it, in a sentence");
        }
        if self.scenarios.len() == SCENARIOS_MAX {
            return first.wrong(format!("more than {SCENARIOS_MAX} scenarios in a file"));
        }
        self.scenarios.push(Scenario {
            title,
            place: self.place(first.column),
            midnight: self.midnight,
            steps: Vec::new(),
            expected: Vec::new(),
            ignored: Vec::new(),
            until: None,
        });
        Ok(())
    }

    fn scenario(&mut self) -> &mut Scenario {
        self.scenarios.last_mut().expect("one has begun")
    }

    /// `at 10:00 …`, `at 10:00, 10:05 …`
    fn at(&mut self, words: &mut Words) -> Parsed<()> {
        let mut times = Vec::new();
        loop {
            let more = words.peek().is_some_and(|word| word.ends_with(','));
            times.push(clock::moment(words, self.midnight)?.at);
            if !more {
                break;
            }
        }
        let when = When {
            times,
            period: false,
        };
        self.happening(&when, words)
    }

    /// `from 10:00 to 10:30 every 1 min …`, `from 10:00 to 10:30 server is down`
    fn period(&mut self, words: &mut Words) -> Parsed<()> {
        let from = clock::moment(words, self.midnight)?;
        words.expect("to")?;
        let column = words.column();
        let to = clock::moment(words, self.midnight)?;
        if to.at < from.at {
            let what = "a period does not end before it begins".to_owned();
            return Err(Wrong { column, what });
        }
        if words.take_if("server") {
            words.expect("is")?;
            words.expect("down")?;
            let down_from = from.at;
            self.step(to.at, What::Started { down_from });
            return end(words);
        }
        words.expect("every")?;
        let column = words.column();
        let every = clock::span(words)?;
        let count = (to.at - from.at).0 / every.0 + 1;
        if count as usize > STEPS_MAX {
            let what = format!("{count} times are too many; at most {STEPS_MAX} in a file");
            return Err(Wrong { column, what });
        }
        let times = (0..count).map(|nth| from.at + Millis(nth * every.0));
        let when = When {
            times: times.collect(),
            period: true,
        };
        self.happening(&when, words)
    }

    fn until(&mut self, words: &mut Words) -> Parsed<()> {
        let until = clock::moment(words, self.midnight)?;
        self.scenario().until = Some(until.at);
        end(words)
    }

    fn ignore(&mut self, words: &mut Words) -> Parsed<()> {
        loop {
            let kind = words.need("a kind of incident")?;
            let more = kind.text.ends_with(',');
            let place = self.place(kind.column);
            let name = kind.text.trim_end_matches(',').to_owned();
            self.scenario().ignored.push((name, place));
            if !more {
                return end(words);
            }
        }
    }

    fn expect(&mut self, line: &str, column: u32, words: &mut Words) -> Parsed<()> {
        let scenario = self.scenarios.last().expect("one has begun");
        let context = expected::Context {
            midnight: scenario.midnight,
            since: since(scenario),
        };
        let mut expected = expected::parse(words, &context)?;
        end(words)?;
        expected.place = self.place(column);
        expected.text = expected::as_written(line);
        self.scenario().expected.push(expected);
        Ok(())
    }

    /// What happens at these times.
    fn happening(&mut self, when: &When, words: &mut Words) -> Parsed<()> {
        let first = words.need("a sensor, or who does something,")?;
        if let Some(step) = words.peek().and_then(step_of) {
            words.take();
            let incident = name(&words.need("an incident, such as flood")?)?;
            let step = match step {
                Step::Dismiss(_) => Step::Dismiss(dismissal(words)?),
                step => step,
            };
            for &at in &when.times {
                let by = first.text.clone();
                let incident = incident.clone();
                self.step(at, What::Took { by, step, incident });
            }
            return end(words);
        }
        let sensors = sensors(first, words)?;
        let column = words.column();
        let misspelt = words.peek().and_then(|verb| misspelt_step(verb, column));
        let saying = Saying::parse(words, when.period, self.midnight);
        let saying = saying.map_err(|wrong| misspelt.unwrap_or(wrong))?;
        end(words)?;
        if self.steps + when.times.len() * sensors.len() > STEPS_MAX {
            return Err(Wrong {
                column: 1,
                what: format!("more than {STEPS_MAX} readings in a file"),
            });
        }
        let last = when.times.len().saturating_sub(1);
        for (&at, nth) in when.times.iter().zip(0..) {
            for sensor in &sensors {
                let id = match &saying.id {
                    Some(id) => id.clone(),
                    None => format!("line-{}-{}", self.line, nth + 1),
                };
                let said = saying.said(sensor, id, (nth, last));
                self.step(at, What::Said(said));
            }
        }
        Ok(())
    }

    fn step(&mut self, at: Timestamp, what: What) {
        self.steps += 1;
        let place = self.place(1);
        self.scenario().steps.push(Event { at, place, what });
    }
}

/// What a person does: `acknowledges`, `confirms`, `dismisses`.
fn step_of(verb: &str) -> Option<Step> {
    let stem = verb.strip_suffix('s')?;
    let is_it = |step: &&Step| {
        let word = step.word();
        word == stem || stem.strip_suffix('e') == Some(word)
    };
    Step::ALL.iter().find(is_it).copied()
}

/// What looks like something that a person does, and is not: no reading, whatever else is wrong.
fn misspelt_step(verb: &str, column: u32) -> Option<Wrong> {
    let verbs = Step::ALL.iter().map(|step| match step.word() {
        word if word.ends_with(['s', 'o']) => format!("{word}es"),
        word => format!("{word}s"),
    });
    let verbs: Vec<_> = verbs.collect();
    let hint = did_you_mean(verb, verbs.iter().map(String::as_str));
    (!hint.is_empty()).then(|| Wrong {
        column,
        what: format!("`{verb}` is nothing that people do{hint}"),
    })
}

/// `as false_alarm`
fn dismissal(words: &mut Words) -> Parsed<Dismissal> {
    words.expect("as")?;
    let word = words.need("why")?;
    match Dismissal::from_word(&word.text) {
        Some(why) => Ok(why),
        None => {
            let known = Dismissal::ALL.iter().map(|each| each.word());
            let hint = did_you_mean(&word.text, known.clone());
            let known: Vec<_> = known.collect();
            word.wrong(format!(
                "`{}` is no reason{hint}; write one of {}",
                word.text,
                known.join(", ")
            ))
        }
    }
}

/// When the last statement that something happens begins.
fn since(scenario: &Scenario) -> Option<Timestamp> {
    let last = scenario.steps.last()?.place.line;
    let own = scenario.steps.iter().rev();
    let own = own.take_while(|step| step.place.line == last);
    own.map(|step| match step.what {
        What::Started { down_from } => down_from,
        What::Said(_) | What::Took { .. } => step.at,
    })
    .min()
}

/// Nothing more is understood on this line.
fn end(words: &mut Words) -> Parsed<()> {
    match words.take() {
        None => Ok(()),
        Some(word) => word.wrong(format!("`{}` is not understood here", word.text)),
    }
}

/// `wl-0007`, `wl-0007, wl-0008`
fn sensors(first: Word, words: &mut Words) -> Parsed<Vec<String>> {
    let mut sensors = Vec::new();
    let mut word = first;
    loop {
        let names = word.text.split(',').filter(|name| !name.is_empty());
        sensors.extend(names.map(str::to_owned));
        if !word.text.ends_with(',') {
            return Ok(sensors);
        }
        word = words.need("another sensor")?;
    }
}

/// An incident's name: `flood`, `flood#2`.
pub(super) fn name(word: &Word) -> Parsed<Name> {
    let (kind, number) = match word.text.split_once('#') {
        None => (word.text.as_str(), None),
        Some((kind, number)) => (kind, Some(number)),
    };
    let number = match number.map(str::parse) {
        None => None,
        Some(Ok(number)) if number > 0 => Some(number),
        Some(_) => return word.wrong("incidents of a kind are numbered from 1: `flood#2`"),
    };
    Ok(Name {
        kind: kind.to_owned(),
        number,
    })
}

/// What is said, for all times and sensors of a line.
struct Saying {
    kind: Option<String>,
    from: f64,
    /// The value at the end of the period, if it changes.
    to: Option<f64>,
    unit: String,
    spot: Option<Spot>,
    observed: Option<Timestamp>,
    id: Option<String>,
    attributes: Vec<(String, String)>,
}

const READING: &str = "a reading is `SENSOR [KIND] VALUE [UNIT]`, then perhaps `at PLACE`, \
                       `observed TIME`, `id ID` and `name=value`";

impl Saying {
    fn parse(words: &mut Words, period: bool, midnight: Timestamp) -> Parsed<Self> {
        let mut word = words.need("a value")?;
        let mut kind = None;
        if quantity::number(&word.text).is_none() {
            kind = Some(word.text);
            word = words.need("a value")?;
        }
        let (from, mut unit) = value(&word, words)?;
        let mut to = None;
        if words.peek() == Some("to") {
            if !period {
                let what = "a value changes over a period: `from 10:00 to 10:30 every 1 min …`";
                return words.take().expect("peeked").wrong(what);
            }
            words.take();
            let end = words.need("a value")?;
            let (value, end_unit) = value(&end, words)?;
            if !end_unit.is_empty() && !unit.is_empty() && end_unit != unit {
                return end.wrong(format!("is in {end_unit}, but begins in {unit}"));
            }
            if unit.is_empty() {
                unit = end_unit;
            }
            to = Some(value);
        }
        let mut saying = Self {
            kind,
            from,
            to,
            unit,
            spot: None,
            observed: None,
            id: None,
            attributes: Vec::new(),
        };
        while let Some(word) = words.take() {
            saying.option(&word, words, midnight)?;
        }
        Ok(saying)
    }

    fn option(&mut self, word: &Word, words: &mut Words, midnight: Timestamp) -> Parsed<()> {
        match word.text.as_str() {
            "at" => self.spot = Some(spot(words)?),
            "observed" => self.observed = Some(clock::moment(words, midnight)?.at),
            "id" => self.id = Some(words.need("the id of the reading")?.text),
            text => match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    self.attributes.push((name.to_owned(), value.to_owned()));
                }
                _ => return word.wrong(format!("`{text}` is not understood here; {READING}")),
            },
        }
        Ok(())
    }

    /// What one sensor says at the nth of these times.
    fn said(&self, sensor: &str, id: String, (nth, last): (usize, usize)) -> Said {
        let share = nth as f64 / last.max(1) as f64;
        let to = self.to.unwrap_or(self.from);
        let value = self.from + (to - self.from) * share;
        Said {
            sensor: sensor.to_owned(),
            kind: self.kind.clone(),
            // As people would write it.
            value: (value * 1e6).round() / 1e6,
            unit: self.unit.clone(),
            spot: self.spot.clone(),
            observed: self.observed,
            id,
            attributes: self.attributes.clone(),
        }
    }
}

/// `3.5`, `3.5 m`, `3.5m`
fn value(word: &Word, words: &mut Words) -> Parsed<(f64, String)> {
    let Some((value, unit)) = quantity::number(&word.text) else {
        return word.wrong(format!("`{}` is no value; {READING}", word.text));
    };
    if !unit.is_empty() {
        return Ok((value, unit.to_owned()));
    }
    let is_unit =
        |next: &str| !["to", "at", "observed", "id"].contains(&next) && !next.contains('=');
    match words.peek().is_some_and(is_unit) {
        true => Ok((value, words.take().expect("peeked").text)),
        false => Ok((value, String::new())),
    }
}

const SPOT: &str = "a place is LON,LAT in degrees (`101.70,3.12`), a sensor (`wl-0007`), or so far \
                    from one (`200 m north of wl-0007`)";

/// `101.70,3.12`, `wl-0007`, `200 m north of wl-0007`
fn spot(words: &mut Words) -> Parsed<Spot> {
    let word = words.need("a place")?;
    if let Some((lon, lat)) = word.text.split_once(',') {
        let mut lat = lat.to_owned();
        if lat.is_empty() {
            lat = words.need("a latitude")?.text;
        }
        let degrees = lon.parse().ok().zip(lat.parse().ok());
        let position = degrees.and_then(|(lon, lat)| Position::from_degrees(lon, lat));
        return match position {
            Some(position) => Ok(Spot::At(position)),
            None => word.wrong(format!("`{}` is no place on the globe; {SPOT}", word.text)),
        };
    }
    let Some((far, unit)) = quantity::number(&word.text) else {
        return Ok(Spot::Near {
            of: word.text,
            east_m: 0.0,
            north_m: 0.0,
        });
    };
    let unit = match unit {
        "" => words.need("`m` or `km`")?.text,
        unit => unit.to_owned(),
    };
    let metres = match unit.as_str() {
        "m" => far,
        "km" => far * 1000.0,
        _ => return word.wrong(format!("`{unit}` is no distance; {SPOT}")),
    };
    let towards = words.need("a direction such as `north`")?;
    let (east, north) = match towards.text.as_str() {
        "north" => (0.0, 1.0),
        "east" => (1.0, 0.0),
        "south" => (0.0, -1.0),
        "west" => (-1.0, 0.0),
        other => {
            let what = format!("`{other}` is no direction; write north, east, south or west");
            return towards.wrong(what);
        }
    };
    words.expect("of")?;
    Ok(Spot::Near {
        of: words.need("a sensor")?.text,
        east_m: metres * east,
        north_m: metres * north,
    })
}

/// A window that begins or ends by a time as it was written.
pub(super) fn from_to(words: &mut Words, midnight: Timestamp) -> Parsed<(Moment, Moment)> {
    let from = clock::moment(words, midnight)?;
    let and = words.need("`to` or `and`")?;
    if !["to", "and"].contains(&and.text.as_str()) {
        return and.wrong("expected `to` or `and` and a second time");
    }
    let to = clock::moment(words, midnight)?;
    Ok((from, to))
}
