"""What a raw file is made of, told apart without the product's readers: its head, its good records, and their cells.

A sheet holds the first good records of one raw file. A damage changes a copy of one of them, byte for byte where it says so;
`written` puts good and damaged records into a file again and says where each of them lies.
"""

from __future__ import annotations

import bz2
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from lake.contract import Contract, Source

BOM = b"\xef\xbb\xbf"
NOTICES = ("LICENSE", "README", "SOURCE")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The first good records of a raw file, without their line ends."""

    source: Source
    bronze: Contract
    path: str
    head: bytes
    records: tuple[bytes, ...]
    end: bytes
    series: tuple[str, ...] = ()  # of a JSON document by series: the one of each record

    @property
    def fields(self) -> list[str]:
        return [c.name for c in self.source.fields]

    def of_type(self, *types: str) -> list[str]:
        """Fields of these types."""
        return [c.name for c in self.source.fields if c.type in types]

    def text(self, n: int) -> str:
        return self.records[n].decode(self.encoding)

    @property
    def encoding(self) -> str:
        return str(self.source.options.get("encoding", "utf-8"))

    @property
    def is_quoted(self) -> bool:
        return self.source.format == "delimited" and self.source.options.get("quote", '"') is not None

    def cells(self, n: int) -> dict[str, str]:
        """The fields of a record as they are written, quotes included."""
        text = self.text(n)
        if self.source.format == "delimited":
            return dict(zip(self.fields, self.tokens(n), strict=False))
        if self.source.format == "lines":
            found = re.fullmatch(self.source.options["pattern"], text)
            return {k: v for k, v in found.groupdict().items() if v is not None} if found else {}
        if self.source.format == "json_document":
            value = json.loads(text)
            values = value if isinstance(value, list) else [value]
            return {k: json.dumps(v, ensure_ascii=False) for k, v in zip(self.own_fields, values, strict=True)}
        return {}

    @property
    def own_fields(self) -> list[str]:
        """Fields of a record of a JSON document: those that are not told by the way to it."""
        return [f for f in self.fields if f not in self.source.options.get("rows", ())]

    def tokens(self, n: int) -> list[str]:
        """Cells of a row of delimited text, quotes and trailing cells included."""
        text, delimiter = self.text(n), re.escape(self.source.options.get("delimiter", ","))
        if not self.is_quoted:
            return text.split(self.source.options.get("delimiter", ","))
        return [found[1] for found in re.finditer(rf'("(?:[^"]|"")*"|[^{delimiter}]*)(?:{delimiter}|\Z)', text)][: self.width]

    @property
    def width(self) -> int:
        return len(self.fields) + int(self.source.options.get("trailing", 0))

    def joined(self, tokens: Sequence[str]) -> bytes:
        """A row of delimited text from its cells as they are to be written."""
        return self.source.options.get("delimiter", ",").join(tokens).encode(self.encoding)

    def put(self, n: int, **cells: str) -> bytes:
        """Record n with other texts in some fields, quoted where they must be."""
        if self.source.format == "delimited":
            tokens = self.tokens(n)
            for name, text in cells.items():
                tokens[self.fields.index(name)] = self.quoted(text)
            return self.joined(tokens)
        if self.source.format == "lines":
            text = self.text(n)
            found = re.fullmatch(self.source.options["pattern"], text)
            assert found is not None
            for name, new in sorted(cells.items(), key=lambda c: -found.start(c[0])):
                text = text[: found.start(name)] + new + text[found.end(name) :]
            return text.encode(self.encoding)
        values = self.cells(n) | cells
        parts = [values[f] for f in self.own_fields]
        return (f"[{', '.join(parts)}]" if len(parts) > 1 else parts[0]).encode(self.encoding)

    def quoted(self, text: str) -> str:
        delimiter = self.source.options.get("delimiter", ",")
        if self.is_quoted and (delimiter in text or '"' in text or "\n" in text):
            return '"' + text.replace('"', '""') + '"'
        return text

    def having(self, *names: str) -> list[int]:
        """Records that have all of these fields."""
        return [n for n in range(len(self.records)) if set(names) <= set(self.cells(n))]

    def any(self, rng: Random, *names: str) -> int | None:
        """A record that has all of these fields, by chance."""
        found = self.having(*names)
        return rng.choice(found) if found else None


@dataclass(frozen=True, slots=True)
class Item:
    """A record to be written: a good one by its number, or a damaged one by its number among the damages."""

    raw: bytes
    good: int | None = None
    damage: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies in its file."""

    item: Item
    offset: int
    line: int


def sheets(folder: Path, source: Source, rng: Random, *, files: int, rows: int) -> list[Sheet]:
    """Sheets of some files of a source, by chance among those that have good records."""
    from lake.sources.files import matcher
    from lake.store import split_location

    inside, pattern = split_location(source.location)
    base, fits = folder / inside.removeprefix("raw/"), matcher(pattern)
    paths = sorted(p for p in base.rglob("*") if p.is_file() and p.name not in NOTICES and fits(p.relative_to(base).as_posix()))
    rng.shuffle(paths)
    found: list[Sheet] = []
    bronze = Contract.load(f"bronze.{source.name}")
    for path in paths:
        sheet = _sheet(source, bronze, path.relative_to(base).as_posix(), _content(path), rows)
        if len(sheet.records) > 1:
            found.append(sheet)
        if len(found) == files:
            break
    return found


def named(sheet: Sheet, number: int, packed: str = "") -> str:
    """A name for a copy of a sheet's file, which tells its job the same as the file's own: `.d7` before the ending that is asked for."""
    from lake.store import split_location

    path = re.sub(r"\.(gz|bz2|zst)$", "", sheet.path)
    ending = split_location(sheet.source.location)[1].rpartition("*")[2]
    return f"{path.removesuffix(ending)}.d{number}{ending}{packed}"


def written(sheet: Sheet, items: Sequence[Item], *, last_has_end: bool = True) -> tuple[bytes, list[Place]]:
    """The bytes of a file of these records, and where each lies."""
    if sheet.source.format == "json_document":
        return _document(sheet, items)
    parts, places, line = [sheet.head], list[Place](), 1 + sheet.head.count(b"\n")
    offset = len(sheet.head)
    for n, item in enumerate(items):
        places.append(Place(item, offset, line))
        parts += [item.raw, sheet.end if n < len(items) - 1 or last_has_end else b""]
        whole = b"".join(parts[-2:])
        offset, line = offset + len(whole), line + whole.count(b"\n")
    return b"".join(parts), places


def _document(sheet: Sheet, items: Sequence[Item]) -> tuple[bytes, list[Place]]:
    """A JSON document: an array, or an object with an array for each series; a damaged record has a series of its own."""
    out, places = bytearray(), list[Place]()

    def add(item: Item) -> None:
        places.append(Place(item, len(out), 1 + out.count(b"\n")))
        out.extend(item.raw)

    if not sheet.series:
        out.extend(b"[\n")
        for n, item in enumerate(items):
            add(item)
            out.extend(b",\n" if n < len(items) - 1 else b"\n")
        out.extend(b"]\n")
        return bytes(out), places
    by_series: dict[str, list[Item]] = {}
    for item in items:
        name = f"planted/{item.damage}.csv" if item.good is None else sheet.series[item.good]
        by_series.setdefault(name, []).append(item)
    out.extend(b"{")
    for n, (name, group) in enumerate(by_series.items()):
        out.extend(f"{',' if n else ''}\n  {json.dumps(name)}: [\n".encode())
        for k, item in enumerate(group):
            add(item)
            out.extend(b",\n" if k < len(group) - 1 else b"\n")
        out.extend(b"  ]")
    out.extend(b"\n}\n")
    return bytes(out), places


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else bz2.decompress(data) if path.suffix == ".bz2" else data


def _sheet(source: Source, bronze: Contract, path: str, data: bytes, rows: int) -> Sheet:
    options: Mapping[str, object] = source.options
    if source.format == "json_document":
        value = json.loads(data)
        pairs = [(name, one) for name, many in value.items() for one in many] if isinstance(value, dict) else [("", one) for one in value]
        texts = tuple(json.dumps(one, ensure_ascii=False).encode() for _, one in pairs[:rows])
        return Sheet(source, bronze, path, b"", texts, b"\n", tuple(name for name, _ in pairs[:rows]) if isinstance(value, dict) else ())
    end = b"\r\n" if b"\r\n" in data[:100_000] else b"\n"
    head = b""
    if source.format == "conll":
        blocks = re.split(rb"\n(?:[ \t\r]*\n)+", data)
        good = [b for block in blocks if (b := block.strip(b"\n")) and all(len(line.split(b"\t")) == 2 for line in b.split(b"\n"))]
        return Sheet(source, bronze, path, head, tuple(good[:rows]), b"\n\n")
    records = list(islice(_rows(data, source), 20 * rows + 1))
    if source.format == "delimited" and options.get("header", True) is not False and records:
        head, records = records[0] + end, records[1:]
    sheet = Sheet(source, bronze, path, head, (), end)
    return Sheet(source, bronze, path, head, tuple(_good(sheet, records, rows)), end)


def _good(sheet: Sheet, records: Sequence[bytes], rows: int) -> Iterator[bytes]:
    """Records that say what their contract asks for, and no rows of delimiters only."""
    given = 0
    for raw in records:
        one = Sheet(sheet.source, sheet.bronze, sheet.path, b"", (raw,), sheet.end)
        if sheet.source.format == "lines":
            good = re.fullmatch(sheet.source.options["pattern"], one.text(0)) is not None
        else:
            good = len(one.tokens(0)) == sheet.width and any(cell.strip(' "') for cell in one.tokens(0))
        if good:
            yield raw
            given += 1
        if given == rows:
            return


def _rows(data: bytes, source: Source) -> Iterator[bytes]:
    """Records of lines and of delimited text."""
    quoted = source.format == "delimited" and source.options.get("quote", '"') is not None
    begins = re.compile(source.options["begins"].encode()) if "begins" in source.options else None
    held: list[bytes] = []
    for line in data.split(b"\n")[: None if data[-1:] != b"\n" else -1]:
        if held and ((begins is not None and begins.match(line)) or (begins is None and not (quoted and b"\n".join(held).count(b'"') % 2))):
            yield b"\n".join(held).removesuffix(b"\r")
            held = []
        held.append(line)
    if held:
        yield b"\n".join(held).removesuffix(b"\r")
