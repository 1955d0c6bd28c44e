//! Lines for the operator's log. The gateway limits them, and names the source beside each.

/// The level of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Probably not meant.
    Warn,
    /// Wrong.
    Error,
}

impl Level {
    /// Returns the level of this word, or [`Level::Info`] for another word.
    pub fn of_word(word: &str) -> Self {
        match word {
            "debug" => Self::Debug,
            "warn" => Self::Warn,
            "error" => Self::Error,
            _ => Self::Info,
        }
    }
}

/// Logs a line. In a native test it goes to standard error. It must hold no secret.
pub fn write(level: Level, text: &str) {
    #[cfg(target_family = "wasm")]
    crate::export::log(level, text);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{level:?}: {text}");
}

/// Logs a line for the operator, as `format!` makes it: `log!(Warn, "unknown state {state}")`.
#[macro_export]
macro_rules! log {
    ($level:ident, $($text:tt)+) => {
        $crate::log::write($crate::log::Level::$level, &::std::format!($($text)+))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_is_known_by_its_word() {
        assert_eq!(Level::of_word("warn"), Level::Warn);
        assert_eq!(Level::of_word("loud"), Level::Info);
        crate::log!(Info, "{} and {}", 1, 2);
    }
}
