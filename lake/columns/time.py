"""Time columns: the day, the month and the hour of a time in UTC (the session's time zone is UTC, always)."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

FIRST, LAST = -62_135_596_800, 253_402_300_799  # the seconds since 1970 of the years 1 to 9999: Python, and Arrow's readers, hold no others


def day(time: Column) -> Column:
    """The date in UTC."""
    return F.to_date(time)


def month(time: Column) -> Column:
    """The first day of the month, as a date."""
    return F.trunc(F.to_date(time), "month")


def hour(time: Column) -> Column:
    """The hour that the time lies in."""
    return F.date_trunc("hour", time)


def readable(time: Column) -> Column:
    """The time; null where its year is none of 1 to 9999.

    Spark holds 300,000 years. A reader that does not fails on the whole table: delta-rs, for one, when such a day is a partition.
    """
    return F.when(F.year(time).between(1, 9999), time)


def since_1970(seconds: Column, microseconds: Column | None = None) -> Column:
    """The time so many seconds (and microseconds) after 1970 began; null where its year is none of 1 to 9999.

    Of more seconds than a timestamp holds, Spark's own functions end the job: one line of a log would stop its source for good.
    """
    fits = F.when(seconds.between(FIRST, LAST), seconds)
    return F.timestamp_micros(fits * 1_000_000 + (F.lit(0) if microseconds is None else microseconds))
