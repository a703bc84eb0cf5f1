//! What is on its way to a client at quality 1, and the deliveries that are next.
//!
//! Arrives: decisions and deliveries. Leaves: packet identifiers for them, a window at a time; to
//! whoever sent a delivery, that it was written and acknowledged. Promise: never more messages are
//! unacknowledged than the client takes (5.0: section 3.3.4); a delivery is looked at with its
//! deadline at the moment at which it is written.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

use crate::mqtt::codec;
use crate::mqtt::deliveries::{Lost, Mailbox, Parcel, Taken, Takes};

/// What is on its way to one client.
#[derive(Debug)]
pub(in crate::mqtt) struct Outbox {
    takes: Takes,
    /// How many messages may be unacknowledged.
    window: usize,
    last_id: u16,
    /// By packet identifier; with the delivery, if it is one.
    unacknowledged: BTreeMap<u16, Option<Arc<Parcel>>>,
    /// Where deliveries wait, once there is a subscription.
    mailbox: Option<Arc<Mailbox>>,
    /// The delivery that is to be written next, kept while the socket takes nothing.
    next: Option<Taken>,
    packet: BytesMut,
}

impl Outbox {
    pub fn new(takes: Takes, window: u16) -> Self {
        Self {
            takes,
            window: window as usize,
            last_id: 0,
            unacknowledged: BTreeMap::new(),
            mailbox: None,
            next: None,
            packet: BytesMut::new(),
        }
    }

    /// Deliveries wait there.
    pub fn take_from(&mut self, mailbox: Arc<Mailbox>) {
        self.mailbox = Some(mailbox);
    }

    /// Whether a decision may be written. A part of the window is left to deliveries.
    pub fn has_room_for_decision(&self) -> bool {
        let left_to_deliveries = self.window / 4;
        self.unacknowledged.len() < self.window - left_to_deliveries
    }

    /// A packet identifier for a decision.
    pub fn number(&mut self) -> u16 {
        let packet_id = self.free_id();
        self.unacknowledged.insert(packet_id, None);
        packet_id
    }

    /// The client has answered about a message. One that it was not sent is not looked at: an
    /// acknowledgement too many harms nobody.
    pub fn acknowledged(&mut self, packet_id: u16, code: u8) {
        if let Some(Some(parcel)) = self.unacknowledged.remove(&packet_id) {
            parcel.acknowledged(code);
        }
    }

    /// Writes what waits; if nothing does, the next delivery, of which what the socket does not
    /// take waits then. Returns how many bytes were written.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub fn write<'a, W: AsyncWrite + Unpin>(
        &'a mut self,
        writer: &'a mut W,
        out: &'a mut BytesMut,
        delivers: bool,
    ) -> impl Future<Output = io::Result<usize>> + 'a {
        std::future::poll_fn(move |context| {
            if out.is_empty() {
                // A WebSocket may still hold what it took.
                if let Poll::Ready(Err(error)) = Pin::new(&mut *writer).poll_flush(context) {
                    return Poll::Ready(Err(error));
                }
                if delivers {
                    return self.poll_deliver(context, writer, out);
                }
                return Poll::Pending;
            }
            let written = ready!(Pin::new(&mut *writer).poll_write(context, out))?;
            out.advance(written);
            Poll::Ready(Ok(written))
        })
    }

    /// Writes the next delivery.
    fn poll_deliver<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        writer: &mut W,
        out: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let Some(mailbox) = self.mailbox.clone() else {
            return Poll::Pending;
        };
        while self.unacknowledged.len() < self.window {
            let taken = match self.next.take() {
                Some(taken) => taken,
                None => ready!(mailbox.poll_take(context)),
            };
            // Now, not when it was taken: the socket may have kept it waiting.
            let now = Instant::now();
            if !taken.parcel.may_be_written(now) {
                continue;
            }
            let packet_id = (taken.qos > 0).then(|| self.free_id());
            if !self.encode(&taken.parcel, packet_id, now) {
                taken.parcel.lose(Lost::TooLong);
                continue;
            }
            let written = match Pin::new(&mut *writer).poll_write(context, &self.packet) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Ok(written)) => written,
                not_written => {
                    self.next = Some(taken);
                    return not_written;
                }
            };
            out.extend_from_slice(&self.packet[written..]);
            taken.parcel.written(packet_id.is_some());
            if let Some(packet_id) = packet_id {
                self.unacknowledged.insert(packet_id, Some(taken.parcel));
            }
            return Poll::Ready(Ok(written));
        }
        Poll::Pending
    }

    /// Encodes a delivery; whether it is no longer than the client takes.
    fn encode(&mut self, parcel: &Parcel, packet_id: Option<u16>, now: Instant) -> bool {
        self.packet.clear();
        let message = parcel.message(packet_id, now);
        let placed = codec::put_message(&mut self.packet, self.takes.version, &message);
        placed.is_some() && self.packet.len() <= self.takes.packet_bytes_max
    }

    /// The next packet identifier that no message on its way has. There is one: the window is
    /// smaller than their number.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.unacknowledged.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

impl Drop for Outbox {
    /// What was not written is delivered to others, or waits.
    fn drop(&mut self) {
        if let (Some(next), Some(mailbox)) = (self.next.take(), &self.mailbox) {
            mailbox.give_back(next);
        }
    }
}
