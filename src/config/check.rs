//! `ioc check`: all that is wrong with a configuration, and what was found if nothing is.

use std::io::{self, Write};
use std::path::Path;

use ioc_core::bundle::Bundle;

use super::compile::Compiled;
use super::mistake::{Mistakes, counted};
use super::settings::Settings;
use super::source::Source;

/// Checks a configuration directory, or what is shipped without one, and tells `out` every mistake
/// of all its files, then every warning, then what it holds. The environment is not looked at.
/// Returns whether there was no mistake.
///
/// # Errors
/// If `out` cannot be written to.
pub fn run(dir: Option<&Path>, city: Option<&Path>, out: &mut dyn Write) -> io::Result<bool> {
    let mut mistakes = Mistakes::default();
    let mut doubts;
    match Settings::load(dir, std::iter::empty()) {
        Ok(settings) => doubts = settings.doubts,
        Err(mut wrong) => {
            doubts = wrong.take_doubts();
            mistakes.append(wrong);
        }
    }
    let source = Source::read(dir, city);
    let source = source.map_err(|rest| mistakes.append(rest)).ok();
    let compiled = source.as_ref().and_then(|source| {
        let compiled = source.compile();
        compiled.map_err(|rest| mistakes.append(rest)).ok()
    });
    if let (Some(dir), Some(source), Some(_)) = (dir, &source, &compiled) {
        let shadow = source.shadow(dir);
        let shadow = shadow.and_then(|shadow| shadow.map(|it| it.compile()).transpose());
        if let Err(rest) = shadow {
            mistakes.append(rest);
        }
    }
    if !mistakes.is_empty() {
        writeln!(out, "{mistakes}")?;
    }
    if let Some(compiled) = &compiled {
        doubts.append(compiled.warnings.clone());
    }
    for warning in doubts.iter() {
        writeln!(out, "warning: {warning}")?;
    }
    match (&compiled, mistakes.count()) {
        (Some(compiled), 0) => writeln!(out, "{}", summary(compiled))?,
        (_, count) => writeln!(out, "{}", counted(count, "mistake"))?,
    }
    Ok(mistakes.is_empty())
}

/// What a configuration holds, in one line.
pub fn summary(compiled: &Compiled) -> String {
    let Bundle {
        hash,
        detections,
        correlations,
        handling: _,
        suppression,
        city,
    } = compiled.bundle.as_ref();
    let hash = blake3::Hash::from_bytes(hash.0).to_hex();
    let actuators = match city.actuators.len() {
        0 => String::new(),
        count => format!(", {}", counted(count, "actuator")),
    };
    let windows = match suppression.windows.len() {
        0 => String::new(),
        count => format!(", {}", counted(count, "maintenance window")),
    };
    format!(
        "{}, {}, {}, {}, {}{actuators}, {}{windows}; bundle {}",
        counted(compiled.kinds.count(), "kind"),
        counted(detections.len(), "detection"),
        counted(correlations.len(), "correlation"),
        counted(city.zones.len(), "zone"),
        counted(city.sensors.len(), "sensor"),
        counted(compiled.mappings.count(), "mapping"),
        &hash[..12]
    )
}

#[cfg(test)]
mod tests;
