"""Gold hourly logs: how many events and stack traces each component of each host wrote in an hour, by level."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.time import hour

JOB = Job(writes="gold.log_hourly", reads=("silver.log_events",), grain="slice")


def build(events: DataFrame) -> DataFrame:
    """One row per source, host, component, level and hour that has events."""
    keys = ("source", "host", "component", "level")
    return events.groupBy(*keys, hour(F.col("time")).alias("hour"), "date").agg(
        F.count("*").alias("events"), F.count("exception").alias("exceptions")
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
