"""Bronze messages of bank customers: one row per message of Banking77, with its intent."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.banking77", reads=("raw.banking77",))


def build(records: DataFrame) -> DataFrame:
    """The authors' split is the file's name; a file of another name has none."""
    split = F.regexp_extract("file", r"(?:^|/)(train|test)\b[^/]*$", 1)
    return records.select(*ORIGIN, "text", F.nullif(split, F.lit("")).alias("split"), F.col("category").alias("intent"))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
