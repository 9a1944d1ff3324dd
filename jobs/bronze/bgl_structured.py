"""Bronze Blue Gene/L messages by template: one row per message, with the template that it follows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.time import since_1970
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.bgl_structured", reads=("raw.bgl_structured",))


def build(records: DataFrame) -> DataFrame:
    """As bronze.bgl has them: time from the seconds since 1970, `-` is no alert."""
    return records.select(
        *ORIGIN,
        "number",
        since_1970(F.col("second")).alias("time"),
        F.nullif(F.col("label"), F.lit("-")).alias("label"),
        (F.col("label") != "-").alias("alert"),
        F.col("node").alias("host"),
        "component",
        "severity",
        "message",
        "event",
        "template",
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
