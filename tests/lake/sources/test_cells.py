"""Cells that are plainly numbers: what is cast here is what Spark makes of it, and nothing else is touched."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.contract import Column, Source
from lake.sources.cells import TYPES, Numbers, row_ids
from lake.sources.read import (
    _typed,  # pyright: ignore[reportPrivateUsage]
    _value,  # pyright: ignore[reportPrivateUsage]
)

ODD = [
    "",
    " ",
    "NA",
    " NA",
    "-",
    "+1",
    "1.",
    ".5",
    "-.5",
    "1,5",
    "1e5",
    "1E-400",
    "1e999",
    "NaN",
    "inf",
    "1d",
    "0x1p3",
    "1.5\n",
    "1\u0085",
    "--1",
    "1-2",
]
ODD += [
    "1.2.3",
    "007",
    "-0",
    "0.1" + "0" * 40 + "1",
    "9" * 400,
    "2147483647",
    "2147483648",
    "-32769",
    "9223372036854775808",
    "١٢",
    "1 2",
    "\t3",
    "4 ",
]


def source(kind: str, decimal: str) -> Source:
    options = {"missing": ["NA", "-200"], "decimal": decimal}
    return Source("raw.x", "x", "raw/x/*", "delimited", options, (Column("a", kind, required=False, description=""),))


@settings(deadline=None)  # the first example imports
@given(cells=st.lists(st.sampled_from(ODD) | st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.integers().map(str) | st.none()))
@pytest.mark.parametrize("kind", TYPES)
def test_a_cell_is_a_number_or_a_mark_or_still_its_text(cells: list[str | None], kind: str) -> None:
    numbers, texts = Numbers.of(source(kind, ".").fields, {"missing": ["NA"]}).plain(pa.array(cells, pa.string()), kind)
    for cell, number, text in zip(cells, numbers.to_pylist(), texts.to_pylist(), strict=True):
        if number is not None:
            assert text is None and cell is not None and number == (float(cell) if kind == "double" else int(cell))
        else:
            assert text == (None if cell in ("", "NA", None) else cell)


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("kind", TYPES)
def test_a_number_is_what_spark_casts(spark: Any, kind: str, decimal: str) -> None:
    dice = random.Random(7)
    drawn = [
        f"{dice.choice(['', '-', '+'])}{dice.randrange(10 ** dice.randrange(1, 22))}{dice.choice(['', '.', ',']) * dice.randrange(2)}"
        for _ in range(800)
    ]
    drawn += [repr(dice.uniform(-1, 1) * 10 ** dice.randrange(-20, 20)).replace(".", decimal) for _ in range(800)]
    cells = pa.array([*ODD, *drawn, "-200"])
    one = source(kind, decimal)
    for batch in (cells, pa.array([c for c in drawn if c.replace(decimal, "").isdigit() and len(c) < 9])):
        numbers, texts = Numbers.of(one.fields, one.options).plain(batch, kind)
        asked = spark.createDataFrame(pa.table({"cell": batch, "number": numbers, "cell0": texts}))
        text, value, _ = _value(asked["cell"], one.fields[0], one)
        found = asked.select("cell", "number", "cell0", text.alias("text"), value.alias("value")).collect()
        assert len(found) == len(batch)
        for row in found:
            if row["number"] is not None:
                assert (row["number"], row["cell0"]) == (row["value"], None)
            else:
                assert row["cell0"] == (None if row["text"] is None and row["cell"].strip(" ") == row["cell"] else row["cell"])
        assert sum(row["number"] is not None for row in found) >= 20


@given(
    source=st.text(st.characters(codec="utf-8"), max_size=4),
    path=st.text(st.characters(codec="utf-8"), max_size=9),
    ordinals=st.lists(st.integers(0, 2**40)),
)
def test_a_row_id_is_a_hash_of_source_path_and_ordinal(source: str, path: str, ordinals: list[int]) -> None:
    found = row_ids(source, path, pa.array(ordinals, pa.int64())).to_pylist()
    assert found == [hashlib.sha256(f"{source}\x1f{path}\x1f{n}".encode()).hexdigest()[:32] for n in ordinals]


def test_what_is_left_of_a_row_is_judged_by_itself(spark: Any) -> None:
    """Rows of a batch in which one cell is odd, and the others' numbers beside it."""
    fields = tuple(
        Column(name, kind, required=False, description="") for name, kind in (("a", "double"), ("b", "int"), ("c", "double"), ("d", "string"))
    )
    one = Source("raw.x", "x", "raw/x/*", "delimited", {"missing": ["NA"]}, fields)
    rows = [("1.5", "2", "NA", "x"), ("1e3", " 7 ", "-", "y"), ("0x1", "2147483648", "+3", "z"), (None, None, None, None)]
    columns: dict[str, Any] = {"file": ["f"] * 4, "edition": [1] * 4, "sha256": ["s"] * 4, "ordinal": [0, 1, 2, 3], "line": [1, 2, 3, 4]}
    columns |= {"offset": [0] * 4, "length": [3] * 4} | {f"cell{i}": [r[i] for r in rows] for i in range(4)}
    columns |= {"_problem": [None, None, None, "fields"], "_raw": [b"abc\n"] * 4}
    batch = Numbers.of(fields, one.options).cast(pa.RecordBatch.from_pydict(columns), pa.array(list("wxyz")))
    assert batch.column("_odd").is_valid().to_pylist() == [False, True, True, False]
    found = _typed(spark.createDataFrame(pa.Table.from_batches([batch])), one).orderBy("ordinal").collect()
    assert [tuple(r[n] for n in "abcd") for r in found] == [(1.5, 2, None, "x"), (1000.0, 7, None, "y"), (None, None, 3.0, "z"), (None,) * 4]
    assert [r["_problem"] for r in found] == [None, "not_a_number:c", "not_a_number:a;out_of_range:b", "fields"]
    assert [r["_raw"] for r in found] == [None, b"abc", b"abc", b"abc"]
