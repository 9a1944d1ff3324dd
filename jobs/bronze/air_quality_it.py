"""Bronze air quality of an Italian city: one row per hour of the device and the reference analyser beside it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.contract import Contract
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.air_quality_it", reads=("raw.air_quality_it",))


def build(records: DataFrame) -> DataFrame:
    """Time from the local day and hour, in the zone of the raw contract."""
    raw = Contract.load(JOB.reads[0])
    zone = raw.source.options["zone"] if raw.source else "UTC"
    local = F.concat_ws(" ", F.date_format("date", "yyyy-MM-dd"), "time_of_day", F.lit(zone))
    timed = records.withColumn("time", F.try_to_timestamp(local, F.lit("yyyy-MM-dd HH.mm.ss VV")))
    return timed.select(
        *ORIGIN,
        F.lit("air_quality_it/station").alias("sensor"),
        "time",
        F.trunc("time", "month").alias("month"),
        *[c.name for c in raw.columns if c.unit],
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
