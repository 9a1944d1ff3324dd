"""Gold sentiment examples: sentences and reviews with their sentiment, as token ids, split for training."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.examples import examples

JOB = Job(writes="gold.sentiment_examples", reads=("silver.texts",), grain="whole")


def build(texts: DataFrame) -> DataFrame:
    """The source's own label, else by stars: 4 and 5 are positive, 1 and 2 negative, 3 says neither and is left out."""
    by_stars = F.when(F.col("stars") >= 4, "positive").when(F.col("stars") <= 2, "negative")
    return examples(texts, F.coalesce("sentiment", by_stars))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
