"""Streams that are none of Arrow's C interface: Arrow's reader panics at them, which is an error of the import, and the engine goes on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_int64, c_void_p
from typing import Any

import pyarrow as pa
import pytest
import ragstone
import ragstone_embedded

READ = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)


class Schema(ctypes.Structure):
    """The first of its parts."""

    _fields_ = [("format", c_char_p)]


class Array(ctypes.Structure):
    """The first of its parts."""

    _fields_ = [(name, c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")]


class Stream(ctypes.Structure):
    """See https://arrow.apache.org/docs/format/CStreamInterface.html."""

    _fields_ = [(name, READ) for name in ("get_schema", "get_next")] + [
        (name, c_void_p) for name in ("get_last_error", "release", "private_data")
    ]


class Broken:
    """A table, of whose stream one answer is changed."""

    def __init__(self, answer: str, change: Callable[[int], None]) -> None:
        self.answer, self.change = answer, change

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        table = pa.table({"id": ["a"], "vector": pa.array([[1.0, 0.0]], pa.list_(pa.float32(), 2))})
        capsule = table.__arrow_c_stream__(requested_schema)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = POINTER(Stream), [ctypes.py_object, c_char_p]
        stream = pointer(capsule, b"arrow_array_stream").contents
        # Where the function is, and not the place in the stream that it is taken from.
        whole = READ(ctypes.cast(getattr(stream, self.answer), c_void_p).value)

        def broken(of: int, out: int) -> int:
            code: int = whole(of, out)
            self.change(out)
            return code

        # Kept for as long as it may be called.
        self.broken = READ(broken)
        setattr(stream, self.answer, self.broken)
        return capsule


def no_format(schema: int) -> None:
    Schema.from_address(schema).format = None


def one_child(array: int) -> None:
    Array.from_address(array).n_children = 1


def test_what_is_none_of_the_interface_is_an_error() -> None:
    with ragstone.open(None) as client:
        with pytest.raises(ValueError, match="C interface"):
            ragstone_embedded.import_arrow(client, "rows", Broken("get_schema", no_format))
        assert not client.has_collection("rows")
        with pytest.raises(ragstone.RagstoneError) as raised:
            ragstone_embedded.import_arrow(client, "rows", Broken("get_next", one_child))
        assert raised.value.code == "INTERNAL"
        assert ragstone_embedded.import_arrow(client, "rows", Broken("get_next", lambda _: None)).rows == 1
