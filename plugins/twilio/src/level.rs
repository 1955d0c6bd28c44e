//! The meaning of Twilio's levels: an ERROR is HIGH, a WARNING is MEDIUM, and anything else is LOW.

use plugin_sdk::contract::Priority;

/// The priority of a level, which is compared without white space around it and whatever its case.
pub fn priority(level: &str) -> Priority {
    match level.trim() {
        level if level.eq_ignore_ascii_case("error") => Priority::High,
        level if level.eq_ignore_ascii_case("warning") => Priority::Medium,
        _ => Priority::Low,
    }
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
            ("NOTICE", Priority::Low),
            ("", Priority::Low),
        ] {
            assert_eq!(priority(level), expected, "{level:?}");
        }
    }
}
