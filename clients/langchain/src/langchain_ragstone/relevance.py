"""Scores as LangChain wants them, from 0 to 1, and choices that are spread over what is different."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ragstone.frameworks import Metric


def cosine(score: float) -> float:
    """0 of opposite vectors, 0.5 of orthogonal ones, 1 of those of one direction."""
    return min(1.0, max(0.0, (score + 1.0) / 2.0))


def dot(score: float) -> float:
    """The logistic function, as an inner product has no bounds: 0.5 of orthogonal vectors."""
    return 1.0 / (1.0 + math.exp(-score)) if score > -700 else 0.0


def l2(score: float) -> float:
    """1 of equal vectors, less the greater their distance."""
    return 1.0 / (1.0 + score)


FUNCTIONS: dict[Metric, Callable[[float], float]] = {"cosine": cosine, "dot": dot, "l2": l2}


def spread(query: Sequence[float], vectors: Sequence[Any], k: int, weight: float) -> list[int]:
    """Chooses `k` of the vectors by maximal marginal relevance (Carbonell and Goldstein, 1998), and tells their places in that order.

    `weight` is that of nearness to the query, 1 less that of distance from what was chosen before; both are cosines. O(k n d).
    """
    if not len(vectors):
        return []
    rows = np.asarray([np.asarray(vector, dtype=np.float32) for vector in vectors])
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    asked = np.asarray(query, dtype=np.float32)
    near = rows @ (asked / max(float(np.linalg.norm(asked)), 1e-12))
    chosen: list[int] = []
    alike = np.full(len(rows), -np.inf, dtype=np.float32)
    while len(chosen) < min(k, len(rows)):
        value = near if not chosen else weight * near - (1.0 - weight) * alike
        value = value.copy()
        value[chosen] = -np.inf
        chosen.append(int(np.argmax(value)))
        alike = np.maximum(alike, rows @ rows[chosen[-1]])
    return chosen
