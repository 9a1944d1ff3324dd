"""Planting: damages taken by chance, dealt among the good records of copies of a source's files, and where each of them lies then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lake.contract import Source
from lake.store import split_location
from tests.damage.kinds import KINDS, TOO_LONG, Damage
from tests.damage.sheets import Item, Place, Sheet, named, sheets, written

BESIDE = 12  # good records beside a damage that has a file of its own


@dataclass(frozen=True, slots=True)
class Planted:
    """A damage and where it lies."""

    damage: Damage
    source: str
    path: str
    line: int
    offset: int

    @property
    def address(self) -> str:
        """Where it must be caught."""
        return self.damage.address or f"bronze.{self.source}"

    def __str__(self) -> str:
        return f"{self.damage.kind} in {self.source}/{self.path}:{self.line} (byte {self.offset}): {self.damage.raw[:120]!r}"


@dataclass(frozen=True, slots=True)
class File:
    """A copy of a sheet's file: which good records it holds where, and what was planted in it."""

    sheet: Sheet
    path: str
    data: bytes
    places: tuple[Place, ...]
    planted: tuple[Planted, ...]
    lost: bool = False  # set aside as a whole: none of its good records can be told


def planted(folder: Path, source: Source, seed: int, *, times: int = 1, files: int = 2, rows: int = 60, large: bool = True) -> list[File]:
    """Files of a source: untouched ones, and copies with damages of every kind that applies, so many times each.

    `large`: also with records of 17 MiB, which take some seconds each. Rejects stay under a third of all rows, so that the gate's
    bound on their share does not hide what it does row by row.
    """
    rng = Random(f"{seed} {source.name}")
    found = sheets(folder, source, rng, files=files, rows=rows)
    if not found:
        return []
    within: dict[int, list[Damage]] = {n: [] for n in range(len(found))}
    alone: list[tuple[Sheet, Damage]] = []
    for kind in KINDS.values():
        if kind.name == TOO_LONG and not large:
            continue
        ways = [(n, damage) for n, sheet in enumerate(found) for damage in kind.ways(sheet, rng)]
        for n, damage in rng.sample(ways, min(times, len(ways))):
            if damage.where == "behind":
                within[n].append(damage)
            else:
                alone.append((found[n], damage))
    made = [_clean(sheet, sheet.path) for sheet in found]
    for n, damages in within.items():
        made.append(_damaged(found[n], len(made), damages, rng))
    for sheet, damage in alone:
        made.append(_alone(sheet, len(made), damage))
    while 3 * sum(len(f.planted) for f in made) > sum(len(f.places) for f in made if not f.lost):
        made.append(_clean(found[len(made) % len(found)], named(found[len(made) % len(found)], len(made))))
    return made


def laid(root: Path, source: Source, files: Sequence[File]) -> None:
    """Write the files where the source's contract looks for them."""
    folder = root / split_location(source.location)[0]
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)


def _clean(sheet: Sheet, path: str) -> File:
    path = path.removesuffix(".bz2").removesuffix(".gz")
    data, places = written(sheet, _good(sheet))
    return File(sheet, path, data, tuple(places), ())


def _good(sheet: Sheet, most: int | None = None) -> list[Item]:
    return [Item(raw, good=n) for n, raw in enumerate(sheet.records[:most])]


def _damaged(sheet: Sheet, number: int, damages: Sequence[Damage], rng: Random) -> File:
    """Every damage right behind the record that it was made of: what a line's time means may hang on the lines before it."""
    behind: dict[int, list[Item]] = {}
    for k, damage in enumerate(damages):
        behind.setdefault(damage.record, []).append(Item(damage.raw, damage=k))
    items: list[Item] = []
    for one in _good(sheet):
        items.append(one)
        more = behind.get(one.good or 0, [])
        rng.shuffle(more)
        items += more
    data, places = written(sheet, items)
    path = named(sheet, number)
    return File(sheet, path, data, tuple(p for p in places if p.item.good is not None), tuple(_found(sheet, path, damages, places)))


def _found(sheet: Sheet, path: str, damages: Sequence[Damage], places: Sequence[Place]) -> Iterator[Planted]:
    for place in places:
        if place.item.damage is not None:
            yield Planted(damages[place.item.damage], sheet.source.name, path, place.line, place.offset)


def _alone(sheet: Sheet, number: int, damage: Damage) -> File:
    """A file of its own for one damage: at its top or its end, or the file as a whole."""
    bad, good = Item(damage.raw, damage=0), _good(sheet, BESIDE)
    if damage.where == "archive":
        path = named(sheet, number, ".gz")
        return File(sheet, path, damage.raw, (), (Planted(damage, sheet.source.name, path, 1, 0),), lost=True)
    path = named(sheet, number)
    if damage.where == "top" and "header" in damage.reasons:
        bare = Sheet(sheet.source, sheet.bronze, sheet.path, b"", sheet.records, sheet.end)
        data, _ = written(bare, [bad, *good])
        return File(sheet, path, data, (), (Planted(damage, sheet.source.name, path, 1, 0),), lost=True)
    if damage.where == "file":
        data, _ = written(sheet, [*good[:-1], bad])
        if not damage.raw:
            data = data[:-4]
        return File(sheet, path, data, (), (Planted(damage, sheet.source.name, path, 1, 0),), lost=True)
    items = [bad, *good] if damage.where == "top" else [*good, bad]
    data, places = written(sheet, items, last_has_end=damage.where == "top")
    kept = tuple(p for p in places if p.item.good is not None)
    return File(sheet, path, data, kept, tuple(_found(sheet, path, [damage], places)))
