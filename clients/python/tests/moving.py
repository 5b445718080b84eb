"""What the tests of moving from other stores share: vectors, and how what came of them is compared."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

import ragstone

ROWS, DIMENSION = 60, 8
UTC = datetime.timezone.utc


def vectors(seed: int, rows: int = ROWS) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(rows, DIMENSION)).astype(np.float32)


QUERIES = vectors(99, 10)


def unit(vector: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(vector, dtype=np.float64)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def has_vectors(points: Mapping[Any, ragstone.Point], expected: Mapping[Any, Any], *, normalised: bool) -> None:
    for id, vector in expected.items():
        wanted = unit(vector) if normalised else np.asarray(vector)
        assert np.allclose(np.asarray(points[id].vector), wanted, atol=1e-6), id


def stored(collection: ragstone.Collection) -> dict[Any, ragstone.Point]:
    return {point.id: point for point in collection.scroll(with_vectors=True)}
