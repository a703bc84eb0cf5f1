//! The socket to a broker, with TLS or without.

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::MqttBrokerOptions;
use super::connection::LinkError;
use crate::brokers::dial;

/// What packets come and go by.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to a broker.
pub(super) async fn connect(options: &MqttBrokerOptions) -> Result<Socket, LinkError> {
    let socket = dial::connect(&options.address).await;
    let socket = socket.map_err(LinkError::Connect)?;
    match &options.tls {
        None => Ok(Socket::Plain(socket)),
        Some(tls) => {
            let socket = tls.shake_hands(&options.address.0, socket).await?;
            Ok(Socket::Tls(Box::new(socket)))
        }
    }
}
