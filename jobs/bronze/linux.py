"""Bronze Linux system events: one row per line of the hosts' system logs."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.linux", reads=("raw.linux",))

FAILURE = r"(?i)\b(fail(?:s|ed|ures?)?|user unknown|errors?|exited abnormally|denied|not available|unable to|couldn't)\b"


def build(records: DataFrame) -> DataFrame:
    """Level from the words of a failure."""
    return records.select(
        *ORIGIN,
        "time",
        F.to_date("time").alias("date"),
        F.when(F.col("message").rlike(FAILURE), "WARN").otherwise("INFO").alias("level"),
        "host",
        F.col("program").alias("component"),
        "message",
        F.lit(None).cast("string").alias("exception"),
        "pid",
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
