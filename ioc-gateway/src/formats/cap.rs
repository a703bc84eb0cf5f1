//! Alerts of the Common Alerting Protocol 1.2 (OASIS CAP-v1.2, which is ITU-T X.1303): what other
//! agencies warn of, as evidence.
//!
//! Arrives: an `alert` (section 3.2.1). Leaves: a report for each area (section 3.2.4) of each `info`
//! block (section 3.2.2), at the middle of what it covers: its value is the severity's rank, its
//! attributes what rules may ask for. Promise: what is no alert says nothing; a block of one that
//! cannot be read takes nothing from the others, and of several such the alert is one dead letter. It
//! has the same ids however often it comes, and a block in several languages counts once.
//! What is no evidence is noted: exercises, tests and drafts (unless `kinds` gives their status a
//! kind of its own), acknowledgements, errors, and what has expired. An `Update` names what it takes
//! the place of, and a `Cancel`, a report of rank 0, what it takes back, in the attribute
//! `replaces`: the alerts of the same sender in its `references`, which go back to the first. If it
//! reports nothing besides there is one report of rank 0, that says just that. What was of another
//! kind, and what was taken back before it came, is the core's to know. A block that gives the all
//! clear is of rank 0 too, and so is one of an `Update` by which nothing is to be done any more. Left out: resources, and
//! digital signatures (section 3.3.4.1), which are not checked.
//! Next: `cap/alert.rs`, the parts of an alert; `cap/references.rs`, which it replaces.

mod alert;
mod references;

use std::fmt;

use ioc_core::reading::AttributesBuffer;
use ioc_core::time::Timestamp;

use self::alert::{Alert, Area, Info};
use super::draft::{Draft, Part, Scratch};
use super::mapping::Names;
use super::message::{Found, Item, Outcome, finish};
use super::{Reason, Reject, utf8};
use crate::catalogue::Catalogue;

/// The kind of report that an alert is, unless the table or a registered sensor says another.
const KIND: &str = "external_alert";

/// How much of a text is kept as an attribute: so all of them have room.
const ATTRIBUTE_BYTES: usize = 160;
/// How long a link may be: half of one leads nowhere, so a longer one is left out.
const WEB_BYTES_MAX: usize = 512;

/// The attribute that says what a report takes the place of.
const REPLACES: &str = "replaces";

/// Finds the reports of an alert.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn decode(
    payload: &[u8],
    names: &Names,
    catalogue: &Catalogue,
    scratch: &mut Scratch,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let alert = Alert::read(utf8(payload)?)?;
    let sent = time("sent", &alert.sent)?;
    let mut reports = Reports {
        alert: &alert,
        payload,
        sent,
        evidence: evidence(&alert, names)?,
        replaces: String::new(),
        names,
        catalogue,
        scratch,
        take,
        count: 0,
        has_failed: false,
    };
    match &reports.evidence {
        Evidence::Not(what) => {
            let what = *what;
            reports.noted(&"", what);
            Ok(())
        }
        Evidence::Usual | Evidence::OfKind(_) => {
            if alert.infos.is_empty() {
                reports.noted(&"", "it has no info block");
            }
            // Of what cannot be read nobody knows whether it goes on with what was said before.
            if reports.can_be_read() {
                reports.replaces = references::replaced(&alert);
            }
            reports.infos()?;
            if !reports.replaces.is_empty() && reports.count == 0 {
                reports.withdraw()?;
            }
            Ok(())
        }
    }
}

/// What an alert counts as.
enum Evidence<'a> {
    /// As an alert does.
    Usual,
    /// As something of this kind: an exercise that the table names.
    OfKind(&'a str),
    /// As nothing.
    Not(&'static str),
}

/// By its `status` and its `msgType` (section 3.2.1).
fn evidence<'a>(alert: &Alert<'_>, names: &'a Names) -> Result<Evidence<'a>, Reject> {
    let not = match &*alert.msg_type {
        "Alert" | "Update" | "Cancel" => None,
        "Ack" => Some("an acknowledgement"),
        "Error" => Some("it refuses another message"),
        other => {
            return Err(unexpected(
                "msgType",
                other,
                "Alert, Update, Cancel, Ack or Error",
            ));
        }
    };
    if let Some(not) = not {
        return Ok(Evidence::Not(not));
    }
    let not = match &*alert.status {
        "Actual" => return Ok(Evidence::Usual),
        "Exercise" => "an exercise",
        "System" => "of the network that it comes by",
        "Test" => "a test",
        "Draft" => "a draft",
        other => {
            let wanted = "Actual, Exercise, System, Test or Draft";
            return Err(unexpected("status", other, wanted));
        }
    };
    let kind = names.kinds.get(&alert.status[..]);
    Ok(kind.map_or(Evidence::Not(not), |kind| Evidence::OfKind(kind)))
}

fn unexpected(element: &str, found: &str, wanted: &str) -> Reject {
    let found = super::cut(found);
    let detail = format!("{element}: {found:?} is not {wanted}");
    Reject::new(Reason::ShapeUnexpected, detail)
}

/// Section 3.2.2, from 0 for what is unknown.
fn rank(severity: &str) -> Result<f64, Reject> {
    match severity {
        "Extreme" => Ok(4.0),
        "Severe" => Ok(3.0),
        "Moderate" => Ok(2.0),
        "Minor" => Ok(1.0),
        "Unknown" => Ok(0.0),
        other => {
            let wanted = "Extreme, Severe, Moderate, Minor or Unknown";
            Err(unexpected("severity", other, wanted))
        }
    }
}

fn time(element: &str, text: &str) -> Result<Timestamp, Reject> {
    Timestamp::parse(text.as_bytes()).map_err(|error| {
        let detail = format!("{element}: {:?} is {error}", super::cut(text));
        Reject::new(Reason::ObservedAtInvalid, detail)
    })
}

/// Where a report stands.
#[derive(Clone, Copy)]
struct Place {
    info: usize,
    area: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "info[{}]", self.info)?;
        match self.area {
            Some(area) => write!(f, "/area[{area}]"),
            None => Ok(()),
        }
    }
}

struct Reports<'a, 't> {
    alert: &'a Alert<'a>,
    payload: &'a [u8],
    sent: Timestamp,
    evidence: Evidence<'a>,
    /// What it takes the place of.
    replaces: String,
    names: &'a Names,
    catalogue: &'a Catalogue,
    scratch: &'a mut Scratch,
    take: &'a mut (dyn FnMut(Item<'_>) + 't),
    count: usize,
    /// Whether a block could not be read.
    has_failed: bool,
}

impl<'a> Reports<'a, '_> {
    fn noted(&mut self, place: &dyn fmt::Display, what: &'static str) {
        self.scratch.tally.pass();
        (self.take)(Item {
            place,
            source: self.payload,
            outcome: Outcome::Noted(what),
        });
    }

    fn infos(&mut self) -> Result<(), Reject> {
        let infos = &self.alert.infos;
        for (number, info) in infos.iter().enumerate() {
            let place = Place {
                info: number,
                area: None,
            };
            if infos[..number].iter().any(|before| info.translates(before)) {
                self.noted(&place, "the same in another language");
                continue;
            }
            match self.has_expired(info) {
                Ok(false) => {}
                Ok(true) => {
                    self.noted(&place, "it has expired");
                    continue;
                }
                Err(reject) => {
                    self.finish(&place, Err(reject))?;
                    continue;
                }
            }
            if info.areas.is_empty() {
                self.report(info, None, place)?;
            }
            for (area_number, area) in info.areas.iter().enumerate() {
                let place = Place {
                    info: number,
                    area: (info.areas.len() > 1).then_some(area_number),
                };
                self.report(info, Some(area), place)?;
            }
        }
        Ok(())
    }

    /// Whether there is no block that cannot be read.
    fn can_be_read(&self) -> bool {
        let is_readable = |info: &Info<'_>| {
            let areas_are = !info.areas.iter().any(|area| area.is_wrong);
            areas_are && rank(&info.severity).is_ok() && self.has_expired(info).is_ok()
        };
        self.alert.infos.iter().all(is_readable)
    }

    fn has_expired(&self, info: &Info<'_>) -> Result<bool, Reject> {
        if self.alert.is_cancel() || info.expires.is_empty() {
            return Ok(false);
        }
        let expires = time("expires", &info.expires)?;
        Ok(expires <= self.catalogue.now.now())
    }

    /// Takes back what came before, and says nothing else.
    fn withdraw(&mut self) -> Result<(), Reject> {
        self.scratch.clear();
        let kind = self.kind(None);
        let (alert, texts) = (self.alert, &mut self.scratch.texts);
        let sensor = self.names.sensor(Part::Payload(&alert.sender), texts);
        // Behind all blocks: so it has no report's id.
        let place = Place {
            info: alert.infos.len(),
            area: None,
        };
        let draft = Draft {
            id: Some(id(alert, &place, texts)),
            sensor: Some(sensor),
            kind: kind.map(Part::Payload),
            observed_at: Some(self.sent),
            value: Some(0.0),
            ..Draft::default()
        };
        let attributes = &mut self.scratch.attributes;
        put_replaced(&self.replaces, attributes);
        put_header(alert, &mut |name, text| put(name, text, attributes));
        let found = Found {
            place: &"",
            source: self.payload,
        };
        finish(
            Ok(Some(draft)),
            found,
            self.catalogue,
            self.scratch,
            self.take,
        )
    }

    /// The kind of a report, of this block if it is one; `None` is the one that its sender is
    /// registered with.
    fn kind(&mut self, info: Option<&Info<'_>>) -> Option<&'a str> {
        if let Evidence::OfKind(kind) = self.evidence {
            return Some(kind);
        }
        let names = self.names;
        let listed = info.and_then(|info| names.listed_kind(&info.event, &info.category));
        let texts = &mut self.scratch.texts;
        let sensor = names.sensor(Part::Payload(&self.alert.sender), texts);
        let is_registered = self.catalogue.sensors.contains_key(sensor.resolve(texts));
        listed.or((!is_registered).then_some(KIND))
    }

    fn report(
        &mut self,
        info: &'a Info<'a>,
        area: Option<&'a Area<'a>>,
        place: Place,
    ) -> Result<(), Reject> {
        self.count += 1;
        self.scratch.tally.look()?;
        self.scratch.clear();
        let drafted = self.draft(info, area, &place);
        self.finish(&place, drafted)
    }

    /// The first block that cannot be read makes a dead letter of the alert, which is read again as a
    /// whole: of a thousand it would be a thousand times the same.
    fn finish(&mut self, place: &Place, drafted: Result<Draft<'_>, Reject>) -> Result<(), Reject> {
        let (has_failed, take) = (&mut self.has_failed, &mut *self.take);
        let mut once = |item: Item<'_>| {
            let is_rejected = matches!(item.outcome, Outcome::Rejected(_));
            let outcome = match is_rejected && std::mem::replace(has_failed, true) {
                true => Outcome::Noted("it cannot be read either"),
                false => item.outcome,
            };
            take(Item { outcome, ..item });
        };
        let found = Found {
            place,
            source: self.payload,
        };
        finish(
            drafted.map(Some),
            found,
            self.catalogue,
            self.scratch,
            &mut once,
        )
    }

    fn draft(
        &mut self,
        info: &'a Info<'a>,
        area: Option<&'a Area<'a>>,
        place: &Place,
    ) -> Result<Draft<'a>, Reject> {
        let kind = self.kind(Some(info));
        let (alert, names) = (self.alert, self.names);
        let rank = rank(&info.severity)?;
        let value = if alert.is_over(info) { 0.0 } else { rank };
        let position = match area {
            Some(area) if area.is_wrong => {
                let detail = "area: a polygon is pairs of latitude and longitude, a circle one pair \
                              and a radius in km";
                return Err(Reject::new(Reason::PositionInvalid, detail));
            }
            Some(area) => area.extent.middle(),
            None => None,
        };
        let attributes = &mut self.scratch.attributes;
        put_replaced(&self.replaces, attributes);
        put_all(alert, info, area, attributes);
        let texts = &mut self.scratch.texts;
        let sensor = names.sensor(Part::Payload(&alert.sender), texts);
        Ok(Draft {
            id: Some(id(alert, place, texts)),
            sensor: Some(sensor),
            kind: kind.map(Part::Payload),
            observed_at: Some(self.sent),
            value: Some(value),
            position,
            ..Draft::default()
        })
    }
}

/// The name of an alert (section 3.2.1) with the place of the block in it.
fn id<'a>(alert: &Alert<'_>, place: &Place, texts: &mut String) -> Part<'a> {
    let name = references::name(alert, &alert.identifier);
    let Place { info, area } = place;
    let area = area.unwrap_or_default();
    Part::append(texts, format_args!("{name}/{info}/{area}"))
}

/// Whole, as it is read again.
fn put_replaced(replaces: &str, attributes: &mut AttributesBuffer) {
    if !replaces.is_empty() {
        let fits = attributes.push(REPLACES, replaces);
        fits.expect("it is the first, and bounded");
    }
}

/// Words of CAP are in lower case here, as everywhere on our wire; texts are as they were written.
fn put_all(
    alert: &Alert<'_>,
    info: &Info<'_>,
    area: Option<&Area<'_>>,
    attributes: &mut AttributesBuffer,
) {
    let mut put = |name: &str, text: &str| put(name, text, attributes);
    let word = |text: &str| super::cut(text).to_ascii_lowercase();
    put("event", &info.event);
    put("category", &word(&info.category));
    put("severity", &word(&info.severity));
    put("urgency", &word(&info.urgency));
    put("certainty", &word(&info.certainty));
    put("response_type", &word(&info.response_type));
    put_header(alert, &mut put);
    put("onset", &info.onset);
    put("expires", &info.expires);
    put("language", &info.language);
    put("headline", &info.headline);
    if let Some(area) = area {
        put("area", &area.description);
        put("geocode", &area.geocodes);
        if let Some(radius_m) = area.radius_m() {
            put("radius_m", &radius_m.to_string());
        }
    }
    if !info.web.is_empty() && info.web.len() <= WEB_BYTES_MAX {
        // Beside very long texts there may be no room left for it.
        let _ = attributes.push("web", &info.web);
    }
}

/// What an alert says of itself.
fn put_header(alert: &Alert<'_>, put: &mut dyn FnMut(&str, &str)) {
    let word = |text: &str| super::cut(text).to_ascii_lowercase();
    put("status", &word(&alert.status));
    put("msg_type", &word(&alert.msg_type));
    put("scope", &word(&alert.scope));
    put("sender", &alert.sender);
    put("identifier", &alert.identifier);
    put("references", &alert.references);
}

fn put(name: &str, text: &str, attributes: &mut AttributesBuffer) {
    if !text.is_empty() {
        let text = &text[..text.floor_char_boundary(ATTRIBUTE_BYTES)];
        let fits = attributes.push(name, text);
        fits.expect("so few and so long attributes fit");
    }
}

#[cfg(test)]
mod tests;
