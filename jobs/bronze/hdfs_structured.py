"""Bronze HDFS messages by template: one row per message, with the template that it follows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.hdfs_structured", reads=("raw.hdfs_structured",))


def build(records: DataFrame) -> DataFrame:
    """Time from its two columns, UTC; one that is none is null, for the gate to see."""
    time = F.try_to_timestamp(F.concat_ws(" ", "day", "clock"), F.lit("yyMMdd HHmmss"))
    return records.select(*ORIGIN, "number", time.alias("time"), "level", "component", "thread", "message", "event", "template")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
