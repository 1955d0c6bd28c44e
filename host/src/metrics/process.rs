//! Metrics of the process, under the names that Prometheus' client libraries share
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fmt;

use procfs::process::{LimitValue, Process, Stat};
use procfs::{boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads `/proc/self` at each scrape. A value that cannot be read is absent.
#[derive(Debug)]
pub struct OfProcess {
    /// The start of the process: Unix time in seconds.
    started: Option<f64>,
}

impl OfProcess {
    /// Reads the time of the start once, so that a clock that is set later does not move it.
    pub fn new() -> Self {
        let started = || {
            let stat = Process::myself().ok()?.stat().ok()?;
            let since_boot = stat.starttime as f64 / ticks_per_second() as f64;
            Some(boot_time_secs().ok()? as f64 + since_boot)
        };
        Self { started: started() }
    }
}

impl Collector for OfProcess {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            Some(value) => {
                let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(encoder)
            }
            None => Ok(()),
        };
        let process = Process::myself().ok();
        let of = |read: fn(&Process) -> Option<f64>| process.as_ref().and_then(read);
        let stat = process.as_ref().and_then(|process| process.stat().ok());
        let stated = |read: fn(&Stat) -> f64| stat.as_ref().map(read);
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes",
            stated(|stat| (stat.rss * page_size()) as f64),
        )?;
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes",
            stated(|stat| stat.vsize as f64),
        )?;
        gauge(
            "process_threads",
            "Number of threads of the process",
            stated(|stat| stat.num_threads as f64),
        )?;
        gauge(
            "process_open_fds",
            "Number of open file descriptors",
            of(|process| Some(process.fd_count().ok()? as f64)),
        )?;
        gauge(
            "process_max_fds",
            "Maximum number of open file descriptors",
            of(
                |process| match process.limits().ok()?.max_open_files.soft_limit {
                    LimitValue::Unlimited => None,
                    LimitValue::Value(most) => Some(most as f64),
                },
            ),
        )?;
        gauge(
            "process_start_time_seconds",
            "Start time of the process since the Unix epoch in seconds",
            self.started,
        )?;
        let Some(spent) = stated(|stat| (stat.utime + stat.stime) as f64) else {
            return Ok(());
        };
        let help = "Total user and system processor time spent in seconds";
        let encoder =
            encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(spent / ticks_per_second() as f64).encode(encoder)
    }
}
