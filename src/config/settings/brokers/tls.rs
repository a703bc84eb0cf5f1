//! How TLS is spoken to a broker elsewhere: by the scheme of its address, or by keys of its own.

use std::path::{Path, PathBuf};

use ioc_gateway::brokers::{Identity, TlsOptions};

use crate::args::Address;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;

/// The ports of a protocol and the schemes of its addresses.
pub(super) struct Schemes {
    pub plain: &'static [&'static str],
    pub port: u16,
    pub secure: &'static [&'static str],
    pub secure_port: u16,
    /// What an address should be.
    pub wanted: &'static str,
}

/// Where a broker is, and whether its address asks for TLS.
pub(super) struct Place {
    pub address: Address,
    pub is_secure: bool,
}

impl Schemes {
    /// An address with one of the schemes, or none. `has_keys`: TLS is asked for by its keys.
    pub fn read(
        &self,
        field: &Field<'_>,
        has_keys: bool,
        mistakes: &mut Mistakes,
    ) -> Option<Place> {
        let text = field.text(mistakes, self.wanted)?;
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let is_secure = self.secure.contains(&scheme) || has_keys;
        if !(scheme.is_empty() || self.plain.contains(&scheme) || self.secure.contains(&scheme)) {
            field.wrong(mistakes, format!("`{text}` is not {}", self.wanted));
            return None;
        }
        let port = if is_secure {
            self.secure_port
        } else {
            self.port
        };
        match Address::parse(rest, port) {
            Ok(address) => Some(Place { address, is_secure }),
            Err(why) => {
                field.wrong(mistakes, format!("`{text}` is not {}: {why}", self.wanted));
                None
            }
        }
    }
}

/// The keys of TLS; files are below `dir`.
pub(super) fn read(
    field: &Field<'_>,
    dir: Option<&Path>,
    mistakes: &mut Mistakes,
) -> Option<TlsOptions> {
    let mut section = Section::of(field, mistakes)?;
    let file = |section: &mut Section<'_>, key, mistakes: &mut Mistakes| {
        section.optional(key)?.file(dir, mistakes, "a file")
    };
    let ca_file = file(&mut section, "ca_file", mistakes);
    let certificate: Option<PathBuf> = file(&mut section, "certificate_file", mistakes);
    let key: Option<PathBuf> = file(&mut section, "key_file", mistakes);
    let identity = match (certificate, key) {
        (Some(certificate_file), Some(key_file)) => Some(Identity {
            certificate_file,
            key_file,
        }),
        (None, None) => None,
        (Some(_), None) => {
            section.wrong(mistakes, "a certificate without its `key_file`");
            None
        }
        (None, Some(_)) => {
            section.wrong(mistakes, "a key without its `certificate_file`");
            None
        }
    };
    let server_name = section.optional("server_name");
    let server_name = server_name.and_then(|field| super::text(&field, mistakes, "a name"));
    section.finish(mistakes);
    Some(TlsOptions {
        ca_file,
        identity,
        server_name,
    })
}
