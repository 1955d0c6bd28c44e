//! The filter of the log, which can be changed while the program runs.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{EnvFilter, Registry};

/// The longest filter.
const LONGEST: usize = 1000;

/// The filter of the log. Clones share it. The default is that of a program whose log is not its
/// own, and cannot be changed.
#[derive(Debug, Clone, Default)]
pub struct LogFilter(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    handle: Handle<EnvFilter, Registry>,
    /// The filter that the program began with.
    begun: String,
    text: Mutex<String>,
}

/// The reason why a filter is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is none.
    #[error(
        "{0}; write error, warn, info, debug or trace, also for one part, as in \
         info,alert_gateway::intake=debug"
    )]
    Wrong(String),
    /// The log belongs to another program.
    #[error("the log of this program cannot be changed while it runs")]
    Fixed,
}

impl LogFilter {
    /// Returns a filter, and the layer that applies it.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<(Self, reload::Layer<EnvFilter, Registry>), FilterError> {
        let (layer, handle) = reload::Layer::new(parse(text)?);
        let inner = Inner {
            handle,
            begun: text.to_owned(),
            text: Mutex::new(text.to_owned()),
        };
        Ok((Self(Some(Arc::new(inner))), layer))
    }

    /// Returns the filter as it is written.
    ///
    /// # Errors
    /// The log belongs to another program.
    pub fn text(&self) -> Result<String, FilterError> {
        let inner = self.0.as_ref().ok_or(FilterError::Fixed)?;
        Ok(inner.text.lock().clone())
    }

    /// Changes the filter, or returns to the one that the program began with. Returns the filter as
    /// it is written.
    ///
    /// # Errors
    /// It is none, and all goes on as it was.
    pub fn change(&self, text: Option<&str>) -> Result<String, FilterError> {
        let inner = self.0.as_ref().ok_or(FilterError::Fixed)?;
        let text = text.map_or(&*inner.begun, str::trim);
        let filter = parse(text)?;
        // Two that change it at once leave the same filter and text.
        let mut kept = inner.text.lock();
        inner
            .handle
            .reload(filter)
            .map_err(|_| FilterError::Fixed)?;
        text.clone_into(&mut kept);
        Ok(text.to_owned())
    }
}

/// Reads a filter. The words of one part alone (`alert_gateway=`) mean all of its lines.
fn parse(text: &str) -> Result<EnvFilter, FilterError> {
    let wrong = |why: String| FilterError::Wrong(why);
    if text.is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
        return Err(wrong(format!("a filter has 1 to {LONGEST} characters")));
    }
    // A single word that is no level would be taken for the name of a part, and silence all else.
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| word.eq_ignore_ascii_case(level))
    };
    let odd = text
        .split(',')
        .map(str::trim)
        .find(|word| !word.contains(['=', ':', '[']) && !is_level(word));
    if let Some(odd) = odd {
        return Err(wrong(format!("{odd:?} is no level")));
    }
    EnvFilter::try_new(text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn filter_is_changed_and_comes_back() {
        let (filter, layer) = LogFilter::new("warn").unwrap();
        let subscriber = Registry::default().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let on = || tracing::enabled!(tracing::Level::DEBUG);
            assert!(!on());
            assert_eq!(filter.change(Some(" debug ")).as_deref(), Ok("debug"));
            assert!(on());
            assert_eq!(filter.text().as_deref(), Ok("debug"));
            assert_eq!(filter.change(None).as_deref(), Ok("warn"));
            assert!(!on());
            for wrong in ["", "loud", "info,x=loud", "info,\nerror", &"x".repeat(2000)] {
                assert!(filter.change(Some(wrong)).is_err(), "{wrong:?}");
            }
            assert_eq!(filter.text().as_deref(), Ok("warn"));
        });
    }

    #[test]
    fn log_of_another_program_stays_as_it_is() {
        let filter = LogFilter::default();
        assert_eq!(filter.change(Some("debug")), Err(FilterError::Fixed));
        assert_eq!(filter.text(), Err(FilterError::Fixed));
    }
}
