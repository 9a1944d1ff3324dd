"""Silver sensor readings: one row per sensor, metric and time; repeats and holes are marked, never mended."""

from datetime import timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.sensors import GAP_FACTOR, readings, seconds_between
from lake.contract import Contract

JOB = Job(
    writes="silver.sensor_readings",
    reads=("bronze.nab", "bronze.air_quality_it", "bronze.beijing_air", "bronze.occupancy"),
    grain="slice",
    look_back="31 days",
)

SERIES = ("source", "sensor", "metric")
PLACE = ("file", "ordinal")  # breaks ties between readings of one time


def build(*sources: DataFrame) -> DataFrame:
    """Each column that has a unit in its contract is a metric; a missing value makes no reading."""
    long = reduce(DataFrame.unionByName, (_long(address, wide) for address, wide in zip(JOB.reads, sources, strict=True)))
    in_series = Window.partitionBy(*SERIES).orderBy("time", *PLACE)
    at_once = Window.partitionBy(*SERIES, "time").orderBy(*PLACE)
    steps = long.select(
        "*",
        (F.row_number().over(at_once) - 1).alias("repeat"),
        F.lag("time").over(in_series).alias("before"),
    ).withColumn("step", seconds_between(F.col("before"), F.col("time")))

    seen = F.col("before") >= _look_back_start("month")  # an older reading tells nothing: every run sees the same past
    return steps.join(_usual_steps(steps), [*SERIES, "month"], "left").select(
        "row_id", "source", "sensor", "metric", "time", "month", "value", "unit", "repeat",
        F.when(seen, F.col("step") > GAP_FACTOR * F.col("usual")).alias("after_gap"),
    )  # fmt: skip


def _long(address: str, wide: DataFrame) -> DataFrame:
    units = {c.name: c.unit for c in Contract.load(address).columns if c.unit}
    source = F.lit(address.partition(".")[2]).alias("source")
    return wide.select("row_id", source, "sensor", "time", "month", *PLACE, F.inline(readings(units)))


def _usual_steps(steps: DataFrame) -> DataFrame:
    """The median step of each series and month, over the month and its look-back; the step to a repeat is none."""
    # A step counts for its own month and for the next two if their look-back holds it: March's reaches into January.
    months = F.sequence("month", F.add_months("month", 2), F.expr("interval 1 month"))
    counted = steps.where("step > 0").select(*SERIES, "before", "step", F.explode(months).alias("month"))
    return counted.where(F.col("before") >= _look_back_start("month")).groupBy(*SERIES, "month").agg(F.median("step").alias("usual"))


def _look_back_start(month: str) -> Column:
    days = JOB.look_back_time // timedelta(days=1)
    return F.date_sub(F.col(month), days).cast("timestamp")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
