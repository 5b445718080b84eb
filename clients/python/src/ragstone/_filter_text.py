"""Filters as people write them: `lang = "en" and year >= 2020 and not (draft = true)`, read and printed.

The grammar is the engine's (`Filter::parse` of the crate `ragstone`), which the command line speaks too: recursive descent, a
method a rule. The server takes trees only, so the text is read here. Cost: some microseconds for a condition.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import NoReturn, TypeVar

from ragstone import v1
from ragstone._values import Value, microseconds, moment, read_value
from ragstone.filters import F, Filter

T = TypeVar("T")

_DEPTH_MAX = 32
_TOKEN = re.compile(
    r"""\s*(?:(?P<end>\Z)
    |(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)
    |(?P<number>[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[^\W\d][\w.-]*)
    |(?P<symbol>==|!=|<>|<=|>=|[=<>(),]))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "`": "`", "n": "\n", "r": "\r", "t": "\t"}
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6})0*)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)


class FilterTextError(ValueError):
    """A filter's text that does not read; `column` counts from 1."""

    def __init__(self, reason: str, text: str, at: int) -> None:
        """Points at a place of the text."""
        self.reason = reason
        self.column = at + 1
        self._text = text
        super().__init__(f"{reason} (column {at + 1})\n  {text}\n  {' ' * at}^")

    def __reduce__(self) -> tuple[type[FilterTextError], tuple[str, str, int]]:
        """As it was made, which its message does not tell: pools of processes hand errors on."""
        return type(self), (self.reason, self._text, self.column - 1)


def parse(text: str) -> Filter:
    """Reads a whole text."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.advance()

    def advance(self) -> None:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            at = len(self.text) - len(self.text[self.at :].lstrip())
            unclosed = self.text[at] in "\"'`"
            self.fail(
                "expected a closing quote for this one" if unclosed else f"`{self.text[at]}` means nothing here", at
            )
        self.kind = match.lastgroup or "end"
        self.token = match.group(self.kind)
        self.start, self.at = match.start(self.kind), match.end()

    def fail(self, reason: str, at: int | None = None) -> NoReturn:
        raise FilterTextError(reason, self.text, self.start if at is None else at)

    def expected(self, what: str) -> NoReturn:
        self.fail(f"expected {what}, found {'the end' if self.kind == 'end' else f'`{self.token[:40]}`'}")

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.token.lower() == word

    def takes(self, *tokens: str) -> bool:
        """Reads over these words or symbols, if all of them come next."""
        kind, token, start, at = self.kind, self.token, self.start, self.at
        for expected in tokens:
            if self.kind not in ("word", "symbol") or self.token.lower() != expected:
                self.kind, self.token, self.start, self.at = kind, token, start, at
                return False
            self.advance()
        return True

    def needs(self, token: str) -> None:
        if not self.takes(token):
            self.expected(f"`{token}`")

    def nested(self, start: int, rule: Callable[[], T]) -> T:
        """Goes a level deeper, into what begins at `start`."""
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            self.fail(f"the filter is nested beyond the limit FILTER_DEPTH_MAX = {_DEPTH_MAX}", start)
        result = rule()
        self.depth -= 1
        return result

    def whole(self) -> Filter:
        filter = self.disjunction()
        if self.kind != "end":
            self.expected("`and`, `or` or the end")
        return filter

    def disjunction(self) -> Filter:
        filters = [self.conjunction()]
        while self.takes("or"):
            filters.append(self.conjunction())
        return filters[0] if len(filters) == 1 else Filter.any(filters)

    def conjunction(self) -> Filter:
        filters = [self.negation()]
        while self.takes("and"):
            filters.append(self.negation())
        return filters[0] if len(filters) == 1 else Filter.all(filters)

    def negation(self) -> Filter:
        start = self.start
        return ~self.nested(start, self.negation) if self.takes("not") else self.primary()

    def primary(self) -> Filter:
        start = self.start
        if self.takes("("):
            filter = self.nested(start, self.disjunction)
            if not self.takes(")"):
                self.expected("`and`, `or` or `)`")
            return filter
        if self.takes("all", "of"):
            return Filter.all(self.nested(start, lambda: self.several(self.disjunction)))
        if self.takes("any", "of"):
            return Filter.any(self.nested(start, lambda: self.several(self.disjunction)))
        if self.takes("all", "tenants"):
            return Filter.all_tenants()
        return self.condition()

    def condition(self) -> Filter:
        is_name = self.kind == "quoted" and self.token.startswith("`")
        if not is_name and (self.kind != "word" or self.token.lower() in ("and", "or", "not")):
            self.expected("a condition")
        name = self.unquoted() if is_name else self.token
        self.advance()
        field = F[name]
        if self.takes("=") or self.takes("=="):
            return field == self.value()
        if self.takes("!=") or self.takes("<>"):
            return field != self.value()
        if self.kind == "symbol" and self.token in _BOUNDS:
            return self.range(name)
        if self.takes("is", "not", "null"):
            return field.exists()
        if self.takes("is", "null"):
            return ~field.exists()
        is_negated = self.takes("not")
        filter = self.worded(name)
        return ~filter if is_negated else filter

    def worded(self, name: str) -> Filter:
        field = F[name]
        if self.takes("in"):
            return field.in_(self.several(self.value))
        if self.takes("between"):
            low = self.value()
            self.needs("and")
            return field.between(low, self.value())
        if self.takes("contains", "any"):
            return field.contains(self.several(self.string))
        if self.takes("contains"):
            return field.contains(self.string())
        if self.takes("prefix"):
            return field.prefix(self.string())
        if self.takes("match"):
            return field.match(self.string())
        if self.takes("exists"):
            return field.exists()
        if self.takes("within"):
            return self.within(name)
        self.expected("an operator: = != < <= > >= in between contains prefix match exists is within")

    def within(self, name: str) -> Filter:
        distance = self.number("a distance")
        unit_m = 1_000.0 if self.takes("km") else 1.0
        if unit_m == 1.0 and not self.takes("m"):
            self.expected("`m` or `km`")
        self.needs("of")
        self.needs("(")
        lat = self.number("degrees of latitude")
        self.needs(",")
        lon = self.number("degrees of longitude")
        self.needs(")")
        return F[name].within(lat, lon, distance * unit_m)

    def range(self, name: str) -> Filter:
        bounds: dict[str, Value] = {}
        while True:
            symbol = self.token
            if symbol in bounds:
                self.fail(f"a second bound with {symbol}")
            self.advance()
            bounds[symbol] = self.value()
            if not self.bound_follows():
                break
            self.needs("and")
        filters = [_BOUNDS[symbol](name, value) for symbol, value in bounds.items()]
        wire = filters[0].wire
        for filter in filters[1:]:
            wire.MergeFrom(filter.wire)
        return Filter(wire)

    def bound_follows(self) -> bool:
        """Whether `and` and another comparison come next."""
        kind, token, start, at = self.kind, self.token, self.start, self.at
        follows = self.takes("and") and self.kind == "symbol" and self.token in _BOUNDS
        self.kind, self.token, self.start, self.at = kind, token, start, at
        return follows

    def number(self, what: str) -> float:
        if self.kind != "number":
            self.expected(what)
        number = float(self.token)
        if not math.isfinite(number):
            self.fail("this number is beyond 64 bits")
        self.advance()
        return number

    def value(self) -> Value:
        if self.kind == "number":
            is_float = any(mark in self.token for mark in ".eE")
            value: Value = self.number("a number") if is_float else int(self.token)
            if not is_float:
                self.advance()
            return value
        if self.kind == "quoted":
            return self.string()
        if self.is_word("true") or self.is_word("false"):
            value = self.is_word("true")
            self.advance()
            return value
        if self.takes("timestamp"):
            return self.timestamp()
        if self.kind == "word" and self.token.lower() not in ("and", "or"):
            self.fail(f'expected a value, found `{self.token}`: a string is written "{self.token}"')
        self.expected("a value")

    def timestamp(self) -> datetime:
        if self.kind == "number":
            digits = self.token
            self.advance()
            return moment(int(digits))
        start = self.start
        text = self.string() if self.kind == "quoted" else self.expected("a time as text, or microseconds since 1970")
        read = _time(text)
        if read is None:
            self.fail(
                'a time is written "2024-05-01" or "2024-05-01T12:00:00Z", with six digits of a second at most', start
            )
        return read

    def string(self) -> str:
        if self.kind != "quoted" or self.token.startswith("`"):
            self.expected("a string")
        text = self.unquoted()
        self.advance()
        return text

    def unquoted(self) -> str:
        def character(match: re.Match[str]) -> str:
            if match[1]:
                return chr(int(match[1], 16))
            return _ESCAPES[match[2]]

        try:
            return _ESCAPE.sub(character, self.token[1:-1])
        except (KeyError, ValueError):
            self.fail(r"""expected one of the escapes \\ \" \' \` \n \r \t \u{1f600}""")

    def several(self, item: Callable[[], T]) -> list[T]:
        self.needs("(")
        items: list[T] = []
        if self.takes(")"):
            return items
        while True:
            items.append(item())
            if not self.takes(","):
                if not self.takes(")"):
                    self.expected("`,` or `)`")
                return items


_BOUNDS: dict[str, Callable[[str, Value], Filter]] = {
    "<": lambda name, value: F[name] < value,
    "<=": lambda name, value: F[name] <= value,
    ">": lambda name, value: F[name] > value,
    ">=": lambda name, value: F[name] >= value,
}


def _time(text: str) -> datetime | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    written = f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}.{(fraction or '0').ljust(6, '0')}"
    try:
        read = datetime.fromisoformat(written + (zone if zone and zone not in "Zz" else "+00:00"))
        return read.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def display(wire: v1.Filter) -> str:
    """A filter in the words of `parse`."""
    kind = wire.WhichOneof("condition")
    if kind is None:
        return "nothing"
    condition = getattr(wire, kind)
    if kind in ("and", "or"):
        if len(condition.filters) < 2:
            inner = ", ".join(map(display, condition.filters))
            return f"{'all' if kind == 'and' else 'any'} of ({inner})"
        return f" {kind} ".join(_grouped(filter, kind) for filter in condition.filters)
    if kind == "not":
        return f"not ({display(condition.filter)})"
    if kind == "all_tenants":
        return "all tenants"
    return f"{_name(condition.field)} {_condition(kind, wire)}"


def _grouped(wire: v1.Filter, kind: str) -> str:
    inner = wire.WhichOneof("condition")
    text = display(wire)
    return f"({text})" if inner in ("and", "or") and not (kind == "or" and inner == "and") else text


def _condition(kind: str, wire: v1.Filter) -> str:
    if kind == "eq":
        return f"= {_literal(wire.eq.value)}"
    if kind == "in":
        return f"in ({', '.join(map(_literal, getattr(wire, 'in').values))})"
    if kind == "range":
        symbols = [("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")]
        set_ones = [(name, symbol) for name, symbol in symbols if wire.range.HasField(name)]
        return " and ".join(f"{symbol} {_literal(getattr(wire.range, name))}" for name, symbol in set_ones)
    if kind == "contains":
        return f"contains any ({', '.join(map(_quoted, wire.contains.values))})"
    if kind == "prefix":
        return f"prefix {_quoted(wire.prefix.prefix)}"
    if kind == "match":
        return f"match {_quoted(wire.match.text)}"
    if kind == "geo_radius":
        center = wire.geo_radius.center
        return f"within {wire.geo_radius.metres!r} m of ({center.lat!r}, {center.lon!r})"
    return kind


def _literal(wire: v1.Value) -> str:
    value = read_value(wire)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"timestamp {microseconds(value)}"
    if isinstance(value, (int, float)):
        return repr(value)
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str, quote: str = '"') -> str:
    special = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": "\\\\", quote: "\\" + quote}
    return quote + "".join(special.get(character, character) for character in text) + quote


def _name(name: str) -> str:
    keywords = ("and", "or", "not", "all", "any")
    is_plain = re.fullmatch(r"[^\W\d][\w.-]*", name) is not None and name.lower() not in keywords
    return name if is_plain else _quoted(name, "`")
