//! The wire API of Ragstone: messages, clients and servers generated from `ragstone/v1/*.proto`, where every call and
//! field is described with its shape, unit, limit and errors.
//!
//! Nothing here is written by hand but the codec of the generated clients and servers (`codec.rs`), which makes room for
//! a whole message before it writes it; the bytes are those that prost writes, and it reads them. Nothing else in Ragstone
//! names a wire type except the server's `convert/` and handlers and the inside of `ragstone-client`.

mod codec;

/// Package `ragstone.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_lazy_continuation,
    reason = "generated; the descriptions stand in the .proto files, whose lists lose their indentation; oneofs and service plumbing have none"
)]
pub mod v1 {
    tonic::include_proto!("ragstone.v1");

    /// The encoded `FileDescriptorSet` of the package, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("ragstone_v1");

    /// The domain of every `google.rpc.ErrorInfo` that Ragstone gives.
    pub const ERROR_DOMAIN: &str = "ragstone";
}
