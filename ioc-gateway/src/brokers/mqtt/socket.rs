//! The socket to a broker, with TLS or without.

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::MqttBrokerOptions;
use super::connection::LinkError;

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
            let socket = options.shake_hands(host, socket).await?;
            Ok(Socket::Tls(Box::new(socket)))
        }
    }
}
