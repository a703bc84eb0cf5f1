//! Values that several commands take on their command line: durations, addresses, credentials.
//!
//! Arrives: text from the command line. Leaves: checked values, or a message that says what would
//! have been right. Nothing here is connected to or resolved.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Parses a length of time: a number and `ms`, `s`, `m`, `h` or `d`, as in `1.5s` or `10m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no length of time; write 500ms, 30s, 10m, 2h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// Parses a number above 0, as in `--speed 30` or `--rate 2000`.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err(format!("\"{text}\" is no number above 0")),
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// Whether it is of this machine, whatever networks it is in.
    pub fn is_loopback(&self) -> bool {
        let ip = self.host.parse::<IpAddr>();
        ip.map_or(self.host == "localhost", |ip| ip.is_loopback())
    }

    /// `HOST` or `HOST:PORT`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str, port_unless_said: u16) -> Result<Self, String> {
        host_and_port(text, port_unless_said)
    }
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Everybody on the way can read it.
    Plain,
    /// TLS.
    Tls,
}

/// The address of an MQTT listener: `mqtt://HOST[:PORT]` or `HOST:PORT`; the port is 1883 unless
/// said. With TLS `mqtts://`, and 8883.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttAddress(pub Address, pub Transport);

/// The address of an HTTP server: `http://HOST[:PORT]`; the port is 80 unless said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAddress(pub Address);

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The address of a NATS server: `nats://HOST[:PORT]`, with TLS `tls://`; the port is 4222 unless
/// said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsAddress(pub Address, pub Transport);

/// A broker that readings are published to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broker {
    /// `mqtt://…`
    Mqtt(MqttAddress),
    /// `nats://…`
    Nats(NatsAddress),
}

/// Where readings are sent: to an MQTT listener, a NATS server or an HTTP intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `nats://…`
    Nats(NatsAddress),
    /// `mqtt://…`
    Mqtt(MqttAddress),
    /// `http://…`
    Http(HttpAddress),
}

impl Broker {
    /// Where it listens.
    pub const fn address(&self) -> &Address {
        match self {
            Self::Mqtt(MqttAddress(address, _)) | Self::Nats(NatsAddress(address, _)) => address,
        }
    }

    /// Whether it speaks TLS.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Mqtt(MqttAddress(_, transport)) | Self::Nats(NatsAddress(_, transport)) => {
                *transport
            }
        }
    }
}

impl Target {
    /// Where it listens.
    pub const fn address(&self) -> &Address {
        match self {
            Self::Mqtt(MqttAddress(address, _))
            | Self::Nats(NatsAddress(address, _))
            | Self::Http(HttpAddress(address)) => address,
        }
    }

    /// Whether it speaks TLS.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Mqtt(MqttAddress(_, transport)) | Self::Nats(NatsAddress(_, transport)) => {
                *transport
            }
            Self::Http(_) => Transport::Plain,
        }
    }
}

impl FromStr for MqttAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Target::Mqtt(address) => Ok(address),
            Target::Http(_) | Target::Nats(_) => {
                Err(format!("\"{text}\" is not an mqtt:// address"))
            }
        }
    }
}

impl FromStr for HttpAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Target::Http(address) => Ok(address),
            Target::Mqtt(_) | Target::Nats(_) => {
                Err(format!("\"{text}\" is not an http:// address"))
            }
        }
    }
}

impl FromStr for NatsAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Target::Nats(address) => Ok(address),
            Target::Mqtt(_) | Target::Http(_) => {
                Err(format!("\"{text}\" is not a nats:// address"))
            }
        }
    }
}

impl FromStr for Broker {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Target::Mqtt(address) => Ok(Self::Mqtt(address)),
            Target::Nats(address) => Ok(Self::Nats(address)),
            Target::Http(_) => Err(format!(
                "\"{text}\" is no broker; write mqtt:// or nats://, or use `ioc send`"
            )),
        }
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("mqtt", text));
        match scheme {
            "mqtt" | "tcp" => {
                let address = host_and_port(rest, 1883)?;
                Ok(Self::Mqtt(MqttAddress(address, Transport::Plain)))
            }
            "mqtts" | "ssl" => {
                let address = host_and_port(rest, 8883)?;
                Ok(Self::Mqtt(MqttAddress(address, Transport::Tls)))
            }
            "nats" => {
                let address = host_and_port(rest, 4222)?;
                Ok(Self::Nats(NatsAddress(address, Transport::Plain)))
            }
            "tls" => {
                let address = host_and_port(rest, 4222)?;
                Ok(Self::Nats(NatsAddress(address, Transport::Tls)))
            }
            "http" => Ok(Self::Http(HttpAddress(host_and_port(rest, 80)?))),
            "https" => Err(
                "https:// needs TLS, which is not spoken over HTTP; write http://, to this machine \
                 or through a tunnel"
                    .to_owned(),
            ),
            _ => Err(format!(
                "{scheme}:// is not understood; write mqtt://127.0.0.1:1883, \
                 nats://127.0.0.1:4222 or http://127.0.0.1:8080"
            )),
        }
    }
}

fn host_and_port(text: &str, port_unless_said: u16) -> Result<Address, String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains('@') {
        return Err(
            "a password does not belong in an address; use --user and --password-file".into(),
        );
    }
    let wrong = || format!("\"{text}\" is no HOST or HOST:PORT");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
            (host, after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#');
    if host.is_empty() || host.contains(odd) {
        return Err(wrong());
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None => port_unless_said,
    };
    Ok(Address {
        host: host.to_owned(),
        port,
    })
}

/// Who a client says it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// The password; never shown.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A file with a secret that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct PasswordFileError {
    path: PathBuf,
    source: std::io::Error,
}

/// The first line of a file: a password, a key.
///
/// # Errors
/// The file cannot be read.
pub fn first_line(path: &Path) -> Result<String, PasswordFileError> {
    let text = fs::read_to_string(path).map_err(|source| PasswordFileError {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

impl Credentials {
    /// The user with the password in the first line of a file, or with an empty one.
    pub fn load(user: &str, password_file: Option<&Path>) -> Result<Self, PasswordFileError> {
        let password = match password_file {
            Some(path) => first_line(path)?,
            None => String::new(),
        };
        Ok(Self {
            user: user.to_owned(),
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_needs_its_unit() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["10", "s", "-1s", "1w", "", "1e999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_of_this_machine_is_known_by_its_address() {
        let is_here = |host: &str| {
            let port = 1883;
            let host = host.into();
            Address { host, port }.is_loopback()
        };
        assert!(["127.0.0.1", "127.8.8.8", "::1", "localhost"].map(is_here) == [true; 4]);
        assert!(["10.0.0.1", "broker.local", "::", "localhost.local"].map(is_here) == [false; 4]);
    }

    #[test]
    fn addresses_are_read_with_and_without_scheme_and_port() {
        let mqtt = |host: &str, port| {
            let host = host.into();
            let address = Address { host, port };
            Ok(Target::Mqtt(MqttAddress(address, Transport::Plain)))
        };
        assert_eq!("mqtt://127.0.0.1:1884".parse(), mqtt("127.0.0.1", 1884));
        assert_eq!("broker.local".parse(), mqtt("broker.local", 1883));
        assert_eq!("mqtt://[::1]:1884".parse(), mqtt("::1", 1884));
        let nats = Address {
            host: "nats.local".into(),
            port: 4222,
        };
        assert_eq!(
            "nats://nats.local".parse(),
            Ok(Target::Nats(NatsAddress(nats, Transport::Plain)))
        );
        for (text, port) in [("mqtts://a", 8883), ("tls://a", 4222), ("mqtts://a:1", 1)] {
            let to = text.parse::<Target>().unwrap();
            assert_eq!((to.transport(), to.address().port), (Transport::Tls, port));
        }
        assert!("http://nats.local".parse::<Broker>().is_err());
        let http = Address {
            host: "localhost".into(),
            port: 8080,
        };
        assert_eq!(
            "http://localhost:8080/".parse(),
            Ok(Target::Http(HttpAddress(http)))
        );
    }

    #[test]
    fn what_is_not_spoken_is_refused_with_what_to_write() {
        let refused = |text: &str| text.parse::<Target>().unwrap_err();
        assert!(refused("https://city.example").contains("TLS"));
        assert!(refused("ftp://city.example").contains("mqtt://"));
        assert!(refused("mqtt://me:secret@city.example").contains("--password-file"));
        assert!(refused("http://city.example/path").contains("HOST"));
    }
}
