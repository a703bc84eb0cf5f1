//! The socket to a broker, with TLS or without.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::MqttBrokerOptions;
use super::connection::LinkError;
use crate::brokers::{TlsOptions, tls};

/// What packets come and go by.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to a broker.
pub(super) async fn connect(options: &MqttBrokerOptions) -> Result<Socket, LinkError> {
    let (host, port) = &options.address;
    let socket = TcpStream::connect((host.as_str(), *port)).await;
    let socket = socket.map_err(LinkError::Connect)?;
    // Without this, each PUBACK may wait 40 ms for the broker's delayed acknowledgement of TCP.
    socket.set_nodelay(true).map_err(LinkError::Connect)?;
    match &options.tls {
        None => Ok(Socket::Plain(socket)),
        Some(options) => {
            let socket = shake_hands(options, host, socket).await?;
            Ok(Socket::Tls(Box::new(socket)))
        }
    }
}

async fn shake_hands(
    options: &TlsOptions,
    host: &str,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let (name, options) = (options.name(host)?, options.clone());
    let config = spawn_blocking(move || options.config()).await;
    let config = config.map_err(|panic| LinkError::Panicked(panic.to_string()))??;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
    connecting.await.map_err(|error| match tls::behind(&error) {
        Some(error) => LinkError::Tls(error),
        None => LinkError::Tls(tls::within_handshake(&error)),
    })
}
