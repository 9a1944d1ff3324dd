"""Bronze sentences of WNUT-17: one row per sentence, its words and the named entities among them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.wnut17", reads=("raw.wnut17",))


def build(records: DataFrame) -> DataFrame:
    """The authors' split from the file's name (wnut17train.conll, emerging.dev.conll); a file of another name has none."""
    named = F.regexp_extract("file", r"(train|dev|test)\b[^/]*$", 1)
    split = F.when(named == "dev", "validation").otherwise(F.nullif(named, F.lit("")))
    return records.select(
        *ORIGIN,
        F.col("tokens").alias("text"),
        split.alias("split"),
        F.split("tokens", " ").alias("tokens"),
        F.split("tags", " ").alias("tags"),
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
