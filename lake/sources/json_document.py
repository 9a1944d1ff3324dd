"""JSON documents: a file is one JSON value, somewhere in which lie its records.

Options of the raw contract:
    rows      the way to the records, a list of steps (default ["[]"]: the elements of an array):
                  "[]"     the elements of an array
                  NAME     the entries of an object: their names are values of the contract's field NAME
                  ".name"  what an object holds under that name; what else it holds is no record
              ["series", "[]"] reads {"a": [[1, 2], [3, 4]], "b": []} as two records whose `series` is "a".
    unknown, absent, aliases: as in format json_lines, for records that are objects.
    encoding  default utf-8; a file that is not: `encoding`.
    longest   bytes of the whole file; default 16 MiB. A longer one is a reject, `too_long`, its first bytes are kept.
A record that is an object gives the fields by name, as in format json_lines; one that is an array gives them in the order of
the contract (`fields`, when it has more or fewer), any other value the one that is left. The same is wrong with a record as
with a line of format json_lines; and where the way to the records ends, the value that lies there is one reject, `rows`.

A file that is no JSON from end to end is set aside whole, with its reason: `json`, `nul`, `depth`, `encoding`, `too_long`. An
empty file has no records and nothing wrong. The lines of a document belong to all of its records: they are accounted for as one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeAlias

from lake.errors import ContractBroken
from lake.sources.drift import NOTES, OPTIONS, named
from lake.sources.json_lines import Values, skipped, text_of, unfit
from lake.sources.records import BOM, NO_RECORD, Record, Row, check_options, longest

_Found: TypeAlias = tuple[int, int, tuple[str, ...], Any, str | None]  # begin, end, names on the way, value, problem
_BLOCK = 1024 * 1024


def records(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "") -> Iterator[Record]:
    """Records of one file, in file order.

    Raises:
        ContractBroken: the options are wrong.
    """
    return (Record(*row) for row in rows(stream, options, fields, path) if row[0] != NO_RECORD)


def rows(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "") -> Iterator[Row]:
    """The same as plain tuples, before them the document as NO_RECORD; a file's path tells nothing of its records in this format."""
    check_options(options, ("rows", *OPTIONS), "format json_document")
    encoding, limit = str(options.get("encoding", "utf-8")), longest(options)
    steps = _steps(options.get("rows", ["[]"]), fields)
    names = [step for step in steps if step[0] not in "[."]
    left = [field for field in fields if field not in names]
    values = Values(options, left, "format json_document")
    nothing: tuple[str | None, ...] = (None,) * len(fields)

    data, length, lines, begins = _content(stream, limit)
    if not lines:
        return
    text, problem = "", "too_long" if length > limit else None
    if problem is None:
        try:
            text = data.decode(encoding)
            # Places are counted in bytes: an encoding that writes the same text in two ways would shift them.
            problem = unfit(text) if text.encode(encoding) == data else "encoding"
        except UnicodeError:
            problem = "encoding"
    if problem is None:
        try:
            # Read twice: a record must not be given on before the end is known to be JSON, and 8 million small ones would fill 2 GB.
            deque(_document(text, steps, values), maxlen=0)
        except json.JSONDecodeError:
            problem = "json"
    if problem is not None:
        yield 0, 1, begins, length, lines, nothing, problem, data[:length]
        return
    yield NO_RECORD, 1, begins, length, lines, nothing, None, b""
    line, offset, at = 1, begins, 0
    for ordinal, (begin, end, way, value, wrong) in enumerate(_document(text, steps, values)):
        if begin < at:  # an object without the name that was to be in it comes behind what is wrong with its entries
            line, offset, at = 1, begins, 0
        line, offset, at = line + text.count("\n", at, begin), offset + len(text[at:begin].encode(encoding)), begin
        raw, cells = text[begin:end].encode(encoding), nothing
        if wrong is None:
            texts, wrong = _texts(value, left, values)
            if wrong is None:
                by_name = dict(zip([*names, *left], [*way, *texts], strict=True))
                cells = tuple([by_name[field] for field in fields])
        yield ordinal, line, offset, len(raw), 0, cells, wrong, raw
    if notes := values.notes():
        yield NO_RECORD, 0, 0, 0, 0, notes, NOTES, b""


def _content(stream: BinaryIO, limit: int) -> tuple[bytes, int, int, int]:
    """The first bytes of a stream, its length without its last line end, its lines, and where it begins: behind a byte order mark."""
    data = stream.read(limit + len(BOM) + 2)
    begins = len(BOM) if data.startswith(BOM) else 0
    size, ends, tail = len(data) - begins, data.count(b"\n"), data[begins:][-2:]
    while block := stream.read(_BLOCK):
        size, ends, tail = size + len(block), ends + block.count(b"\n"), (tail + block)[-2:]
    length = size - (2 if tail == b"\r\n" else 1 if tail[-1:] == b"\n" else 0)
    return data[begins : begins + min(limit, length)], length, ends + (length == size and size > 0), begins


def _document(text: str, steps: Sequence[str], values: Values) -> Iterator[_Found]:
    end = yield from _walk(text, skipped(text, 0), steps, (), values)
    if skipped(text, end) != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _walk(text: str, at: int, steps: Sequence[str], way: tuple[str, ...], values: Values) -> Generator[_Found, None, int]:
    """The records in the value that begins at a place of the text; returns where it ends."""
    opening, closing = ("[", "]") if steps and steps[0] == "[]" else ("{", "}")
    if not steps or text[at : at + 1] != opening:
        value, end, wrong = values.decoded(text, at)
        yield at, end, way, value, wrong or ("rows" if steps else None)
        return end
    begin, seen = at, set[str]()
    at = skipped(text, at + 1)
    more = text[at : at + 1] != closing
    while more:
        name, names, wrong, goes_on = "", way, None, True
        if opening == "{":
            name, at, wrong = _name(text, at, values)
            wrong = f"duplicate_key:{named(name)}" if name in seen else wrong
            seen.add(name)
            names, goes_on = (way, name == steps[0][1:]) if steps[0][0] == "." else ((*way, name), True)
        if wrong or not goes_on:
            value, end, _ = values.decoded(text, at)
            if wrong:
                yield at, end, names, value, wrong
        else:
            end = yield from _walk(text, at, steps[1:], names, values)
        at = skipped(text, end)
        more = text[at : at + 1] == ","
        if more:
            at = skipped(text, at + 1)
        elif text[at : at + 1] != closing:
            raise json.JSONDecodeError("Expecting ','", text, at)
    if steps[0][0] == "." and steps[0][1:] not in seen:
        yield begin, at + 1, way, None, "rows"
    return at + 1


def _name(text: str, at: int, values: Values) -> tuple[str, int, str | None]:
    """The name of an entry, where its value begins, and what is wrong with the name."""
    if text[at : at + 1] != '"':
        raise json.JSONDecodeError("Expecting a name", text, at)
    name, end, wrong = values.decoded(text, at)
    end = skipped(text, end)
    if text[end : end + 1] != ":":
        raise json.JSONDecodeError("Expecting ':'", text, end)
    return name, skipped(text, end + 1), wrong


def _texts(value: Any, fields: Sequence[str], values: Values) -> tuple[Sequence[str | None], str | None]:
    if isinstance(value, dict):
        return values.of_object(value)
    parts: list[Any] = value if isinstance(value, list) else [value]
    return ([text_of(part) for part in parts], None) if len(parts) == len(fields) else ((), "fields")


def _steps(option: object, fields: Sequence[str]) -> list[str]:
    steps: list[Any] = option if isinstance(option, list) else [None]
    names = [step for step in steps if isinstance(step, str) and step[:1] not in ("[", ".")]
    fit = all(isinstance(step, str) and (step == "[]" or step in fields or (step[:1] == "." and len(step) > 1)) for step in steps)
    if not fit or len(names) > len(set(names)):
        raise ContractBroken(f"format json_document: rows is {option!r}", next_step='a list of steps: "[]", a field of the contract, or ".name"')
    return steps
