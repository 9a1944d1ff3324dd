"""Bronze Linux system events by template: one row per event, with the template that it follows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.linux_structured", reads=("raw.linux_structured",))


def build(records: DataFrame) -> DataFrame:
    """Without its time, which lacks the year: bronze.linux has it, under the same number as its line."""
    return records.select(*ORIGIN, "number", "host", F.col("program").alias("component"), "pid", "message", "event", "template")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
