//! What a collection is, for who changes or removes it only as it was read.

use ragstone::CollectionInfo;
use ragstone_rag::embed::ModelInfo;

use crate::convert;

/// Stands for what a collection is, its model and fields included, but not for its points: `Collection.etag` of the wire API.
pub fn etag(info: CollectionInfo, model: Option<ModelInfo>) -> String {
    convert::collection((info, model)).etag
}
