//! The two payloads that ITOC360 reads. Which of them a token accepts is decided by the type of the
//! source that was created in ITOC360, so the operator names it in the configuration.
//!
//! Both are one alert a request, because ITOC360 documents no batch. What is documented is the
//! structure, the words for status and severity, where the title comes from, and that the
//! fingerprint (or id) groups events. Two things are guesses: that ITOC360 shows *all* annotations
//! of an `alertmanager` event to the responder, and that it keeps keys of a `zapier` event beyond
//! the documented ones. Neither carries anything that opening or closing an alert depends on.

mod alertmanager;
#[cfg(test)]
mod tests;
mod zapier;

use hyper::body::Bytes;

use crate::alert::Alert;
pub use crate::config::Format;

/// Returns the body that tells ITOC360 of `alert`. The same alert always gives the same bytes.
/// `None` for the format that knows no alerts.
pub fn body(format: Format, alert: &Alert) -> Option<Bytes> {
    match format {
        Format::Alertmanager => Some(alertmanager::body(alert)),
        Format::Zapier => Some(zapier::body(alert)),
        Format::Original => None,
    }
}
