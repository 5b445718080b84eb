//! What is known of a call before its handler is reached: whether its messages stream, either way.
//!
//! It is read off the descriptors that reflection serves, so that no list has to be kept in step with the API; so is which
//! services there are, each of which has a health status.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use prost_types::FileDescriptorSet;

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

/// The calls that stream, by path; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<HashMap<String, Shape>>);

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
        let mut shapes = HashMap::new();
        for encoded in descriptors {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                for service in &file.service {
                    let streaming = service.method.iter().map(|method| {
                        let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                        let (client_streams, server_streams) =
                            (method.client_streaming(), method.server_streaming());
                        (path, Shape { client_streams, server_streams })
                    });
                    shapes.extend(streaming.filter(|(_, shape)| shape.streams()));
                }
            }
        }
        Ok(Calls(Arc::new(shapes)))
    }

    /// One call of a shape.
    #[cfg(test)]
    pub(crate) fn with(path: &str, shape: Shape) -> Calls {
        Calls(Arc::new(HashMap::from([(path.to_owned(), shape)])))
    }

    /// The shape of a call; of one that is not known, a question and its answer.
    pub(crate) fn shape(&self, path: &str) -> Shape {
        self.0.get(path).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_known_by_their_path() {
        let calls = Calls::of(&[
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ])
        .unwrap();
        let watch = Shape { client_streams: false, server_streams: true };
        let both = Shape { client_streams: true, server_streams: true };
        assert_eq!(calls.shape("/grpc.health.v1.Health/Watch"), watch);
        assert_eq!(calls.shape("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), both);
        for one in ["/grpc.health.v1.Health/Check", "/nobody/knows", ""] {
            assert_eq!(calls.shape(one), Shape::default(), "{one}");
        }
        assert!(Calls::of(&[b"\xff"]).is_err());
    }
}
