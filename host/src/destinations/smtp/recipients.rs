//! The recipients of a mail, while the server has taken it for some and put others off: a full
//! mailbox, or greylisting. The others are tried again, and the first get no second mail.
//!
//! This is kept in memory alone. After a restart, the first get the mail again, with the same
//! `Message-ID`.

use std::collections::HashMap;
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The time for which a recipient is tried again whose mail others have. Greylisting ends within
/// minutes. Later mails of the same ordering key wait so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// The most mails remembered. Without the oldest, a retry goes to all its recipients.
const MOST: usize = 1000;

/// The mails that some of their recipients have.
#[derive(Default)]
pub(super) struct Recipients(Mutex<HashMap<String, Partial>>);

struct Partial {
    since: Instant,
    taken: Vec<Address>,
}

impl Recipients {
    /// Returns those of `to` that do not have the mail of this id.
    pub(super) fn left<'t>(&self, id: &str, to: &'t [Mailbox]) -> Vec<&'t Mailbox> {
        let partials = self.0.lock();
        let partial = partials.get(id);
        let has = |to: &Mailbox| partial.is_some_and(|partial| partial.taken.contains(&to.email));
        to.iter().filter(|to| !has(to)).collect()
    }

    /// Remembers that these recipients have the mail. Returns whether the others are tried again.
    pub(super) fn taken(&self, id: &str, by: Vec<Address>) -> bool {
        let now = Instant::now();
        let mut partials = self.0.lock();
        if partials.len() >= MOST && !partials.contains_key(id) {
            let oldest = partials.iter().min_by_key(|(_, partial)| partial.since);
            let oldest = oldest.map(|(id, _)| id.clone());
            oldest.and_then(|oldest| partials.remove(&oldest));
        }
        let partial = partials.entry(id.to_owned()).or_insert(Partial {
            since: now,
            taken: Vec::new(),
        });
        partial.taken.extend(by);
        now.duration_since(partial.since) < PATIENCE
    }

    /// Forgets a mail that is settled.
    pub(super) fn forget(&self, id: &str) {
        self.0.lock().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str) -> Mailbox {
        format!("{name}@example.com").parse().unwrap()
    }

    fn left(recipients: &Recipients, id: &str) -> usize {
        recipients.left(id, &[mailbox("a"), mailbox("b")]).len()
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_tried_again_for_a_while_and_the_first_left_out() {
        let recipients = Recipients::default();
        assert_eq!(left(&recipients, "1"), 2);
        assert!(recipients.taken("1", vec![mailbox("a").email]));
        let both = [mailbox("a"), mailbox("b")];
        assert_eq!(recipients.left("1", &both), [&both[1]]);
        tokio::time::advance(PATIENCE - Duration::from_secs(1)).await;
        assert!(recipients.taken("1", Vec::new()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!recipients.taken("1", Vec::new()));
        recipients.forget("1");
        assert_eq!(left(&recipients, "1"), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_mail_is_forgotten_beyond_the_bound() {
        let recipients = Recipients::default();
        for id in 0..=MOST {
            recipients.taken(&id.to_string(), vec![mailbox("a").email]);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(recipients.0.lock().len(), MOST);
        let newest = MOST.to_string();
        assert_eq!((left(&recipients, "0"), left(&recipients, &newest)), (2, 1));
    }
}
