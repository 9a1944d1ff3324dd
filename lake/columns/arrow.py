"""Python functions as columns: a batch of values at a time, by Arrow, without pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type

if TYPE_CHECKING:
    from pyspark.sql import Column


def by_batch(core: Callable[[list[Any]], list[Any]], kind: pa.DataType) -> Callable[[Column], Column]:
    """The function of a list of values, as a function of a column; `kind` is the type of what it gives."""

    def batch(values: pa.Array) -> pa.Array:
        return pa.array(core(values.to_pylist()), kind)

    udf: Any = F.arrow_udf  # its stubs know type strings only, and those need a running Spark to be read
    return udf(batch, from_arrow_type(kind))
