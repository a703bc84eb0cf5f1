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
    #[error("cannot listen for MQTT on {listen}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}
