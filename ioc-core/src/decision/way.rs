//! The way along a network by which an incident has come from its cause.

use crate::codec::{CodecError, Put, Take};
use crate::id::NodeId;
use crate::time::Millis;

/// A way along a network, from a node of a cause to a node of what it has caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Along which network.
    pub along: Network,
    /// The node of the cause: the feeder that is dead, the gauge upstream.
    pub from: NodeId,
    /// The node of what was caused: of several that came from it the one with the shortest way.
    pub to: NodeId,
    /// How far it is from one to the other.
    pub far: Far,
    /// How long the water takes; nothing along other networks.
    pub lag: Millis,
}

/// A network that causes follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Network {
    /// What feeds what.
    FedBy,
    /// Where water goes.
    FlowsTo,
    /// Places on one river.
    River,
    /// Stops of one line.
    Line,
}

/// How far one node of a network is from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Far {
    /// So many levels, places downstream or stops; none between two at one place.
    Steps(u32),
    /// So many metres.
    Metres(u32),
}

words! {
    Network { FedBy = "fed_by", FlowsTo = "flows_to", River = "river", Line = "line" }
}

impl Way {
    pub(super) fn put(&self, out: &mut impl Put) {
        out.put_u8(self.along as u8);
        out.put_text(self.from.as_str());
        out.put_text(self.to.as_str());
        let (is_metres, far) = match self.far {
            Far::Steps(steps) => (false, steps),
            Far::Metres(metres) => (true, metres),
        };
        out.put_flag(is_metres);
        out.put_u32(far);
        out.put_u64(self.lag.0.unsigned_abs());
    }

    pub(super) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let along = Network::take(take)?;
        let (from, to) = (take.parsed("node")?, take.parsed("node")?);
        let is_metres = take.flag()?;
        let far = take.u32()?;
        let lag = i64::try_from(take.u64()?).map_err(|_| CodecError("a way that never ends"))?;
        Ok(Self {
            along,
            from,
            to,
            far: if is_metres {
                Far::Metres(far)
            } else {
                Far::Steps(far)
            },
            lag: Millis(lag),
        })
    }
}
