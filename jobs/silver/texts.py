"""Silver texts: one row per message, review or sentence; normalised, masked, with its language and its labels."""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.columns.hashing import hashed
from lake.columns.pii import masked
from lake.columns.shape import shared
from lake.columns.text import folded, language, normalised

JOB = Job(
    writes="silver.texts",
    reads=("bronze.banking77", "bronze.sms_spam", "bronze.sentiment_sentences", "bronze.asap_reviews_zh"),
)

LABELS = (("split", "string"), ("intent", "string"), ("sentiment", "string"), ("stars", "double"), ("spam", "string"))


def build(*sources: DataFrame) -> DataFrame:
    """Ids and the folded id come from the text before masking, so that a new masking key changes neither."""
    texts = reduce(DataFrame.unionByName, (_shared(address, rows) for address, rows in zip(JOB.reads, sources, strict=True)))
    plain = texts.withColumn("plain", normalised(F.col("text")))
    return plain.withColumn("masked", masked(F.col("plain"))).select(
        "text_id",
        "source",
        "file",
        language(F.col("plain")).alias("language"),
        F.col("masked.text").alias("text"),
        F.col("masked.pii").alias("pii"),
        hashed(folded(F.col("plain"))).alias("folded_id"),
        *(name for name, _ in LABELS),
    )


def _shared(address: str, rows: DataFrame) -> DataFrame:
    source = F.lit(address.partition(".")[2]).alias("source")
    return rows.select(F.col("row_id").alias("text_id"), source, "file", "text", *shared(rows, LABELS))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
