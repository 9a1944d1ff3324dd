"""Bronze NAB anomaly windows: one row per span of time in which a series is known to be out of order."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.nab_windows", reads=("raw.nab_windows",))


def build(records: DataFrame) -> DataFrame:
    """The sensor as bronze.nab names it: nab/ and the path without its ending."""
    sensor = F.concat(F.lit("nab/"), F.regexp_replace("series", r"\.csv$", ""))
    return records.select(*ORIGIN, sensor.alias("sensor"), "starts", "ends")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
