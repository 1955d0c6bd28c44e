//! The formats of `/metrics`: OpenMetrics 1.0, and Prometheus' text format 0.0.4 for readers that
//! do not ask for it.
//!
//! The second is written from the first. They differ in their comments only: in the older one the
//! family of a counter is named as its samples, with `_total`, an info is a gauge, and neither
//! `# UNIT` nor `# EOF` exists.

use super::Metrics;

const OPENMETRICS: &str = "application/openmetrics-text";

/// A format of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Text,
}

impl Format {
    /// Chooses the format by the values of `Accept`: OpenMetrics where it is named and ranks no
    /// lower than plain text.
    pub fn accepted<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut openmetrics = 0.0_f32;
        let mut text = 0.0_f32;
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts
                .filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .find_map(|quality| quality.trim().parse().ok())
                .unwrap_or(1.0);
            if name.eq_ignore_ascii_case(OPENMETRICS) {
                openmetrics = openmetrics.max(quality);
            } else if name.eq_ignore_ascii_case("text/plain") {
                text = text.max(quality);
            }
        }
        if openmetrics > 0.0 && openmetrics >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Returns the value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Metrics {
    /// Returns all metrics in a format.
    pub fn encode(&self, format: Format) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing into a String fails only where a collector does, and these do not.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        match format {
            Format::OpenMetrics => text,
            Format::Text => older(&text),
        }
    }
}

/// Rewrites OpenMetrics in the text format 0.0.4.
fn older(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // A family's help comes before its type, which decides its name.
    let mut help = "";
    for line in openmetrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.extend([line, "\n"]);
            continue;
        };
        match comment.split_once(' ') {
            Some(("HELP", rest)) => help = rest,
            Some(("TYPE", rest)) => {
                let Some((name, kind)) = rest.split_once(' ') else {
                    continue;
                };
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    _ => ("", kind),
                };
                if let Some(("", said)) = help
                    .strip_prefix(name)
                    .and_then(|rest| rest.split_once(' '))
                {
                    text.extend(["# HELP ", name, suffix, " ", said, "\n"]);
                }
                text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
            }
            // `UNIT` and `EOF`.
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_follows_the_accept_header() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("text/plain", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; version=1.0.0; q=0.5",
                Format::OpenMetrics,
            ),
            // Prometheus 2.42 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;q=0.3,text/plain;q=0.9",
                Format::Text,
            ),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=much", Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted([accept].into_iter()), format, "{accept}");
        }
        let two = ["text/plain;q=0.2", "application/openmetrics-text;q=0.4"];
        assert_eq!(Format::accepted(two.into_iter()), Format::OpenMetrics);
    }

    #[test]
    fn older_format_names_families_as_their_samples() {
        let openmetrics = "# HELP a_build The program.\n# TYPE a_build info\na_build_info{v=\"1\"} 1\n\
            # HELP a_requests Requests answered.\n# TYPE a_requests counter\na_requests_total 3\n\
            # HELP a_size_bytes Size.\n# TYPE a_size_bytes gauge\n# UNIT a_size_bytes bytes\na_size_bytes 7\n# EOF\n";
        let expected = "# HELP a_build_info The program.\n# TYPE a_build_info gauge\na_build_info{v=\"1\"} 1\n\
            # HELP a_requests_total Requests answered.\n# TYPE a_requests_total counter\na_requests_total 3\n\
            # HELP a_size_bytes Size.\n# TYPE a_size_bytes gauge\na_size_bytes 7\n";
        assert_eq!(older(openmetrics), expected);
    }
}
