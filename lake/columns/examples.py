"""Training examples out of labelled texts: one split each, no text in two of them, token ids of fixed length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from lake.columns.hashing import split_of
from lake.columns.tokens import encoded, tokenizer_hash

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def examples(texts: DataFrame, label: Column) -> DataFrame:
    """The texts whose label is not null, as the columns of a training table.

    Of texts that are equal when folded one stays: that of the test split before validation's before train's, then the
    smallest id. A test row of the source's own stays always, so that figures on a published test set can be compared.
    """
    labelled = texts.select(
        F.col("text_id").alias("example_id"),
        "text",
        label.alias("label"),
        split_of(F.col("split"), F.col("folded_id")).alias("split"),
        "language",
        "source",
        "folded_id",
        F.col("split").eqNullSafe("test").alias("own_test"),
    ).where(F.col("label").isNotNull())

    rank = F.when(F.col("split") == "test", 0).when(F.col("split") == "validation", 1).otherwise(2)
    alike = Window.partitionBy("folded_id").orderBy(rank, F.col("own_test").desc(), "example_id")
    chosen = labelled.withColumn("place", F.row_number().over(alike)).where("own_test OR place = 1")

    return chosen.withColumn("encoded", encoded(F.col("text"))).select(
        "example_id",
        "text",
        F.col("encoded.input_ids").alias("input_ids"),
        F.col("encoded.tokens").alias("tokens"),
        "label",
        "split",
        "language",
        "source",
        F.lit(tokenizer_hash()).alias("tokenizer"),
    )
