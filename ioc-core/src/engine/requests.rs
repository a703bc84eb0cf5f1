//! The requests of people that were accepted, so that sending one again does not act again.
//!
//! A refused request changes nothing, so it is not remembered: sent again it is asked again.

use std::collections::{BTreeSet, VecDeque};

use crate::codec::{CodecError, Put, Take};
use crate::id::RequestId;
use crate::limits::REQUESTS_REMEMBERED;

/// The last accepted requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    in_order: VecDeque<Box<str>>,
    known: BTreeSet<Box<str>>,
}

impl Requests {
    pub fn knows(&self, request: &str) -> bool {
        self.known.contains(request)
    }

    /// Remembers a request, and forgets the oldest beyond the bound.
    pub fn accept(&mut self, request: &str) {
        if self.in_order.len() == REQUESTS_REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.in_order.push_back(request.into());
        self.known.insert(request.into());
    }

    /// Puts the whole state, oldest first.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.in_order.len());
        for request in &self.in_order {
            out.put_text(request);
        }
    }

    /// The requests as they were put.
    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut requests = Self::default();
        for _ in 0..take.count(REQUESTS_REMEMBERED)? {
            let request = take.text()?;
            if !RequestId::is_valid(request) || requests.knows(request) {
                return Err(CodecError("request id"));
            }
            requests.accept(request);
        }
        Ok(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_of_them() {
        let mut requests = Requests::default();
        for number in 0..=REQUESTS_REMEMBERED {
            requests.accept(&format!("r{number}"));
        }
        assert!(!requests.knows("r0"));
        assert!(requests.knows("r1"));
        assert_eq!(requests.known.len(), REQUESTS_REMEMBERED);
    }
}
