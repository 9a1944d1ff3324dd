"""Bronze templates of log messages: one row per template of a log."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.loghub_templates", reads=("raw.loghub_templates",))


def build(records: DataFrame) -> DataFrame:
    """The log is the folder: bgl, hdfs, linux."""
    return records.select(*ORIGIN, F.lower(F.regexp_extract("file", r"^([^/]+)/", 1)).alias("system"), "event", "template")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
