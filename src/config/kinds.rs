//! The kinds of reading: what each measures, in which unit, what is usual, and what is urgent.
//!
//! Arrives: `kinds.yaml`. Leaves: [`Kinds`], by which rules and the city are checked and the door
//! converts. Promise: within the core a kind has one unit; rules, levels of sensors and readings
//! are all converted to it. Next: `rules.rs`.

use std::collections::BTreeMap;

use ioc_core::id::ReadingKind;
use ioc_core::reading::Reading;
use ioc_gateway::formats::units;

use super::field::{Field, Section};
use super::mistake::Mistakes;
use super::quantity;
use super::source::{KINDS, only_shipped};
use super::suggest::did_you_mean;
use super::yaml::Node;

/// All kinds, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kinds(BTreeMap<ReadingKind, Kind>);

/// What a kind of reading is.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// The unit of its values; `None` if each reading keeps its own and nothing is converted.
    pub unit: Option<String>,
    /// What it measures, in a sentence.
    pub means: String,
    /// A usual value on a usual day, in the unit.
    pub normal: Option<f64>,
    /// Whether its readings go before others; `None` if the rules of the kind say so.
    pub urgent: Option<bool>,
}

impl Kinds {
    /// The most kinds that a configuration may have.
    pub const COUNT_MAX: usize = 1000;

    /// Reads `kinds.yaml`.
    pub fn read(root: &Node, mistakes: &mut Mistakes) -> Self {
        let mut kinds = BTreeMap::new();
        let Some(mut file) = Section::root(root, mistakes) else {
            return Self(kinds);
        };
        let listed = file.required(mistakes, "kinds", "{ water_level: { unit: m, means: … } }");
        file.finish(mistakes);
        let Some(section) = listed.and_then(|field| Section::of(&field, mistakes)) else {
            return Self(kinds);
        };
        for (entry, field) in section.entries() {
            let name = entry.key.parse();
            let kind = Kind::read(&field, mistakes);
            match name {
                Ok(name) => kinds.extend(kind.map(|kind| (name, kind))),
                Err(error) => mistakes.add(&entry.place, &field.path, error.to_string()),
            }
        }
        if kinds.len() > Self::COUNT_MAX {
            let what = format!(
                "{} kinds are too many; at most {}",
                kinds.len(),
                Self::COUNT_MAX
            );
            section.wrong(mistakes, what);
        }
        Self(kinds)
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.0.get(name)
    }

    /// All kinds, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ReadingKind, &Kind)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What to say of a kind that is not there.
    pub fn unknown(&self, name: &str) -> String {
        let hint = match did_you_mean(name, self.0.keys().map(ReadingKind::as_str)) {
            none if none.is_empty() => {
                let shipped = only_shipped(KINDS, |line| line == format!("  {name}:"));
                shipped.unwrap_or_else(|| "; describe it in kinds.yaml".to_owned())
            }
            hint => hint,
        };
        format!("unknown kind of reading `{name}`{hint}")
    }
}

impl Kind {
    fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut section = Section::of(field, mistakes)?;
        let unit = section
            .required(mistakes, "unit", "m")
            .and_then(|field| unit(&field, mistakes));
        let means = section
            .required(
                mistakes,
                "means",
                "Height of a river above the zero of its gauge.",
            )
            .and_then(|field| field.text(mistakes, "a sentence"));
        let normal = section.optional("normal");
        let urgent = section.optional("urgent");
        section.finish(mistakes);
        let mut kind = Self {
            unit: unit?,
            means: means?.to_owned(),
            normal: None,
            urgent: urgent
                .and_then(|field| field.choice(mistakes, &[("yes", true), ("no", false)])),
        };
        kind.normal = normal.and_then(|field| kind.value(&field, mistakes));
        Some(kind)
    }

    /// A value of this kind as written in a file, in the kind's unit: `3.0 m`.
    pub fn value(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<f64> {
        let text = field.text(mistakes, &format!("a value such as `{}`", self.show(3.0)))?;
        let value = self.parse(text);
        value.map_err(|what| field.wrong(mistakes, what)).ok()
    }

    /// The value in a text, in the kind's unit.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(&self, text: &str) -> Result<f64, String> {
        let Some((value, written)) = quantity::number(text) else {
            return Err(format!(
                "`{text}` is not a value such as `{}`",
                self.show(3.0)
            ));
        };
        match (self.unit.as_deref(), written) {
            (None, "") => Ok(value),
            (None, _) => Err(format!("this kind has no unit; write `{value}`")),
            (Some(_), "") => Err(format!("without a unit; write `{}`", self.show(value))),
            (Some(unit), written) => units::convert(value, written, unit).map_err(|_| {
                format!("`{written}` cannot be converted to `{unit}`; write it in `{unit}`")
            }),
        }
    }

    /// The difference of two values in a text, in the kind's unit: 9 degF are 5 degC.
    ///
    /// # Errors
    /// What to write instead.
    pub fn difference(&self, text: &str) -> Result<f64, String> {
        let difference = self.parse(text)?;
        let written = quantity::number(text).map_or("", |(_, unit)| unit);
        let nothing = self.parse(&format!("0 {written}"))?;
        // As people would say it: 5 and not 4.999999999999999.
        Ok(((difference - nothing) * 1e9).round() / 1e9)
    }

    /// A value of this kind as it is written in a file.
    pub fn show(&self, value: f64) -> String {
        match &self.unit {
            Some(unit) => format!("{value} {unit}"),
            None => value.to_string(),
        }
    }
}

/// The word for kinds whose readings keep their own unit.
const ANY: &str = "any";

fn unit(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Option<String>> {
    let wanted = "a unit of at most 32 bytes, such as `m`, or `any` if readings keep their own";
    let valid = |text: &&str| text.len() <= Reading::UNIT_BYTES_MAX;
    let text = field.read(mistakes, wanted, |text| Some(text).filter(valid))?;
    Some((text != ANY).then(|| text.to_owned()))
}
