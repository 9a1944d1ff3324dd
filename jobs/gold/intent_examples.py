"""Gold intent examples: messages with their intent, as token ids of fixed length, split for training."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.examples import examples

JOB = Job(writes="gold.intent_examples", reads=("silver.texts",), grain="whole")


def build(texts: DataFrame) -> DataFrame:
    """Every text that has an intent."""
    return examples(texts, F.col("intent"))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
