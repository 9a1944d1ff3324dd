"""Silver log events: one row per event of every log, with its time in UTC."""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.shape import shared

JOB = Job(writes="silver.log_events", reads=("bronze.kafka", "bronze.access", "bronze.auth"))

SHARED = (
    ("host", "string"),
    ("time", "timestamp"),
    ("date", "date"),
    ("level", "string"),
    ("component", "string"),
    ("message", "string"),
    ("exception", "string"),
)


def build(*logs: DataFrame) -> DataFrame:
    """What the sources have in common, by name; the source is the address it was read from."""
    sources = (address.partition(".")[2] for address in JOB.reads)
    events = [log.select("row_id", F.lit(source).alias("source"), *shared(log, SHARED)) for source, log in zip(sources, logs, strict=True)]
    return reduce(DataFrame.unionByName, events)


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
