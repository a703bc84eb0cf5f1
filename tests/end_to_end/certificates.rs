//! Certificates for tests: an authority, and what it signs. Nothing of it outlives the test.

use std::ops::Range;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// An authority that nobody knows but those who are given its file.
pub struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in files.
pub struct Signed {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A span of years that has passed, and one that has not.
pub const PAST: Range<i32> = 2001..2020;
pub const NOW: Range<i32> = 2020..2100;

impl Authority {
    pub fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { dir, issuer }
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Its own certificate with its key, as if it were a broker's.
    pub fn itself(&self) -> Signed {
        let key = self.dir.path().join("ca.key");
        std::fs::write(&key, self.issuer.key().serialize_pem()).unwrap();
        Signed {
            certificate: self.file(),
            key,
        }
    }

    /// A certificate for this name and `localhost`, which holds from the begin of one year to that of another.
    pub fn sign(&self, name: &str, years: Range<i32>) -> Signed {
        let mut params =
            CertificateParams::new(vec![name.to_owned(), "localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        let own = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&own, &self.issuer).unwrap();
        let file = |kind: &str, text: String| {
            let path = self.dir.path().join(format!("{name}-{}.{kind}", years.end));
            std::fs::write(&path, text).unwrap();
            path
        };
        let key = file("key", own.serialize_pem());
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, mode).unwrap();
        Signed {
            certificate: file("pem", certificate.pem()),
            key,
        }
    }
}
