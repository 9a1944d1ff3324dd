"""Bronze ratings of vendors: one row per rating."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.ratings", reads=("raw.ratings",))


def build(records: DataFrame) -> DataFrame:
    """As written: who rates a vendor again, or writes a row again, has a row for each."""
    return records.select(*ORIGIN, "reviewer", "vendor", "rating", "time", F.to_date("time").alias("date"))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
