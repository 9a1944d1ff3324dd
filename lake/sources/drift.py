"""Drift: what becomes of columns that a source's contract does not name, or names and does not find.

Options of the raw contract, of the formats whose files name their columns (delimited with a header, json_lines, json_document):
    unknown  a column that the contract lacks: `reject` (default), `ignore`, or {field: NAME}: that string field of the contract,
             which no file has, gets such columns as one JSON object, null where there are none.
    absent   a column that the contract has: `reject`, `null` (it is null, and the run says so), or a list of the fields that come
             and go (it is null, as agreed, and nobody says so). A field that is `required` in the raw contract may never be absent.
             Default: `reject` of delimited files; of JSON, where leaving a name out is a way to write null, `null`.
    order    delimited only: columns stand in the contract's order, `exact` (default), or in `any`: each is read by its name.
    aliases  {field: [other names]}: a column that was renamed is the same field under either name; both at once are two columns.
What is not let in is set aside: a delimited file whole (`header`), of JSON the record. Whatever these say, it is never let in that a
name stands twice, is another one in other case, or is empty. What is let in, and whole files set aside, are told by the run.

A field whose value is nested JSON is kept as its text. Where the raw contract says what is in it (logicalType `object` with
`properties`, `array` with `items`), that is held as well: `unknown_key:place.depth`, `absent:place.lat`, `wrong_type:place.lat`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lake.contract import Source
from lake.errors import ContractBroken

OPTIONS = ("unknown", "absent", "aliases", "shapes")
"""What `Drift.of` reads; `shapes` is what lake/contract.py tells of the fields, and nobody writes."""

NOTES = "drift"
"""The problem of a row that is no record and holds no line: its fields are notes, as `noted` writes them."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The options, checked; `fields` are the names that a file may have, all of them but `rest`."""

    fields: tuple[str, ...]
    rest: str | None
    rejects: bool
    optional: frozenset[str]  # may be absent
    agreed: frozenset[str]  # and nobody says so
    any_order: bool
    aliases: Mapping[str, str]  # name in a file -> field
    shapes: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, options: Mapping[str, Any], fields: Sequence[str], where: str, *, absent: str = "reject") -> Drift:
        """The options of a source; `absent` is the format's own default.

        Raises:
            ContractBroken: one is wrong.
        """
        unknown: Any = options.get("unknown", "reject")
        rest = unknown.get("field") if isinstance(unknown, dict) and set(unknown) == {"field"} else None  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]
        if unknown not in ("reject", "ignore") and rest not in fields:
            raise ContractBroken(f"{where}: unknown is {unknown!r}", next_step="unknown: reject, ignore, or {field: a string field of the contract}")
        shapes: Mapping[str, Mapping[str, Any]] = options.get("shapes") or {}
        named = tuple(f for f in fields if f != rest)
        left_out: Any = options.get("absent", absent)
        agreed = frozenset(left_out) if isinstance(left_out, list) else frozenset[str]()  # pyright: ignore[reportUnknownArgumentType]
        must = {f for f in named if (shapes.get(f) or {}).get("required")}
        if left_out not in ("reject", "null", None) and (not agreed or agreed - set(named) or agreed & must):
            raise ContractBroken(f"{where}: absent is {left_out!r}", next_step="absent: reject, null, or a list of fields that are not required")
        optional = frozenset(named) - must if left_out in ("null", None) else agreed
        order = options.get("order", "exact")
        if order not in ("exact", "any"):
            raise ContractBroken(f"{where}: order is {order!r}", next_step="order: exact, or any")
        return cls(named, rest, unknown == "reject", optional, agreed, order == "any", _aliases(options, named, where), shapes)

    @property
    def strict(self) -> bool:
        """Whether a header is the contract's own or none."""
        return self.rejects and not self.optional and not self.any_order and not self.aliases


def _aliases(options: Mapping[str, Any], fields: Sequence[str], where: str) -> dict[str, str]:
    said: Any = options.get("aliases", {})
    lists: list[tuple[Any, Any]] = list(said.items()) if isinstance(said, dict) else [(None, None)]  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    pairs = [(str(name), field) for field, names in lists if isinstance(names, list) for name in names]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    names = [name for name, _ in pairs]
    fit = all(isinstance(names, list) and field in fields for field, names in lists)
    if not fit or len(names) > len(set(names)) or set(names) & set(fields):
        raise ContractBroken(f"{where}: aliases is {said!r}", next_step="aliases: {field: [a name that no field has, ...]}")
    return dict(pairs)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the columns of one file lie: for each field its place (-1: it has none), the columns that no field has, and what to note."""

    places: tuple[int, ...]
    extras: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]


def laid_out(cells: Sequence[str], header: Sequence[str], drift: Drift) -> Layout | None:
    """The layout of a file by its header, where `header` are the names that the fields should have there; None where it is set aside."""
    field_of = {**dict(zip(header, drift.fields, strict=True)), **drift.aliases}
    lower = {name.lower() for name in field_of}
    found = [field_of.get(name) for name in cells]
    known = [field for field in found if field is not None]
    if any(not name.strip() or (field is None and name.lower() in lower) for name, field in zip(cells, found, strict=True)):
        return None
    gone = [field for field in drift.fields if field not in known]
    extras = tuple((name, place) for place, (name, field) in enumerate(zip(cells, found, strict=True)) if field is None)
    twice = len(known) > len(set(known)) or len(extras) > len({name for name, _ in extras})
    moved = known != [field for field in drift.fields if field in known]
    if twice or not known or (extras and drift.rejects) or not set(gone) <= drift.optional or (moved and not drift.any_order):
        return None
    places = {field: place for place, field in enumerate(found) if field is not None}
    notes = [noted("new", name) for name, _ in extras] + [noted("gone", f) for f in gone if f not in drift.agreed]
    notes += [noted("renamed", name) for name in cells if name in drift.aliases] + [noted("reordered", "")] * moved
    return Layout(tuple(places.get(field, -1) for field in drift.fields), extras, tuple(notes))


def set_aside(cells: Sequence[str], header: Sequence[str]) -> str:
    """The note on a file that is set aside for its header: what it lacks, and what it has. Names are told where it is a header at all:
    the first row of a file without one holds data.
    """
    if not set(cells) & set(header):
        return noted("header", "none of the contract's names stands in the first row")
    lacks = [name for name in header if name not in cells]
    has = list(dict.fromkeys(name for name in cells if name not in header))
    twice = [name for name, count in Counter(cells).items() if count > 1]
    told = [f"{what} {', '.join(map(named, names[:5]))}" for what, names in (("lacks", lacks), ("has", has), ("has twice", twice)) if names]
    return noted("header", f"its header {'; '.join(told) or 'has its columns in another order'}")


def noted(kind: str, name: str, count: int = 1) -> str:
    """A note: how often, of which kind (new, gone, renamed, reordered, header), and about what."""
    return f"{count} {kind} {named(name) if kind != 'header' else name}".rstrip()


def of_note(note: str) -> tuple[str, str, int]:
    """(kind, name, count) of a note."""
    count, kind, *name = note.split(" ", 2)
    return kind, "".join(name), int(count)


def told_of(address: str, source: Source | None, notes: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """What files of a source noted, by path, as rows of ops.checks have it: one for each kind and name, with the files."""
    files: dict[tuple[str, str], dict[str, int]] = {}
    for path, of_file in sorted(notes.items()):
        for kind, name, count in map(of_note, of_file):
            files.setdefault((kind, name), {})[path] = count
    rest = Drift.of(source.options, [f.name for f in source.fields], address, absent="null").rest if source is not None and files else None
    kept = f"kept in {rest}" if rest else "ignored"
    sentences = {
        "new": ("unknown", "{n} files have {name}, which the contract lacks: " + kept),
        "gone": ("absent", "{n} files lack {name}: null in their rows"),
        "renamed": ("aliases", "{n} files have {name}, another name of a field"),
        "reordered": ("order", "{n} files have their columns in another order: read by name"),
        "header": ("header", "{n} files are set aside whole: {name}"),
    }
    found: list[dict[str, Any]] = []
    for (kind, name), counts in sorted(files.items()):
        option, sentence = sentences[kind]
        which = ", ".join(list(counts)[:3]) + (" ..." if len(counts) > 3 else "")
        message = f"{address}: {sentence.format(n=len(counts), name=name)} ({which})"
        records = sum(counts.values()) if source is not None and source.format.startswith("json") else None
        found.append({"observed": f"{len(counts)} files", "threshold": option, "unexpected": records, "message": message})
    return found


def named(name: str) -> str:
    """A name as part of a reason: reasons are joined by `;`, and kept as text."""
    return re.sub("[;\0-\x1f\x7f\ud800-\udfff]", "?", name[:64])


def rest_of(extras: Sequence[tuple[str, int]], cells: Sequence[str]) -> str:
    """Columns that no field has, as one JSON object."""
    return json.dumps({name: cells[place] for name, place in extras}, ensure_ascii=False, separators=(",", ":"))


def unlike(value: Any, shape: Mapping[str, Any], name: str, *, rejects: bool) -> str | None:
    """What is otherwise in a JSON value than its contract says, at any depth, as a reason; None where it is as it should be."""
    if value is None:
        return None
    kind, parts, items = shape.get("type"), shape.get("properties"), shape.get("items")
    if not _is(value, kind):
        return f"wrong_type:{named(name)}"
    if isinstance(value, dict) and parts is not None:
        members: dict[str, Any] = value
        lower = {part.lower() for part in parts}
        for key in members:
            if key not in parts and (key.lower() in lower or rejects):
                return f"{'key_case' if key.lower() in lower else 'unknown_key'}:{named(f'{name}.{key}')}"
        for part, said in parts.items():
            if part not in members and said.get("required"):
                return f"absent:{named(f'{name}.{part}')}"
            if wrong := unlike(members.get(part), said, f"{name}.{part}", rejects=rejects):
                return wrong
    if isinstance(value, list) and items is not None:
        elements: list[Any] = value
        return next((wrong for one in elements if (wrong := unlike(one, items, f"{name}[]", rejects=rejects))), None)
    return None


class Number(str):
    """A JSON number as it is written."""


def _is(value: Any, kind: str | None) -> bool:
    """Whether a value is of an ODCS logical type, as JSON writes it; dates and times are texts there."""
    if kind in ("object", "array"):
        return isinstance(value, dict if kind == "object" else list)
    if kind in ("number", "integer"):
        return isinstance(value, Number) and (kind == "number" or re.fullmatch("-?[0-9]+", value) is not None)
    if kind == "boolean":
        return isinstance(value, bool)
    return kind is None or (isinstance(value, str) and not isinstance(value, Number))
