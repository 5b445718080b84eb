//! Milliseconds of each stage.

use std::time::Instant;

/// The stages done so far, in order.
pub(super) struct Stages {
    began: Instant,
    last: Instant,
    timings_ms: Vec<(&'static str, f64)>,
}

impl Stages {
    pub(super) fn begin() -> Stages {
        let now = Instant::now();
        Stages { began: now, last: now, timings_ms: Vec::new() }
    }

    /// A stage ends, and the next one begins.
    pub(super) fn end(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.timings_ms.push((stage, milliseconds(self.last, now)));
        self.last = now;
    }

    /// What was measured.
    pub(super) fn finish(self) -> Vec<(&'static str, f64)> {
        self.timings_ms
    }

    /// What was measured, and the whole as `total`.
    pub(super) fn finish_with_total(mut self) -> Vec<(&'static str, f64)> {
        self.timings_ms.push(("total", milliseconds(self.began, Instant::now())));
        self.timings_ms
    }
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    (to - from).as_secs_f64() * 1e3
}
