"""LlamaIndex's metadata filters as Ragstone's: every operator, nested conditions too.

What they mean is what LlamaIndex's own store has them mean (`build_metadata_filter_fn`), but for types that do not match: these are not equal
here and an error there. `TEXT_MATCH`, and `CONTAINS`, `ANY` and `ALL` of a string, look for parts of strings, which no index has: the field's
values are asked for, 10,000 different ones at most, and the filter names those that match. A field that is searched by word (such as `text`)
has `TEXT_MATCH` ask its index instead: for every word of the value, whatever its case and form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from llama_index.vector_stores.ragstone.nodes import DOCUMENT, DOCUMENT_NAMES
from ragstone import F, Facet, Filter
from ragstone.frameworks import EVERYTHING, NOTHING, Conditions, Rows, Steps

VALUES_MAX = 10_000
# By their values, as the first versions of LlamaIndex 0.12 don't have them yet.
NOT = "not"
TEXT_MATCH_INSENSITIVE = "text_match_insensitive"
BOUNDS = {
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
}


def read(filters: MetadataFilters, rows: Rows) -> Steps[Filter]:
    """The filter that these mean, in the fields that the collection has. Raises `CollectionNotFound`."""
    if not filters.filters:
        return EVERYTHING
    parts: list[Filter] = []
    for one in filters.filters:
        parts.append((yield from read(one, rows) if isinstance(one, MetadataFilters) else _read_one(one, rows)))
    if filters.condition == FilterCondition.OR:
        return Filter.any(parts)
    return ~Filter.any(parts) if filters.condition == NOT else Filter.all(parts)


def _read_one(filter: MetadataFilter, rows: Rows) -> Steps[Filter]:
    name, operator, value = filter.key, filter.operator, filter.value
    conditions: Conditions = yield from rows.conditions([name])
    if name in DOCUMENT_NAMES and name not in conditions.known:
        name = DOCUMENT
    values = value if isinstance(value, list) else [value]
    if operator in (FilterOperator.IN, FilterOperator.NIN):
        found = conditions.one_of(name, values)
        return ~found if operator == FilterOperator.NIN else found
    if operator == FilterOperator.IS_EMPTY:
        return ~conditions.exists(name) | conditions.equal(name, "")
    if operator in (FilterOperator.ANY, FilterOperator.ALL):
        return (yield from _holding(name, operator, values, conditions))
    if isinstance(value, list):
        raise ValueError(f"`{name} {operator.value}` takes one value, and this is a list: see in, any and all")
    if operator in (FilterOperator.EQ, FilterOperator.NE):
        found = conditions.equal(name, value)
        return ~found if operator == FilterOperator.NE else found
    if operator in BOUNDS:
        return conditions.bound(name, BOUNDS[operator], value)
    if operator == FilterOperator.CONTAINS:
        return (yield from _holding(name, FilterOperator.ALL, values, conditions))
    if operator in (FilterOperator.TEXT_MATCH, TEXT_MATCH_INSENSITIVE):
        return (yield from _matching(name, operator, value, rows))
    raise ValueError(f"`{name}`: Ragstone's store has no operator {operator}")


def _holding(name: str, operator: FilterOperator, values: list[Any], conditions: Conditions) -> Steps[Filter]:
    """The field, a list, holds any or all of these; or, a string, has them in it."""
    kind = conditions.known.get(name)
    is_any = operator == FilterOperator.ANY
    if kind == "strings":
        return conditions.one_of(name, values) if is_any else conditions.all_of(name, values)
    if kind != "string":
        return NOTHING
    parts = [str(value) for value in values]
    whether = any if is_any else all
    return (yield from _among_values(name, lambda text: whether(part in text for part in parts)))


def _matching(name: str, operator: FilterOperator, value: Any, rows: Rows) -> Steps[Filter]:
    """The field, a string, has this text in it, or its words."""
    if not isinstance(value, str):
        raise TypeError(f"`{name} {operator.value}` takes a string")
    if name in rows.texts:
        return F[name].match(value)
    if name not in rows.known:
        return NOTHING
    if rows.known[name] != "string":
        raise TypeError(
            f"`{name} {operator.value}`: the field is of the type {rows.known[name]}, and texts are of strings"
        )
    if operator == FilterOperator.TEXT_MATCH:
        return (yield from _among_values(name, lambda text: value in text))
    lower = value.lower()
    return (yield from _among_values(name, lambda text: lower in text.lower()))


def _among_values(name: str, passes: Callable[[str], bool]) -> Steps[Filter]:
    """The field is one of its values that pass."""
    facet: Facet = yield lambda collection: collection.facet(name, limit=VALUES_MAX)
    if facet.values > len(facet.counts):
        raise ValueError(
            f"`{name}` has {facet.values} different values, too many to look for parts of strings in; have it searched by word: "
            f"collection.add_fields(texts=[{name!r}])"
        )
    found = [str(count.value) for count in facet.counts if passes(str(count.value))]
    return F[name].in_(found) if found else NOTHING
