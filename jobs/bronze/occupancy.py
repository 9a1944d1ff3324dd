"""Bronze office readings: one row per minute of the office."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.contract import Contract
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.occupancy", reads=("raw.occupancy",))


def build(records: DataFrame) -> DataFrame:
    """One office, one sensor; its metrics are the fields with a unit."""
    return records.select(
        *ORIGIN,
        F.lit("occupancy/office").alias("sensor"),
        "time",
        F.trunc("time", "month").alias("month"),
        *[c.name for c in Contract.load(JOB.reads[0]).columns if c.unit],
        "occupied",
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
