"""Filters as LangChain's users write them: dicts, beside Ragstone's own expressions and texts.

`{"lang": "en", "year": {"$gte": 2020}, "$or": [{"kind": "paper"}, {"tags": {"$contains": "new"}}]}`: what stands side by side holds together. The
operators are those that most of LangChain's stores share. A dict is lenient, as people expect of it there: a field that no row has
fails, an int is compared with floats. Ragstone's own filters are taken to the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ragstone import F, Filter
from ragstone.frameworks import NOTHING, Conditions, Rows, Steps

FilterLike: TypeAlias = Filter | str | Mapping[str, Any] | None
"""A Ragstone filter (`F.year >= 2020`), its text (`'year >= 2020'`), a dict, or None, which everything passes."""


def _values(name: str, operator: str, value: Any, count: int | None = None) -> list[Any]:
    """The operands of an operator that takes several. A text is one, though Python has it as a sequence of letters."""
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else None
    if values is None or (count is not None and len(values) != count):
        raise ValueError(
            f"`{name} {operator}` takes a list{f' of {count} values' if count else ''}, and this is {value!r}"
        )
    return values


def _between(conditions: Conditions, name: str, value: Any) -> Filter:
    low, high = _values(name, "$between", value, 2)
    return conditions.bound(name, ">=", low) & conditions.bound(name, "<=", high)


OPERATORS: dict[str, Callable[[Conditions, str, Any], Filter]] = {
    "$eq": lambda conditions, name, value: conditions.equal(name, value),
    "$ne": lambda conditions, name, value: ~conditions.equal(name, value),
    "$in": lambda conditions, name, value: conditions.one_of(name, _values(name, "$in", value)),
    "$nin": lambda conditions, name, value: ~conditions.one_of(name, _values(name, "$nin", value)),
    "$lt": lambda conditions, name, value: conditions.bound(name, "<", value),
    "$lte": lambda conditions, name, value: conditions.bound(name, "<=", value),
    "$gt": lambda conditions, name, value: conditions.bound(name, ">", value),
    "$gte": lambda conditions, name, value: conditions.bound(name, ">=", value),
    "$between": _between,
    "$contains": lambda conditions, name, value: conditions.equal(name, value),
    "$exists": lambda conditions, name, value: conditions.exists(name) if value else ~conditions.exists(name),
    "$prefix": lambda conditions, name, value: F[name].prefix(value) if name in conditions.known else NOTHING,
    "$match": lambda conditions, name, value: F[name].match(value) if name in conditions.known else NOTHING,
}


def names(filter: Mapping[str, Any]) -> set[str]:
    """The fields that a dict names."""
    found: set[str] = set()
    for name, value in filter.items():
        if name in ("$and", "$or"):
            found.update(*map(names, value))
        elif name == "$not":
            found |= names(value)
        else:
            found.add(name)
    return found


def read(filter: Mapping[str, Any], conditions: Conditions) -> Filter:
    """The filter that a dict means; raises `ValueError` for an operator that there is not."""
    return Filter.all(_read_one(name, value, conditions) for name, value in filter.items())


def of_rows(filter: FilterLike, rows: Rows) -> Steps[Filter | str | None]:
    """A filter of Ragstone's, of whatever form; of a dict, with the fields that the rows are known to have, or else are asked for."""
    if not isinstance(filter, Mapping):
        return filter
    return read(filter, (yield from rows.conditions(names(filter))))


def _read_one(name: str, value: Any, conditions: Conditions) -> Filter:
    if name == "$and":
        return Filter.all(read(one, conditions) for one in value)
    if name == "$or":
        return Filter.any(read(one, conditions) for one in value)
    if name == "$not":
        return ~read(value, conditions)
    if name.startswith("$"):
        raise ValueError(f"a filter has no operator `{name}` around fields; there are $and, $or and $not")
    if not isinstance(value, Mapping):
        return conditions.equal(name, value)
    for operator in value:
        if operator not in OPERATORS:
            raise ValueError(f"a filter has no operator `{operator}`; there are {', '.join(OPERATORS)}")
    return Filter.all(OPERATORS[operator](conditions, name, operand) for operator, operand in value.items())
