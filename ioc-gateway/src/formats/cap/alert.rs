//! The parts of an alert (OASIS CAP-v1.2, section 3.2), as far as they say anything to a rule.

use std::borrow::Cow;

use ioc_core::place::Position;

use crate::formats::extent::Extent;
use crate::formats::mapping::number;
use crate::formats::xml::{Elements, malformed};
use crate::formats::{Reason, Reject};

/// The namespaces that alerts are in: of 1.2, and of 1.1, which has the same elements.
const NAMESPACES: [&str; 2] = [
    "urn:oasis:names:tc:emergency:cap:1.2",
    "urn:oasis:names:tc:emergency:cap:1.1",
];

/// How long its sender and its identifier may be together: each of its reports is called by them.
const NAME_BYTES_MAX: usize = 1024;
/// How many `info` blocks an alert may have.
const INFOS_MAX: usize = 64;
/// How many areas all of them may have together.
const AREAS_MAX: usize = 1024;

/// How many metres a degree of latitude has.
const DEGREE_M: f64 = 111_195.0;

/// An alert: section 3.2.1.
#[derive(Debug, Default)]
pub(super) struct Alert<'d> {
    pub identifier: Cow<'d, str>,
    pub sender: Cow<'d, str>,
    pub sent: Cow<'d, str>,
    pub status: Cow<'d, str>,
    pub msg_type: Cow<'d, str>,
    pub scope: Cow<'d, str>,
    pub references: Cow<'d, str>,
    pub infos: Vec<Info<'d>>,
}

/// What is warned of, in one language: section 3.2.2.
#[derive(Debug, Default)]
pub(super) struct Info<'d> {
    pub language: Cow<'d, str>,
    /// The first of them.
    pub category: Cow<'d, str>,
    pub event: Cow<'d, str>,
    /// The first of them.
    pub response_type: Cow<'d, str>,
    /// Whether one of them says that there is no danger any more.
    says_all_clear: bool,
    /// Whether one of them says what is to be done against the danger, and whether that nothing is.
    asks_to_act: bool,
    asks_for_nothing: bool,
    pub urgency: Cow<'d, str>,
    pub severity: Cow<'d, str>,
    pub certainty: Cow<'d, str>,
    pub effective: Cow<'d, str>,
    pub onset: Cow<'d, str>,
    pub expires: Cow<'d, str>,
    pub headline: Cow<'d, str>,
    pub web: Cow<'d, str>,
    pub areas: Vec<Area<'d>>,
}

/// Where: section 3.2.4.
#[derive(Debug, Default)]
pub(super) struct Area<'d> {
    pub description: Cow<'d, str>,
    /// Around all polygons and circles.
    pub extent: Extent,
    /// How many of them there are.
    shapes: usize,
    /// Of the last circle.
    circle_m: u32,
    /// Whether one of them cannot be read.
    pub is_wrong: bool,
    /// `NAME=VALUE`, with blanks between them.
    pub geocodes: String,
}

/// The elements that are read. A small closed set; the others are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Identifier,
    Sender,
    Sent,
    Status,
    MsgType,
    Scope,
    References,
    Info,
    Language,
    Category,
    Event,
    ResponseType,
    Urgency,
    Severity,
    Certainty,
    Effective,
    Onset,
    Expires,
    Headline,
    Web,
    Area,
    AreaDesc,
    Polygon,
    Circle,
    Geocode,
    ValueName,
    Value,
    Other,
}

impl Tag {
    fn named(name: &str) -> Self {
        match name {
            "identifier" => Self::Identifier,
            "sender" => Self::Sender,
            "sent" => Self::Sent,
            "status" => Self::Status,
            "msgType" => Self::MsgType,
            "scope" => Self::Scope,
            "references" => Self::References,
            "info" => Self::Info,
            "language" => Self::Language,
            "category" => Self::Category,
            "event" => Self::Event,
            "responseType" => Self::ResponseType,
            "urgency" => Self::Urgency,
            "severity" => Self::Severity,
            "certainty" => Self::Certainty,
            "effective" => Self::Effective,
            "onset" => Self::Onset,
            "expires" => Self::Expires,
            "headline" => Self::Headline,
            "web" => Self::Web,
            "area" => Self::Area,
            "areaDesc" => Self::AreaDesc,
            "polygon" => Self::Polygon,
            "circle" => Self::Circle,
            "geocode" => Self::Geocode,
            "valueName" => Self::ValueName,
            "value" => Self::Value,
            _ => Self::Other,
        }
    }
}

/// The pass over an alert.
struct Reader<'d> {
    elements: Elements<'d>,
    /// What the names of the alert's elements begin with, if anything.
    prefix: Box<str>,
    areas: usize,
}

impl<'d> Alert<'d> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// If it is no alert, or not all of one.
    pub fn read(xml: &'d str) -> Result<Self, Reject> {
        let mut elements = Elements::new(xml);
        let root = elements.next()?;
        let root = root.ok_or_else(|| malformed("there is no element"))?;
        let prefix = root
            .name()
            .prefix()
            .map_or("", |prefix| prefix.into_inner());
        if root.local_name().into_inner() != "alert" || !is_of_cap(&root, prefix)? {
            let name = crate::formats::cut(root.name().into_inner()).to_owned();
            let detail = format!("{name:?} is no alert of CAP 1.2 (its namespace included)");
            return Err(Reject::new(Reason::ShapeUnexpected, detail));
        }
        let mut reader = Reader {
            elements,
            prefix: prefix.into(),
            areas: 0,
        };
        let mut alert = Self::default();
        while let Some(tag) = reader.next()? {
            alert.note(tag, &mut reader)?;
        }
        if reader.elements.next()?.is_some() {
            return Err(malformed("an element behind the alert"));
        }
        alert.whole()
    }

    /// Whether it takes back others.
    pub fn is_cancel(&self) -> bool {
        self.msg_type == "Cancel"
    }

    /// Whether what a block of it is about is over. That nothing is to be done any more says so only
    /// of what was warned of before, and where the block speaks of no danger otherwise: who reports an
    /// earthquake says so from the first, and again with its magnitude revised.
    pub fn is_over(&self, info: &Info<'_>) -> bool {
        let follows = self.msg_type == "Update";
        self.is_cancel() || info.is_all_clear() || (follows && info.is_past())
    }

    fn note(&mut self, tag: Tag, reader: &mut Reader<'d>) -> Result<(), Reject> {
        match tag {
            Tag::Identifier => reader.once("identifier", &mut self.identifier),
            Tag::Sender => reader.once("sender", &mut self.sender),
            Tag::Sent => reader.once("sent", &mut self.sent),
            Tag::Status => reader.once("status", &mut self.status),
            Tag::MsgType => reader.once("msgType", &mut self.msg_type),
            Tag::Scope => reader.once("scope", &mut self.scope),
            Tag::References => reader.once("references", &mut self.references),
            Tag::Info if self.infos.len() == INFOS_MAX => {
                let detail = format!("an alert has at most {INFOS_MAX} info blocks");
                Err(Reject::new(Reason::ItemsTooMany, detail))
            }
            Tag::Info => {
                let info = Info::read(reader)?;
                self.infos.push(info);
                Ok(())
            }
            _ => reader.elements.pass_over(),
        }
    }

    /// Itself, if it says what each alert says.
    fn whole(self) -> Result<Self, Reject> {
        for (name, text) in [
            ("identifier", &self.identifier),
            ("sender", &self.sender),
            ("sent", &self.sent),
            ("status", &self.status),
            ("msgType", &self.msg_type),
        ] {
            required(name, text)?;
        }
        if self.sender.len() + self.identifier.len() > NAME_BYTES_MAX {
            let detail =
                format!("sender and identifier have more than {NAME_BYTES_MAX} bytes together");
            return Err(Reject::new(Reason::ShapeUnexpected, detail));
        }
        for info in &self.infos {
            required("event", &info.event)?;
            required("severity", &info.severity)?;
        }
        Ok(self)
    }
}

fn required(name: &str, text: &str) -> Result<(), Reject> {
    match text {
        "" => {
            let detail = format!("an alert has an element {name}, and it is not empty");
            Err(Reject::new(Reason::ShapeUnexpected, detail))
        }
        _ => Ok(()),
    }
}

/// Whether names with this prefix are those of CAP.
fn is_of_cap(root: &quick_xml::events::BytesStart<'_>, prefix: &str) -> Result<bool, Reject> {
    for attribute in root.attributes() {
        let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
        let declared = match attribute.key.into_inner().strip_prefix("xmlns") {
            Some("") => "",
            Some(name) => name.strip_prefix(':').unwrap_or(name),
            None => continue,
        };
        if declared == prefix {
            return Ok(NAMESPACES.contains(&&*attribute.value));
        }
    }
    Ok(false)
}

impl<'d> Reader<'d> {
    fn next(&mut self) -> Result<Option<Tag>, Reject> {
        let Some(element) = self.elements.next()? else {
            return Ok(None);
        };
        let name = element.name();
        let prefix = name.prefix().map_or("", |prefix| prefix.into_inner());
        Ok(Some(if prefix == &*self.prefix {
            Tag::named(name.local_name().into_inner())
        } else {
            Tag::Other
        }))
    }

    /// Reads a text that is there once.
    fn once(&mut self, name: &str, kept: &mut Cow<'d, str>) -> Result<(), Reject> {
        if !kept.is_empty() {
            let detail = format!("{name:?} is there twice; write it once");
            return Err(Reject::new(Reason::MemberRepeated, detail));
        }
        *kept = self.elements.text()?;
        Ok(())
    }

    /// Reads a text of which the first counts.
    fn first(&mut self, kept: &mut Cow<'d, str>) -> Result<(), Reject> {
        if !kept.is_empty() {
            return self.elements.pass_over();
        }
        *kept = self.elements.text()?;
        Ok(())
    }
}

impl<'d> Info<'d> {
    fn read(reader: &mut Reader<'d>) -> Result<Self, Reject> {
        let mut info = Self::default();
        while let Some(tag) = reader.next()? {
            info.note(tag, reader)?;
        }
        Ok(info)
    }

    fn note(&mut self, tag: Tag, reader: &mut Reader<'d>) -> Result<(), Reject> {
        match tag {
            Tag::Language => reader.once("language", &mut self.language),
            Tag::Category => reader.first(&mut self.category),
            Tag::Event => reader.once("event", &mut self.event),
            Tag::ResponseType => {
                let response = reader.elements.text()?;
                self.responds(response);
                Ok(())
            }
            Tag::Urgency => reader.once("urgency", &mut self.urgency),
            Tag::Severity => reader.once("severity", &mut self.severity),
            Tag::Certainty => reader.once("certainty", &mut self.certainty),
            Tag::Effective => reader.once("effective", &mut self.effective),
            Tag::Onset => reader.once("onset", &mut self.onset),
            Tag::Expires => reader.once("expires", &mut self.expires),
            Tag::Headline => reader.once("headline", &mut self.headline),
            Tag::Web => reader.once("web", &mut self.web),
            Tag::Area if reader.areas == AREAS_MAX => {
                let detail = format!("an alert has at most {AREAS_MAX} areas");
                Err(Reject::new(Reason::ItemsTooMany, detail))
            }
            Tag::Area => {
                reader.areas += 1;
                let area = Area::read(reader)?;
                self.areas.push(area);
                Ok(())
            }
            _ => reader.elements.pass_over(),
        }
    }

    /// Whether it says the same as another one in another language.
    pub fn translates(&self, other: &Self) -> bool {
        let (areas, others) = (self.areas.iter(), other.areas.iter());
        let covers_the_same = areas.map(Area::covered).eq(others.map(Area::covered));
        let is_the_same = self.words() == other.words() && covers_the_same;
        is_the_same && !self.language().eq_ignore_ascii_case(other.language())
    }

    fn responds(&mut self, response: Cow<'d, str>) {
        match &*response {
            "AllClear" => self.says_all_clear = true,
            "None" => self.asks_for_nothing = true,
            "Shelter" | "Evacuate" | "Prepare" | "Execute" | "Avoid" => self.asks_to_act = true,
            _ => {}
        }
        if self.response_type.is_empty() {
            self.response_type = response;
        }
    }

    /// Whether there is no danger any more (`responseType` AllClear, section 3.2.2), and nothing is
    /// asked for that one does in danger.
    pub fn is_all_clear(&self) -> bool {
        self.says_all_clear && !self.asks_to_act
    }

    /// Whether nothing is to be done any more (`urgency` Past, section 3.2.2): nothing is asked for
    /// that one does in danger, and what was is not likely, not grave, or needs no response.
    pub fn is_past(&self) -> bool {
        let is_harmless = matches!(&*self.severity, "Minor" | "Unknown")
            || self.certainty == "Unlikely"
            || self.asks_for_nothing;
        self.urgency == "Past" && !self.asks_to_act && is_harmless
    }

    /// What is the same in all languages.
    fn words(&self) -> [&str; 8] {
        [
            match (self.is_all_clear(), self.is_past()) {
                (true, _) => "AllClear",
                (false, true) => "None",
                (false, false) => "",
            },
            &self.category,
            &self.urgency,
            &self.severity,
            &self.certainty,
            &self.effective,
            &self.onset,
            &self.expires,
        ]
    }

    /// Without one it is that of the United States (section 3.2.2).
    fn language(&self) -> &str {
        match &*self.language {
            "" => "en-US",
            language => language,
        }
    }
}

/// The text without the blanks beside its commas, which part nothing: two numbers are a pair.
fn without_blanks(text: &str) -> Cow<'_, str> {
    let is_blank = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_whitespace);
    let mut commas = text.match_indices(',').map(|(at, _)| at);
    if !commas.any(|at| is_blank(at + 1) || at.checked_sub(1).is_some_and(is_blank)) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len());
    for (number, part) in text.split(',').enumerate() {
        if number > 0 {
            written.truncate(written.trim_ascii_end().len());
            written.push(',');
        }
        written.push_str(part.trim_ascii_start());
    }
    Cow::Owned(written)
}

impl<'d> Area<'d> {
    fn read(reader: &mut Reader<'d>) -> Result<Self, Reject> {
        let mut area = Self::default();
        while let Some(tag) = reader.next()? {
            match tag {
                Tag::AreaDesc => reader.once("areaDesc", &mut area.description)?,
                Tag::Polygon => {
                    let text = reader.elements.text()?;
                    area.is_wrong |= area.polygon(&text).is_none();
                }
                Tag::Circle => {
                    let text = reader.elements.text()?;
                    area.is_wrong |= area.circle(&text).is_none();
                }
                Tag::Geocode => area.geocode(reader)?,
                _ => reader.elements.pass_over()?,
            }
        }
        Ok(area)
    }

    /// Pairs of latitude and longitude, in this order, of which the last is the first again.
    /// Some write an empty one where there is none, and a blank beside the comma.
    fn polygon(&mut self, text: &str) -> Option<()> {
        let text = without_blanks(text);
        if text.trim_ascii().is_empty() {
            return Some(());
        }
        self.shapes += 1;
        let mut corners = 0;
        for pair in text.split_ascii_whitespace() {
            self.extent.add(place(pair)?);
            corners += 1;
        }
        (corners >= 4).then_some(())
    }

    /// A pair of latitude and longitude, and the radius in kilometres.
    fn circle(&mut self, text: &str) -> Option<()> {
        let text = without_blanks(text);
        if text.trim_ascii().is_empty() {
            return Some(());
        }
        self.shapes += 1;
        let mut parts = text.split_ascii_whitespace();
        let centre = place(parts.next()?)?;
        let radius_km = number(parts.next()?).filter(|radius| (0.0..20_100.0).contains(radius))?;
        self.circle_m = (radius_km * 1000.0) as u32;
        self.extent.add(centre);
        // Its box to the north and south: so it weighs what it covers among others.
        let [lon, lat] = centre.to_degrees();
        let degrees = f64::from(self.circle_m) / DEGREE_M;
        for lat in [lat - degrees, lat + degrees] {
            if let Some(edge) = Position::from_degrees(lon, lat) {
                self.extent.add(edge);
            }
        }
        Some(())
    }

    fn geocode(&mut self, reader: &mut Reader<'d>) -> Result<(), Reject> {
        let (mut name, mut value) = (Cow::Borrowed(""), Cow::Borrowed(""));
        while let Some(tag) = reader.next()? {
            match tag {
                Tag::ValueName => reader.once("valueName", &mut name)?,
                Tag::Value => reader.once("value", &mut value)?,
                _ => reader.elements.pass_over()?,
            }
        }
        if !self.geocodes.is_empty() {
            self.geocodes.push(' ');
        }
        self.geocodes.push_str(&format!("{name}={value}"));
        Ok(())
    }

    /// How far it reaches from its middle; `None` if it has neither polygons nor circles.
    pub fn radius_m(&self) -> Option<u32> {
        match (self.shapes, self.circle_m) {
            (1, radius_m) if radius_m > 0 => Some(radius_m),
            _ => self.extent.radius_m(),
        }
    }

    /// What it covers, apart from what it is called.
    fn covered(&self) -> (Option<Position>, Option<u32>, &str) {
        (self.extent.middle(), self.radius_m(), &self.geocodes)
    }
}

/// Section 3.2.4: latitude comes first.
fn place(pair: &str) -> Option<Position> {
    let (lat, lon) = pair.split_once(',')?;
    Position::from_degrees(number(lon)?, number(lat)?)
}
