"""Sensor columns: wide rows to one reading a row, steps in time, and means that come out the same in every run."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

GAP_FACTOR = 1.5


def readings(units: Mapping[str, str]) -> Column:
    """array<struct<metric, value, unit>> of the metrics that a row has; explode it. `units` maps column to unit."""
    every = [
        F.struct(F.lit(name).alias("metric"), F.col(name).cast("double").alias("value"), F.lit(unit).alias("unit")) for name, unit in units.items()
    ]
    return F.filter(F.array(*every), lambda reading: reading["value"].isNotNull())


def seconds_between(earlier: Column, later: Column) -> Column:
    """Seconds from one time to another, exact to the microsecond."""
    return (F.unix_micros(later) - F.unix_micros(earlier)) / 1e6


def same_mean(values: Column) -> Column:
    """The mean of doubles, summed in ascending order: a plain avg differs in its last bits from run to run."""
    total = F.aggregate(F.sort_array(values), F.lit(0.0), lambda total, value: total + value)
    mean = total / F.size(values)
    return F.least(F.greatest(mean, F.array_min(values)), F.array_max(values))  # rounding may not leave the range
