//! What can keep the door from opening.

use std::io;
use std::net::SocketAddr;

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Anyone on the network could publish.
    #[error(
        "refusing to listen for MQTT on {listen}, beyond loopback, without users; \
         configure users with passwords, or listen on 127.0.0.1"
    )]
    BeyondLoopback {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// The system refused.
    #[error(
        "cannot listen for MQTT on {listen} (the setting mqtt.listen){}",
        taken(source)
    )]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// What to do where somebody else listens already.
fn taken(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has this port, as the mosquitto of Debian has 1883 once it is \
             installed: stop that one, or set mqtt.listen (IOC_MQTT_LISTEN) to another port, such \
             as 127.0.0.1:1884"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_program_has_is_told_with_the_setting() {
        let told = |kind: io::ErrorKind| {
            let listen = SocketAddr::from(([127, 0, 0, 1], 1883));
            let source = kind.into();
            GatewayError::Listen { listen, source }.to_string()
        };
        let taken = told(io::ErrorKind::AddrInUse);
        assert!(
            taken.contains("mqtt.listen") && taken.contains("mosquitto"),
            "{taken}"
        );
        assert!(!told(io::ErrorKind::PermissionDenied).contains("mosquitto"));
    }
}
