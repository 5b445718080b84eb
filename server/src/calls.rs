//! What is known of a call before its handler is reached: whether its messages stream, either way, what it does, what its requests consist of, and what
//! it is counted by. It is looked up once, by its path.
//!
//! It is read off the descriptors that reflection serves, so that no list has to be kept in step with the API; so is which
//! services there are, each of which has a health status.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tracing::Span;

use crate::elements::{Scan, Shapes};
use crate::metrics::Series;
use crate::work::Kind;

/// What a method is counted under that the server does not have: callers may name any.
const UNKNOWN: &str = "unknown";

/// Bytes that are logged of the path of such a method. Whoever has no credentials may name one of kilobytes, call after call, and sends it
/// once: HTTP/2 remembers headers that come again.
const OTHER_BYTES_MAX: usize = 256;

/// Which of a call's sides are streams of messages; by default neither is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The caller sends any number of messages.
    pub(crate) client_streams: bool,
    /// The server answers with any number of messages.
    pub(crate) server_streams: bool,
}

impl Shape {
    /// Whether the call may last, rather than be a question and its answer.
    pub(crate) fn streams(self) -> bool {
        self.client_streams || self.server_streams
    }
}

/// A method; one stands for all that there are not.
#[derive(Debug)]
struct Method {
    path: String,
    shape: Shape,
    kind: Option<Kind>,
    /// What counts the parts of its requests.
    scan: Option<Scan>,
    series: Series,
    /// The span that its calls are logged in, once somebody logs.
    span: OnceLock<Span>,
}

impl Method {
    fn new(path: String, shape: Shape, scan: Option<Scan>, series: Series) -> Method {
        Method { kind: Kind::of(&path), path, shape, scan, series, span: OnceLock::new() }
    }
}

/// The method of a call.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    method: Arc<Method>,
    /// The beginning of what the caller named, where there is no such method.
    other: Option<String>,
    kind: Option<Kind>,
}

impl Called {
    /// Its path, or the beginning of what the caller named.
    pub(crate) fn path(&self) -> &str {
        self.other.as_deref().unwrap_or(&self.method.path)
    }

    /// Its path, if there is such a method.
    pub(crate) fn known(&self) -> Option<&str> {
        self.other.is_none().then_some(self.method.path.as_str())
    }

    /// Which of its sides are streams; of one that there is not, it is a question and its answer.
    pub(crate) fn shape(&self) -> Shape {
        self.method.shape
    }

    /// What it does, if it takes a place for that.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// What counts the parts of its requests, if they have any.
    pub(crate) fn scan(&self) -> Option<Scan> {
        self.method.scan.clone()
    }

    /// The span that it is logged in: one for all calls of a method, as it says nothing else of them. To make one for each, and to write the method into it,
    /// takes a microsecond, and few of them log anything.
    pub(crate) fn span(&self) -> Span {
        let made = || tracing::info_span!("rpc", method = self.path());
        // A part of another span is that of one call.
        if self.other.is_some() || !Span::current().is_none() {
            return made();
        }
        if let Some(span) = self.method.span.get() {
            return span.clone();
        }
        let span = made();
        // Where nobody logs yet, somebody may later.
        if span.is_disabled() { span } else { self.method.span.get_or_init(|| span).clone() }
    }

    /// What it is counted by.
    pub(crate) fn series(&self) -> &Series {
        &self.method.series
    }
}

/// The methods that there are, by path; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Calls(Arc<Methods>);

#[derive(Debug)]
struct Methods {
    known: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
}

/// The services of an encoded `FileDescriptorSet`, with their package.
///
/// # Errors
/// It is none.
pub(crate) fn services(descriptors: &[u8]) -> Result<Vec<String>, prost::DecodeError> {
    let files = FileDescriptorSet::decode(descriptors)?.file;
    let names = files
        .iter()
        .flat_map(|file| file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())));
    Ok(names.collect())
}

impl Calls {
    /// Of some encoded `FileDescriptorSet`s.
    ///
    /// # Errors
    /// One of them is none.
    pub(crate) fn of(descriptors: &[&[u8]]) -> Result<Calls, prost::DecodeError> {
        let shapes = Arc::new(Shapes::of(descriptors)?);
        let mut methods = Vec::new();
        for encoded in descriptors {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                for service in &file.service {
                    let name = format!("{}.{}", file.package(), service.name());
                    methods.extend(service.method.iter().map(|method| {
                        let path = format!("/{name}/{}", method.name());
                        let (client_streams, server_streams) =
                            (method.client_streaming(), method.server_streaming());
                        let shape = Shape { client_streams, server_streams };
                        let (scan, series) = (shapes.of_request(&path), Series::new(&name, method.name()));
                        Method::new(path, shape, scan, series)
                    }));
                }
            }
        }
        Ok(Calls::all(methods))
    }

    fn all(methods: Vec<Method>) -> Calls {
        let known = methods.into_iter().map(|method| (method.path.clone(), Arc::new(method))).collect();
        let series = Series::new(UNKNOWN, UNKNOWN);
        let unknown = Method::new(String::new(), Shape::default(), None, series);
        Calls(Arc::new(Methods { known, unknown: Arc::new(unknown) }))
    }

    /// One call of a shape.
    #[cfg(test)]
    pub(crate) fn with(path: &str, shape: Shape) -> Calls {
        let series = Series::new(UNKNOWN, UNKNOWN);
        Calls::all(vec![Method::new(path.to_owned(), shape, None, series)])
    }

    /// The method of a call.
    pub(crate) fn method(&self, path: &str) -> Called {
        match self.0.known.get(path) {
            Some(method) => Called { method: Arc::clone(method), other: None, kind: method.kind },
            None => {
                let named = &path[..path.floor_char_boundary(OTHER_BYTES_MAX)];
                let method = Arc::clone(&self.0.unknown);
                Called { method, other: Some(named.to_owned()), kind: Kind::of(path) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::lines::Lines;

    #[test]
    fn methods_are_known_by_their_path() {
        let calls = Calls::of(&[
            ragstone_proto::v1::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ])
        .unwrap();
        let shape = |path: &str| calls.method(path).shape();
        let watch = Shape { client_streams: false, server_streams: true };
        let both = Shape { client_streams: true, server_streams: true };
        assert_eq!(shape("/grpc.health.v1.Health/Watch"), watch);
        assert_eq!(shape("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), both);
        for one in ["/grpc.health.v1.Health/Check", "/nobody/knows", ""] {
            assert_eq!(shape(one), Shape::default(), "{one}");
        }
        let upsert = calls.method("/ragstone.v1.PointsService/UpsertPoints");
        assert_eq!((upsert.known(), upsert.kind()), (Some(upsert.path()), Some(Kind::Write)));
        assert!(upsert.scan().is_some());
        // It takes a place until it is known to be none, as it may be of who is not known either.
        let other = calls.method("/ragstone.v1.NoService/Query");
        assert_eq!((other.known(), other.kind()), (None, Some(Kind::Read)));
        assert_eq!((other.path(), other.scan().is_none()), ("/ragstone.v1.NoService/Query", true));
        assert_eq!(calls.method("/nobody/knows").kind(), None);
        assert!(Calls::of(&[b"\xff"]).is_err());
    }

    /// Each call without credentials wrote into the log, and twice, as much as a header may have.
    #[test]
    fn little_is_logged_of_a_method_that_there_is_not() {
        let long = format!("/ragstone.v1.{}/Query", "ä".repeat(OTHER_BYTES_MAX));
        let called = Calls::with("/x/Y", Shape::default()).method(&long);
        assert!(called.path().len() <= OTHER_BYTES_MAX && long.starts_with(called.path()));
        assert_eq!((called.known(), called.kind()), (None, Some(Kind::Read)), "it takes a place");
    }

    #[test]
    fn calls_of_a_method_are_logged_in_one_span_unless_they_are_part_of_another() {
        let lines = Lines::begin();
        let calls = Calls::with("/x/Y", Shape::default());
        let span = calls.method("/x/Y").span();
        assert_eq!(calls.method("/x/Y").span().id(), span.id());
        assert_ne!(calls.method("/x/Z").span().id(), span.id());
        span.in_scope(|| {
            assert_ne!(calls.method("/x/Y").span().id(), span.id());
            tracing::info!("one");
        });
        calls.method("/x/Z").span().in_scope(|| tracing::info!("other"));
        let text = lines.text();
        assert!(text.contains(r#"rpc{method="/x/Y"}"#) && text.contains(r#"rpc{method="/x/Z"}"#), "{text}");
    }
}
