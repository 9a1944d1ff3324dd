"""Ids and splits by hash: the same row gets the same id and the same split in every run, on every machine."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

HELD_OUT_PERCENT = 10


def hashed(*parts: Column) -> Column:
    """First 32 hex digits of the SHA-256 of the parts, with U+001F between them; null when a part is null."""
    joined = parts[0]
    for part in parts[1:]:
        joined = F.concat(joined, F.lit("\x1f"), part)
    return F.substring(F.sha2(joined.cast("binary"), 256), 1, 32)


def percentile(hex_id: Column) -> Column:
    """A number from 0 to 99 by the first 8 hex digits of an id: a stable share of rows."""
    return (F.conv(F.substring(hex_id, 1, 8), 16, 10).cast("bigint") % 100).cast("int")


def split_of(own: Column, folded_id: Column) -> Column:
    """train, validation or test: a source's own test stays test, its train gives 10 % for validation; else 80, 10, 10.

    By the hash of the folded text, so that texts which differ only in case and white space never part.
    """
    place = percentile(folded_id)
    return (
        F.when(own.isin("test", "validation"), own)
        .when(own.isNull() & (place >= 100 - HELD_OUT_PERCENT), "test")
        .when(place < HELD_OUT_PERCENT, "validation")
        .otherwise("train")
    )
