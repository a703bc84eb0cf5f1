//! What a reading has in common with others besides its place: the gateway that it came through,
//! the credential that it was ordered by, the command that it follows.
//!
//! Arrives: the names that some correlation rule asks for. Leaves: the values of a reading, as
//! evidence carries them. Promise: where no rule asks, a reading costs nothing by it, and what is
//! evidence carries nothing. A value is a name (see `id.rs`); other texts say nothing. Of the
//! gateway the city knows it as well. Next: `detection.rs`.

use std::sync::Arc;

use crate::bundle::{BY_SENSOR, DetectionRule, Sensor, Test};
use crate::codec::{CodecError, Put, Take};
use crate::hash::hash_text;
use crate::id::NodeId;
use crate::limits::SHARED_MAX;
use crate::reading::Reading;

/// The name that the city file registers with a sensor.
pub const GATEWAY: &str = "gateway";

/// The name under which it is kept who reports: no attribute has it.
const WHO: &str = "";

/// What the names begin with under which it is kept of which group something is.
const GROUP: char = ' ';

/// Names and values, in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared(Option<Arc<[Named]>>);

/// A name, and its value.
type Named = (Box<str>, NodeId);

impl Shared {
    /// What a reading says under these names, which are sorted, and who says so, if its rule asks.
    /// What it says of its gateway counts before what is registered.
    pub(crate) fn of(
        names: &[String],
        rule: &DetectionRule,
        reading: &Reading<'_>,
        sensor: Option<&Sensor>,
    ) -> Self {
        let registered = |name: &str| {
            let sensor = sensor.filter(|_| name == GATEWAY);
            sensor.and_then(|sensor| sensor.gateway.clone())
        };
        let value = |name: &String| {
            let value = match name.strip_prefix(GROUP) {
                Some(name) => {
                    let registered = registered(name);
                    let said = reading.attributes.get(name);
                    let said = said.or(registered.as_ref().map(NodeId::as_str));
                    said.map(|said| hashed(name, said))
                }
                None => match reading.attributes.get(name) {
                    Some(said) => said.parse().ok(),
                    None => registered(name),
                },
            };
            Some((Box::from(name.as_str()), value?))
        };
        let who = who(rule, reading).map(|who| (Box::from(WHO), who));
        let named = names.iter().filter_map(value);
        let all: Vec<_> = who.into_iter().chain(named).take(SHARED_MAX).collect();
        Self((!all.is_empty()).then(|| all.into()))
    }

    /// Whether it has nothing in common with anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it is of a group, so that not all that is near may be one with it.
    pub(crate) fn is_grouped(&self) -> bool {
        let mut all = self.0.iter().flat_map(|all| all.iter());
        all.any(|(name, _)| name.starts_with(GROUP))
    }

    /// Whether it is of a group by other names than these.
    pub(crate) fn is_grouped_by_others(&self, names: &[String]) -> bool {
        let mut all = self.0.iter().flat_map(|all| all.iter());
        all.any(|(name, _)| is_of_others(name, names))
    }

    /// The same without its groups by other names than these.
    pub(crate) fn grouped_by(&self, names: &[String]) -> Self {
        let all = self.0.iter().flat_map(|all| all.iter());
        let left = all.filter(|(name, _)| !is_of_others(name, names));
        let left: Vec<_> = left.cloned().collect();
        Self((!left.is_empty()).then(|| left.into()))
    }

    /// Who reports, in other words: equal for reports of one and the same.
    pub(crate) fn who(&self) -> Option<&NodeId> {
        let first = self.0.as_deref().and_then(<[Named]>::first);
        first.filter(|(name, _)| **name == *WHO).map(|(_, who)| who)
    }

    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&NodeId> {
        let mut all = self.0.iter().flat_map(|all| all.iter());
        all.find(|(own, _)| **own == *name).map(|(_, value)| value)
    }

    pub(crate) fn put(&self, out: &mut impl Put) {
        let all = self.0.as_deref().unwrap_or_default();
        out.put_u8(all.len() as u8);
        for (name, value) in all {
            out.put_text(name);
            out.put_text(value.as_str());
        }
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let count = usize::from(take.u8()?);
        if count > SHARED_MAX {
            return Err(CodecError("more in common than there may be"));
        }
        let all = take.each(count, |take| {
            let name = Box::from(take.text()?);
            Ok((name, take.parsed("a value in common")?))
        })?;
        if !all.is_sorted_by(|(one, _): &(Box<str>, NodeId), (next, _)| one < next) {
            return Err(CodecError("what is in common is not in order"));
        }
        Ok(Self((!all.is_empty()).then(|| all.into())))
    }
}

/// Who says so. People who call are not kept by their numbers, but by a hash; it is no secret, for whoever
/// tries all numbers finds theirs.
fn who(rule: &DetectionRule, reading: &Reading<'_>) -> Option<NodeId> {
    let Test::Report(report) = &rule.test else {
        return None;
    };
    let attribute = report.distinct.as_deref()?;
    let said = match attribute {
        BY_SENSOR => Some(reading.sensor),
        _ => reading.attributes.get(attribute),
    };
    let said = said.filter(|said| !said.is_empty())?;
    Some(hashed(attribute, said))
}

/// A name for any text.
fn hashed(attribute: &str, said: &str) -> NodeId {
    let hash = hash_text(&format!("{attribute} {said}"));
    let name = format!("{hash:016x}").parse();
    name.expect("hexadecimal digits are a name")
}

/// Whether under this name it is kept of which group something is for a rule that asks by other names.
fn is_of_others(name: &str, names: &[String]) -> bool {
    let attribute = name.strip_prefix(GROUP);
    attribute.is_some_and(|attribute| !names.iter().any(|own| own == attribute))
}

/// The name under which it is kept what an attribute says by which a rule tells groups apart.
pub(crate) fn group(attribute: &str) -> String {
    format!("{GROUP}{attribute}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::AttributesBuffer;
    use crate::time::Timestamp;

    fn shared(names: &[&str], said: &[(&str, &str)], gateway: Option<&str>) -> Shared {
        let mut attributes = AttributesBuffer::default();
        for (name, value) in said {
            attributes.push(name, value).unwrap();
        }
        let reading = Reading {
            id: "a",
            sensor: "sg-1",
            kind: "signal_plan",
            observed_at: Timestamp::from_millis(0),
            received_at: None,
            value: 4.0,
            unit: "",
            position: None,
            attributes: attributes.as_attributes(),
        };
        let sensor = Sensor {
            id: "sg-1".parse().unwrap(),
            kind: "signal_plan".parse().unwrap(),
            unit: String::new(),
            position: None,
            zone: None,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            interval: None,
            warning: None,
            danger: None,
            scale: crate::bundle::Scale::OfKind,
        };
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Shared::of(&names, &rule(None), &reading, Some(&sensor))
    }

    fn rule(distinct: Option<&str>) -> DetectionRule {
        DetectionRule {
            name: "called".parse().unwrap(),
            hash: 0,
            kind: "signal_plan".parse().unwrap(),
            matching: Vec::new(),
            settle: crate::time::Millis::ZERO,
            test: Test::Report(crate::bundle::Report {
                severity: crate::decision::Severity::Minor,
                certainty: crate::decision::Certainty::Possible,
                lasting: crate::time::Millis::minutes(1),
                value_min: None,
                until: None,
                replaces: None,
                distinct: distinct.map(str::to_owned),
            }),
        }
    }

    #[test]
    fn who_says_so_is_the_same_in_all_that_one_says_and_tells_no_name() {
        let said = |distinct, sensor, caller: Option<&str>| {
            let mut attributes = AttributesBuffer::default();
            if let Some(caller) = caller {
                attributes.push("caller", caller).unwrap();
            }
            let reading = Reading {
                id: "a",
                sensor,
                kind: "signal_plan",
                observed_at: Timestamp::from_millis(0),
                received_at: None,
                value: 1.0,
                unit: "",
                position: None,
                attributes: attributes.as_attributes(),
            };
            Shared::of(&[], &rule(distinct), &reading, None)
        };
        let by_caller = |sensor, caller| said(Some("caller"), sensor, caller).who().cloned();
        let one = by_caller("c1", Some("+60 12 345"));
        assert!(one.is_some());
        assert_eq!(one, by_caller("c2", Some("+60 12 345")));
        assert_ne!(one, by_caller("c1", Some("+60 12 346")));
        assert_eq!(by_caller("c1", None), None);
        assert_eq!(by_caller("c1", Some("")), None);
        assert!(!one.unwrap().as_str().contains("345"));
        let by_sensor = |sensor| said(Some("sensor"), sensor, None).who().cloned();
        assert!(by_sensor("c1").is_some());
        assert_eq!(by_sensor("c1"), by_sensor("c1"));
        assert_ne!(by_sensor("c1"), by_sensor("c2"));
        assert!(said(None, "c1", Some("abc")).is_empty());
    }

    #[test]
    fn what_a_reading_says_of_its_gateway_counts_before_what_is_registered() {
        let registered = shared(&["gateway"], &[], Some("gw-1"));
        assert_eq!(registered.get("gateway").unwrap().as_str(), "gw-1");
        let said = shared(&["gateway"], &[("gateway", "gw-2")], Some("gw-1"));
        assert_eq!(said.get("gateway").unwrap().as_str(), "gw-2");
        assert!(shared(&["credential"], &[], Some("gw-1")).is_empty());
    }

    #[test]
    fn p5_evidence_has_so_much_in_common_and_no_more() {
        let names: Vec<_> = (0..SHARED_MAX + 3)
            .map(|name| format!("name-{name:02}"))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let said: Vec<_> = names.iter().map(|name| (*name, "a")).collect();
        let shared = shared(&names, &said, None);
        let held = names
            .iter()
            .filter(|name| shared.get(name).is_some())
            .count();
        assert_eq!(held, SHARED_MAX);
        assert!(shared.get(names[SHARED_MAX - 1]).is_some());
    }

    #[test]
    fn a_text_that_is_no_name_says_nothing() {
        let said = [("credential", "two words"), ("command", "c-17")];
        let shared = shared(&["command", "credential"], &said, None);
        assert_eq!(shared.get("credential"), None);
        assert_eq!(shared.get("command").unwrap().as_str(), "c-17");
        let mut bytes = Vec::new();
        shared.put(&mut bytes);
        assert_eq!(Shared::take(&mut Take(&bytes)), Ok(shared));
    }
}
