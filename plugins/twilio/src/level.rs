//! The meaning of Twilio's levels: an ERROR is HIGH, a WARNING is MEDIUM, NOTICE, INFO and DEBUG are
//! LOW. A level that is absent or not known is HIGH, so that it never ranks below one of these; the
//! levels of syslog mean what they mean everywhere.

use plugin_sdk::contract::{Alert, Note, NoteKind, Priority};

/// The rank of what says nothing that is known: that of Twilio's most urgent level.
const UNKNOWN: Priority = Priority::High;

/// The priority of a level, which is compared without white space around it and whatever its case.
pub fn priority(level: &str) -> Priority {
    known(level).unwrap_or(UNKNOWN)
}

/// Notes a level that is not known in its alert.
pub fn tell(alert: &mut Alert, level: &str) {
    if !level.trim().is_empty() && known(level).is_none() {
        let note = Note::new(NoteKind::UnknownPriority, "priority", level);
        alert.notes.push(note);
    }
}

fn known(level: &str) -> Option<Priority> {
    const LEVELS: [(&[&str], Priority); 4] = [
        (
            &["critical", "crit", "fatal", "alert", "emergency", "emerg"],
            Priority::Critical,
        ),
        (&["error", "err"], Priority::High),
        (&["warning", "warn"], Priority::Medium),
        (
            &["notice", "info", "informational", "debug", "trace"],
            Priority::Low,
        ),
    ];
    let level = level.trim();
    let is_one_of = |words: &[&str]| words.iter().any(|word| level.eq_ignore_ascii_case(word));
    let found = LEVELS.iter().find(|(words, _)| is_one_of(words));
    found.map(|(_, priority)| *priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_read_however_it_is_written() {
        for (level, expected) in [
            ("ERROR", Priority::High),
            (" error\n", Priority::High),
            ("Warning", Priority::Medium),
            ("warn", Priority::Medium),
            ("NOTICE", Priority::Low),
            ("info", Priority::Low),
            ("DEBUG", Priority::Low),
            ("CRITICAL", Priority::Critical),
        ] {
            assert_eq!(priority(level), expected, "{level:?}");
        }
    }

    #[test]
    fn unknown_level_is_high_and_told() {
        for (level, notes) in [
            ("Fehler", 1),
            ("level seven", 1),
            ("0", 1),
            ("", 0),
            (" ", 0),
        ] {
            assert_eq!(priority(level), Priority::High, "{level:?}");
            let mut alert = Alert::new("1".to_owned(), Priority::High, "t".to_owned());
            tell(&mut alert, level);
            assert_eq!(alert.notes.len(), notes, "{level:?}");
        }
    }
}
