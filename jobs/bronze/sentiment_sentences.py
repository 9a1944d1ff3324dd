"""Bronze sentences with sentiment: one row per sentence, positive or negative."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.sentiment_sentences", reads=("raw.sentiment_sentences",))


def build(records: DataFrame) -> DataFrame:
    """1 is positive, 0 negative, any other label null, for the gate to see; the site is the file's name."""
    return records.select(
        *ORIGIN,
        "text",
        F.lit(None).cast("string").alias("split"),
        F.when(F.col("label") == 1, "positive").when(F.col("label") == 0, "negative").alias("sentiment"),
        F.regexp_extract("file", r"([^/]+)_labelled\.txt[^/]*$", 1).alias("site"),
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
