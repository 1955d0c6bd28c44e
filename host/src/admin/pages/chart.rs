//! The last hour and the last day as charts: requests above the line, deliveries below it.

use std::fmt::Write;
use std::time::Duration;

use maud::{Markup, html};

use super::words::{head, number, span};
use crate::metrics::{BUCKET, Counts, Series};

/// The height above the line, and below it.
const ABOVE: u32 = 90;
const BELOW: u32 = 40;

/// A stretch of time, in bars.
struct Stretch {
    title: &'static str,
    /// The bars, and the counts in each.
    bars: usize,
    per_bar: usize,
    /// The head of the column that says how long ago a bar was.
    column: &'static str,
}

const HOUR: Stretch = Stretch {
    title: "Last hour",
    bars: 12,
    per_bar: 1,
    column: "Minutes ago",
};
const DAY: Stretch = Stretch {
    title: "Last 24 hours",
    bars: 24,
    per_bar: 12,
    column: "Hours ago",
};

/// Draws the last hour and the last day, of which `counted_for` is known.
pub fn draw(series: &Series, counted_for: Duration) -> Markup {
    html! {
        (stretch(series, &HOUR, true))
        (stretch(series, &DAY, true))
        (since(counted_for))
    }
}

/// Draws the last day of one source, which delivers nothing.
pub fn draw_requests(series: &Series, counted_for: Duration) -> Markup {
    html! {
        (stretch(series, &DAY, false))
        (since(counted_for))
    }
}

fn since(counted_for: Duration) -> Markup {
    let counted = span(i64::try_from(counted_for.as_millis()).unwrap_or(i64::MAX));
    html! { p { small { "Counted for " (counted) ", since the start at most." } } }
}

fn stretch(series: &Series, stretch: &Stretch, delivers: bool) -> Markup {
    let bars = bars(series, stretch);
    let mut sum = Counts::default();
    bars.iter().for_each(|bar| sum.add(bar));
    let taken = |counts: &Counts| counts.requests() - counts.rejected;
    let largest = bars.iter().map(Counts::requests).max().unwrap_or_default();
    let largest_out = bars
        .iter()
        .map(|bar| bar.delivered)
        .max()
        .unwrap_or_default();
    // One scale, on which both fit.
    let unit = (u64::from(largest.max(1)) * u64::from(BELOW))
        .max(u64::from(largest_out.max(1)) * u64::from(ABOVE));
    let scale = |count: u32| u64::from(count) * u64::from(ABOVE * BELOW) / unit;
    let mut accepted = String::new();
    let mut rejected = String::new();
    let mut delivered = String::new();
    for (number, bar) in bars.iter().enumerate() {
        let x = 10 * number + 5;
        let top = u64::from(ABOVE).saturating_sub(scale(taken(bar)));
        // Writing to a string cannot fail.
        if scale(taken(bar)) > 0 {
            let _ = write!(accepted, "M{x} {ABOVE}V{top}");
        }
        if scale(bar.rejected) > 0 {
            let _ = write!(
                rejected,
                "M{x} {top}V{}",
                top.saturating_sub(scale(bar.rejected))
            );
        }
        if scale(bar.delivered) > 0 {
            let end = u64::from(ABOVE) + 1 + scale(bar.delivered);
            let _ = write!(delivered, "M{x} {}V{end}", ABOVE + 1);
        }
    }
    let width = 10 * stretch.bars;
    let mut label = format!(
        "{}: {} requests accepted, {} rejected",
        stretch.title,
        taken(&sum),
        sum.rejected
    );
    if delivers {
        let _ = write!(label, ", {} alerts delivered", sum.delivered);
    }
    let height = ABOVE + 2 + if delivers { BELOW } else { 0 };
    let columns = [stretch.column, "#Requests", "#Rejected", "#Delivered"];
    let columns = &columns[..if delivers { 4 } else { 3 }];
    html! {
        h2 { (stretch.title) }
        figure {
            svg.bars viewBox={ "0 0 " (width) " " (height) } preserveAspectRatio="none" role="img" aria-label=(label) {
                path.in d=(accepted) {}
                path.no d=(rejected) {}
                @if delivers { path.out d=(delivered) {} }
                path.zero d={ "M0 " (ABOVE) ".5h" (width) } {}
            }
            figcaption.key {
                span { i.in {} "accepted " b { (number(i64::from(taken(&sum)))) } }
                span { i.no {} "rejected, on top " b { (number(i64::from(sum.rejected))) } }
                @if delivers { span { i.out {} "delivered, below the line " b { (number(i64::from(sum.delivered))) } } }
            }
        }
        @if bars.iter().any(|bar| *bar != Counts::default()) {
            details {
                summary { (stretch.title) " as a table" }
                table {
                    (head(columns))
                    tbody {
                        @for (number, bar) in bars.iter().enumerate().filter(|(_, bar)| **bar != Counts::default()) {
                            tr {
                                td { (ago(stretch, number)) }
                                td.num { (bar.requests()) }
                                td.num { (bar.rejected) }
                                @if delivers { td.num { (bar.delivered) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the number of minutes or hours before now at which a bar begins.
fn ago(stretch: &Stretch, number: usize) -> u64 {
    let buckets = (stretch.bars - number) * stretch.per_bar;
    let seconds = buckets as u64 * BUCKET.as_secs();
    seconds / if stretch.per_bar == 1 { 60 } else { 3600 }
}

/// Returns the sums of the bars, oldest first.
fn bars(series: &Series, stretch: &Stretch) -> Vec<Counts> {
    let mut bars = vec![Counts::default(); stretch.bars];
    for (age, counts) in series.0.iter().rev().enumerate() {
        if let Some(bar) = bars.iter_mut().rev().nth(age / stretch.per_bar) {
            bar.add(counts);
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_sum_up_the_newest_counts_on_one_scale() {
        let count = |accepted, rejected, delivered| Counts {
            accepted,
            rejected,
            delivered,
            ..Counts::default()
        };
        let series = Series(vec![count(1, 0, 0), count(8, 2, 4), count(0, 0, 0)]);
        let hour = bars(&series, &HOUR);
        assert_eq!(
            (hour.len(), hour[10], hour[11]),
            (12, count(8, 2, 4), count(0, 0, 0))
        );
        assert_eq!(bars(&series, &DAY)[23], count(9, 2, 4));
        let drawn = stretch(&series, &HOUR, true).into_string();
        assert!(drawn.contains("M105 90V18"), "{drawn}");
        assert!(drawn.contains("M105 18V0"), "{drawn}");
        assert!(drawn.contains("M105 91V127"), "{drawn}");
    }
}
