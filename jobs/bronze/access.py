"""Bronze web requests: one row per line of the web servers' access logs."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.contract import Contract
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.access", reads=("raw.access",))


def build(records: DataFrame) -> DataFrame:
    """Level from the status; host from the log's folder, else the one that the raw contract names: no line tells it."""
    source = Contract.load(JOB.reads[0]).source
    host = source.options["facts"]["host"] if source else None
    status = F.col("status")
    return records.select(
        *ORIGIN,
        "time",
        F.to_date("time").alias("date"),
        F.when(status >= 500, "ERROR").when(status >= 400, "WARN").otherwise("INFO").alias("level"),
        F.coalesce(F.nullif(F.regexp_extract("file", r"^([^/]+)/", 1), F.lit("")), F.lit(host)).alias("host"),
        F.lit("http").alias("component"),
        F.concat_ws(" ", status, "request").alias("message"),
        F.lit(None).cast("string").alias("exception"),
        "client",
        "user",
        "method",
        "path",
        "protocol",
        "status",
        "bytes",
        "referrer",
        "agent",
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
