//! Priorities from the words that senders use.

use crate::contract::Priority;

/// One flat table, because the code of several would be larger than they are.
static WORDS: [(&str, Priority); 30] = [
    ("critical", Priority::Critical),
    ("crit", Priority::Critical),
    ("fatal", Priority::Critical),
    ("emergency", Priority::Critical),
    ("emerg", Priority::Critical),
    ("panic", Priority::Critical),
    ("alert", Priority::Critical),
    ("p1", Priority::Critical),
    ("sev1", Priority::Critical),
    ("high", Priority::High),
    ("error", Priority::High),
    ("err", Priority::High),
    ("major", Priority::High),
    ("p2", Priority::High),
    ("sev2", Priority::High),
    ("medium", Priority::Medium),
    ("warning", Priority::Medium),
    ("warn", Priority::Medium),
    ("moderate", Priority::Medium),
    ("minor", Priority::Medium),
    ("p3", Priority::Medium),
    ("sev3", Priority::Medium),
    ("low", Priority::Low),
    ("info", Priority::Low),
    ("information", Priority::Low),
    ("informational", Priority::Low),
    ("notice", Priority::Low),
    ("debug", Priority::Low),
    ("p4", Priority::Low),
    ("sev4", Priority::Low),
];

impl Priority {
    /// The priority that a word for a severity means, whatever its case: `critical`, `fatal`, `error`, `warn`, `info`,
    /// `P1` … `P4` and their like. `None` for a word that nobody has agreed upon.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim();
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, priority)| *priority)
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
    fn words_are_read_in_any_case_and_unknown_ones_are_none() {
        assert_eq!(Priority::from_word(" Fatal "), Some(Priority::Critical));
        assert_eq!(Priority::from_word("ERROR"), Some(Priority::High));
        assert_eq!(Priority::from_word("Warning"), Some(Priority::Medium));
        assert_eq!(Priority::from_word("notice"), Some(Priority::Low));
        assert_eq!(Priority::from_word("purple"), None);
        assert_eq!(Priority::from_word(""), None);
    }
}
