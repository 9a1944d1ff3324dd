"""Bronze restaurant descriptions: one row per sentence, with the meaning that it says."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.e2e_nlg", reads=("raw.e2e_nlg",))


def build(records: DataFrame) -> DataFrame:
    """The authors' split from the file's name: trainset, devset, testset; a file of another name has none."""
    named = F.regexp_extract("file", r"(?:^|/)(train|dev|test)set\b[^/]*$", 1)
    split = F.when(named == "dev", "validation").otherwise(F.nullif(named, F.lit("")))
    return records.select(*ORIGIN, "text", split.alias("split"), "meaning")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
