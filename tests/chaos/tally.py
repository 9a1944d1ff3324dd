"""What chaos has found so far: one line a case in a file, so that a run that was cut short goes on; tables of their sums."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

COLUMNS = ("cases", "kills", "commits", "rows expected", "lost", "doubled", "nights", "failed")


@dataclass
class Result:
    """How one case went. `holds` is what must be so."""

    part: str  # kills, random, races, disk, files
    name: str  # the line of the table that it counts in
    case: str  # what tells it from all others, the seed in it
    holds: str
    kills: int = 0
    commits: int = 0  # acknowledged
    expected: int = 0  # rows
    lost: int = 0
    doubled: int = 0
    nights: int = 0  # until all was well
    seconds: float = 0.0
    told: list[str] = field(default_factory=list[str])  # what does not hold
    at: list[str] = field(default_factory=list[str])  # boundaries that were killed at, <point>:<address>
    alone: bool = False  # it breaks what others stand on


class Tally:
    """Results as they come."""

    def __init__(self, file: Path | None, minutes: float | None, console: Console) -> None:
        self.file, self.console = file, console
        self.end = time.monotonic() + minutes * 60 if minutes else None
        self.results = [Result(**json.loads(line)) for line in file.read_text().splitlines()] if file and file.exists() else []
        self.here = list[Result]()  # of this run
        self.planned = 0
        self.began = time.monotonic()
        self.lock = threading.Lock()

    def over(self) -> bool:
        """Whether the time that this run was given is over."""
        return self.end is not None and time.monotonic() > self.end

    def done(self, case: str) -> bool:
        """Whether a case has been run before."""
        return any(r.case == case for r in self.results)

    def run_all(self, cases: Iterable[tuple[Result, Callable[[Result], None]]], at_once: int) -> None:
        """Run cases, some at once; those that must be alone after the others."""
        cases = list(cases)
        with ThreadPoolExecutor(at_once) as threads:
            try:
                for done in [threads.submit(self.run, result, work) for result, work in cases if not result.alone]:
                    done.result()
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)  # ended from outside: those that are running, and no more
                raise
        for result, work in cases:
            self.run(result, work)

    def run(self, result: Result, work: Callable[[Result], None]) -> None:
        """Run one case, unless it is done or time is over; whatever it raises is told as its failure, and the others go on."""
        if self.done(result.case) or self.over():
            return
        began = time.monotonic()
        try:
            work(result)
        except Exception as error:  # noqa: BLE001  a case that breaks is a case that failed; the rest must be run all the same
            result.told.append(f"{type(error).__name__}: {error}"[:4000])
        result.seconds = round(time.monotonic() - began, 1)
        with self.lock:
            self._written(result)

    def _written(self, result: Result) -> None:
        self.results.append(result)
        self.here.append(result)
        if self.file:
            with self.file.open("a") as out:
                out.write(json.dumps(asdict(result)) + "\n")
        each = (time.monotonic() - self.began) / len(self.here)
        left = max(0, self.planned - len(self.results)) * each
        words = f"[{len(self.results)}/{max(self.planned, len(self.results))}] {result.case}: {result.lost} lost, {result.doubled} doubled"
        self.console.print(f"{words}, {result.seconds:.0f} s; some {left / 60:.0f} min left", markup=False, soft_wrap=True)
        for line in result.told:
            self.console.print(f"    DOES NOT HOLD: {line}", markup=False, style="red", soft_wrap=True)

    def lines(self) -> list[tuple[str, ...]]:
        """The sums, a line for each name, and one for all."""
        names = list(dict.fromkeys((r.part, r.name) for r in self.results))
        groups = [(part, name, [r for r in self.results if (r.part, r.name) == (part, name)]) for part, name in names]
        return [(part, name, *_sums(found)) for part, name, found in [*groups, ("all", "", self.results)]]

    def shown(self) -> Table:
        """The sums for a terminal."""
        table = Table(title="chaos", title_justify="left", box=None, pad_edge=False)
        table.add_column("part")
        table.add_column("what was broken")
        for name in COLUMNS:
            table.add_column(name, justify="right")
        for line in self.lines():
            table.add_row(*line, style="red" if line[-1] != "0" else None)
        return table

    def grid(self, points: Sequence[str], addresses: Sequence[str]) -> str:
        """How often each boundary of each address was killed at, as Markdown."""
        found = Counter(at for r in self.results for at in r.at)
        rows = [["killed", *addresses], ["---", *["---:"] * len(addresses)], *[[p, *[str(found[f"{p}:{a}"]) for a in addresses]] for p in points]]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def markdown(self) -> str:
        """The sums for docs/reliability.md."""
        head = ["", "what was broken", *COLUMNS]
        rows = [head, ["---", "---", *["---:"] * len(COLUMNS)], *self.lines()]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _sums(found: list[Result]) -> tuple[str, ...]:
    figures = (len(found), *(sum(getattr(r, n) for r in found) for n in ("kills", "commits", "expected", "lost", "doubled", "nights")))
    return (*(f"{n:,}" for n in figures), str(sum(bool(r.told) for r in found)))
