"""Intent predictions: the champion's word on every message that it was not trained on."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.hashing import split_of
from lake.models.registry import ModelVersion
from lake.models.score import score

JOB = Job(writes="predictions.intent", reads=("silver.texts", "models.intent"), grain="rows")


def build(texts: DataFrame, model: ModelVersion) -> DataFrame:
    """One row per message with its likeliest intent; those with an intent in the train split are left out: the model knows them by heart."""
    learnt = F.col("intent").isNotNull() & (split_of(F.col("split"), F.col("folded_id")) == "train")
    unseen = texts.where(~learnt)
    scored = score(unseen.select("text_id", "source", "language", "text"), model)
    return scored.select("text_id", "source", "language", "label", "probability", "model_version")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
