"""Bronze restaurant reviews in Chinese: one row per review, with its stars and aspects."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.contract import Contract
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.asap_reviews_zh", reads=("raw.asap_reviews_zh",))


def build(records: DataFrame) -> DataFrame:
    """The authors' split from the file's name (train_sample.csv); their dev split has no name of ours: null."""
    split = F.regexp_extract("file", r"(?:^|/)(train|test)(?:_|\b)[^/]*$", 1)
    index, body, star, *aspects = (c.name for c in Contract.load(JOB.reads[0]).columns)
    return records.select(
        *ORIGIN,
        F.col(body).alias("text"),
        F.nullif(split, F.lit("")).alias("split"),
        F.col(star).alias("stars"),
        F.col(index).alias("review"),
        *aspects,
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
