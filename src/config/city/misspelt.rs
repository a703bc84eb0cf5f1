//! Properties whose names are nearly known: a misspelt `warning` would silently leave a river under
//! the levels of the rules.
//!
//! Arrives: the properties of each zone and sensor. Leaves: one warning for each wrong name, with
//! where it is first and how often. Promise: a name that many features have is compared once; data
//! that has the right name too is let be. Next: `city/whole.rs`.

use std::collections::{BTreeMap, HashMap};

use super::geojson::Scalar;
use super::properties::Properties;
use crate::config::mistake::{Mistakes, Place, counted};
use crate::config::suggest::edits;

/// The most names that are compared with the known ones; beyond, they are let through unseen.
const NAMES_MAX: usize = 4096;

/// The names that are probably misspelt.
#[derive(Debug, Default)]
pub struct Misspelt {
    /// What was probably meant by each name that was compared.
    meant: HashMap<(Owner, String), Option<&'static str>>,
    /// Where each was first, and how often, by whose it is, the name, and the name that was meant.
    found: BTreeMap<(Owner, String, &'static str), (Place, usize)>,
}

impl Misspelt {
    /// Notes the names that are not known where a known one, probably meant, is not there.
    pub fn note(&mut self, owner: Owner, mut properties: Properties<'_>, place: &Place) {
        for other in std::mem::take(&mut properties.others) {
            let Some(meant) = self.meant(owner, &other) else {
                continue;
            };
            if matches!(properties.known(meant), Some(Scalar::Nothing)) {
                let key = (owner, other.into_owned(), meant);
                let first = || (place.clone(), 0);
                self.found.entry(key).or_insert_with(first).1 += 1;
            }
        }
    }

    fn meant(&mut self, owner: Owner, other: &str) -> Option<&'static str> {
        let key = (owner, other.to_owned());
        if let Some(meant) = self.meant.get(&key) {
            return *meant;
        }
        if self.meant.len() == NAMES_MAX {
            return None;
        }
        let meant = owner.meant(other);
        self.meant.insert(key, meant);
        meant
    }

    /// Warns of each.
    pub fn warn(&self, warnings: &mut Mistakes) {
        for ((owner, other, meant), (first, count)) in &self.found {
            let owners = counted(*count, owner.noun());
            let what = format!("`{other}` of {owners} is not read; did you mean `{meant}`?");
            warnings.add(first, "", what);
        }
    }
}

/// What a feature is of which properties can be misspelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A zone.
    Zone,
    /// A sensor.
    Sensor,
    /// An actuator.
    Actuator,
    /// An asset.
    Asset,
}

impl Owner {
    /// As messages call it.
    const fn noun(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Sensor => "sensor",
            Self::Actuator => "actuator",
            Self::Asset => "asset",
        }
    }

    /// The properties that it may have and that a slip is looked for in: `lane` is not `line`.
    const fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Zone => &["name", "parent"],
            Self::Actuator => &["zone", "effect", "deadline_s", "outcome_within_s"],
            Self::Sensor => &[
                "kind",
                "unit",
                "zone",
                "interval_s",
                "warning",
                "danger",
                "fed_by",
                "flows_to",
                "lag_s",
            ],
            Self::Asset => &["fed_by", "flows_to", "lag_s"],
        }
    }

    /// The property of this owner that was probably meant by another name.
    fn meant(self, other: &str) -> Option<&'static str> {
        if other.len() > NAME_BYTES_MAX {
            return None;
        }
        let other = other.to_lowercase();
        let taken_for = TAKEN_FOR.iter().find(|(names, _)| names.contains(&&*other));
        let mut properties = self.properties().iter().copied();
        match taken_for {
            Some((_, property)) => properties.find(|known| known == property),
            None => properties.find(|known| edits(&other, known) <= edits_max(known)),
        }
    }
}

/// The longest name that can be a misspelt one.
const NAME_BYTES_MAX: usize = 32;

/// One slip in a short name, two in a long one. Stricter than other suggestions: `manager` is not
/// `danger`, and real data has many names.
const fn edits_max(known: &str) -> usize {
    if known.len() < 7 { 1 } else { 2 }
}

/// Names that other data has for a property, further from it than a slip.
const TAKEN_FOR: [(&[&str], &str); 10] = [
    (&["parent_id", "parent_zone"], "parent"),
    (&["sensor_kind", "reading_kind", "measures"], "kind"),
    (&["uom", "unit_of_measure"], "unit"),
    (&["zone_id", "zone_name"], "zone"),
    (
        &[
            "interval_sec",
            "interval_seconds",
            "interval_min",
            "reporting_interval",
            "update_interval",
            "period",
            "period_s",
        ],
        "interval_s",
    ),
    (
        &["warn", "warning_level", "warn_level", "level_warning"],
        "warning",
    ),
    (&["danger_level", "level_danger"], "danger"),
    (&["feeder", "feeder_id", "supplied_by"], "fed_by"),
    (&["downstream", "drains_to", "flow_to"], "flows_to"),
    (&["lag", "lag_sec", "lag_min", "travel_time_s"], "lag_s"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_other_names_are_told_from_properties_that_only_this_data_has() {
        let sensor = |other| Owner::Sensor.meant(other);
        for other in [
            "interval",
            "Interval_S",
            "intervall_s",
            "interval_ms",
            "period_s",
        ] {
            assert_eq!(sensor(other), Some("interval_s"), "{other}");
        }
        for other in ["warnin", "warn", "Warning", "wraning", "warning_level"] {
            assert_eq!(sensor(other), Some("warning"), "{other}");
        }
        for other in ["zones", "units", "dangr"] {
            assert!(sensor(other).is_some(), "{other}");
        }
        for other in [
            "manager",
            "lane",
            "boarder",
            "name",
            "parent",
            "internal_id",
        ] {
            assert_eq!(sensor(other), None, "{other}");
        }
        assert_eq!(Owner::Zone.meant("parnet"), Some("parent"));
        assert_eq!(Owner::Zone.meant("warnin"), None);
    }

    #[test]
    fn p5_names_that_are_looked_at_for_slips_have_a_bound() {
        let mut misspelt = Misspelt::default();
        for number in 0..NAMES_MAX + 10 {
            misspelt.meant(Owner::Sensor, &format!("name-{number}"));
        }
        assert_eq!(misspelt.meant.len(), NAMES_MAX);
        assert_eq!(misspelt.meant(Owner::Sensor, "intervall_s"), None);
    }
}
