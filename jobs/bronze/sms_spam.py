"""Bronze text messages: one row per message, spam or ham."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.sms_spam", reads=("raw.sms_spam",))


def build(records: DataFrame) -> DataFrame:
    """The source has no split of its own."""
    return records.select(*ORIGIN, "text", F.lit(None).cast("string").alias("split"), F.col("label").alias("spam"))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
