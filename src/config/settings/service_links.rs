//! The variables that Kubernetes puts into every container for every Service of its namespace.
//!
//! A Service named `ioc` makes variables `IOC_…` in our own container; ours or not, they say where
//! some Service is and are no settings. They are known by their whole pattern ("Accessing the
//! Service" and "Environment variables" in Kubernetes' documentation of Services):
//!
//! ```text
//! IOC_SERVICE_HOST=10.0.0.11                IOC_PORT=tcp://10.0.0.11:8080
//! IOC_SERVICE_PORT=8080                     IOC_PORT_8080_TCP=tcp://10.0.0.11:8080
//! IOC_SERVICE_PORT_HTTP=8080                IOC_PORT_8080_TCP_PROTO=tcp
//!                                           IOC_PORT_8080_TCP_PORT=8080
//!                                           IOC_PORT_8080_TCP_ADDR=10.0.0.11
//! ```
//!
//! and the same for a Service `ioc-mqtt` with `IOC_MQTT` in front. Promise: a name that is a
//! setting's is never taken for one of these, nor is one whose value does not fit the pattern, so
//! that a misspelt setting is still a mistake.

use std::net::IpAddr;

const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether a variable `IOC_…` is such a link.
pub fn is_service_link(name: &str, value: &str) -> bool {
    is_service(name, value) || is_port(name, value)
}

/// `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_<NAME>`.
fn is_service(name: &str, value: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") {
        return is_address(value);
    }
    let Some((_, port)) = name.split_once("_SERVICE_PORT") else {
        return false;
    };
    (port.is_empty() || port.starts_with('_')) && is_number(value)
}

/// `…_PORT`, `…_PORT_<NUMBER>_<PROTOCOL>`, and the parts of the latter.
fn is_port(name: &str, value: &str) -> bool {
    if name.ends_with("_PORT") && is_url(value) {
        return true;
    }
    let ends_of = |name: &str| {
        let mut parts = name.rsplitn(3, '_');
        let (protocol, number) = (parts.next()?, parts.next()?);
        let protocol = protocol.to_ascii_lowercase();
        let fits = PROTOCOLS.contains(&&*protocol) && is_number(number);
        (fits && parts.next()?.ends_with("_PORT")).then_some(protocol)
    };
    if ends_of(name).is_some() {
        return is_url(value);
    }
    let Some((link, part)) = name.rsplit_once('_') else {
        return false;
    };
    match (ends_of(link), part) {
        (Some(protocol), "PROTO") => value == protocol,
        (Some(_), "PORT") => is_number(value),
        (Some(_), "ADDR") => is_address(value),
        (_, _) => false,
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// `tcp://10.0.0.11:8080`.
fn is_url(text: &str) -> bool {
    let Some((protocol, place)) = text.split_once("://") else {
        return false;
    };
    let Some((address, port)) = place.rsplit_once(':') else {
        return false;
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    PROTOCOLS.contains(&protocol) && is_address(address) && is_number(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_known_by_their_whole_pattern() {
        for (name, value) in [
            ("IOC_SERVICE_HOST", "10.0.0.11"),
            ("IOC_SERVICE_HOST", "fd00::11"),
            ("IOC_SERVICE_PORT", "8080"),
            ("IOC_SERVICE_PORT_HTTP", "8080"),
            ("IOC_PORT", "tcp://10.0.0.11:8080"),
            ("IOC_PORT_8080_TCP", "tcp://[fd00::11]:8080"),
            ("IOC_PORT_8080_TCP_PROTO", "tcp"),
            ("IOC_PORT_8080_TCP_PORT", "8080"),
            ("IOC_PORT_8080_TCP_ADDR", "10.0.0.11"),
            ("IOC_MQTT_PORT", "tcp://10.0.0.11:1883"),
            ("IOC_MQTT_PORT_1883_UDP", "udp://10.0.0.11:1883"),
            ("IOC_MQTT_SERVICE_PORT_MQTT_TCP", "1883"),
        ] {
            assert!(is_service_link(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_a_person_may_have_meant_is_no_link() {
        for (name, value) in [
            ("IOC_PORT", "8080"),
            ("IOC_HTTP_PORT", "8080"),
            ("IOC_MQTT_PORT", "1883"),
            ("IOC_SERVICE_HOST", "0.0.0.0:80"),
            ("IOC_SERVICE_PORTS", "80"),
            ("IOC_PORT_HTTP_TCP", "tcp://10.0.0.11:8080"),
            ("IOC_PORT_8080_TCP_PROTO", "udp"),
            ("IOC_PORT_8080_TCP_HOST", "10.0.0.11"),
            ("IOC_HTTP_LISTEN", "10.0.0.11:8080"),
            ("IOC_PORT", "http://10.0.0.11:8080"),
            ("IOC_", ""),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }
}
