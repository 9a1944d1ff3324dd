"""Frames of different sources brought to the columns of one contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import Column, DataFrame


def shared(frame: DataFrame, columns: Iterable[tuple[str, str]]) -> list[Column]:
    """The (name, type) columns asked for, by name: cast where the frame has them, null where it does not."""
    has = set(frame.columns)
    return [(F.col(name) if name in has else F.lit(None)).cast(kind).alias(name) for name, kind in columns]
