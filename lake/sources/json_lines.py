"""JSON Lines: one object a line, its fields by name.

A field of the contract is the value under its name: a string as it is, a number as it is written (no digit of it is lost),
`true` and `false` as words, an object or array as compact JSON (`wrong_type:<name>` where the contract calls it a string).
`null` is no value, nor is a name that is not there, where it may be left out.
Options of the raw contract:
    unknown, absent, aliases: see lake/sources/drift.py, and what it says of nested values.
    encoding  default utf-8; bytes that are not: `encoding`, and the bytes are kept.
    longest   bytes of one line; default 16 MiB. A longer one is a reject, `too_long`, its first bytes are kept.
A line that is wrong is a reject, with the first of these reasons:
    empty_row             it is blank.
    json                  it is no JSON, or has something behind its value.
    not_an_object         its value is another one.
    duplicate_key:<name>  a name stands twice in one object, at any depth: readers differ in which of the two they take.
    key_case:<name>       a name differs from a field's in case only, whatever `unknown` says.
    unknown_key:<name>    the contract has no such field.
    absent:<name>         it has one, which may not be left out.
    wrong_type:<name>     a value is of another type than the contract says, at any depth.
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

from lake.sources.drift import NOTES, OPTIONS, Drift, Number, named, noted, unlike
from lake.sources.records import NO_RECORD, Record, Row, check_options, longest, physical_lines

DEPTH = 100
"""Levels of objects and arrays: Python's parser ends in a RecursionError at some 1,000, sooner or later by what called it."""


def records(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "") -> Iterator[Record]:
    """Records of one file, in file order.

    Raises:
        ContractBroken: the options are wrong.
    """
    return (Record(*row) for row in rows(stream, options, fields, path) if row[0] != NO_RECORD)


def looks_ahead(options: Mapping[str, Any]) -> int:
    """0: of a file that grows only the last line may change."""
    return 0


def rows(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "", *, resumed: bool = False) -> Iterator[Row]:
    """The same as plain tuples, and at the end notes on names that came or were left out, as NO_RECORD.

    `resumed` at a record further down changes nothing here, and a file's path tells nothing of its records.
    """
    check_options(options, OPTIONS, "format json_lines")
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
    if notes := values.notes():
        yield NO_RECORD, 0, 0, 0, 0, notes, NOTES, b""


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


_MANY = 100  # names that are told of one file: where names are data, there is no end of them


class Values:
    """JSON text -> Python's values, and these -> the text of the contract's fields; what is wrong comes with them."""

    def __init__(self, options: Mapping[str, Any], fields: Sequence[str], where: str) -> None:
        self._drift = Drift.of(options, fields, where, absent="null")
        self._names = tuple(fields)
        self._known = frozenset(self._drift.fields)
        self._lower = frozenset(name.lower() for name in (*self._known, *self._drift.aliases))
        self._shaped = {
            name: shape for name, shape in self._drift.shapes.items() if name in self._known and shape["type"] in ("object", "array", "string")
        }
        self._objects, self._told = 0, Counter[tuple[str, str]]()
        self._wrong: str | None = None
        self._scan = json.JSONDecoder(object_pairs_hook=self._object, parse_int=Number, parse_float=Number, parse_constant=self._constant).raw_decode

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
        found: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        told: list[tuple[str, str]] = []
        if not found.keys() <= self._known:
            found, wrong = self._sorted_out(found, told)
            if wrong:
                return (), wrong
        if not self._known <= found.keys():
            for name in self._names:
                if name not in found and name in self._known:
                    if name not in self._drift.optional:
                        return (), f"absent:{named(name)}"
                    told.append(("gone", name))
        for name, shape in self._shaped.items():
            if wrong := self._unlike(found.get(name), shape, name):
                return (), wrong
        self._objects += 1
        if told:
            self._told.update(told if len(self._told) < _MANY else [one for one in told if one in self._told])
        return tuple([text_of(found.get(name)) for name in self._names]), None

    def notes(self) -> tuple[str, ...]:
        """What was let in that the contract does not name, and the fields that no object had."""
        agreed = self._drift.agreed
        told = sorted(self._told.items())
        return tuple(noted(*one, count) for one, count in told if one[0] != "gone" or (count == self._objects and one[1] not in agreed))

    def _sorted_out(self, value: dict[str, Any], told: list[tuple[str, str]]) -> tuple[dict[str, Any], str | None]:
        """An object by the names of the fields, what else it has in the field for the rest; or why it is refused."""
        drift = self._drift
        found, rest = dict[str, Any](), dict[str, Any]()
        for name, part in value.items():
            field = name if name in self._known else drift.aliases.get(name)
            if field is None:
                if name.lower() in self._lower:
                    return {}, f"key_case:{named(name)}"
                if drift.rejects:
                    return {}, f"unknown_key:{named(name)}"
                rest[name] = part
                told.append(("new", name))
                continue
            if field in found:
                return {}, f"duplicate_key:{named(name)}"
            if field != name:
                told.append(("renamed", name))
            found[field] = part
        if drift.rest is not None and rest:
            found[drift.rest] = rest
        return found, None

    def _unlike(self, value: Any, shape: Mapping[str, Any], name: str) -> str | None:
        if shape["type"] == "string":  # a number is its text; what has parts is none
            return f"wrong_type:{named(name)}" if isinstance(value, (dict, list)) else None
        return unlike(value, shape, name, rejects=self._drift.rejects)

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


def _compact(value: Any) -> str:
    """JSON without blanks, numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{_compact(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


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
