"""Bronze Beijing air: one row per hour and station."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.time import readable
from lake.contract import Contract
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.beijing_air", reads=("raw.beijing_air",))


def build(records: DataFrame) -> DataFrame:
    """Time from the local year, month, day and hour, in the zone of the raw contract."""
    raw = Contract.load(JOB.reads[0])
    zone = raw.source.options["zone"] if raw.source else "UTC"
    time = readable(F.try_make_timestamp("year", "month", "day", "hour", F.lit(0), F.lit(0), F.lit(zone)))
    return records.select(
        *ORIGIN,
        F.concat(F.lit("beijing_air/"), "station").alias("sensor"),
        time.alias("time"),
        F.trunc(time, "month").alias("month"),
        *[c.name for c in raw.columns if c.unit],
        "wind_direction",
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
