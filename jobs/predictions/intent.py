"""Intent predictions: the champion's word on every message that no model was trained on."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.models.registry import ModelVersion
from lake.models.score import score

JOB = Job(writes="predictions.intent", reads=("silver.texts", "models.intent"), grain="rows")


def build(texts: DataFrame, model: ModelVersion) -> DataFrame:
    """One row per message with its likeliest intent; rows of the train split are left out, for the model knows them by heart."""
    unseen = texts.where(~F.col("split").eqNullSafe("train"))
    scored = score(unseen.select("text_id", "source", "language", "text"), model)
    return scored.select("text_id", "source", "language", "label", "probability", "model_version")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
