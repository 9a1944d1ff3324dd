"""Bronze Blue Gene/L messages: one row per message of the supercomputer, with the alert that it was marked as."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.time import since_1970
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.bgl", reads=("raw.bgl",))

LEVELS = {"SEVERE": "ERROR", "FAILURE": "ERROR", "WARNING": "WARN"}


def build(records: DataFrame) -> DataFrame:
    """Time from the seconds since 1970, which need no zone, and the microseconds of the local time; `-` is no alert."""
    time = since_1970(F.col("second"), F.substring("local", -6, 6).cast("bigint"))
    written = F.create_map(*[F.lit(part) for pair in LEVELS.items() for part in pair])
    return records.select(
        *ORIGIN,
        time.alias("time"),
        F.to_date(time).alias("date"),
        F.coalesce(written[F.col("severity")], "severity").alias("level"),
        F.col("node").alias("host"),
        "component",
        "message",
        F.lit(None).cast("string").alias("exception"),
        F.nullif(F.col("label"), F.lit("-")).alias("label"),
        (F.col("label") != "-").alias("alert"),
        "severity",
        F.nullif(F.col("type"), F.lit("NULL")).alias("type"),
        F.col("local").alias("local_time"),
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
