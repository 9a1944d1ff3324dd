"""A suite compares a batch with the last accepted ones: their rows, their share of rejected rows, the mean of a column, the values seen so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lake import ops
from lake.contract import Contract
from lake.errors import ContractBroken
from lake.gate import gx
from lake.gate.history import FIGURES, History, history, parameters, unknown
from lake.gate.suite import written
from tests.lake.gate import through
from tests.lake.project import Place, contract, write_contract, write_suite

ROWS, MEAN = "expect_table_row_count_to_be_between", "expect_column_mean_to_be_between"
NEW = "expect_column_distinct_values_to_be_in_set"
COLUMNS = [{"name": "id", "type": "string", "key": 1}, {"name": "value", "type": "double"}]


def of(expression: str) -> dict[str, str]:
    return {"$PARAMETER": expression}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path))
    write_contract(tmp_path, contract("silver.things", COLUMNS))
    return tmp_path


def test_a_rule_waits_until_there_are_enough_accepted_batches_and_then_asks_their_figures(project: Path, spark: SparkSession) -> None:
    half = {"type": ROWS, "kwargs": {"min_value": of("rows_median * 0.5")}, "meta": {"history": 2}}
    write_suite(project, "silver.things", {"expectations": [half]})
    rows, things = spark.createDataFrame([("a", 1.0), ("b", 2.0)], "id string, value double"), Contract.load("silver.things")

    def judged(past: History) -> list[tuple[bool, str, str]]:
        return [(c.success, c.judged_by, c.threshold) for c in through(rows, things, past=past)[1].checks if c.rule == ROWS]

    assert judged(History(1, {"rows_median": 100.0})) == [(True, "history", '{"min_value": {"$PARAMETER": "rows_median * 0.5"}}')]
    assert judged(History(2, {"rows_median": 4.0})) == [(True, "one pass", '{"min_value": 2.0}')]
    assert judged(History(2, {"rows_median": 6.0})) == [(False, "one pass", '{"min_value": 3.0}')]
    assert judged(History(9, {})) == judged(History(1, {"rows_median": 100.0}))  # enough batches, but none of them tells it


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"kwargs": {"min_value": of("rows_mode")}}, "rows_mode, which no history has"),
        ({"kwargs": {"min_value": of("mean_of_valeu_min")}}, "mean_of_valeu_min, which"),
        ({"kwargs": {"min_value": of("rows_min")}, "meta": {"history": 0}}, "history is 0"),
    ],
)
def test_a_figure_that_no_history_has_is_an_error_of_the_suite(rule: dict[str, Any], told: str, project: Path) -> None:
    write_suite(project, "silver.things", {"expectations": [{"type": ROWS} | rule]})
    with pytest.raises(ContractBroken, match=told):
        written("silver.things")


def test_a_night_refuses_what_is_unlike_the_nights_before_it(place: Place) -> None:
    mean = {"type": MEAN, "kwargs": {"column": "value", "max_value": of("mean_of_value_mean + 10")}, "meta": {"history": 2}}
    new = {"type": NEW, "kwargs": {"column": "station", "value_set": of("seen_station")}, "meta": {"history": 2, "on_fail": "warn"}}
    write_suite(place.project, "silver.readings", {"expectations": [mean, new]})

    def judged(run: int) -> list[tuple[str, bool, str, str]]:
        checks = ops.read(place.lake.store, "checks", [("address", "=", "silver.readings"), ("run", "=", run)])
        return sorted((c["rule"], c["success"], c["judged_by"], c["observed"]) for c in checks if c["rule"] in (MEAN, NEW))

    for run, rows in enumerate(([("north", "2026-03-06", 2.0)], [("south", "2026-03-07", 11.0)], [("north", "2026-03-08", 50.0)]), 2):
        place.file(f"{run}.csv", *rows)
        place.run("bronze.readings")
        outcome = place.run("silver.readings")
        assert outcome.status == ("refused" if run == 4 else "published"), outcome.message
    # The first night judged no mean yet; the second one notes its own, though it has nothing to compare it with.
    assert judged(2) == [(NEW, True, "history", "not asked"), (MEAN, True, "history", "2.0")]
    assert judged(3) == [(NEW, True, "Great Expectations", "null"), (MEAN, True, "one pass", "11.0")]
    assert judged(4) == [(NEW, True, "Great Expectations", "null"), (MEAN, False, "one pass", "50.0")]
    standing = place.standing("silver.readings")
    past = history(place.lake.store, "silver.readings", standing.published, ["rows_median", "mean_of_value_mean", "seen_station"])
    assert past == History(3, {"rows_median": 1.0, "mean_of_value_mean": 6.5, "seen_station": ["north", "south"], "batches": 3})


@given(st.sampled_from(FIGURES), st.sampled_from(["rows", "rejected_share", "mean_of_value"]), st.floats(0.1, 10).map(lambda x: round(x, 3)))
def test_an_expression_is_computed_as_it_is_written(figure: str, what: str, factor: float) -> None:
    name = f"{what}_{figure}"
    asked = {"min_value": of(f"{name} * {factor}"), "column": "value"}
    assert parameters(asked) == {name} and unknown({name}, ["value"]) == []
    assert gx.resolved(asked, {name: 2.0}) == {"min_value": pytest.approx(2 * factor), "column": "value"}
