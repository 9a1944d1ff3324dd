"""Bronze NAB readings: one row per reading; the sensor is the file's path."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.nab", reads=("raw.nab",))


def build(records: DataFrame) -> DataFrame:
    """The sensor is nab/ and the path without its endings."""
    return records.select(
        *ORIGIN,
        F.concat(F.lit("nab/"), F.regexp_replace("file", r"\.csv(\.\w+)?$", "")).alias("sensor"),
        "time",
        F.trunc("time", "month").alias("month"),
        "value",
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
