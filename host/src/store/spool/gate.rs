//! The gate before the database and the spool: it decides which way a request takes.
//!
//! While the database takes requests, all go there. From the first one that it does not take, all
//! go through the spool, and none overtakes another: until the spool is empty, and nothing is on its
//! way into it. It is handed over only when no request is on its way to the database: one of those
//! may come into the spool yet, with a number before others.

use crate::store::StoreError;

/// The state of the gate.
#[derive(Debug, Default)]
pub struct Gate {
    /// The number of the next request.
    next: i64,
    /// The number of requests on their way to the database.
    direct: usize,
    /// The number of requests that are about to be handed to the spool.
    coming: usize,
    /// The number of requests that were handed to it.
    handed: u64,
    /// The reason why all go through the spool, while they do.
    away: Option<StoreError>,
}

/// The way of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the database.
    Database,
    /// Into the spool.
    Spool,
    /// Neither any more.
    Over,
}

impl Gate {
    /// Returns the gate before a spool whose next request has this number. `away` says that
    /// something is in it.
    pub fn new(next: i64, away: Option<StoreError>) -> Self {
        Self {
            next,
            away,
            ..Self::default()
        }
    }

    /// Returns the number of a request that arrives, and its way.
    pub fn enter(&mut self) -> (i64, Way) {
        let n = self.next;
        self.next += 1;
        match self.away {
            None => {
                self.direct += 1;
                (n, Way::Database)
            }
            Some(_) => {
                self.coming += 1;
                (n, Way::Spool)
            }
        }
    }

    /// Has a request that the database did not take go into the spool, and all after it. Returns
    /// whether it is the first.
    pub fn turn(&mut self, why: StoreError) -> bool {
        self.direct -= 1;
        self.coming += 1;
        let is_first = self.away.is_none();
        self.away.get_or_insert(why);
        is_first
    }

    /// Takes down that a request is over on its way.
    pub fn leave(&mut self, way: Way) {
        match way {
            Way::Database => self.direct -= 1,
            Way::Spool => self.coming -= 1,
            Way::Over => {}
        }
    }

    /// Takes down that a request was handed to the spool.
    pub fn hand(&mut self) {
        self.coming -= 1;
        self.handed += 1;
    }

    /// Returns the number of requests that were handed to the spool.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    /// Returns the reason why all go through the spool.
    pub fn away(&self) -> Option<&StoreError> {
        self.away.as_ref()
    }

    /// Returns whether the spool can be handed over.
    pub fn is_due(&self) -> bool {
        self.away.is_some() && self.direct == 0
    }

    /// Opens the way to the database, where nothing came since the spool was found empty after so
    /// many were handed to it. Returns whether it did.
    pub fn open(&mut self, handed: u64) -> bool {
        let opens = self.coming == 0 && self.handed == handed;
        if opens {
            self.away = None;
        }
        opens
    }

    /// Opens the way to the database, whatever is in the spool: it is of no more use.
    pub fn give_up(&mut self) {
        self.away = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> StoreError {
        StoreError::Away("no answer".to_owned())
    }

    #[test]
    fn first_failure_turns_all_and_emptiness_opens() {
        let mut gate = Gate::new(7, None);
        assert_eq!(gate.enter(), (7, Way::Database));
        assert_eq!(gate.enter(), (8, Way::Database));
        assert!(gate.turn(away()), "the first");
        assert_eq!(gate.enter(), (9, Way::Spool));
        assert!(!gate.is_due(), "8 may come before 9 yet");
        assert!(!gate.turn(away()));
        assert!(gate.is_due());

        let handed = gate.handed();
        assert!(!gate.open(handed), "three are about to come");
        gate.hand();
        gate.hand();
        gate.leave(Way::Spool);
        assert!(!gate.open(handed), "two came since");
        assert!(gate.open(gate.handed()));
        assert_eq!(gate.enter().1, Way::Database);
    }

    #[test]
    fn what_an_earlier_run_left_goes_first() {
        let mut gate = Gate::new(1, Some(away()));
        assert!(gate.is_due());
        assert_eq!(gate.enter(), (1, Way::Spool));
        gate.hand();
        assert!(gate.open(1));
        assert!(gate.away().is_none());
    }
}
