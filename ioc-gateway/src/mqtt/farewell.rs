//! The end of a connection that is told why it ends.
//!
//! Arrives: a DISCONNECT of version 5 (section 3.14). Leaves: a closed socket. Promise: the client
//! can read the reason, although it may be sending at that moment: a socket that is closed with
//! bytes unread resets the connection, and the client sees only that its own writing failed. Bound: [`FAREWELL_MAX`], after which the
//! connection is closed however much the client still sends.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long the client may take to close its end.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// How much is read at once of what nobody looks at.
const UNHEARD_BYTES: usize = 16 * 1024;

/// Says the last packet and hears the client out. `unheard` is memory to do so.
pub(super) async fn say_farewell(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    packet: &[u8],
    mut unheard: BytesMut,
) {
    let farewell = async {
        writer.write_all(packet).await?;
        writer.shutdown().await?;
        loop {
            unheard.clear();
            unheard.reserve(UNHEARD_BYTES);
            if reader.read_buf(&mut unheard).await? == 0 {
                return std::io::Result::Ok(());
            }
        }
    };
    // Whether it was heard or not, the connection ends now.
    let _heard = timeout(FAREWELL_MAX, farewell).await;
}
