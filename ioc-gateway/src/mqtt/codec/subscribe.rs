//! SUBSCRIBE and UNSUBSCRIBE, in either version (sections 3.8 and 3.10).

use super::body::Body;
use super::property::{self, Allowed, Property};
use super::{Malformed, Version};

/// SUBSCRIBE, or UNSUBSCRIBE, whose filters have no options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Subscribe<'a> {
    pub packet_id: u16,
    /// Whether messages shall come with a subscription identifier (5.0: section 3.8.2.1.2).
    pub has_subscription_id: bool,
    /// The filters, checked.
    filters: &'a [u8],
    options_bytes: usize,
}

/// What the filters of a shared subscription begin with (5.0: section 4.8.2).
pub(in crate::mqtt) const SHARED: &str = "$share/";

/// A filter with what is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Wanted<'a> {
    pub filter: &'a str,
    /// The highest quality that the client wants.
    pub qos: u8,
    /// Whether messages shall say that they are retained when they are published, too (5.0:
    /// section 3.8.3.1).
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

/// When a client wants the retained messages of a filter (5.0: section 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum RetainHandling {
    /// With every SUBSCRIBE, as in version 3.1.1.
    Always,
    /// If it did not have the filter.
    IfNew,
    Never,
}

impl<'a> Subscribe<'a> {
    /// The filters, in order.
    pub fn filters(&self) -> impl Iterator<Item = Wanted<'a>> {
        let mut rest = Body(self.filters);
        let options_bytes = self.options_bytes;
        std::iter::from_fn(move || {
            let filter = rest.text().ok()?;
            let options = rest.bytes(options_bytes).ok()?;
            Some(wanted(filter, options.first().copied().unwrap_or_default()))
        })
    }
}

const fn wanted(filter: &str, options: u8) -> Wanted<'_> {
    Wanted {
        filter,
        qos: options & 3,
        retain_as_published: options & 0x08 != 0,
        retain_handling: match (options >> 4) & 3 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            _ => RetainHandling::Never,
        },
    }
}

pub(super) fn subscribe(version: Version, mut body: Body<'_>) -> Result<Subscribe<'_>, Malformed> {
    let packet_id = body.packet_id()?;
    let mut has_subscription_id = false;
    if version == Version::V5 {
        property::each(&mut body, Allowed::SUBSCRIBE, |property| {
            has_subscription_id |= property == Property::Subscription;
            Ok(())
        })?;
    }
    let filters = body.0;
    each_filter(body, |filter, body| {
        let options = body.u8()?;
        match version {
            Version::V311 if options > 2 => Err(Malformed::Qos),
            Version::V311 => Ok(()),
            Version::V5 => check_options(filter, options),
        }
    })?;
    Ok(Subscribe {
        packet_id,
        has_subscription_id,
        filters,
        options_bytes: 1,
    })
}

pub(super) fn unsubscribe(
    version: Version,
    mut body: Body<'_>,
) -> Result<Subscribe<'_>, Malformed> {
    let packet_id = body.packet_id()?;
    if version == Version::V5 {
        property::pass_over(&mut body, Allowed::UNSUBSCRIBE)?;
    }
    let filters = body.0;
    each_filter(body, |_, _| Ok(()))?;
    Ok(Subscribe {
        packet_id,
        has_subscription_id: false,
        filters,
        options_bytes: 0,
    })
}

fn each_filter<'a>(
    mut body: Body<'a>,
    mut check: impl FnMut(&str, &mut Body<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if body.is_empty() {
        return Err(Malformed::NoFilter);
    }
    while !body.is_empty() {
        let filter = body.text()?;
        if !is_filter(filter) {
            return Err(Malformed::Topic);
        }
        check(filter, &mut body)?;
    }
    Ok(())
}

/// Section 3.8.3.1 of 5.0: quality, no local, retain as published, retain handling. What clients
/// publish is passed on to nobody, so that "no local" changes nothing.
fn check_options(filter: &str, options: u8) -> Result<(), Malformed> {
    const NO_LOCAL: u8 = 0x04;
    if options & 0xc0 != 0 {
        return Err(Malformed::SubscriptionOptions);
    }
    if options & 3 == 3 {
        return Err(Malformed::Qos);
    }
    let is_shared_but_not_local = options & NO_LOCAL != 0 && filter.starts_with(SHARED);
    if (options >> 4) & 3 == 3 || is_shared_but_not_local {
        return Err(Malformed::SubscriptionForbidden);
    }
    Ok(())
}

/// Section 4.7.1: `+` stands alone in its level, `#` alone in the last one.
fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut is_well_formed = !filter.is_empty();
    while let Some(level) = levels.next() {
        is_well_formed &= match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            level => !level.contains(['+', '#']),
        };
    }
    is_well_formed
}
