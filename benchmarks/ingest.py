"""How fast raw files become bronze: Millrace beside bare Spark on the same files, in one session, turn by turn.

    python -m benchmarks.ingest --sizes 1,10,100 --repeats 3 --markdown docs/benchmarks/ingest.md

Three real sources (LAKE_SAMPLES; else samples/raw) are copied under new names until they are 1, 10 and 100 times the pack, then
    bare     spark.read (csv, or text and regexp_extract), the columns of the bronze job without its origin, plain df.write to a new Delta table;
    lake     the bronze job as a night runs it: list, hash, ledger, read, gate, stage, reconcile, judge, commit, books;
    without  the same without the hashes (list and read), the count of lines, the ledger of files and the reconciliation.
All three run with the same Spark, the same settings and the same cores, one after the other in each repeat, after a round that nobody times.
Bare Spark writes no row_id, file, sha256, line or offset, keeps no rejects and judges nothing: it is what a script of ten lines does.

`--known 100,100000` measures another thing: a night with 100 new files where so many are known, and what its listing takes.
`--listed 1000000` lists that many objects from a stubbed S3, 1,000 a page, and looks for what is new.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import os
import platform
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from lake import ops
from lake.contract import Contract, Source
from lake.lake import Lake
from lake.plan import plan
from lake.run import load, run
from lake.run.tables import TableRun
from lake.settings import Settings, project_root
from lake.sources.files import matcher
from lake.sources.read import ORIGIN
from lake.store import Store, split_location

SOURCES = ("access", "beijing_air", "banking77")
WAYS = ("bare", "lake", "without")
BESIDE_BARE, FOR_THE_LEDGER = 2.5, 0.20  # what is borne, from 10x on: times bare Spark's seconds, and share of our own without


@dataclass
class Measured:
    """Seconds of one way over one source at one size, a repeat each."""

    source: str
    size: int
    way: str
    files: int = 0
    bytes: int = 0
    rows: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    phases: list[dict[str, float]] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        return f"{min(self.seconds):.1f}-{max(self.seconds):.1f}"


# -- the files ------------------------------------------------------------------------------------------------------------


def copies(raw: Path, source: Source, times: int, to: Path) -> list[Path]:
    """The pack's files of a source, so many times under names of their own, where its contract looks for them."""
    folder, pattern = split_location(source.location)
    below = folder.removeprefix("raw/")
    matches = matcher(pattern)
    found = [p for p in sorted((raw / below).rglob("*")) if p.is_file() and matches(p.relative_to(raw / below).as_posix())]
    if not found:
        raise SystemExit(f"{raw / below} has no files: set LAKE_SAMPLES to a folder laid out like samples/raw")
    made: list[Path] = []
    for n in range(times):
        for path in found:
            target = to / folder / f"{path.stem}-{n:03d}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            made.append(target)
    return made


# -- bare Spark -----------------------------------------------------------------------------------------------------------


def bare(spark: Any, source: Source, build: Callable[..., Any], files: Sequence[Path], to: Path) -> int:
    """What a script of ten lines does: read by schema, the job's own columns, append to Delta."""
    from pyspark.sql import functions as F

    paths = [str(f) for f in files]
    if source.format == "lines":
        lines = spark.read.option("lineSep", "\n").text(paths)
        pattern = source.options["pattern"].replace("(?P<", "(?<")
        order = re.findall(r"\(\?P<(\w+)>", source.options["pattern"])
        fields = []
        for c in source.fields:
            text = F.regexp_extract("value", pattern, order.index(c.name) + 1)
            text = F.nullif(text, F.lit(source.options["missing"][0]))
            if c.type == "timestamp":
                text = F.try_to_timestamp(text, F.lit(source.options["formats"][c.name]))
            fields.append((text if c.type in ("string", "timestamp") else text.try_cast(c.type)).alias(c.name))
        read = lines.select(F.col("_metadata.file_path").alias("file"), *fields)
    else:
        schema = ", ".join(f"`{c.name}` {c.type}" for c in source.fields)
        null = (source.options.get("missing") or [""])[0]
        reader = spark.read.schema(schema).option("header", True).option("escape", '"').option("nullValue", null)
        # banking77 has cells of several lines: without multiLine Spark reads them wrong.
        read = reader.option("multiLine", source.name == "banking77").csv(paths).select("*", F.col("_metadata.file_path").alias("file"))
    blank = [F.lit(None).cast("string").alias(name) for name in ORIGIN if name != "file"]
    build(read.select("*", *blank)).drop(*ORIGIN).write.format("delta").save(str(to))
    return int(spark.read.format("delta").load(str(to)).count())


# -- Millrace -------------------------------------------------------------------------------------------------------------


def opened(root: Path, spark: Any, said: list[tuple[float, str]]) -> Lake:
    """A lake in an empty folder of its own, on the Spark that there is."""
    os.environ["LAKE_ROOT"] = str(root)
    settings = Settings.load()
    return Lake(settings, Store(settings.root), listener=lambda _, text: said.append((time.monotonic(), text)), _spark=spark)


def lake_run(address: str, lake: Lake) -> int:
    step = plan(project_root()).step(address)
    outcome = run(step, load(step), lake)
    if outcome.error:
        raise outcome.error
    return outcome.rows_kept + outcome.rows_rejected


def _without(task: type) -> type:
    """The reader's task without hash and count: a switch of this benchmark, in the workers only while one of these runs."""

    class Without(task):  # type: ignore[misc, valid-type]
        def __call__(self, ids: Iterator[Any]) -> Iterator[Any]:
            read = importlib.import_module("lake.sources.read")
            kept = read._Checked, read._LineEnds

            class Checked(kept[0]):
                def readinto(self, buffer: Any) -> int:
                    block = self._stream.read(min(len(buffer), self._most - self._size))
                    self._size += len(block)
                    buffer[: len(block)] = block
                    return len(block)

                def must_be(self, file: Any) -> None:
                    pass

            class Anything(int):  # equal to every number of lines
                def __ne__(self, other: object) -> bool:
                    return False

            class LineEnds(kept[1]):
                count = Anything()

                def pass_by(self, block: bytes) -> None:
                    pass

            read._Checked, read._LineEnds = Checked, LineEnds
            try:
                yield from super().__call__(ids)
            finally:
                read._Checked, read._LineEnds = kept

    return Without


@contextlib.contextmanager
def unreconciled() -> Generator[None]:
    """No hash of what is listed and read, no count of lines, no ledger of files, no reconciliation."""
    from lake.sources import files

    read = importlib.import_module("lake.sources.read")
    append = ops.append
    swapped: list[tuple[Any, str, Any]] = [
        (read, "_Task", _without(read._Task)),
        (files, "_sha256", lambda *_: ("0" * 64, None)),
        (ops, "append", lambda store, name, rows: None if name == "files" else append(store, name, rows)),
        (TableRun, "_must_reconcile", lambda *_: None),
        (TableRun, "_reconciled", lambda *_: []),
        (TableRun, "_close_files", lambda *_: None),
    ]
    kept = [(of, name, getattr(of, name)) for of, name, _ in swapped]
    for of, name, new in swapped:
        setattr(of, name, new)
    try:
        yield
    finally:
        for of, name, old in kept:
            setattr(of, name, old)


def phases(began: float, said: Sequence[tuple[float, str]], ended: float) -> dict[str, float]:
    """Seconds from one line of progress to the next: plan (list, hash, ledger), read and stage, judge and commit."""
    at = {name: next((t for t, text in said if text.startswith(name)), None) for name in ("reading", "staged")}
    if at["reading"] is None or at["staged"] is None:
        return {}
    return {"plan": at["reading"] - began, "read and stage": at["staged"] - at["reading"], "judge, commit, books": ended - at["staged"]}


def cpu_seconds() -> float:
    """CPU seconds so far of this process and all below it: the JVM and Python's workers. On a shared machine they are firmer than the clock."""
    ticks, parent, spent = os.sysconf("SC_CLK_TCK"), dict[int, int](), dict[int, float]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile: its time is with its parent
            fields = stat.read_text().rpartition(")")[2].split()
            parent[int(stat.parent.name)] = int(fields[1])
            spent[int(stat.parent.name)] = sum(map(int, fields[11:15])) / ticks  # its own and that of children that have ended
    mine, more = {os.getpid()}, {os.getpid()}
    while more:
        more = {pid for pid, above in parent.items() if above in more} - mine
        mine |= more
    return sum(spent.get(pid, 0.0) for pid in mine)


# -- side by side ---------------------------------------------------------------------------------------------------------


def side_by_side(
    spark: Any, raw: Path, work: Path, sizes: Sequence[int], repeats: int, sources: Sequence[str], ways: Sequence[str], say: Any
) -> list[Measured]:
    found: list[Measured] = []
    number = itertools.count()
    for name in sources:
        source = Contract.load(f"raw.{name}").source
        assert source is not None
        build = load(plan(project_root()).step(f"bronze.{name}"))
        for size in sizes:
            landed = work / "landed"
            files = copies(raw, source, size, landed)
            total = sum(f.stat().st_size for f in files)
            each = {way: Measured(name, size, way, len(files), total) for way in ways}
            for repeat in range(repeats + (size == sizes[0])):  # the first round of a source warms JVM, code and page cache
                timed = repeat >= (size == sizes[0])
                for n in range(len(ways)):
                    way = ways[(n + repeat) % len(ways)]
                    root = work / f"root-{next(number)}"  # Spark and our books keep tables open by their place
                    root.mkdir(parents=True)
                    (root / "raw").symlink_to(landed / "raw")
                    said: list[tuple[float, str]] = []
                    lake = opened(root, spark, said)
                    cpu, began = cpu_seconds(), time.monotonic()
                    if way == "bare":
                        rows = bare(spark.newSession(), source, build, files, root / "bare")
                    else:
                        with unreconciled() if way == "without" else contextlib.nullcontext():
                            rows = lake_run(f"bronze.{name}", lake)
                    ended = time.monotonic()
                    if timed:
                        each[way].seconds.append(ended - began)
                        each[way].cpu.append(cpu_seconds() - cpu)
                        each[way].rows = rows
                        each[way].phases.append(phases(began, said, ended))
                    say(f"{name} {size}x {way}{'' if timed else ' (not timed)'}: {ended - began:.1f} s, {rows:,} rows, load {os.getloadavg()[0]:.1f}")
                    shutil.rmtree(root)
            shutil.rmtree(landed)
            found += each.values()
    return found


def ratio(found: Mapping[tuple[str, int, str], Measured], source: str, size: int, way: str, to: str) -> float | None:
    one, other = found.get((source, size, way)), found.get((source, size, to))
    return one.median / other.median if one and other and other.seconds and one.seconds else None


def tables(measured: Sequence[Measured]) -> list[list[str]]:
    found = {(m.source, m.size, m.way): m for m in measured}
    rows: list[list[str]] = []
    for m in measured:
        beside = ratio(found, m.source, m.size, m.way, "bare")
        rows.append(
            [
                m.source, f"{m.size}x", m.way, f"{m.files:,}", f"{m.bytes / 1e6:,.1f}", f"{m.rows:,}", f"{m.median:.1f}", m.spread,
                f"{statistics.median(m.cpu):.1f}" if m.cpu else "",
                f"{m.rows / m.median:,.0f}", f"{m.bytes / 1e6 / m.median:.1f}", "" if beside is None or m.way == "bare" else f"{beside:.2f}",
            ]
        )  # fmt: skip
    return rows


def verdicts(measured: Sequence[Measured]) -> list[list[str]]:
    """Of each source and size: lake beside bare, also for what it has more than the size before, and beside itself without the ledger."""
    found = {(m.source, m.size, m.way): m for m in measured}
    rows: list[list[str]] = []
    for (source, size, way), lake in found.items():
        if way != "lake" or not lake.seconds:
            continue
        bare, without = found.get((source, size, "bare")), found.get((source, size, "without"))
        smaller = max((s for n, s, w in found if n == source and w == "lake" and s < size), default=None)
        slope = ""
        if smaller and bare and bare.median > found[source, smaller, "bare"].median:
            slope = f"{(lake.median - found[source, smaller, 'lake'].median) / (bare.median - found[source, smaller, 'bare'].median):.2f}"
        times, share = lake.median / bare.median if bare else None, lake.median / without.median - 1 if without else None
        held = (times is None or times <= BESIDE_BARE) and (share is None or share <= FOR_THE_LEDGER)
        of_cpu = f"{statistics.median(lake.cpu) / statistics.median(bare.cpu):.2f}" if bare and bare.cpu and lake.cpu else ""
        phase = {k: statistics.median(p[k] for p in lake.phases) for k in lake.phases[0]} if lake.phases and all(lake.phases) else {}
        rows.append(
            [
                source, f"{size}x", "" if times is None else f"{times:.2f}", of_cpu, slope, "" if share is None else f"{share:+.0%}",
                " / ".join(f"{s:.1f}" for s in phase.values()), "yes" if held else "no" if size >= 10 else "no: fixed costs",
            ]
        )  # fmt: skip
    return rows


VERDICT = [
    "source",
    "size",
    "lake / bare",
    "of CPU",
    "per MB more",
    "ledger and reconciliation",
    "plan / read and stage / judge and commit, s",
    "holds",
]
HEAD = ["source", "size", "way", "files", "MB", "rows", "median s", "min-max s", "CPU s", "rows/s", "MB/s", "x bare"]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    right = [all(re.fullmatch(r"[\d.,x%-]*", row[i]) for row in rows) for i in range(len(head))]
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---:" if r else "---" for r in right) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def show(tables: Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]], console: Console, to: Path | None, mode: str) -> None:
    """Tables of figures, and the machine, on the console; and in a Markdown file, opened in this mode."""
    for head, rows in tables:
        grid = Grid(*head)
        for row in rows:
            grid.add_row(*row)
        console.print(grid)
    console.print(machine())
    if to:
        with open(to, mode, encoding="utf-8") as file:
            file.write("\n\n".join(markdown(head, rows) for head, rows in tables) + f"\n\n{machine()}\n")


def machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    return f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), load average {os.getloadavg()[1]:.1f} at the end"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1,10,100", help="times the pack, default 1,10,100")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sources", default=",".join(SOURCES))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--markdown", type=Path, help="write the tables there")
    parser.add_argument("--work", type=Path, help="folder for the copies and the tables; default a temporary one, removed at the end")
    asked = parser.parse_args()
    console = Console(width=160)
    raw = Path(os.environ.get("LAKE_SAMPLES") or project_root() / "samples" / "raw")
    with tempfile.TemporaryDirectory(dir=asked.work) as folder:
        work = Path(folder)
        os.environ["LAKE_ROOT"] = str(work / "first")
        os.environ.setdefault("LAKE_MASTER", "local[2]")
        settings = Settings.load()
        with Lake(settings, Store(settings.root), listener=lambda *_: None) as lake:
            from lake.gate import batch

            spark = lake.spark(meanwhile=batch.ready)
            spark.sparkContext.setLogLevel("ERROR")  # bare Spark warns of every file's header: its names are not the schema's
            sizes = [int(s) for s in asked.sizes.split(",")]
            measured = side_by_side(spark, raw, work, sizes, asked.repeats, asked.sources.split(","), asked.ways.split(","), console.print)
    show(((HEAD, tables(measured)), (VERDICT, verdicts(measured))), console, asked.markdown, "w")


if __name__ == "__main__":
    main()
