//! TLS to a broker elsewhere: whom we trust, who we are, and what a refusal means.
//!
//! Arrives: the names of files. Leaves: what a connection is made with; what went wrong, in words
//! that say what to do. Promise: nothing is said to a broker whose certificate is not of a trusted
//! authority, of now, and of its name; there is no setting for less. The files are read for each
//! connection, so that a certificate that was renewed needs no restart. Bound:
//! [`FILE_BYTES_MAX`]. Not here: which sockets.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ioc_core::time::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest file of certificates, or with a key.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// How a broker is spoken to with TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificates of the authorities that are trusted; the system's, if there is none.
    pub ca_file: Option<PathBuf>,
    /// Who we are, if the broker asks for a certificate.
    pub identity: Option<Identity>,
    /// The name that the broker's certificate is for, if it is not that of the address.
    pub server_name: Option<String>,
}

/// Our own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those between it and its authority.
    pub certificate_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

/// Why TLS cannot be spoken, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("cannot use {}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The system has no authorities.
    #[error("this system trusts no authority; name a file with the broker's in `ca_file` ({0})")]
    NoAuthorities(String),
    /// It cannot be the name of a certificate.
    #[error("`{0}` is no name that a certificate can be for; write it in `server_name`")]
    Name(String),
    /// The two of us did not come to terms.
    #[error("{0}")]
    Refused(String),
}

/// Why a handshake did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// We do not come to terms, now or later.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke before we had: another one may do better.
    #[error(transparent)]
    Broke(io::Error),
}

impl TlsOptions {
    /// What a connection is made with.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn config(&self) -> Result<ClientConfig, TlsError> {
        let roots = match &self.ca_file {
            Some(path) => authorities(path)?,
            None => authorities_of_the_system()?,
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers for both versions");
        let builder = match &self.server_name {
            None => builder.with_root_certificates(roots),
            Some(name) => {
                let named = Named::new(name, roots, provider)?;
                builder.dangerous().with_custom_certificate_verifier(named)
            }
        };
        let Some(identity) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(&identity.certificate_file)?;
        let key = key(&identity.key_file)?;
        let config = builder.with_client_auth_cert(chain, key);
        config.map_err(|error| {
            let why = format!(
                "it is not the key of {}: {error}",
                identity.certificate_file.display()
            );
            file_error(&identity.key_file)(why)
        })
    }

    /// Speaks TLS over a connection to this host.
    ///
    /// # Errors
    /// We do not come to terms, or the connection breaks.
    pub async fn shake_hands(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let (name, options) = (self.name(host)?, self.clone());
        let config = spawn_blocking(move || options.config()).await;
        let config = config.map_err(|panic| TlsError::Refused(panic.to_string()))??;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
        let connected = connecting.await;
        connected.map_err(|error| match behind(&error) {
            Some(error) => HandshakeError::Tls(error),
            None => HandshakeError::Broke(within_handshake(&error)),
        })
    }

    /// The name that is looked for in the broker's certificate.
    fn name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        name(self.server_name.as_deref().unwrap_or(host))
    }
}

fn name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
}

/// The error of TLS that is behind another one, in words that say what to do.
pub fn behind(error: &(dyn Error + 'static)) -> Option<TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(TlsError::Refused(explain(found)));
        }
        // Of its own accord an I/O error names the source of what it wraps, not that itself.
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// What it means that the socket failed before the two of us had come to terms.
fn within_handshake(error: &io::Error) -> io::Error {
    let told = format!(
        "the broker ended the connection within the handshake of TLS: is it the port for TLS? \
         ({error})"
    );
    io::Error::new(error.kind(), told)
}

fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => explain_certificate(error),
        rustls::Error::AlertReceived(alert) => explain_alert(*alert),
        rustls::Error::InvalidMessage(_) => {
            "what answers there does not speak TLS; is it the right port?".to_owned()
        }
        rustls::Error::PeerIncompatible(why) => {
            format!("the broker speaks neither TLS 1.2 nor 1.3 as they are spoken today: {why:?}")
        }
        error => format!("TLS: {error}"),
    }
}

/// What is wrong with the broker's certificate.
fn explain_certificate(error: &CertificateError) -> String {
    const CLOCK: &str = "or the clock of this machine is wrong";
    match error {
        CertificateError::Expired => {
            format!("the broker's certificate has expired: it has to be renewed, {CLOCK}")
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            let since = shown(*not_after);
            format!("the broker's certificate expired at {since}: it has to be renewed, {CLOCK}")
        }
        CertificateError::NotValidYet => {
            format!("the broker's certificate does not hold yet, {CLOCK}")
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let from = shown(*not_before);
            format!("the broker's certificate holds only from {from} on, {CLOCK}")
        }
        CertificateError::UnknownIssuer => {
            "the broker's certificate is of an authority that is not trusted: name the file with \
             that authority's certificate in `ca_file`"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "the broker's certificate is not signed by the authority that is trusted, but by \
             another authority of the same name: name that one's file in `ca_file`"
                .to_owned()
        }
        CertificateError::NotValidForName => {
            "the broker's certificate is for another name: write that in `server_name`".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the broker's certificate is not for {}, but for {}: write that in `server_name`",
            expected.to_str(),
            names(presented),
        ),
        CertificateError::Other(other) if is_of_an_authority(other) => {
            "the broker shows the certificate of an authority as its own (CA:TRUE), as \
             `openssl req -x509` makes them unless told otherwise: have that authority issue one \
             for the broker (CA:FALSE), with its name, and go on naming the authority's in `ca_file`"
                .to_owned()
        }
        error => format!("the broker's certificate cannot be accepted: {error}"),
    }
}

/// Whether that is what is wrong. Its type is another crate's, and not ours to name.
fn is_of_an_authority(error: &rustls::OtherError) -> bool {
    format!("{error:?}").contains("CaUsedAsEndEntity")
}

/// The names in a certificate, which are written `DnsName("broker.example")`.
fn names(presented: &[String]) -> String {
    let name = |written: &String| {
        let quoted = written.split('"').nth(1);
        quoted.unwrap_or(written).to_owned()
    };
    let names: Vec<_> = presented.iter().map(name).collect();
    match names.is_empty() {
        true => "no name at all".to_owned(),
        false => names.join(" and "),
    }
}

/// What the broker said when it ended the connection.
fn explain_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the broker asks for a certificate of ours: give `certificate_file` and `key_file`"
                .to_owned()
        }
        AlertDescription::HandshakeFailure => {
            "the broker refused the handshake; it may ask for a certificate of ours \
             (`certificate_file` and `key_file`)"
                .to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => format!(
            "the broker does not accept our certificate, or that we have none ({alert:?}): say it \
             in `certificate_file` and `key_file`; the broker has to trust its authority, and it \
             must not have expired"
        ),
        alert => format!("the broker ended TLS: {alert:?}"),
    }
}

fn shown(time: UnixTime) -> Timestamp {
    let millis = time.as_secs().saturating_mul(1000);
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| file_error(path)(error.to_string()))?;
    }
    Ok(roots)
}

fn authorities_of_the_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Those that cannot be read are nobody's whom we would have to trust.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(ToString::to_string);
        let why = why.unwrap_or_else(|| "none is installed".to_owned());
        return Err(TlsError::NoAuthorities(why));
    }
    Ok(roots)
}

/// The certificates in a file in PEM (RFC 7468): at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| file_error(path)(error.to_string()))?;
    match found.is_empty() {
        true => Err(file_error(path)("there is no certificate in it".to_owned())),
        false => Ok(found),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes);
    key.map_err(|error| file_error(path)(format!("there is no key in it: {error}")))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        let mut bytes = Vec::new();
        let mut file = File::open(path)?.take(FILE_BYTES_MAX + 1);
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: io::Error| file_error(path)(error.to_string()))?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(file_error(path)(format!(
            "it has more than {FILE_BYTES_MAX} bytes"
        ))),
        false => Ok(bytes),
    }
}

fn file_error(path: &Path) -> impl FnOnce(String) -> TlsError {
    |why| TlsError::File {
        path: path.to_owned(),
        why,
    }
}

/// Checks a certificate as ever, but for a name of its own: a client that takes the name from the
/// address cannot be told another one.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    checks: Arc<WebPkiServerVerifier>,
}

impl Named {
    fn new(
        server_name: &str,
        roots: RootCertStore,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Arc<Self>, TlsError> {
        let checks = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let checks = checks.build();
        Ok(Arc::new(Self {
            name: name(server_name)?,
            checks: checks.map_err(|error| TlsError::NoAuthorities(error.to_string()))?,
        }))
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _of_the_address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checks = &self.checks;
        checks.verify_server_cert(certificate, between, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.checks
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.checks
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.checks.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_tls_is_found_behind_others_and_says_what_to_do() {
        let expired = rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            time: UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_773_470_711)),
            not_after: UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_773_470_710)),
        });
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, expired));
        let told = behind(&wrapped).unwrap().to_string();
        assert!(told.contains("expired at 2026-03-14T06:45:10"), "{told}");
        assert_eq!(behind(&io::Error::other("no TLS at all")), None);
    }

    #[test]
    fn p5_files_that_cannot_be_used_are_named_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let long = vec![b' '; FILE_BYTES_MAX as usize + 1];
        for (path, why) in [
            (dir.path().join("none.pem"), "No such file"),
            (file("empty.pem", b"\n"), "no certificate in it"),
            (file("long.pem", &long), "more than 1048576 bytes"),
        ] {
            let options = TlsOptions {
                ca_file: Some(path.clone()),
                ..TlsOptions::default()
            };
            let told = options.config().unwrap_err().to_string();
            assert!(
                told.contains(why) && told.contains(path.to_str().unwrap()),
                "{told}"
            );
        }
    }

    #[test]
    fn the_name_of_the_address_is_looked_for_unless_another_is_given() {
        let mut options = TlsOptions::default();
        assert_eq!(options.name("10.1.2.3").unwrap().to_str(), "10.1.2.3");
        options.server_name = Some("broker.city.example".to_owned());
        assert_eq!(
            options.name("10.1.2.3").unwrap().to_str(),
            "broker.city.example"
        );
        options.server_name = Some("no name".to_owned());
        assert_eq!(options.name("a"), Err(TlsError::Name("no name".to_owned())));
    }
}
