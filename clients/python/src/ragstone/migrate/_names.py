"""Names and ids that Ragstone can have, of those that other stores let people choose. Pure."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any
from uuid import UUID

from ragstone._values import Id

NAME_BYTES_MAX = 128
ID_BYTES_MAX = 512
NUMBER_MAX = (1 << 64) - 1
OWN_IDS = ("doc:", "doc#")
"""What ids of ingested documents and their chunks begin with."""


def collection_name(name: str) -> str:
    """A letter or digit, then letters, digits, `_`, `.` and `-`: other characters become `-`.

    >>> collection_name("notes"), collection_name("My notes!"), collection_name("_x")
    ('notes', 'My-notes-', 'c_x')
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    name = name if re.match(r"[A-Za-z0-9]", name) else f"c{name}"
    return name[:NAME_BYTES_MAX]


def field_name(name: str, taken: Container[str]) -> str:
    """A field's name that is not taken: no leading `_`, no control characters, 128 bytes at most.

    >>> field_name("year", ()), field_name("_id", ()), field_name("", ()), field_name("a", ["a", "a-2"])
    ('year', 'field_id', 'field', 'a-3')
    """
    name = "".join(" " if _is_control(character) else character for character in name)
    if not name or name.startswith("_"):
        name = f"field{name}"
    name = _cut(name, NAME_BYTES_MAX)
    fitting, number = name, 1
    while fitting in taken:
        number += 1
        end = f"-{number}"
        fitting = _cut(name, NAME_BYTES_MAX - len(end)) + end
    return fitting


def row_id(id: Any) -> Id:
    """An id: unsigned integers and strings as they are, UUIDs and negative integers as strings. Raises `ValueError` for what is none.

    >>> row_id(7), row_id("a"), row_id(-1), row_id("doc:1"), row_id(UUID(int=5))
    (7, 'a', '-1', 'id:doc:1', '00000000-0000-0000-0000-000000000005')
    """
    if isinstance(id, int) and not isinstance(id, bool):
        return id if 0 <= id <= NUMBER_MAX else str(id)
    if isinstance(id, UUID):
        return str(id)
    if not isinstance(id, str):
        raise ValueError("no id" if id is None else f"an id of the type {type(id).__name__}")
    if not id:
        raise ValueError("an empty id")
    text: str = f"id:{id}" if id.startswith(OWN_IDS) else id
    if len(text.encode()) > ID_BYTES_MAX:
        raise ValueError(f"an id of more than {ID_BYTES_MAX} bytes")
    return text


def _is_control(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")
