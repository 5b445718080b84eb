"""LlamaIndex's nodes as rows, and back.

The whole node but its text and its embedding is kept as LlamaIndex writes it, so it comes back with its metadata, relationships and kind. Beside
that each entry of the metadata that a field can have is one, for filters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from ragstone import Hit, Point
from ragstone.frameworks import FieldType, columns

TEXT = "text"
ID = "node_id"
DOCUMENT = "ref_doc_id"
NODE = "node_content"
KIND = "node_type"
RESERVED = (TEXT, ID, DOCUMENT, NODE, KIND)
DOCUMENT_NAMES = ("doc_id", "document_id")
"""What other stores call the node's document; filters may, too."""


def points(nodes: Sequence[BaseNode], known: Mapping[str, FieldType]) -> list[Point]:
    """Nodes, which have their embeddings, as rows."""
    split = columns([node.metadata for node in nodes], known, RESERVED)
    return [_point(node, fields) for node, (fields, _) in zip(nodes, split, strict=True)]


def _point(node: BaseNode, fields: dict[str, Any]) -> Point:
    written = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
    own = {
        TEXT: node.get_content(metadata_mode=MetadataMode.NONE),
        ID: node.node_id,
        DOCUMENT: node.ref_doc_id,
        NODE: written["_node_content"],
        KIND: written["_node_type"],
    }
    return Point(node.node_id, node.get_embedding(), {**fields, **own})


def node(row: Hit | Point) -> BaseNode:
    """The node that a row holds."""
    payload: Mapping[str, Any] = row.payload
    return metadata_dict_to_node({"_node_content": payload[NODE], "_node_type": payload[KIND]}, text=payload[TEXT])
