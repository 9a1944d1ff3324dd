"""Bronze HDFS messages: one row per message of the file system, with the blocks that it names."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.contract import Contract
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.hdfs", reads=("raw.hdfs",))


def build(records: DataFrame) -> DataFrame:
    """The host is the cluster, as the raw contract names it; blocks are blk_ and a number, which may be negative."""
    source = Contract.load(JOB.reads[0]).source
    host = source.options["facts"]["host"] if source else None
    return records.select(
        *ORIGIN,
        "time",
        F.to_date("time").alias("date"),
        "level",
        F.lit(host).alias("host"),
        "component",
        "message",
        F.lit(None).cast("string").alias("exception"),
        "thread",
        F.array_distinct(F.regexp_extract_all("message", F.lit(r"\bblk_-?[0-9]+"), 0)).alias("blocks"),
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
