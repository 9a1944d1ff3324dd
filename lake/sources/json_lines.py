"""JSON Lines: one object a line, its fields by name.

A field of the contract is the value under its name: a string as it is, a number as it is written (no digit of it is lost),
`true` and `false` as words, an object or array as compact JSON. `null` and a name that is not there are no value.
Options of the raw contract:
    unknown   what becomes of names that the contract lacks: `reject` (default), `ignore`, or {field: NAME}: that field gets
              them as one JSON object, null where there are none.
    encoding  default utf-8; bytes that are not: `encoding`, and the bytes are kept.
    longest   bytes of one line; default 16 MiB. A longer one is a reject, `too_long`, its first bytes are kept.
A line that is wrong is a reject, with the first of these reasons:
    empty_row             it is blank.
    json                  it is no JSON, or has something behind its value.
    not_an_object         its value is another one.
    duplicate_key:<name>  a name stands twice in one object, at any depth: readers differ in which of the two they take.
    key_case:<name>       a name differs from a field's in case only, whatever `unknown` says.
    unknown_key:<name>    the contract has no such field.
    not_json_number       NaN, Infinity, -Infinity: JSON has none of them.
    nul, surrogate        a string or name holds \\u0000, or half a pair of surrogates (\\ud800), which no text has.
    depth                 objects and arrays lie more than DEPTH levels within each other.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from lake.errors import ContractBroken
from lake.sources.records import Record, Row, check_options, longest, physical_lines

DEPTH = 100
"""Levels of objects and arrays: Python's parser ends in a RecursionError at some 1,000, sooner or later by what called it."""


def records(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "") -> Iterator[Record]:
    """Records of one file, in file order.

    Raises:
        ContractBroken: the options are wrong.
    """
    return (Record(*row) for row in rows(stream, options, fields, path))


def looks_ahead(options: Mapping[str, Any]) -> int:
    """0: of a file that grows only the last line may change."""
    return 0


def rows(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "", *, resumed: bool = False) -> Iterator[Row]:
    """The same as plain tuples; `resumed` at a record further down changes nothing here, and a file's path tells nothing of its records."""
    check_options(options, ("unknown",), "format json_lines")
    encoding, values = str(options.get("encoding", "utf-8")), Values(options, fields, "format json_lines")
    nothing: tuple[str | None, ...] = (None,) * len(fields)
    for ordinal, (offset, content, length, _) in enumerate(physical_lines(stream, longest(options))):
        found, problem = nothing, "too_long" if length > len(content) else None if content.strip() else "empty_row"
        if problem is None:
            try:
                found, problem = _fields(content.decode(encoding), values)
            except UnicodeDecodeError:
                problem = "encoding"
        yield ordinal, ordinal + 1, offset, length, 1, nothing if problem else found, problem, content


def _fields(text: str, values: Values) -> tuple[tuple[str | None, ...], str | None]:
    if problem := unfit(text):
        return (), problem
    try:
        value, end, problem = values.decoded(text, skipped(text, 0))
    except json.JSONDecodeError:
        return (), "json"
    if skipped(text, end) != len(text):
        return (), "json"
    return ((), problem) if problem else values.of_object(value)


def unfit(text: str) -> str | None:
    """Why a text must not be given to the parser: it holds a NUL, or is too deep; None when it may."""
    if "\0" in text:
        return "nul"
    if text.count("[") + text.count("{") <= DEPTH:
        return None
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEPTH:
            return "depth"
    return None


def skipped(text: str, at: int) -> int:
    """Where what JSON calls white space ends; Unicode has more of it."""
    found = _WHITE.match(text, at)
    return found.end() if found else at


_WHITE = re.compile(r"[ \t\n\r]*")
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)  # strings are passed over: a bracket in one is none
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class _Number(str):
    """A number as it is written."""


class Values:
    """JSON text -> Python's values, and these -> the text of the contract's fields; what is wrong comes with them."""

    def __init__(self, options: Mapping[str, Any], fields: Sequence[str], where: str) -> None:
        unknown = options.get("unknown", "reject")
        self._rest = unknown.get("field") if isinstance(unknown, dict) and set(unknown) == {"field"} else None
        if unknown not in ("reject", "ignore") and self._rest not in fields:
            raise ContractBroken(f"{where}: unknown is {unknown!r}", next_step="unknown: reject, ignore, or {field: a string field of the contract}")
        self._rejects = unknown == "reject"
        self._names = tuple(fields)
        self._known = frozenset(fields) - {self._rest}
        self._lower = frozenset(name.lower() for name in self._known)
        self._wrong: str | None = None
        self._scan = json.JSONDecoder(
            object_pairs_hook=self._object, parse_int=_Number, parse_float=_Number, parse_constant=self._constant
        ).raw_decode

    def decoded(self, text: str, at: int) -> tuple[Any, int, str | None]:
        """The value that begins at a place of the text, where it ends, and what is wrong with it.

        Raises:
            JSONDecodeError: there is none.
        """
        self._wrong = None
        value, end = self._scan(text, at)
        if self._wrong is None and text.find("\\u", at, end) >= 0 and (found := next(filter(None, map(_NO_TEXT.search, _strings(value))), None)):
            self._wrong = "nul" if found[0] == "\0" else "surrogate"
        return value, end, self._wrong

    def of_object(self, value: Any) -> tuple[tuple[str | None, ...], str | None]:
        """The texts of the fields, by their names."""
        if not isinstance(value, dict):
            return (), "not_an_object"
        found = value
        if not value.keys() <= self._known:
            rest = {name: part for name, part in value.items() if name not in self._known}
            for name in rest:
                if name.lower() in self._lower:
                    return (), f"key_case:{named(name)}"
                if self._rejects:
                    return (), f"unknown_key:{named(name)}"
            found = value | {self._rest: rest}
        return tuple([text_of(found.get(name)) for name in self._names]), None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs) and self._wrong is None:
            times = Counter(name for name, _ in pairs)
            self._wrong = f"duplicate_key:{named(next(name for name, count in times.items() if count > 1))}"
        return found

    def _constant(self, name: str) -> None:
        self._wrong = self._wrong or "not_json_number"


def text_of(value: Any) -> str | None:
    """The text of a field's value: None for null."""
    if value is None:
        return None
    return str(value) if isinstance(value, str) else _compact(value)


def named(name: str) -> str:
    """A name as part of a reason: reasons are joined by `;`, and kept as text."""
    return re.sub("[;\0-\x1f\x7f\ud800-\udfff]", "?", name[:64])


def _compact(value: Any) -> str:
    """JSON without blanks, numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{_compact(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


def _strings(value: Any) -> Iterator[str]:
    """Every string and name in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
