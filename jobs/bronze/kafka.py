"""Bronze Kafka events: one row per event of the brokers' logs, a stack trace within its event."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.kafka", reads=("raw.kafka",))

# A stack trace begins with the name of its exception, or holds frames: the settings that brokers print do not.
TRACE = r"^([\w.$]+\.)?[A-Z]\w*(Exception|Error|Throwable)\b|(?m)^\s+at \S+\("
TAIL = r" \(([\w.$]+)\)\s*$"  # log4j's logger when the event's own text goes over several lines


def build(records: DataFrame) -> DataFrame:
    """Host from the folder; component from the logger, else the log's name; lines that are no trace stay in message."""
    is_trace = F.coalesce(F.col("more").rlike(TRACE), F.lit(False))
    rest = F.when(~is_trace, F.col("more"))
    tail = F.nullif(F.regexp_extract(rest, TAIL, 1), F.lit(""))
    stem = F.regexp_extract("file", r"([^/]+?)\.log[^/]*$", 1)
    return records.select(
        *ORIGIN,
        "time",
        F.to_date("time").alias("date"),
        F.when(F.col("level") == "TRACE", "DEBUG").otherwise(F.col("level")).alias("level"),
        F.coalesce(F.nullif(F.regexp_extract("file", r"^([^/]+)/", 1), F.lit("")), F.lit("kafka")).alias("host"),
        F.coalesce("logger", tail, stem).alias("component"),
        F.regexp_replace(F.concat_ws("\n", "message", F.regexp_replace(rest, TAIL, "")), r"\s+$", "").alias("message"),
        F.when(is_trace, F.col("more")).alias("exception"),
        F.col("level").alias("severity"),
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
