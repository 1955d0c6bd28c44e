//! Tries at a login: each client may be wrong so often, and all of them together.
//!
//! A try is counted before anybody knows whether it is right, so that no number of them at once
//! passes, and given back where it was.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// The rate of one client.
pub const OF_CLIENT: Rate = Rate {
    most: 5,
    period: Duration::from_secs(10),
};
/// The rate of all clients.
pub const OF_ALL: Rate = Rate {
    most: 50,
    period: Duration::from_secs(1),
};
/// The clients that are remembered before the innocent ones are forgotten.
const CLIENTS: usize = 1000;

/// The number of tries at first, and the time for one more.
#[derive(Debug)]
pub struct Rate {
    /// Tries at first.
    pub most: u32,
    /// The time for one more.
    pub period: Duration,
}

/// The tries that were counted. For each client the time is kept at which it is innocent again:
/// that is the generic cell rate algorithm.
#[derive(Debug)]
pub struct Tries {
    clients: HashMap<IpAddr, Instant>,
    all: Instant,
}

impl Rate {
    /// Counts a try, or returns the time to wait.
    fn count(&self, innocent_at: &mut Instant, now: Instant) -> Result<(), Duration> {
        let next = (*innocent_at).max(now) + self.period;
        let early = next.saturating_duration_since(now + self.period * self.most);
        if early.is_zero() {
            *innocent_at = next;
            Ok(())
        } else {
            Err(early)
        }
    }

    fn give_back(&self, innocent_at: &mut Instant) {
        *innocent_at -= self.period;
    }
}

impl Tries {
    /// Returns tries of which none was counted.
    pub fn new(now: Instant) -> Self {
        Self {
            clients: HashMap::new(),
            all: now,
        }
    }

    /// Counts a try of a client.
    ///
    /// # Errors
    /// The time to wait, where too many were counted.
    pub fn count(&mut self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        if self.clients.len() > CLIENTS {
            self.clients.retain(|_, innocent_at| *innocent_at > now);
        }
        let innocent_at = self.clients.entry(client).or_insert(now);
        OF_CLIENT.count(innocent_at, now)?;
        OF_ALL
            .count(&mut self.all, now)
            .inspect_err(|_| OF_CLIENT.give_back(innocent_at))
    }

    /// Takes back a try that was right.
    pub fn give_back(&mut self, client: IpAddr) {
        OF_ALL.give_back(&mut self.all);
        if let Some(innocent_at) = self.clients.get_mut(&client) {
            OF_CLIENT.give_back(innocent_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_tries_count_for_nothing() {
        let now = Instant::now();
        let client = IpAddr::from([192, 0, 2, 1]);
        let mut tries = Tries::new(now);
        for _ in 0..10 * OF_ALL.most {
            assert_eq!(tries.count(client, now), Ok(()));
            tries.give_back(client);
        }
        for _ in 0..OF_CLIENT.most {
            assert_eq!(tries.count(client, now), Ok(()));
        }
        assert_eq!(tries.count(client, now), Err(OF_CLIENT.period));
        let later = now + OF_CLIENT.period;
        assert_eq!(tries.count(client, later), Ok(()));
        assert_eq!(tries.count(client, later), Err(OF_CLIENT.period));
    }

    #[test]
    fn guessers_from_many_places_share_one_rate() {
        let now = Instant::now();
        let mut tries = Tries::new(now);
        let clients = (0..OF_ALL.most + 1).map(|number| IpAddr::from([10, 0, 0, number as u8]));
        let refused: Vec<_> = clients
            .filter_map(|client| tries.count(client, now).err())
            .collect();
        assert_eq!(refused, [OF_ALL.period]);
    }

    #[test]
    fn innocent_clients_are_forgotten() {
        let now = Instant::now();
        let mut tries = Tries::new(now);
        for number in 0..3000_u32 {
            let at = now + OF_CLIENT.period * number;
            assert_eq!(tries.count(IpAddr::from(number.to_be_bytes()), at), Ok(()));
        }
        assert!(
            tries.clients.len() <= CLIENTS + 1,
            "{}",
            tries.clients.len()
        );
    }
}
