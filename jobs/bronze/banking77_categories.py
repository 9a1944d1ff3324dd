"""Bronze intents of bank messages: one row per intent of Banking77."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.banking77_categories", reads=("raw.banking77_categories",))


def build(records: DataFrame) -> DataFrame:
    """The name as bronze.banking77 has it."""
    return records.select(*ORIGIN, F.col("category").alias("intent"))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
