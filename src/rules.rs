//! Which rules and city hold: those on disk if they have no mistakes, else the last accepted.
//!
//! A bundle is stored by its hash before the record that names it, so that the journal can always
//! be judged again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ioc_core::bundle::Bundle;
use ioc_core::record::BundleHash;

use crate::config::compile::Compiled;
use crate::config::source::{Source, StoreError};
use crate::host::HostError;
use crate::status::RefusedSign;
use crate::telemetry;

/// Bundles, below the data directory.
const BUNDLES_DIR: &str = "bundles";

/// Where rules come from.
#[derive(Debug)]
pub struct Rules<'a> {
    stored: PathBuf,
    config: Option<&'a Path>,
    city: Option<&'a Path>,
}

impl<'a> Rules<'a> {
    /// Rules of this data directory, to be replaced by what the configuration says now.
    pub fn new(data: &Path, config: Option<&'a Path>, city: Option<&'a Path>) -> Self {
        Self {
            stored: data.join(BUNDLES_DIR),
            config,
            city,
        }
    }

    /// Finds the bundle of a hash, as it was stored.
    pub fn bundles(&self) -> Box<dyn Fn(BundleHash) -> Result<Arc<Bundle>, String> + Send> {
        let stored = self.stored.clone();
        Box::new(move |hash| load(&stored, hash).map(|(_, compiled)| compiled.bundle))
    }

    /// Keeps the files of a bundle under its hash; from then on a record may name it.
    pub fn store(&self, source: &Source) -> Result<BundleHash, StoreError> {
        source.store(&self.stored)
    }

    /// What shall hold, after `held` did. Puts the sign up if what is on disk must not.
    pub fn choose(
        &self,
        held: Option<BundleHash>,
        sign: &RefusedSign,
    ) -> Result<Chosen, HostError> {
        let read = Source::read(self.config, self.city);
        let now = read.and_then(|source| source.compile().map(|compiled| (source, compiled)));
        match (now, held) {
            (Ok((source, compiled)), held) => {
                if !compiled.warnings.is_empty() {
                    telemetry::rules_warning(&compiled.warnings.to_string());
                }
                let is_new = held != Some(compiled.bundle.hash);
                if is_new {
                    self.store(&source).map_err(HostError::Bundle)?;
                }
                Ok(Chosen {
                    is_new,
                    source,
                    compiled,
                })
            }
            (Err(mistakes), Some(held)) => {
                sign.put_up(&mistakes.to_string());
                let (source, compiled) = load(&self.stored, held).map_err(HostError::Usage)?;
                Ok(Chosen {
                    is_new: false,
                    source,
                    compiled,
                })
            }
            (Err(mistakes), None) => Err(HostError::Usage(mistakes.to_string())),
        }
    }
}

fn load(stored: &Path, hash: BundleHash) -> Result<(Source, Compiled), String> {
    let source = Source::load(stored, hash).map_err(|error| error.to_string())?;
    let compiled = source.compile().map_err(|mistakes| mistakes.to_string())?;
    Ok((source, compiled))
}

/// The rules and city that hold.
#[derive(Debug)]
pub struct Chosen {
    /// Whether they are others than those that held before, and must be journaled.
    pub is_new: bool,
    /// The files.
    pub source: Source,
    /// What they mean.
    pub compiled: Compiled,
}
