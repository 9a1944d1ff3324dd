"""Bronze messages of Weibo: one row per message, its characters and the named entities among them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.weibo_ner", reads=("raw.weibo_ner",))


def build(records: DataFrame) -> DataFrame:
    """A token is a character and the digit of its place in its word; the authors' split is the ending of the file's name."""
    named = F.regexp_extract("file", r"\.(train|dev|test)(?:\.\w+)?$", 1)
    split = F.when(named == "dev", "validation").otherwise(F.nullif(named, F.lit("")))
    tokens = F.split("tokens", " ")
    characters = F.transform(tokens, lambda token: F.regexp_replace(token, r"[0-9]$", ""))
    return records.select(
        *ORIGIN,
        F.array_join(characters, "").alias("text"),
        split.alias("split"),
        characters.alias("tokens"),
        F.transform(tokens, lambda token: F.regexp_extract(token, r"([0-9])$", 1).try_cast("int")).alias("places"),
        F.split("tags", " ").alias("tags"),
    )


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
