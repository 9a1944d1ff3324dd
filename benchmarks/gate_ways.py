"""Ways to judge rows while they are written that need nothing of ours: plain Spark, hand-written Spark, cuallee, soda.

Runs in two places: imported by benchmarks/gate.py, and as a script in the peers' own environment, where it answers requests, a line of JSON each:
{"way": "soda", "from": "/input", "to": "/output", "rules": [...]} -> {"seconds": 1.2, "jobs": 3, "records": 2000000, "counts": {}, "split": false}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import or_
from typing import Any

Rule = Mapping[str, Any]
"""kind, column, and what the kind asks: {"name": "between d0", "kind": "between", "column": "d0", "low": 0, "high": 100}."""


@dataclass
class Done:
    """What one way did: its seconds, Spark jobs, records read from storage, the rows that break each rule, and whether they were separated."""

    seconds: float
    jobs: int = 0
    records: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    split: bool = False


# -- what a rule is -------------------------------------------------------------------------------------------------------


def broken(rule: Rule) -> Any:
    """Whether a row breaks a rule, never null."""
    from pyspark.sql import functions as F

    value = F.col(rule["column"])
    if rule["kind"] == "not null":
        return value.isNull()
    wrong = {
        "between": lambda: ~value.between(rule["low"], rule["high"]),
        "in set": lambda: ~value.isin(*rule["set"]),
        "regex": lambda: ~value.rlike(rule["regex"]),
        "length": lambda: ~F.length(value).between(rule["low"], rule["high"]),
        "pair": lambda: value < F.col(rule["than"]),
    }[rule["kind"]]()
    return F.coalesce(wrong, F.lit(False))


# -- measuring ------------------------------------------------------------------------------------------------------------


def measured(spark: Any, way: Callable[[], tuple[dict[str, int], bool]]) -> Done:
    """Run a way to its end; jobs and records are what Spark's own status store says of the jobs that began meanwhile."""
    context = spark.sparkContext._jsc.sc()
    first = context.dagScheduler().numTotalJobs()
    began = time.monotonic()
    counts, split = way()
    seconds = time.monotonic() - began
    context.listenerBus().waitUntilEmpty()
    status, records, seen = context.statusStore(), 0, set[int]()
    last = context.dagScheduler().numTotalJobs()
    for job in range(first, last):
        stages = status.job(job).stageIds()
        for n in range(stages.size()):
            stage = stages.apply(n)
            if stage not in seen:  # a stage that a later job takes up again was skipped there
                seen.add(stage)
                with contextlib.suppress(Exception):  # py4j: a skipped stage has no attempt
                    records += status.lastStageAttempt(stage).inputRecords()
    return Done(seconds, last - first, records, counts, split)


# -- the ways -------------------------------------------------------------------------------------------------------------


def plain(spark: Any, rows: Any, rules: Sequence[Rule], to: str) -> tuple[dict[str, int], bool]:
    """No gate at all."""
    rows.write.format("delta").save(to)
    return {}, False


def hand(spark: Any, rows: Any, rules: Sequence[Rule], to: str) -> tuple[dict[str, int], bool]:
    """What a good engineer writes for these very rules: a bitmask for each row, counts by Observation in the pass that writes the kept rows.

    The rejected ones are read once more: a hundredth of the rows, found by the same condition.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    tag = reduce(lambda a, b: a.bitwiseOR(b), [F.when(broken(r), F.lit(1 << n)).otherwise(0).cast("bigint") for n, r in enumerate(rules)])
    tagged, seen = rows.withColumn("_broken", tag), Observation("gate")
    sums = [F.sum(F.when(F.col("_broken").bitwiseAND(F.lit(1 << n).cast("bigint")) != 0, 1).otherwise(0)).alias(f"r{n}") for n in range(len(rules))]
    tagged.observe(seen, *sums).where("_broken = 0").drop("_broken").write.format("delta").save(to)
    rows.where(reduce(or_, map(broken, rules))).write.format("delta").save(f"{to}-rejects")
    found = seen.get
    return {r["name"]: int(found[f"r{n}"]) for n, r in enumerate(rules)}, True


def cuallee(spark: Any, rows: Any, rules: Sequence[Rule], to: str) -> tuple[dict[str, int], bool]:
    """One Check with all rules; then the write."""
    from cuallee import Check, CheckLevel  # pyright: ignore[reportMissingImports]

    check = Check(CheckLevel.WARNING, "gate")
    for r in rules:
        column = r["column"]
        if r["kind"] == "not null":
            check.is_complete(column)
        elif r["kind"] == "between":
            check.is_between(column, (r["low"], r["high"]))
        elif r["kind"] == "in set":
            check.is_contained_in(column, tuple(r["set"]))
        elif r["kind"] == "regex":
            check.has_pattern(column, r["regex"])
        elif r["kind"] == "length":
            check.satisfies(column, f"length({column}) between {r['low']} and {r['high']}")
        else:
            check.satisfies(column, f"{column} >= {r['than']}")
    found = check.validate(rows).orderBy("id").collect()
    rows.write.format("delta").save(to)
    return {r["name"]: int(row["violations"]) for r, row in zip(rules, found, strict=True)}, False


def soda(spark: Any, rows: Any, rules: Sequence[Rule], to: str) -> tuple[dict[str, int], bool]:
    """One scan with all checks, without its cloud; then the write."""
    import logging

    from soda.scan import Scan  # pyright: ignore[reportMissingImports]

    logging.getLogger("soda.scan").setLevel(logging.ERROR)
    rows.createOrReplaceTempView("gate_rows")
    scan, lines = Scan(), ["checks for gate_rows:"]
    scan.disable_telemetry()
    scan.set_verbose(False)
    scan.add_spark_session(spark, "gate")
    scan.set_data_source_name("gate")
    for r in rules:
        column, name = r["column"], json.dumps(r["name"])
        if r["kind"] == "not null":
            lines += [f"  - missing_count({column}) = 0:", f"      name: {name}"]
            continue
        if r["kind"] == "pair":
            expression = f"count(case when {column} < {r['than']} then 1 end)"
            lines += [f"  - pair_{column} = 0:", f"      name: {name}", f"      pair_{column} expression: {expression}"]
            continue
        lines += [f"  - invalid_count({column}) = 0:", f"      name: {name}"]
        if r["kind"] == "between":
            lines += [f"      valid min: {r['low']}", f"      valid max: {r['high']}"]
        elif r["kind"] == "in set":
            lines += [f"      valid values: {json.dumps(r['set'])}"]
        elif r["kind"] == "regex":
            lines += [f"      valid regex: {r['regex']}"]
        else:
            lines += [f"      valid min length: {r['low']}", f"      valid max length: {r['high']}"]
    scan.add_sodacl_yaml_str("\n".join(lines))
    scan.execute()
    if scan.has_error_logs():
        raise RuntimeError(scan.get_error_logs_text())
    rows.write.format("delta").save(to)
    return {c["name"]: int(float(c["diagnostics"]["value"])) for c in scan.get_scan_results()["checks"]}, False


WAYS: Mapping[str, Callable[..., tuple[dict[str, int], bool]]] = {"plain": plain, "hand": hand, "cuallee": cuallee, "soda": soda}


def done(spark: Any, way: str, source: str, rules: Sequence[Rule], to: str) -> Done:
    """One way, from reading the input to the end of its write."""
    session = spark.newSession()
    return measured(session, lambda: WAYS[way](session, session.read.format("delta").load(source), rules, to))


# -- in the peers' environment --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _said_to(other: Any) -> Generator[None]:
    """What libraries print goes there: the answers alone are on the standard output."""
    kept = os.dup(1)
    os.dup2(other.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def serve() -> None:
    """Answer requests until there are no more; the first line is Spark's settings."""
    with _said_to(sys.stderr):
        from pyspark.sql import SparkSession

        builder: Any = SparkSession.builder
        for key, value in json.loads(sys.stdin.readline()).items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel("ERROR")
    for line in sys.stdin:
        asked = json.loads(line)
        with _said_to(sys.stderr):
            try:
                answer = asdict(done(spark, asked["way"], asked["from"], asked["rules"], asked["to"]))
            except Exception as error:  # noqa: BLE001 - a peer that does not run is a line of the table, not the end of it
                answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300] if str(error).strip() else ''}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
