//! Units of measurement and how to convert between those of one dimension.
//!
//! Arrives: a value with the unit that a source wrote. Leaves: the value in the unit that the
//! sensor is registered with. Promise: factors are ratios of whole numbers, multiplied before they
//! divide, so that 372 cm are 3.72 m to the last bit. Not here: units that only equal themselves
//! (`mAOD`, `%LEL`, `p/m2`, `state`): they need no table, and a datum cannot be converted.

/// Why a value cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitError {
    /// One of both units is not in the table.
    Unknown,
    /// They measure different things.
    Mismatch,
}

/// What says that a number is just that, as UCUM names it.
pub const ONE: &str = "1";
/// Units of what is counted or ranked: such numbers are in them.
const COUNTED: [&str; 3] = ["state", "call", "rank"];

/// The value in another unit. Equal units need not be known.
pub fn convert(value: f64, from: &str, to: &str) -> Result<f64, UnitError> {
    if from == to || from == ONE && COUNTED.contains(&to) {
        return Ok(value);
    }
    let (Some(from), Some(to)) = (Unit::named(from), Unit::named(to)) else {
        return Err(UnitError::Unknown);
    };
    if from.dimension != to.dimension {
        return Err(UnitError::Mismatch);
    }
    let numerator = from.numerator * to.denominator;
    let denominator = from.denominator * to.numerator;
    Ok((value + from.shift) * numerator / denominator - to.shift)
}

/// What units measure. Units of one dimension are converted into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Acceleration,
    Concentration,
    Current,
    Flow,
    Length,
    Potential,
    Power,
    Precipitation,
    Pressure,
    Ratio,
    Speed,
    Temperature,
    Time,
}

/// A unit: so much of its dimension's base unit is `(value + shift) * numerator / denominator`.
/// Numerators and denominators are whole, and small enough for their products to be exact.
#[derive(Debug, Clone, Copy)]
struct Unit {
    dimension: Dimension,
    numerator: f64,
    denominator: f64,
    shift: f64,
}

const fn unit(dimension: Dimension, numerator: u32, denominator: u32) -> Option<Unit> {
    shifted(dimension, numerator, denominator, 0.0)
}

const fn shifted(
    dimension: Dimension,
    numerator: u32,
    denominator: u32,
    shift: f64,
) -> Option<Unit> {
    Some(Unit {
        dimension,
        numerator: numerator as f64,
        denominator: denominator as f64,
        shift,
    })
}

impl Unit {
    /// The unit of this name: the common ASCII spelling, the typographic one, and UCUM's where
    /// sources are seen to write it. Names are case-sensitive, as units are.
    fn named(name: &str) -> Option<Self> {
        Self::geometric(name)
            .or_else(|| Self::atmospheric(name))
            .or_else(|| Self::electric(name))
    }

    /// Lengths, times and what is made of them. Feet and miles are international
    /// (1 ft = 0.3048 m exactly).
    fn geometric(name: &str) -> Option<Self> {
        use Dimension::{Acceleration, Flow, Length, Precipitation, Speed, Time};
        match name {
            "mm" => unit(Length, 1, 1000),
            "cm" => unit(Length, 1, 100),
            "dm" => unit(Length, 1, 10),
            "m" => unit(Length, 1, 1),
            "km" => unit(Length, 1000, 1),
            "in" => unit(Length, 254, 10_000),
            "ft" => unit(Length, 3048, 10_000),
            "mi" => unit(Length, 1_609_344, 1000),
            "ms" => unit(Time, 1, 1000),
            "s" => unit(Time, 1, 1),
            "min" => unit(Time, 60, 1),
            "h" => unit(Time, 3600, 1),
            "m/s" => unit(Speed, 1, 1),
            "km/h" | "kph" => unit(Speed, 10, 36),
            "mph" => unit(Speed, 44_704, 100_000),
            "ft/s" => unit(Speed, 3048, 10_000),
            "kn" => unit(Speed, 1852, 3600),
            "m/s2" | "m/s²" => unit(Acceleration, 1, 1),
            "cm/s2" | "cm/s²" | "Gal" => unit(Acceleration, 1, 100),
            "g" => unit(Acceleration, 980_665, 100_000),
            "mm/h" => unit(Precipitation, 1, 1),
            "mm/min" => unit(Precipitation, 60, 1),
            "cm/h" => unit(Precipitation, 10, 1),
            "in/h" => unit(Precipitation, 254, 10),
            "m3/s" | "m³/s" => unit(Flow, 1, 1),
            "m3/h" | "m³/h" => unit(Flow, 1, 3600),
            "l/s" | "L/s" => unit(Flow, 1, 1000),
            "cfs" | "ft3/s" | "ft³/s" => unit(Flow, 28_316_847, 1_000_000_000),
            _ => None,
        }
    }

    /// Temperature, pressure and what is in the air.
    fn atmospheric(name: &str) -> Option<Self> {
        use Dimension::{Concentration, Pressure, Ratio, Temperature};
        match name {
            "degC" | "°C" | "Cel" => unit(Temperature, 1, 1),
            "degF" | "°F" => shifted(Temperature, 5, 9, -32.0),
            "K" => shifted(Temperature, 1, 1, -273.15),
            "Pa" => unit(Pressure, 1, 1),
            "hPa" | "mbar" => unit(Pressure, 100, 1),
            "kPa" => unit(Pressure, 1000, 1),
            "bar" => unit(Pressure, 100_000, 1),
            "mmHg" => unit(Pressure, 133_322, 1000),
            "inHg" => unit(Pressure, 3_386_389, 1000),
            "psi" => unit(Pressure, 6_894_757, 1000),
            // The micro sign (U+00B5) and the Greek letter (U+03BC) look alike; both are sent.
            "ug/m3" | "\u{b5}g/m3" | "\u{b5}g/m³" | "\u{3bc}g/m3" | "\u{3bc}g/m³" => {
                unit(Concentration, 1, 1)
            }
            "mg/m3" | "mg/m³" => unit(Concentration, 1000, 1),
            "g/m3" | "g/m³" => unit(Concentration, 1_000_000, 1),
            "%" => unit(Ratio, 10_000, 1),
            "‰" => unit(Ratio, 1000, 1),
            "ppm" => unit(Ratio, 1, 1),
            "ppb" => unit(Ratio, 1, 1000),
            _ => None,
        }
    }

    fn electric(name: &str) -> Option<Self> {
        use Dimension::{Current, Potential, Power};
        match name {
            "mV" => unit(Potential, 1, 1000),
            "V" => unit(Potential, 1, 1),
            "kV" => unit(Potential, 1000, 1),
            "mA" => unit(Current, 1, 1000),
            "A" => unit(Current, 1, 1),
            "kA" => unit(Current, 1000, 1),
            "W" => unit(Power, 1, 1),
            "kW" => unit(Power, 1000, 1),
            "MW" => unit(Power, 1_000_000, 1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_converted_within_their_dimension() {
        for (value, from, to, expected) in [
            (372.0, "cm", "m", 3.72),
            (3720.0, "mm", "m", 3.72),
            (37.2, "dm", "m", 3.72),
            (1.0, ONE, "state", 1.0),
            (12.2, "ft", "m", 3.71856),
            (60.0, "mph", "km/h", 96.56064),
            (10.0, "m/s", "km/h", 36.0),
            (50.0, "km/h", "m/s", 50.0 / 3.6),
            (212.0, "degF", "degC", 100.0),
            (100.0, "degC", "degF", 212.0),
            (32.0, "°F", "K", 273.15),
            (11_000.0, "V", "kV", 11.0),
            (0.15, "mg/m3", "ug/m3", 150.0),
            (75.0, "\u{3bc}g/m³", "ug/m3", 75.0),
            (2.0, "in/h", "mm/h", 50.8),
            (1500.0, "l/s", "m3/s", 1.5),
            (100.0, "cfs", "m3/s", 2.8316847),
            (0.1, "g", "m/s2", 0.980665),
            (98.0665, "Gal", "g", 0.1),
            (1013.25, "hPa", "Pa", 101_325.0),
            (1.0, "bar", "kPa", 100.0),
            (2.0, "%", "ppm", 20_000.0),
            (90.0, "s", "min", 1.5),
        ] {
            let got = convert(value, from, to).unwrap();
            let near = (got - expected).abs() <= expected.abs() * 1e-14;
            assert!(near, "{value} {from} are {got} {to}, not {expected}");
        }
    }

    #[test]
    fn centimetres_become_metres_to_the_last_bit() {
        for cm in 0..1000_u32 {
            let written: f64 = format!("{}.{:02}", cm / 100, cm % 100).parse().unwrap();
            assert_eq!(convert(f64::from(cm), "cm", "m"), Ok(written));
        }
    }

    #[test]
    fn equal_units_need_not_be_known() {
        assert_eq!(convert(1.5, "mASD", "mASD"), Ok(1.5));
        assert_eq!(convert(1.5, "---", "---"), Ok(1.5));
    }

    #[test]
    fn what_cannot_be_converted_is_told_apart() {
        assert_eq!(convert(1.0, "m", "mASD"), Err(UnitError::Unknown));
        assert_eq!(convert(1.0, "furlong", "m"), Err(UnitError::Unknown));
        assert_eq!(convert(1.0, "degC", "m"), Err(UnitError::Mismatch));
        assert_eq!(convert(1.0, "M", "m"), Err(UnitError::Unknown));
        for unit in ["m", "mAOD", "p/m2"] {
            assert_eq!(convert(1.0, ONE, unit), Err(UnitError::Unknown), "{unit}");
        }
        assert_eq!(convert(1.0, "state", ONE), Err(UnitError::Unknown));
    }
}
