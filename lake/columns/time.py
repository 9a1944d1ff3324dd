"""Time columns: the day, the month and the hour of a time in UTC (the session's time zone is UTC, always)."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F


def day(time: Column) -> Column:
    """The date in UTC."""
    return F.to_date(time)


def month(time: Column) -> Column:
    """The first day of the month, as a date."""
    return F.trunc(F.to_date(time), "month")


def hour(time: Column) -> Column:
    """The hour that the time lies in."""
    return F.date_trunc("hour", time)
