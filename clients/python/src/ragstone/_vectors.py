"""Vectors: from whatever holds numbers to packed 32-bit floats, and back.

The wire has the components of a vector packed, little-endian, as memory has them. A C-contiguous buffer of 32-bit floats (NumPy's, an
`array.array('f')`, a `memoryview`) is therefore sent as it lies: it is copied once, into the message, or goes beside it (`_columns.py`). Anything else
is converted first, by NumPy's own `astype` where the object has that. NumPy itself is not imported.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ragstone import v1

VectorLike: TypeAlias = Any
"""One vector: a sequence of numbers, or a one-dimensional buffer of them, such as a NumPy array."""

Components: TypeAlias = "array[float]"
"""The components of a vector that was read: 32-bit floats, which NumPy takes as they lie."""

_IS_LITTLE = sys.byteorder == "little"
_VALUES = b"\x0a"
"""The key of `Vector.values`: field 1, with a length."""


@dataclass(slots=True)
class SparseVector:
    """A vector of which few components are not zero: their numbers, ascending and each once, and they themselves, finite."""

    indices: Sequence[int]
    values: Sequence[float]


@dataclass(slots=True)
class MultiVector:
    """Many vectors of one row, one for each token: 1 to 1,024 of the same dimension."""

    vectors: Sequence[VectorLike]


def packed(vector: VectorLike) -> bytes | memoryview:
    """The components as packed little-endian 32-bit floats: the vector's own memory, where it lies so.

    Raises `TypeError` for what is no vector.
    """
    vector = _unframed(vector)
    view = _view(vector)
    if view is not None and view.ndim == 1 and view.format == "f" and view.c_contiguous and _IS_LITTLE:
        return view.cast("B")
    if view is not None and view.ndim != 1:
        raise TypeError(f"a vector has one dimension, and this one has {view.ndim}")
    if hasattr(vector, "astype") and not _has_gaps(vector):
        return _floats(vector).cast("B")
    if hasattr(vector, "tolist"):
        vector = vector.tolist()
    return _converted(vector)


def _floats(array: Any) -> memoryview:
    """NumPy's array of another type or layout. It makes floats also of complex numbers, moments and texts, which are refused here."""
    if getattr(getattr(array, "dtype", None), "kind", "") in ("c", "M", "m", "S", "U"):
        raise TypeError(f"a vector is a sequence of numbers, and this array is of the type {array.dtype}")
    return memoryview(array.astype("<f4", order="C"))


def _converted(vector: VectorLike) -> bytes:
    if isinstance(vector, (str, bytes, bytearray, dict)):
        raise TypeError(f"a vector is a sequence of numbers, and this is {type(vector).__name__}")
    try:
        components = array("f", vector)
    except TypeError as error:
        raise TypeError(f"a vector is a sequence of numbers: {error}") from None
    if not _IS_LITTLE:
        components.byteswap()
    return components.tobytes()


def _unframed(vector: Any) -> Any:
    """A column, a row or a frame of pandas's as NumPy's array; anything else as it is."""
    return vector.to_numpy() if hasattr(vector, "iloc") and hasattr(vector, "to_numpy") else vector


def _has_gaps(array: Any) -> bool:
    """Whether something of it is masked (`numpy.ma`): its memory has a number there, which is none of the array's."""
    return hasattr(array, "filled") and hasattr(array, "mask") and bool(array.mask.any())


def _view(vector: VectorLike) -> memoryview | None:
    if isinstance(vector, (bytes, bytearray)) or _has_gaps(vector):
        return None
    try:
        return memoryview(vector)
    except (TypeError, ValueError, BufferError):
        return None


def table(vectors: Any) -> memoryview | None:
    """A two-dimensional buffer whose rows are as `packed` has them, as it lies; None for whatever else, and for what has no components."""
    view = _view(vectors)
    if view is None or view.ndim != 2 or view.nbytes == 0:
        return None
    return view if view.format == "f" and view.c_contiguous and _IS_LITTLE else None


def numbers(ids: Any) -> memoryview | None:
    """A one-dimensional buffer of 64-bit integers, little-endian, as it lies; None for whatever else."""
    view = _view(ids)
    if view is None or view.ndim != 1 or view.itemsize != 8 or view.format not in ("l", "q", "L", "Q"):
        return None
    return view if view.c_contiguous and _IS_LITTLE else None


def rows(vectors: Any) -> Iterator[bytes | memoryview]:
    """The rows of a two-dimensional buffer, or of a sequence of vectors, each as `packed` has it."""
    vectors = _unframed(vectors)
    view = _view(vectors)
    if view is None or view.ndim != 2:
        yield from map(packed, vectors)
        return
    if not (view.format == "f" and view.c_contiguous and _IS_LITTLE):
        if not hasattr(vectors, "astype"):
            yield from map(packed, view.tolist())
            return
        view = _floats(vectors)
    count, dimension = view.shape or (0, 0)
    if count == 0 or dimension == 0:
        # Nothing that could be cast.
        yield from [b""] * count
        return
    flat, width = view.cast("B"), dimension * 4
    for row in range(count):
        yield flat[row * width : (row + 1) * width]


def dense_parts(components: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
    """A `Vector` message on the wire: what stands before its components, and these."""
    return _VALUES + varint(len(components)), components


def varint(number: int) -> bytes:
    """A number as the wire has it."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def set_dense(message: v1.Vector, vector: VectorLike) -> None:
    """Fills a `Vector`."""
    message.MergeFromString(b"".join(dense_parts(packed(vector))))
    message.SetInParent()


def set_sparse(message: v1.SparseVector, vector: SparseVector) -> None:
    """Fills a `SparseVector`."""
    message.indices.extend(map(int, vector.indices))
    message.values.extend(map(float, vector.values))
    message.SetInParent()


def set_multi(message: v1.MultiVector, vector: MultiVector) -> None:
    """Fills a `MultiVector`."""
    for row in rows(vector.vectors):
        message.vectors.add().MergeFromString(b"".join(dense_parts(row)))
    message.SetInParent()


def set_any(message: v1.AnyVector, vector: VectorLike | SparseVector | MultiVector) -> None:
    """Fills a vector of whatever kind."""
    if isinstance(vector, SparseVector):
        set_sparse(message.sparse, vector)
    elif isinstance(vector, MultiVector):
        set_multi(message.multi, vector)
    else:
        set_dense(message.dense, vector)


def dense(message: v1.Vector) -> array[float]:
    """The components of a vector that was read: 32-bit floats, which NumPy takes as they lie."""
    components = array("f")
    wire = message.SerializeToString()
    if wire:
        at = 1
        while wire[at] > 0x7F:
            at += 1
        components.frombytes(wire[at + 1 :])
        if not _IS_LITTLE:
            components.byteswap()
    return components


def any_vector(message: v1.AnyVector) -> array[float] | SparseVector | MultiVector:
    """A vector of whatever kind that was read."""
    kind = message.WhichOneof("kind")
    if kind == "sparse":
        return SparseVector(list(message.sparse.indices), list(message.sparse.values))
    if kind == "multi":
        return MultiVector([dense(vector) for vector in message.multi.vectors])
    return dense(message.dense)
