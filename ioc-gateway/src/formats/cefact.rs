//! Units as UN/CEFACT Recommendation 20 codes them: of its two thousand those that cities measure
//! in, as `units.rs` names them.

use super::units::ONE;

/// What a code stands for; `None` for one that is not in the table.
pub(super) fn unit(code: &str) -> Option<&'static str> {
    geometric(code)
        .or_else(|| atmospheric(code))
        .or_else(|| electric(code))
}

/// Lengths, times and what is made of them.
fn geometric(code: &str) -> Option<&'static str> {
    Some(match code {
        "MMT" => "mm",
        "CMT" => "cm",
        "DMT" => "dm",
        "MTR" => "m",
        "KMT" => "km",
        "INH" => "in",
        "FOT" => "ft",
        "SMI" => "mi",
        "C26" => "ms",
        "SEC" => "s",
        "MIN" => "min",
        "HUR" => "h",
        "MTS" => "m/s",
        "KMH" => "km/h",
        "HM" => "mph",
        "FS" => "ft/s",
        "KNT" => "kn",
        "MSK" => "m/s2",
        "M39" => "cm/s2",
        "A76" => "Gal",
        "K40" => "g",
        "H67" => "mm/h",
        "MQS" => "m3/s",
        "MQH" => "m3/h",
        "G51" => "l/s",
        _ => return None,
    })
}

/// Temperature, pressure and what is in the air.
fn atmospheric(code: &str) -> Option<&'static str> {
    Some(match code {
        "CEL" => "degC",
        "FAH" => "degF",
        "KEL" => "K",
        "PAL" => "Pa",
        "A97" => "hPa",
        "MBR" => "mbar",
        "KPA" => "kPa",
        "BAR" => "bar",
        "HN" => "mmHg",
        "F79" => "inHg",
        "PS" => "psi",
        "GQ" => "ug/m3",
        "GP" => "mg/m3",
        "A93" => "g/m3",
        "P1" => "%",
        "NX" => "‰",
        // Of what is counted.
        "C62" => ONE,
        "59" => "ppm",
        "61" => "ppb",
        _ => return None,
    })
}

fn electric(code: &str) -> Option<&'static str> {
    Some(match code {
        "2Z" => "mV",
        "VLT" => "V",
        "KVT" => "kV",
        "4K" => "mA",
        "AMP" => "A",
        "B22" => "kA",
        "WTT" => "W",
        "KWT" => "kW",
        "MAW" => "MW",
        "2N" => "dB",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::units::{UnitError, convert};

    #[test]
    fn codes_stand_for_units_that_can_be_converted() {
        for (code, to, of_one) in [
            ("CMT", "m", 0.01),
            ("DMT", "m", 0.1),
            ("C62", "state", 1.0),
            ("2N", "dB", 1.0),
            ("FAH", "degF", 1.0),
            ("HM", "km/h", 1.609344),
            ("K40", "m/s2", 9.80665),
            ("GP", "ug/m3", 1000.0),
            ("MBR", "hPa", 1.0),
            ("G51", "m3/s", 0.001),
            ("NX", "%", 0.1),
            ("KVT", "V", 1000.0),
        ] {
            let unit = unit(code).unwrap();
            assert_eq!(convert(1.0, unit, to), Ok(of_one), "{code}");
        }
        let celsius = unit("CEL").unwrap();
        assert_eq!(convert(1.0, celsius, "m"), Err(UnitError::Mismatch));
        let pieces = unit("C62").unwrap();
        assert_eq!(convert(1.0, pieces, "m"), Err(UnitError::Unknown));
    }
}
