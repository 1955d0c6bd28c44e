//! Masking of known texts, wherever they stand in an alert.

use plugin_sdk::contract::Alert;

use super::details::{self, Masks};
use crate::config::REDACTED;
use crate::mask::Mask;

/// A value that is shorter than this stands in any text: it is masked by its place alone.
pub(super) const SHORTEST: usize = 4;

/// Masks texts wherever they stand in an alert but for its key and its event id, and returns the
/// number of places.
pub(super) fn hide_texts(alert: &mut Alert, masked: &[String]) -> usize {
    let values = masked.iter().map(String::as_str);
    let mask = Mask::new(values.filter(|text| text.len() >= SHORTEST));
    let by_value = |text: &mut String| match mask.replace(text.as_bytes(), REDACTED.as_bytes()) {
        Some((hidden, places)) => {
            *text = String::from_utf8_lossy(&hidden).into_owned();
            places
        }
        None => 0,
    };
    let mut places = 0;
    let texts = [
        Some(&mut alert.title),
        alert.message.as_mut(),
        alert.link.as_mut(),
    ];
    for text in texts.into_iter().flatten().chain(alert.labels.values_mut()) {
        places += by_value(text);
    }
    let masks = Masks {
        pointers: Vec::new(),
        anywhere: None,
        text: by_value,
    };
    places + details::mask(alert, &masks)
}
