//! gRPC requests, counted.
//!
//! A request ends with its answer's trailers, which say how; in an answer without a body they are among its headers. One whose answer is
//! dropped before that was given up by its caller. Where both are known, the span of a request begins and ends, too.

use std::sync::OnceLock;
use std::time::Duration;

use http::HeaderMap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Families, Method, MethodCode, Metrics};
use crate::status::code_name;
use crate::telemetry::{Call, Traces};

/// How many codes there are.
const CODES: usize = 17;

/// Methods of other packages, which are health and reflection, are of no interest to who looks at traces.
const TRACED: &str = "ragstone.";

/// Counts, times and traces every request; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct GrpcMetrics {
    metrics: Metrics,
    traces: Traces,
}

impl GrpcMetrics {
    pub(crate) fn new(metrics: Metrics, traces: Traces) -> GrpcMetrics {
        GrpcMetrics { metrics, traces }
    }

    /// A request begins, for a method by its path, if there is such.
    pub(crate) fn begin(&self, method: Option<&str>, headers: &HeaderMap) -> Rpc {
        let call = match method.and_then(|path| path.strip_prefix('/')) {
            Some(method) if !method.starts_with(TRACED) => Call::default(),
            method => self.traces.rpc(headers, method),
        };
        self.metrics.shared.families.grpc_in_flight.inc();
        Rpc { metrics: self.metrics.clone(), code: Code::Cancelled, call }
    }
}

/// The series of a method, each looked up when it is first needed: a request makes no labels and takes no lock for them.
#[derive(Debug)]
pub(crate) struct Series {
    method: Method,
    seconds: OnceLock<Histogram>,
    /// By the number of the code.
    requests: [OnceLock<Counter>; CODES],
}

impl Series {
    pub(crate) fn new(service: &str, method: &str) -> Series {
        Series {
            method: Method { service: service.to_owned(), method: method.to_owned() },
            seconds: OnceLock::new(),
            requests: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// A request has ended.
    fn ended(&self, families: &Families, code: Code, seconds: f64) {
        let histogram = self.seconds.get_or_init(|| families.grpc_seconds.get_or_create_owned(&self.method));
        histogram.observe(seconds);
        let find = || {
            let Method { service, method } = self.method.clone();
            families.grpc_requests.get_or_create_owned(&MethodCode { service, method, code: code_name(code) })
        };
        if let Some(counter) = self.requests.get(code as usize) {
            counter.get_or_init(find).inc();
        }
    }
}

/// A request under way.
pub(crate) struct Rpc {
    metrics: Metrics,
    code: Code,
    call: Call,
}

impl Rpc {
    /// The call that its spans are of.
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// How it ends: with this code, as headers or trailers have it, which say why, too.
    pub(crate) fn ends(&mut self, code: Code, headers: &HeaderMap) {
        self.code = code;
        if code != Code::Ok {
            let details = Status::from_header_map(headers).map(|status| status.get_error_details());
            let reason = details.as_ref().and_then(|details| details.error_info());
            self.metrics.failed(reason.map(|info| info.reason.as_str()).unwrap_or_default());
        }
    }

    /// It is over, and took so long.
    pub(crate) fn ended(&self, series: &Series, took: Duration) {
        let families = &self.metrics.shared.families;
        families.grpc_in_flight.dec();
        self.call.answered_rpc(code_name(self.code));
        series.ended(families, self.code, took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What counts them has a place for each.
    #[test]
    fn every_code_has_its_number_and_its_name() {
        let names: Vec<&str> = (0..CODES as i32).map(|number| code_name(Code::from_i32(number))).collect();
        assert!((0..CODES).all(|number| Code::from_i32(number as i32) as usize == number));
        assert!(names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)), "{names:?}");
        assert_eq!(Code::from_i32(CODES as i32), Code::Unknown, "there is no further one");
    }
}
