"""Bronze authentication events: one row per line of the hosts' auth.log."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.auth", reads=("raw.auth",))

FAILURE = (
    r"(?i)\b(failed|failures?|invalid user|user unknown|error|not allowed|break-in|does not exist"
    r"|not receive identification)\b"
)
# sshd also writes "for invalid user  from": nobody's name, two blanks; hence the possessive `?+`.
USER = (
    r"""(?:\b(?:password|publickey) for (?:invalid user )?+|\buser[ =]["']?|\bnew user: name=)"""
    r"""(?!unknown\b)([^\s,;"']*[^\s,;"'.])"""
)
CLIENT = r"(?:\bfrom |\brhost=)((?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:]+)"


def build(records: DataFrame) -> DataFrame:
    """Level from the words of a failure; user and client where the text names them."""
    return records.select(
        *ORIGIN,
        "time",
        F.to_date("time").alias("date"),
        F.when(F.col("message").rlike(FAILURE), "WARN").otherwise("INFO").alias("level"),
        "host",
        F.col("program").alias("component"),
        "message",
        F.lit(None).cast("string").alias("exception"),
        "pid",
        _named(USER).alias("user"),
        _named(CLIENT).alias("client"),
    )


def _named(pattern: str) -> Column:
    return F.nullif(F.regexp_extract("message", pattern, 1), F.lit(""))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
