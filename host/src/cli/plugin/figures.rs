//! Sizes and times, as a person reads them.

use std::time::Duration;

use bytesize::ByteSize;

use crate::config::Limits;

/// `280.4 KiB`.
pub fn size(bytes: usize) -> String {
    ByteSize::b(bytes as u64).to_string().replace(".0 ", " ")
}

/// `23.1 µs`, `1.42 ms`, `2.00 s`.
pub fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{:.1} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

/// The limits of a call, in one breath.
pub fn limits(limits: &Limits) -> String {
    format!(
        "{:?}, {} of memory and {} of output",
        limits.time,
        size(limits.memory),
        size(limits.output)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_keeps_them_short() {
        assert_eq!(
            [size(0), size(1536), size(16 << 20)],
            ["0 B", "1.5 KiB", "16 MiB"]
        );
        let [micro, milli] = [
            time(Duration::from_nanos(23_149)),
            time(Duration::from_micros(1420)),
        ];
        assert_eq!(
            [micro, milli, time(Duration::from_secs(2))],
            ["23.1 µs", "1.42 ms", "2.00 s"]
        );
        assert_eq!(
            limits(&Limits::default()),
            "100ms, 16 MiB of memory and 1 MiB of output"
        );
    }
}
