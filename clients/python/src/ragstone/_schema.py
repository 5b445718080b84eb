"""What a collection is: its vectors, fields and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ragstone import v1
from ragstone._enums import number, word
from ragstone._inference import ModelInfo, read_model_info
from ragstone._values import FieldType

Metric: TypeAlias = Literal["cosine", "dot", "l2"]
"""How near two vectors are: cosine (-1 to 1) or inner product, larger is nearer; Euclidean distance, smaller is nearer."""
Element: TypeAlias = Literal["f32", "f16"]
"""How a component of a stored vector is kept: 32-bit floats as they are written, or half the room."""
Encoding: TypeAlias = Literal["f32", "f16", "int8", "int4", "bit1"]
"""How vectors are kept for the walk over the graph; the stored vectors decide on the order of results. `int4` is the fastest."""


@dataclass(slots=True)
class Graph:
    """The shape of a graph: links of a node (4 to 256), and the width of the walk that finds a new node's neighbours (1 to 100,000)."""

    degree: int = 32
    ef_construction: int = 128


@dataclass(slots=True)
class Chunks:
    """How documents are split: tokens of a chunk at most (16 to 65,536), and tokens that neighbours share which were cut out of one long text."""

    tokens: int = 240
    overlap: int | None = None


@dataclass(slots=True)
class DenseVector:
    """A dense vector of a collection, found through a graph."""

    dimension: int
    metric: Metric = "cosine"
    element: Element = "f32"
    encoding: Encoding = "int4"
    walk_dimension: int | None = None
    """Walk on the first components only, for models whose vectors may be cut."""
    graph: Graph | None = None


@dataclass(slots=True)
class SparseVectors:
    """A sparse vector of a collection, searched exactly by the inner product."""


@dataclass(slots=True)
class MultiVectors:
    """A multi-vector of a collection, searched exactly, by MaxSim."""

    dimension: int
    metric: Literal["cosine", "dot"] = "cosine"
    element: Element = "f32"


VectorOptions: TypeAlias = DenseVector | SparseVectors | MultiVectors


@dataclass(slots=True)
class CollectionInfo:
    """A collection as it is."""

    name: str
    metric: Metric
    dimension: int
    """Components of a vector; 0 without a default vector."""
    model: ModelInfo | None
    """The embedding model's contract; None if vectors are the user's own."""
    fields: dict[str, FieldType]
    """The payload fields, declared or written."""
    strict: bool
    """Whether a write with an undeclared field is refused."""
    points: int
    """Live points. Documents and their chunks are points too."""
    vectors_count: int
    """Live points that have a vector."""
    segments: int
    seq: int
    """Number of the last applied write."""
    vectors: dict[str, VectorOptions]
    """All its vectors by name, the default one under the empty name."""
    texts: dict[str, str]
    """The fields with a text index, and their analysers."""
    tenant: str | None
    """The field whose value is a point's tenant."""
    chunks: Chunks | None
    """How documents are split; None without a model."""
    analyzer: str
    """How the texts of chunks become words; empty without a model."""
    etag: str
    """Stands for what the collection is, but not for its points."""


@dataclass(slots=True)
class Alias:
    """A further name of a collection."""

    alias: str
    collection: str


def metric_number(metric: str | None) -> v1.Metric:
    """A metric on the wire."""
    return number(v1.Metric, "METRIC", metric, "metric")  # type: ignore[no-any-return]


def element_number(element: str | None) -> v1.ElementType:
    """A type of components on the wire."""
    return number(v1.ElementType, "ELEMENT_TYPE", element, "element")  # type: ignore[no-any-return]


def encoding_number(encoding: str | None) -> v1.Encoding:
    """An encoding on the wire."""
    return number(v1.Encoding, "ENCODING", encoding, "encoding")  # type: ignore[no-any-return]


def field_types(fields: Mapping[str, FieldType] | None) -> dict[str, v1.FieldType]:
    """Fields with their types on the wire."""
    return {name: number(v1.FieldType, "FIELD_TYPE", kind, f"fields.{name}") for name, kind in (fields or {}).items()}


def text_indexes(texts: Mapping[str, str] | Sequence[str] | None) -> dict[str, v1.TextIndex]:
    """Text fields with their analysers on the wire; `english` where none is said."""
    if texts is None:
        return {}
    if isinstance(texts, str):
        texts = [texts]
    analyzers = texts if isinstance(texts, Mapping) else dict.fromkeys(texts, "")
    return {name: v1.TextIndex(analyzer=analyzer) for name, analyzer in analyzers.items()}


def graph(options: Graph | None) -> v1.GraphOptions | None:
    """The shape of a graph on the wire."""
    if options is None:
        return None
    return v1.GraphOptions(degree=options.degree, ef_construction=options.ef_construction)


def chunks(options: Chunks | None) -> v1.ChunkOptions | None:
    """How documents are split, on the wire."""
    return None if options is None else v1.ChunkOptions(tokens=options.tokens, overlap=options.overlap)


def vector_options(options: VectorOptions) -> v1.VectorOptions:
    """A vector of a collection on the wire."""
    if isinstance(options, DenseVector):
        dense = v1.DenseVectorOptions(
            dimension=options.dimension,
            metric=metric_number(options.metric),
            element=element_number(options.element),
            encoding=encoding_number(options.encoding),
            walk_dimension=options.walk_dimension,
            graph=graph(options.graph),
        )
        return v1.VectorOptions(dense=dense)
    if isinstance(options, MultiVectors):
        metric, element = metric_number(options.metric), element_number(options.element)
        multi = v1.MultiVectorOptions(dimension=options.dimension, metric=metric, element=element)
        return v1.VectorOptions(multi=multi)
    if isinstance(options, SparseVectors):
        return v1.VectorOptions(sparse=v1.SparseVectorOptions())
    raise TypeError(f"a vector is DenseVector, SparseVectors or MultiVectors, and this is {type(options).__name__}")


def _read_vector(wire: v1.VectorOptions) -> VectorOptions:
    kind = wire.WhichOneof("kind")
    if kind == "sparse":
        return SparseVectors()
    if kind == "multi":
        multi = wire.multi
        metric, element = word(v1.Metric, "METRIC", multi.metric), word(v1.ElementType, "ELEMENT_TYPE", multi.element)
        return MultiVectors(multi.dimension, metric, element)
    dense = wire.dense
    return DenseVector(
        dimension=dense.dimension,
        metric=word(v1.Metric, "METRIC", dense.metric),
        element=word(v1.ElementType, "ELEMENT_TYPE", dense.element),
        encoding=word(v1.Encoding, "ENCODING", dense.encoding),
        walk_dimension=dense.walk_dimension if dense.HasField("walk_dimension") else None,
        graph=Graph(dense.graph.degree, dense.graph.ef_construction) if dense.HasField("graph") else None,
    )


def read_collection(wire: v1.Collection) -> CollectionInfo:
    """A collection that was read."""
    chunking = None
    if wire.HasField("chunks"):
        chunking = Chunks(wire.chunks.tokens, wire.chunks.overlap if wire.chunks.HasField("overlap") else None)
    return CollectionInfo(
        name=wire.name,
        metric=word(v1.Metric, "METRIC", wire.metric),
        dimension=wire.dimension,
        model=read_model_info(wire.model) if wire.HasField("model") else None,
        fields={name: word(v1.FieldType, "FIELD_TYPE", wire.fields[name]) for name in sorted(wire.fields)},
        strict=wire.strict,
        points=wire.points,
        vectors_count=wire.vectors,
        segments=wire.segments,
        seq=wire.seq,
        vectors={name: _read_vector(wire.vector_options[name]) for name in sorted(wire.vector_options)},
        texts={name: wire.texts[name].analyzer for name in sorted(wire.texts)},
        tenant=wire.tenant or None,
        chunks=chunking,
        analyzer=wire.analyzer,
        etag=wire.etag,
    )
