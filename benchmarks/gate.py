"""What a gate adds to a write: Millrace beside plain Delta, stock Great Expectations, cuallee, soda and hand-written Spark.

    python -m benchmarks.gate --rows 1000000,10000000 --rules 12,40 --repeats 3 --markdown docs/benchmarks-gate.md

Rows of our own making (a hundredth of them breaks one rule each, every rule equally often) lie in a Delta table. Each way reads them,
judges the same rules and writes what it keeps into a new Delta table:
    plain         read and write: what every other way is compared with;
    lake          a job of a small project with the rules in expectations/, as a night runs it: intent, gate, staging, rejects, commit, books;
    gx            stock Great Expectations with its defaults (persist=True), then the plain write;
    gx cheapest   stock Great Expectations with persist=False, BASIC and no partial lists, then the plain write;
    cuallee, soda   one check with all rules, then the plain write, in an environment of their own (benchmarks/gate_peers.txt, made in .lake/);
    hand          a bitmask and an Observation in the pass that writes, the rejected rows read once more: what is possible.
One after the other in each repeat, each time in another order, after a round that nobody times. Uniqueness is in none of them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from benchmarks import gate_ways
from benchmarks.gate_ways import Done, Rule
from benchmarks.ingest import cpu_seconds, opened, show
from lake import ops
from lake.errors import LakeError
from lake.lake import Lake
from lake.plan import read_step
from lake.run import load, run
from lake.session import ALWAYS
from lake.settings import Settings, project_root
from lake.store import Store

PEERS = ("cuallee", "soda")
WAYS = ("plain", "lake", "gx", "gx cheapest", "cuallee", "soda", "hand")
OF_THE_WRITE, LESS_THAN_GX = 0.60, 5.0  # what is borne at 12 rules: time added beside the plain write, and how many times less than gx adds
BAD_EVERY = 100  # rows


# -- rows and rules -------------------------------------------------------------------------------------------------------

_SHARES = {"not null": 11, "between": 16, "in set": 5, "regex": 3, "length": 3, "pair": 2}  # of 40 rules


def rules_of(number: int) -> list[Rule]:
    """So many rules (six at least), each about a column of its own; of twelve three ask for a value, five for a range, and one each for the rest."""
    whole = sum(_SHARES.values())
    chosen = {kind: max(1, number * share // whole) for kind, share in _SHARES.items()}  # every kind is there, the rest are ranges
    chosen["between"] += number - sum(chosen.values())
    made: list[Rule] = []
    asks: dict[str, Callable[[int], dict[str, Any]]] = {
        "not null": lambda n: {"column": f"there{n}"},
        "between": lambda n: {"column": f"measure{n}", "low": 0, "high": 100},
        "in set": lambda n: {"column": f"kind{n}", "set": [f"kind-{k}" for k in range(8)]},
        "regex": lambda n: {"column": f"code{n}", "regex": "^[A-Z]{2}-[0-9]{4,8}$"},
        "length": lambda n: {"column": f"text{n}", "low": 5, "high": 200},
        "pair": lambda n: {"column": f"ended{n}", "than": f"began{n}"},
    }
    for kind, count in chosen.items():
        made += [{"name": f"{kind} {n}", "kind": kind, **asks[kind](n)} for n in range(count)]
    return made


def columns_of(rules: Sequence[Rule]) -> dict[str, str]:
    """The columns of the rows and their types."""
    types = {"not null": "string", "between": "double", "in set": "string", "regex": "string", "length": "string", "pair": "bigint"}
    found = {"id": "bigint"}
    for rule in rules:
        found[rule["column"]] = types[rule["kind"]]
        if rule["kind"] == "pair":
            found[rule["than"]] = "bigint"
    return found


def write_rows(spark: Any, rules: Sequence[Rule], rows: int, to: Path) -> None:
    """The same rows every time; row 0, 100, 200 ... breaks one rule, in turn."""
    from pyspark.sql import functions as F

    def of(rule: Rule, n: int) -> list[Any]:
        salt, ident = F.lit(n), F.col("id")
        dice = F.xxhash64(ident, salt)
        good, bad = {
            "not null": lambda: (F.concat(F.lit("v"), (F.abs(dice) % 100_000).cast("string")), F.lit(None).cast("string")),
            "between": lambda: (F.pmod(dice, F.lit(10_001)) / 100.0, F.lit(1e6)),
            "in set": lambda: (F.concat(F.lit("kind-"), F.pmod(dice, F.lit(8)).cast("string")), F.lit("other")),
            "regex": lambda: (F.concat(F.lit("AB-"), (1000 + F.pmod(dice, F.lit(90_000))).cast("string")), F.lit("no code")),
            "length": lambda: (F.concat(F.lit("text of row "), F.hex(dice), F.lit(" "), F.hex(F.xxhash64(dice))), F.lit("x")),
            "pair": lambda: (F.col("id") + 1_000 + F.pmod(dice, F.lit(500)), F.col("id")),
        }[rule["kind"]]()
        is_bad = (ident % BAD_EVERY == 0) & ((ident / BAD_EVERY).cast("bigint") % len(rules) == n)
        made = [F.when(is_bad, bad).otherwise(good).alias(rule["column"])]
        return made + ([(ident + 500).alias(rule["than"])] if rule["kind"] == "pair" else [])

    columns = [column for n, rule in enumerate(rules) for column in of(rule, n)]
    spark.range(0, rows, 1, 4).select("id", *columns).write.format("delta").save(str(to))


def expected(rules: Sequence[Rule], rows: int) -> dict[str, int]:
    """How many rows break each rule."""
    bad = -(-rows // BAD_EVERY)
    return {rule["name"]: bad // len(rules) + (n < bad % len(rules)) for n, rule in enumerate(rules)}


# -- Great Expectations ---------------------------------------------------------------------------------------------------


def expectation(rule: Rule) -> dict[str, Any]:
    """A rule in GX's own keys."""
    column = rule["column"]
    return {
        "not null": lambda: {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": column}},
        "between": lambda: {
            "type": "expect_column_values_to_be_between", "kwargs": {"column": column, "min_value": rule["low"], "max_value": rule["high"]}},
        "in set": lambda: {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": column, "value_set": rule["set"]}},
        "regex": lambda: {"type": "expect_column_values_to_match_regex", "kwargs": {"column": column, "regex": rule["regex"]}},
        "length": lambda: {
            "type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": column, "min_value": rule["low"], "max_value": rule["high"]}},
        "pair": lambda: {
            "type": "expect_column_pair_values_a_to_be_greater_than_b", "kwargs": {"column_A": column, "column_B": rule["than"], "or_equal": True}},
    }[rule["kind"]]()  # fmt: skip


def gx(spark: Any, rows: Any, rules: Sequence[Rule], to: str, *, cheapest: bool = False) -> tuple[dict[str, int], bool]:
    """Stock Great Expectations, then the plain write."""
    import great_expectations

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = great_expectations.ExpectationSuite(name="gate", expectations=[{**expectation(r), "meta": {"n": n}} for n, r in enumerate(rules)])
    source = context.data_sources.add_spark(name="rows", **({"persist": False} if cheapest else {}))
    batch = source.add_dataframe_asset(name="rows").add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
    asked = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}} if cheapest else {}
    result = batch.validate(suite, **asked)
    rows.write.format("delta").save(to)
    counts = {rules[r.expectation_config.meta["n"]]["name"]: int(r.result["unexpected_count"]) for r in result.results}
    return counts, False


def gx_way(spark: Any, source: Path, rules: Sequence[Rule], to: Path, *, cheapest: bool) -> Done:
    """From reading the input to the end of the write; what stock GX persisted, and keeps, is given back afterwards."""
    session = spark.newSession()
    rows = session.read.format("delta").load(str(source))
    done = gate_ways.measured(session, lambda: gx(session, rows, rules, str(to), cheapest=cheapest))
    session.catalog.clearCache()
    return done


# -- Millrace -------------------------------------------------------------------------------------------------------------


def write_project(folder: Path, rules: Sequence[Rule]) -> Path:
    """A project of one job: silver.rows keeps what is right of bronze.rows. Every rule stands in its suite, in GX's own keys."""
    logical = {"bigint": "integer", "double": "number", "string": "string"}
    properties = [
        {"name": name, "logicalType": logical[kind], "physicalType": kind, "description": "A column."} for name, kind in columns_of(rules).items()
    ]
    for address in ("bronze.rows", "silver.rows"):
        contract = {
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": address, "name": "Rows", "version": "1.0.0", "status": "active",
            "domain": "benchmarks",
            "description": {"purpose": "To be judged.", "usage": "None."},
            "schema": [{"name": "rows", "physicalType": "table", "description": "Rows of a benchmark.", "properties": properties}],
        }  # fmt: skip
        _write(folder / "schemas" / f"{address.replace('.', '/')}.yaml", yaml.safe_dump(contract, sort_keys=False))
    # `quarantine` is what decides; a severity below critical lets a gate that only labels pass them with a warning.
    asked = [{**expectation(r), "severity": "warning", "meta": {"on_fail": "quarantine", "why": "The benchmark's."}} for r in rules]
    _write(folder / "expectations" / "silver" / "rows.yaml", yaml.safe_dump({"name": "silver.rows", "expectations": asked}, sort_keys=False))
    _write(folder / "pyproject.toml", "[tool.lake]\n")
    return _write(
        folder / "jobs" / "silver" / "rows.py",
        '"""Silver rows: as they are."""\n\nfrom lake import Job\n\nJOB = Job(writes="silver.rows", reads=("bronze.rows",), grain="whole")\n\n\n'
        'def build(rows):\n    """Nothing is changed."""\n    return rows\n',
    )


def lake_way(spark: Any, project: Path, source: Path, rules: Sequence[Rule], root: Path) -> Done:
    """The job, in a lake of its own whose bronze.rows is the input."""
    (root / "bronze").mkdir(parents=True)
    (root / "bronze" / "rows").symlink_to(source)
    step = read_step(project / "jobs" / "silver" / "rows.py")
    assert step is not None
    lake = opened(root, spark, [])
    before = {name: os.environ.get(name) for name in ("LAKE_PROJECT",)}
    os.environ["LAKE_PROJECT"] = str(project)
    try:
        build, rejected = load(step), 0

        def way() -> tuple[dict[str, int], bool]:
            nonlocal rejected
            outcome = run(step, build, lake)
            if outcome.error is not None:
                raise outcome.error
            rejected = outcome.rows_rejected
            return {}, rejected > 0

        done = gate_ways.measured(spark, way)
        about = {(e["type"], _about(e["kwargs"])): rule["name"] for rule in rules for e in (expectation(rule),)}
        told = ops.read(lake.store, "checks", [("address", "=", "silver.rows")])
        done.counts = {name: int(c["unexpected"]) for c in told if (name := about.get((c["rule"], c["column"]))) and c["unexpected"] is not None}
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return done


def _about(kwargs: Mapping[str, Any]) -> str:
    return str(kwargs.get("column") or f"{kwargs['column_A']}, {kwargs['column_B']}")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# -- peers ----------------------------------------------------------------------------------------------------------------

ALIKE = ("spark.sql.", "spark.databricks.", "spark.delta.", "spark.jars", "spark.driver.memory", "spark.master", "spark.ui.", "spark.hadoop.hadoop")
"""Settings of this Spark that the peers' has as well."""


@dataclass
class Peers:
    """A Python of the peers' own environment with a Spark of its own, which answers requests."""

    process: subprocess.Popen[str]

    @classmethod
    @contextlib.contextmanager
    def opened(cls, spark: Any, log: Path) -> Generator[Peers]:
        """Start it, with the settings of this Spark.

        Raises:
            LakeError: there is no such environment, and none can be made.
        """
        python = environment()
        conf = {k: v for k, v in spark.sparkContext.getConf().getAll() if k.startswith(ALIKE)}
        conf |= {k: v for k, v in ALWAYS.items() if "pyspark" not in k}
        with log.open("w", encoding="utf-8") as said:
            process = subprocess.Popen(
                [str(python), "-P", str(Path(gate_ways.__file__))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env={**os.environ, "PYSPARK_PYTHON": str(python)},
            )  # fmt: skip
            try:
                peers = cls(process)
                peers._say(conf)
                yield peers
            finally:
                assert process.stdin is not None
                process.stdin.close()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()

    def ask(self, way: str, source: Path, rules: Sequence[Rule], to: Path) -> Done:
        self._say({"way": way, "from": str(source), "to": str(to), "rules": list(rules)})
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise LakeError("the peers' process has ended", next_step="see peers.log in the benchmark's folder (--work DIR keeps it)")
        answer = json.loads(line)
        if "error" in answer:
            raise LakeError(f"{way}: {answer['error']}", next_step="see benchmarks/gate_peers.txt")
        return Done(**answer)

    def _say(self, what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()


def environment() -> Path:
    """The peers' Python: .lake/peers/<hash of their requirements>, made by uv when it is not there.

    Raises:
        LakeError: it can't be made.
    """
    here, home = Path(__file__).parent, project_root() / ".lake"
    asked, freed = here / "gate_peers.txt", here / "gate_peers_overrides.txt"
    folder = home / "peers" / hashlib.sha256(asked.read_bytes() + freed.read_bytes()).hexdigest()[:12]
    python = folder / "bin" / "python"
    if (folder / "done").exists():
        return python
    uv = home / "uv" / "bin" / "uv"
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder],
        [uv, "pip", "install", "--quiet", "--python", python, "--override", freed, "-r", asked],
    ):
        try:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
        except OSError as error:
            raise LakeError(f"the peers' environment can't be made: {error}", next_step="make set-up") from error
        if done.returncode:
            raise LakeError(f"the peers' environment can't be made: {done.stderr.strip()[-500:]}", next_step="is a package index at hand?")
    (folder / "done").touch()
    return python


# -- side by side ---------------------------------------------------------------------------------------------------------


@dataclass
class Measured:
    """Figures of one way at one size, a repeat each."""

    way: str
    rows: int
    rules: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)  # of a peer: the plain write in its own process, in the same repeat
    jobs: int = 0
    records: int = 0
    split: bool = False
    agrees: bool = True
    error: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        return f"{min(self.seconds):.1f}-{max(self.seconds):.1f}"


def side_by_side(
    spark: Any, work: Path, sizes: Sequence[int], numbers: Sequence[int], repeats: int, ways: Sequence[str], peers: Peers | None, say: Any
) -> list[Measured]:
    found: list[Measured] = []
    target = itertools.count()
    for rows, number in itertools.product(sizes, numbers):
        rules, source = rules_of(number), work / f"rows-{rows}-{number}"
        write_rows(spark.newSession(), rules, rows, source)
        write_project(work / f"project-{number}", rules)
        due = expected(rules, rows)
        each = {way: Measured(way, rows, number) for way in ways}
        warming = (rows, number) == (sizes[0], numbers[0])  # JVM, code and page cache; Python's imports
        for repeat in range(repeats + warming):
            timed = repeat >= warming
            beside: float | None = None
            for n in range(len(ways)):
                way = ways[(n + repeat) % len(ways)]
                mine = each[way]
                if mine.error:
                    continue
                to, cpu = work / f"to-{next(target)}", cpu_seconds()
                try:
                    if way in PEERS:
                        if peers is None:
                            raise LakeError("no environment of its own could be made", next_step="")
                        if beside is None:
                            beside = peers.ask("plain", source, rules, work / f"to-{next(target)}").seconds
                            cpu = cpu_seconds()
                        done = peers.ask(way, source, rules, to)
                    elif way == "lake":
                        done = lake_way(spark, work / f"project-{number}", source, rules, to)
                    elif way in ("gx", "gx cheapest"):
                        done = gx_way(spark, source, rules, to, cheapest=way == "gx cheapest")
                    else:
                        done = gate_ways.done(spark, way, str(source), rules, str(to))
                except LakeError as error:
                    mine.error = str(error).splitlines()[0]
                    say(f"{rows:,} rows, {number} rules, {way}: not measured: {mine.error}")
                    continue
                if timed:
                    mine.seconds.append(done.seconds)
                    mine.cpu.append(cpu_seconds() - cpu)
                    if way in PEERS and beside is not None:
                        mine.beside.append(beside)
                    mine.jobs, mine.records, mine.split = done.jobs, done.records, done.split
                    mine.agrees = mine.agrees and (way == "plain" or done.counts == due)
                told = "" if way == "plain" or done.counts == due else f"; counts differ: {_differences(done.counts, due)}"
                say(
                    f"{rows:,} rows, {number} rules, {way}{'' if timed else ' (not timed)'}: {done.seconds:.1f} s, {done.jobs} jobs, "
                    f"{done.records:,} records read, load {os.getloadavg()[0]:.1f}{told}"
                )
                for left in work.glob("to-*"):
                    shutil.rmtree(left)
        found += each.values()
        shutil.rmtree(source)
    return found


def _differences(counts: Mapping[str, int], due: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {counts.get(name)} in place of {n}" for name, n in due.items() if counts.get(name) != n)[:300]


def added(m: Measured, found: Mapping[tuple[int, int, str], Measured]) -> float | None:
    """Seconds that a way takes more than the plain write: of a peer, than the plain write in its own process."""
    plain = found.get((m.rows, m.rules, "plain"))
    if not m.seconds or (not m.beside and (plain is None or not plain.seconds)):
        return None
    if m.beside:
        return m.median - statistics.median(m.beside)
    return m.median - plain.median if plain else None


HEAD = ["rows", "rules", "way", "median s", "min-max s", "added s", "added to the write", "CPU s", "jobs", "records read", "bad rows apart", "counts"]


def tables(measured: Sequence[Measured]) -> list[list[str]]:
    found = {(m.rows, m.rules, m.way): m for m in measured}
    rows: list[list[str]] = []
    for m in measured:
        size = [f"{m.rows:,}", str(m.rules), m.way]
        if m.error or not m.seconds:
            rows.append([*size, "", "", "", "", "", "", "", "", f"not measured: {m.error}"])
            continue
        more = added(m, found)
        plain = statistics.median(m.beside) if m.beside else found[m.rows, m.rules, "plain"].median if (m.rows, m.rules, "plain") in found else 0
        is_plain = m.way == "plain"
        rows.append(
            [
                *size, f"{m.median:.1f}", m.spread, "" if is_plain or more is None else f"{more:.1f}",
                "" if is_plain or more is None or not plain else f"{more / plain:+.0%}",
                f"{statistics.median(m.cpu):.1f}" if m.cpu else "", str(m.jobs), f"{m.records:,}",
                "" if is_plain else "yes" if m.split else "no", "" if is_plain else "agree" if m.agrees else "DIFFER",
            ]
        )  # fmt: skip
    return rows


VERDICT = ["rows", "rules", "lake adds to the write", "gx adds to the write", "gx adds / lake adds", "hand adds", "holds"]


def verdicts(measured: Sequence[Measured]) -> list[list[str]]:
    """Of each size and number of rules: what ours adds, beside stock GX's and what is possible; the marks are asked at 12 rules."""
    found = {(m.rows, m.rules, m.way): m for m in measured}
    rows: list[list[str]] = []
    for (size, number, way), lake in found.items():
        plain, stock, hand = (found.get((size, number, w)) for w in ("plain", "gx", "hand"))
        if way != "lake" or not lake.seconds or plain is None or not plain.seconds:
            continue
        mine = lake.median - plain.median
        share = mine / plain.median
        theirs = stock.median - plain.median if stock and stock.seconds else None
        times = theirs / mine if theirs is not None and mine > 0 else None
        held = share <= OF_THE_WRITE and (theirs is None or mine <= 0 or theirs / mine >= LESS_THAN_GX) and lake.split and lake.agrees
        why = [w for w, bad in (("bad rows are not set apart", not lake.split), ("counts differ", not lake.agrees)) if bad]
        rows.append(
            [
                f"{size:,}", str(number), f"{share:+.0%}", "" if theirs is None else f"{theirs / plain.median:+.0%}",
                "" if times is None else f"{times:.1f}", f"{hand.median / plain.median - 1:+.0%}" if hand and hand.seconds else "",
                "yes" if held else f"no: {', '.join(why)}" if why else "no",
            ]
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,10000000")
    parser.add_argument("--rules", default="12,40", help=f"at most {sum(_SHARES.values())} each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--markdown", type=Path, help="write the tables there")
    parser.add_argument("--work", type=Path, help="folder for the rows and the tables; default a temporary one, removed at the end")
    asked = parser.parse_args()
    console, ways = Console(width=170), asked.ways.split(",")
    sizes, numbers = ([int(s) for s in text.split(",")] for text in (asked.rows, asked.rules))
    with tempfile.TemporaryDirectory(dir=asked.work) as folder, contextlib.ExitStack() as closing:
        work = Path(folder)
        os.environ["LAKE_ROOT"] = str(work / "first")
        os.environ.setdefault("LAKE_MASTER", "local[2]")
        settings = Settings.load()
        with Lake(settings, Store(settings.root), listener=lambda *_: None) as lake:
            from lake.gate import batch

            spark = lake.spark(meanwhile=batch.ready)
            spark.sparkContext.setLogLevel("ERROR")
            peers: Peers | None = None
            if set(PEERS) & set(ways):
                try:
                    peers = closing.enter_context(Peers.opened(spark, (asked.work or work) / "peers.log"))
                except LakeError as error:
                    console.print(str(error))
            began = time.monotonic()
            measured = side_by_side(spark, work, sizes, numbers, asked.repeats, ways, peers, console.print)
            console.print(f"{time.monotonic() - began:.0f} s")
    show(((HEAD, tables(measured)), (VERDICT, verdicts(measured))), console, asked.markdown, "w")


if __name__ == "__main__":
    main()
