"""Gold hourly sensors: mean, extremes, holes and repeats of each sensor and metric in an hour."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.sensors import same_mean
from lake.columns.time import hour

JOB = Job(writes="gold.sensor_hourly", reads=("silver.sensor_readings",), grain="slice")


def build(readings: DataFrame) -> DataFrame:
    """One row per sensor, metric and hour that has readings; repeats count as readings too."""
    return readings.groupBy("sensor", "metric", "unit", hour(F.col("time")).alias("hour"), "month").agg(
        F.count("*").alias("readings"),
        same_mean(F.collect_list("value")).alias("mean"),
        F.min("value").alias("minimum"),
        F.max("value").alias("maximum"),
        F.count_if("after_gap").alias("gaps"),
        F.count_if(F.col("repeat") > 0).alias("repeats"),
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
