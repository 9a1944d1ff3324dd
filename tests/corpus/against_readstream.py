"""The corpus of bad files through plain `spark.readStream`, as a table for docs/reliability.md.

    python -m tests.corpus.against_readstream

The stream is written as its documentation teaches it: a schema, PERMISSIVE mode with a column for corrupt records, the
formats, zone and missing marks of the source, `availableNow`. A file that stops the stream is taken out
and the stream begins anew: else nothing behind it could be compared. Only the sources that a CSV or a JSON reader knows are compared:
of logs whose records have several lines or no year, of documents that are one value, and of CoNLL Spark has no reader.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.corpus import make
from tests.corpus.make import CASES, SOURCES, Case

GROUPS = {"archives": make.ARCHIVES, "shapes": make.SHAPES, "headers": make.HEADERS, "quotes": make.QUOTES, "encodings": make.ENCODINGS,
          "numbers": make.NUMBERS, "times": make.TIMES_WRONG, "names": make.NAMES, "Italian CSV": make.ITALIAN,
          "JSON lines": tuple(case for case in make.EVENTS if case.source == "events")}  # fmt: skip
FATES = ("as expected", "rows wrong, or of records to be set aside", "rows lost in silence", "the stream stops")


def stream(spark: SparkSession, source: str, folder: Path) -> DataFrame:
    """Plain readStream over a source, with the path of each row's file."""
    kind, options = SOURCES[source], SOURCES[source].options
    fields = [f"{f.name} {f.type}" for f in kind.fields]
    formats = {f"{f.type}Format": options["formats"][f.name] for f in kind.fields if f.name in options.get("formats", {})}
    given: dict[str, Any] = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt", "recursiveFileLookup": True, **formats}
    comma = set[str]()
    if kind.format == "json_lines":
        rows = spark.readStream.options(**given).schema(", ".join([*fields, "_corrupt string"])).json(str(folder))
    else:
        # A decimal comma is none of the CSV reader's options: such a number is read as text and mended, as one has to.
        comma = {f.name for f in kind.fields if "decimal" in options and f.type == "double"}
        given |= {
            "multiLine": True, "escape": '"', "header": options.get("header", True) is not False, "sep": options.get("delimiter", ","),
            "quote": options.get("quote", '"') or "", "nullValue": (options.get("missing") or [""])[0],
        }  # fmt: skip
        fields = [f"{f.name} {'string' if f.name in comma else f.type}" for f in kind.fields]
        fields += [f"empty{n} string" for n in range(options.get("trailing", 0))]
        rows = spark.readStream.options(**given).schema(", ".join([*fields, "_corrupt string"])).csv(str(folder))
    return rows.select(
        F.col("_metadata.file_path").alias("_file"),
        "_corrupt",
        *[
            (
                F.replace(f.name, F.lit(options["decimal"]), F.lit(".")).try_cast("double")
                if f.name in comma
                else F.col(f.name).cast("string" if f.type in ("timestamp", "date") else f.type)
            ).alias(f.name)
            for f in kind.fields
        ],
    )


def fates(spark: SparkSession, source: str, cases: list[Case], folder: Path) -> dict[str, str]:
    """What becomes of each file of a source, by its path."""
    spark.conf.set("spark.sql.session.timeZone", str(SOURCES[source].options.get("zone", "UTC")))
    place = folder / "raw" / source
    found, stopped = list[Any](), dict[str, str]()
    while True:
        out = Path(tempfile.mkdtemp(dir=folder))
        try:
            written = stream(spark, source, place).writeStream.format("parquet").option("checkpointLocation", str(out / "checkpoint"))
            written.trigger(availableNow=True).start(str(out / "rows")).awaitTermination()
        except PySparkException as error:
            path = next((c.path for c in cases if c.path not in stopped and named(str(error), c.path)), None)
            if path is None:
                raise
            stopped[path] = str(error).splitlines()[0]
            (place / path).unlink()
            continue
        found = spark.read.parquet(str(out / "rows")).collect()
        break
    rows, corrupt = dict[str, Counter[Any]](), Counter[str]()
    for row in found:
        path = unquote(row["_file"]).partition(f"/raw/{source}/")[2]
        if row["_corrupt"] is not None:
            corrupt[path] += 1
        else:
            rows.setdefault(path, Counter())[tuple(row)[2:]] += 1
    told = dict[str, str]()
    for case in cases:
        came, wanted = rows.get(case.path, Counter()), Counter(case.rows)
        told[case.path] = (
            FATES[3]
            if case.path in stopped
            else FATES[1]
            if came - wanted
            else FATES[2]
            if wanted - came or (len(case.rejects) and not corrupt[case.path])
            else FATES[0]
        )
    return told


def named(error: str, path: str) -> bool:
    """Whether an error of Spark's names the file."""
    return path in unquote(unquote(error)) or re.escape(path) in error


def main() -> None:
    settings: dict[str, Any] = {"spark.ui.enabled": "false", "spark.driver.memory": "4g"}
    spark = SparkSession.builder.master("local[2]").appName("corpus").config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    told = dict[tuple[str, str], str]()
    with tempfile.TemporaryDirectory() as folder:
        make.write(Path(folder))
        compared = {case.source for group in GROUPS.values() for case in group}
        for source in sorted(compared):
            cases = [case for case in CASES if case.source == source]
            told |= {(source, path): fate for path, fate in fates(spark, source, cases, Path(folder)).items()}
    print(f"| files | cases | {' | '.join(FATES)} |")
    print("|---|" + "---:|" * (len(FATES) + 1))
    whole: Counter[str] = Counter()
    for name, group in GROUPS.items():
        counts = Counter(told[case.source, case.path] for case in group)
        whole += counts
        print(f"| {name} | {len(group)} | " + " | ".join(str(counts[fate]) for fate in FATES) + " |")
    print(f"| all | {sum(whole.values())} | " + " | ".join(str(whole[fate]) for fate in FATES) + " |")
    for (source, path), fate in sorted(told.items()):
        if fate != FATES[0]:
            print(f"# {source}/{path}: {fate}")
    spark.stop()


if __name__ == "__main__":
    main()
