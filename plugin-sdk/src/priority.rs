//! Priorities from the words that senders use.

use crate::contract::Priority;

impl Priority {
    /// The priority that a word for a severity means, whatever its case: `critical`, `fatal`, `error`, `warn`, `info`,
    /// `P1` … `P4` and their like. `None` for a word that nobody has agreed upon.
    pub fn from_word(word: &str) -> Option<Self> {
        const WORDS: [(Priority, &[&str]); 4] = [
            (Priority::Critical, &["critical", "crit", "fatal", "emergency", "emerg", "panic", "alert", "p1", "sev1"]),
            (Priority::High, &["high", "error", "err", "major", "p2", "sev2"]),
            (Priority::Medium, &["medium", "warning", "warn", "moderate", "minor", "p3", "sev3"]),
            (Priority::Low, &["low", "info", "information", "informational", "notice", "debug", "p4", "sev4"]),
        ];
        let word = word.trim();
        let means = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        WORDS.iter().find(|(_, words)| means(words)).map(|(priority, _)| *priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_own_words_mean_themselves() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_word(priority.as_str()), Some(priority));
        }
    }

    #[test]
    fn words_are_read_whatever_their_case_and_an_unknown_one_means_nothing() {
        assert_eq!(Priority::from_word(" Fatal "), Some(Priority::Critical));
        assert_eq!(Priority::from_word("ERROR"), Some(Priority::High));
        assert_eq!(Priority::from_word("Warning"), Some(Priority::Medium));
        assert_eq!(Priority::from_word("notice"), Some(Priority::Low));
        assert_eq!(Priority::from_word("purple"), None);
        assert_eq!(Priority::from_word(""), None);
    }
}
