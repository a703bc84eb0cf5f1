//! `ioc test`: the scenarios that lie beside the rules, in virtual time.
//!
//! Arrives: a configuration directory with text files under `scenarios/`, each a few stories of the
//! city: what sensors and people say when, and what is to come of it. Leaves: a line for each story,
//! and of those that come out otherwise what was expected and what was decided, side by side.
//! Promise: a story is judged by the same door and the same core as live readings, each by a
//! judgement of its own; all mistakes of all files are told at once, with file and line. Bounded in
//! files, bytes, readings and stories. The modules in reading order:

mod words;
mod clock;
mod script;
mod parse;
mod expected;
mod stage;
mod play;
mod compare;
mod tell;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ioc_core::bundle::Bundle;
use ioc_core::id::RuleId;
use ioc_gateway::catalogue::Unregistered;

use self::play::Played;
use self::script::{Scenario, Script};
use self::stage::Stage;
use crate::config::compile::Compiled;
use crate::config::mistake::{Mistakes, Place, counted};
use crate::config::source::Source;
use crate::config::yaml::FILE_BYTES_MAX;
use crate::progress::span;

/// Where scenarios lie in a configuration directory.
pub const SCENARIOS: &str = "scenarios";
/// The most files of scenarios.
const FILES_MAX: usize = 1000;

/// What to try.
#[derive(Debug)]
pub struct TestOptions {
    /// The configuration directory; its scenarios lie beside its rules.
    pub dir: PathBuf,
    /// The city in place of the directory's.
    pub city: Option<PathBuf>,
    /// Only scenarios whose file or title contains this.
    pub only: Option<String>,
    /// Whether what was decided is shown of scenarios that hold, too.
    pub show: bool,
    /// What happens to readings of sensors that are not registered.
    pub unregistered: Unregistered,
}

/// What the scenarios came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many came out as expected.
    pub held: usize,
    /// How many did not.
    pub failed: usize,
    /// Rules that found nothing in any of them, if all were tried.
    pub idle_rules: Vec<RuleId>,
    /// How long it took.
    pub took: Duration,
}

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The configuration or the scenarios have mistakes.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// The output is closed.
    #[error("cannot write what came of the scenarios")]
    Output(#[from] io::Error),
}

/// Tries all scenarios and tells what comes of each.
///
/// # Errors
/// All mistakes in the configuration and the scenarios, if there are any: then none is tried.
pub fn run(options: &TestOptions, out: &mut dyn Write) -> Result<Summary, TestError> {
    let began = Instant::now();
    let mut mistakes = Mistakes::default();
    let acts = read(options, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(TestError::Mistakes(mistakes));
    }
    let mut summary = Summary::default();
    let mut busy = BTreeSet::new();
    let mut rules = BTreeSet::new();
    for act in &acts {
        let bundle = act.stage.bundle();
        rules.extend(names(bundle).cloned());
        for scenario in act.scenarios(options.only.as_deref()) {
            let played = play::play(&act.stage, scenario);
            let told = compare::compare(scenario, &played);
            let holds = told.holds();
            summary.held += usize::from(holds);
            summary.failed += usize::from(!holds);
            tell::scenario(scenario, &told, options.show, out)?;
            note_busy(&played, &mut busy);
        }
    }
    if options.only.is_none() {
        rules.retain(|rule| !busy.contains(rule));
        summary.idle_rules = rules.into_iter().collect();
    }
    summary.took = began.elapsed();
    tell_summary(&summary, out)?;
    Ok(summary)
}

/// A file's scenarios, and what they are played on.
struct Act {
    stage: Stage,
    script: Script,
    file: String,
}

impl Act {
    fn scenarios(&self, only: Option<&str>) -> impl Iterator<Item = &Scenario> {
        let wanted = move |scenario: &&Scenario| {
            let found = |only: &str| self.file.contains(only) || scenario.title.contains(only);
            only.is_none_or(found)
        };
        self.script.scenarios.iter().filter(wanted)
    }
}

/// Reads the configuration and every file of scenarios.
fn read(options: &TestOptions, mistakes: &mut Mistakes) -> Vec<Act> {
    let dir = options.dir.as_path();
    let Some(compiled) = compile(dir, options.city.as_deref(), mistakes) else {
        return Vec::new();
    };
    let mut acts = Vec::new();
    for path in files(&dir.join(SCENARIOS), mistakes) {
        let shown = path.display().to_string();
        let Some(text) = text(&path, mistakes) else {
            continue;
        };
        let script = parse::parse(&shown, &text, mistakes);
        let own_city = script.city.as_ref().map(|(name, place)| {
            let beside = dir.join(SCENARIOS).join(name);
            if !beside.is_file() {
                let what = format!("there is no {}", beside.display());
                mistakes.add(place, "city", what);
            }
            beside
        });
        let compiled = match own_city {
            None => Some(compiled.clone()),
            Some(city) if city.is_file() => compile(dir, Some(&city), mistakes),
            Some(_) => None,
        };
        let Some(compiled) = compiled else { continue };
        let stage = Stage::new(&compiled, options.unregistered);
        for scenario in &script.scenarios {
            stage.check(scenario, mistakes);
        }
        acts.push(Act {
            stage,
            script,
            file: shown,
        });
    }
    acts
}

fn compile(dir: &Path, city: Option<&Path>, mistakes: &mut Mistakes) -> Option<Compiled> {
    let source = Source::read(Some(dir), city);
    let compiled = source.and_then(|source| source.compile());
    compiled.map_err(|found| mistakes.append(found)).ok()
}

/// The files of scenarios, by name.
fn files(dir: &Path, mistakes: &mut Mistakes) -> Vec<PathBuf> {
    let whole = Place::whole(&dir.display().to_string());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries.flatten(),
        Err(error) => {
            let what = format!(
                "cannot be read: {error}; scenarios are text files (`.txt`) in it, see \
                 `ioc test --help`"
            );
            mistakes.add(&whole, "", what);
            return Vec::new();
        }
    };
    let is_text = |path: &PathBuf| path.extension() == Some(OsStr::new("txt"));
    let paths = entries.map(|entry| entry.path()).filter(is_text);
    let mut paths: Vec<_> = paths.take(FILES_MAX + 1).collect();
    paths.sort();
    match paths.len() {
        0 => mistakes.add(
            &whole,
            "",
            "holds no scenario; write one into a `.txt` file",
        ),
        1..=FILES_MAX => return paths,
        _ => mistakes.add(&whole, "", format!("more than {FILES_MAX} files")),
    }
    Vec::new()
}

fn text(path: &Path, mistakes: &mut Mistakes) -> Option<String> {
    let what = match fs::metadata(path) {
        Ok(meta) if meta.len() > FILE_BYTES_MAX as u64 => {
            format!("more than {FILE_BYTES_MAX} bytes")
        }
        _ => match fs::read_to_string(path) {
            Ok(text) => return Some(text),
            Err(error) => format!("cannot be read: {error}"),
        },
    };
    mistakes.add(&Place::whole(&path.display().to_string()), "", what);
    None
}

fn names(bundle: &Bundle) -> impl Iterator<Item = &RuleId> {
    let detections = bundle.detections.iter().map(|rule| &rule.name);
    detections.chain(bundle.correlations.iter().map(|rule| &rule.name))
}

/// Notes the rules that found something, or decided something.
fn note_busy(played: &Played, busy: &mut BTreeSet<RuleId>) {
    busy.extend(played.busy.iter().cloned());
    for cause in played.decisions.iter().map(|decision| &decision.cause) {
        busy.extend(cause.rule.clone());
        busy.extend(cause.evidence.iter().map(|evidence| evidence.rule.clone()));
    }
}

fn tell_summary(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let count = summary.held + summary.failed;
    let took = span(summary.took);
    match summary.failed {
        0 => writeln!(out, "{} held, in {took}", counted(count, "scenario"))?,
        failed => writeln!(
            out,
            "{failed} of {} failed, in {took}",
            counted(count, "scenario")
        )?,
    }
    if !summary.idle_rules.is_empty() {
        let names: Vec<_> = summary.idle_rules.iter().map(RuleId::as_str).collect();
        writeln!(out, "no scenario tries: {}", names.join(", "))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests;
