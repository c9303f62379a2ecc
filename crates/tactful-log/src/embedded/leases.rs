//! Who holds which lease until when, on the process's monotonic clock. Only fencing tokens are stored:
//! the directory's lock proves that no holder of an earlier process lives. It refuses to read the clock itself.

use std::{collections::HashMap, time::Instant};

use crate::Error;

/// Leases held at the same time.
pub(crate) const LEASES_MAX: usize = 1_024;

#[derive(Default)]
pub(crate) struct Leases {
    held: HashMap<String, Held>,
}

struct Held {
    holder: String,
    token: u64,
    expires_at: Instant,
}

impl Leases {
    /// Whether `holder` could take `name` now.
    pub(crate) fn is_free(&mut self, name: &str, holder: &str, now: Instant) -> Result<bool, Error> {
        self.held.retain(|_, held| held.expires_at > now);
        match self.held.get(name) {
            Some(held) => Ok(held.holder == holder),
            None => Error::if_too_large("number of leases held", self.held.len() + 1, LEASES_MAX).map(|()| true),
        }
    }

    pub(crate) fn grant(&mut self, name: &str, holder: &str, token: u64, expires_at: Instant) {
        self.held.insert(name.to_owned(), Held { holder: holder.to_owned(), token, expires_at });
    }

    /// Moves the end of a lease that is still held under this token.
    pub(crate) fn renew(&mut self, name: &str, token: u64, now: Instant, expires_at: Instant) -> bool {
        let live = self.held.get_mut(name).filter(|held| held.token == token && held.expires_at > now);
        live.map(|held| held.expires_at = expires_at).is_some()
    }

    /// Ends a lease that is still held under this token.
    pub(crate) fn release(&mut self, name: &str, token: u64, now: Instant) -> bool {
        let live = self.held.get(name).is_some_and(|held| held.token == token && held.expires_at > now);
        if live {
            self.held.remove(name);
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn a_lease_ends_exactly_at_its_end() {
        let mut leases = Leases::default();
        let start = Instant::now();
        leases.grant("learner", "a", 1, start + TTL);
        let just_before = start + TTL - Duration::from_nanos(1);
        assert!(!leases.is_free("learner", "b", just_before).unwrap());
        assert!(leases.is_free("learner", "a", just_before).unwrap(), "its own holder may take it anew");
        assert!(leases.renew("learner", 1, just_before, start + TTL * 2));
        assert!(!leases.renew("learner", 1, start + TTL * 2, start + TTL * 3), "ended");
        assert!(leases.is_free("learner", "b", start + TTL * 2).unwrap());
    }

    #[test]
    fn an_old_token_neither_renews_nor_releases() {
        let mut leases = Leases::default();
        let now = Instant::now();
        leases.grant("learner", "a", 1, now + TTL);
        leases.grant("learner", "a", 2, now + TTL);
        assert!(!leases.renew("learner", 1, now, now + TTL));
        assert!(!leases.release("learner", 1, now));
        assert!(leases.release("learner", 2, now));
        assert!(!leases.release("learner", 2, now));
    }

    #[test]
    fn their_number_is_bounded_and_ended_ones_make_room() {
        let mut leases = Leases::default();
        let now = Instant::now();
        for n in 0..LEASES_MAX {
            leases.grant(&n.to_string(), "a", 1, now + TTL);
        }
        assert!(matches!(leases.is_free("one more", "a", now), Err(Error::TooLarge { limit: LEASES_MAX, .. })));
        assert!(leases.is_free("7", "a", now).unwrap());
        assert!(leases.is_free("one more", "a", now + TTL).unwrap());
    }
}
