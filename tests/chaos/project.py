"""The lake that is broken: the small project of tests/lake/project.py with rejects at every grain, and files whose fate is a sum in Python."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lake.project import COLUMNS, ORDER, contract, write_contract, write_project

__all__ = ["GRAINS", "ORDER", "Row", "Told", "text", "told", "weather", "write"]

# One address of each way to build: raw files, new rows, slices of a day, the whole.
GRAINS = dict(zip(ORDER, ("files", "rows", "slice", "whole"), strict=True))
STATIONS = ("north", "south", "west")
MOST_A_DAY, MOST_IN_ALL = 60.0, 120.0  # what is above is set aside: gold.daily and gold.totals have rejects too

Row = tuple[str, str, str]  # station, day, value as they stand in the file


def write(project: Path) -> Path:
    """The project's files: as tests/lake/project.py has them, with a third station and rules that some rows of every table break."""
    write_project(project)
    changed = {
        "silver.readings": ("station", {"allowed": list(STATIONS)}),
        "gold.daily": ("total", {"maximum": MOST_A_DAY}),
        "gold.totals": ("total", {"maximum": MOST_IN_ALL}),
    }
    for address, (column, rule) in changed.items():
        write_contract(project, contract(address, [{**c, **rule} if c["name"] == column else c for c in COLUMNS[address]]))
    return project


def weather(seed: int) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    """(the files of the first night, those of the second): the second changes one of the first and brings a new one, with an older day in it."""
    dice = random.Random(seed)

    def rows(days: Iterable[int], count: int) -> list[Row]:
        # Halves add up exactly in any order; NA is no number (bronze), 99 too much (silver), east no station (silver).
        values = [f"{dice.randint(-4, 40) / 2}" for _ in range(count)] + ["NA", "99"]
        return [(dice.choice((*STATIONS, *STATIONS, "east")), f"2026-03-{dice.choice(list(days)):02}", v) for v in values]

    first = {"a.csv": rows(range(1, 5), 12), "b.csv": rows(range(3, 8), 12)}
    # The west is above every limit for certain, the south never is: its values are few and low.
    first["a.csv"] += [("west", "2026-03-02", "50.0")] * 3 + [("south", "2026-03-08", "1.5")]
    second = {"b.csv": rows(range(4, 9), 10), "c.csv": rows(range(2, 12), 12) + [("west", "2026-03-09", "49.5")] * 2}
    return first, second


@dataclass(frozen=True)
class Told:
    """What must come of some files, by a sum in Python that knows nothing of Spark: rows of each table, rejects of each."""

    rows: Mapping[str, int]
    rejects: Mapping[str, int]
    totals: Mapping[str, float]


def told(files: Mapping[str, Iterable[Row]]) -> Told:
    """The fate of these files' rows."""
    read = [r for rows in files.values() for r in rows]
    typed = [(s, d, float(v)) for s, d, v in read if v != "NA"]
    silver = [(s, d, v) for s, d, v in typed if s in STATIONS and -50 <= v <= 60]
    days: defaultdict[tuple[str, str], float] = defaultdict(float)
    totals: defaultdict[str, float] = defaultdict(float)
    for s, d, v in silver:
        days[s, d] += v
        totals[s] += v
    good_days, good = [v for v in days.values() if v <= MOST_A_DAY], {s: v for s, v in totals.items() if v <= MOST_IN_ALL}
    counts = (len(typed), len(silver), len(good_days), len(good))
    away = (len(read) - len(typed), len(typed) - len(silver), len(days) - len(good_days), len(totals) - len(good))
    return Told(dict(zip(ORDER, counts, strict=True)), dict(zip(ORDER, away, strict=True)), good)


def text(rows: Iterable[Row]) -> bytes:
    """The rows as a file."""
    return ("station,day,value\n" + "".join(f"{','.join(r)}\n" for r in rows)).encode()
