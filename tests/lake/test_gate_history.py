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

ROWS = "expect_table_row_count_to_be_between"
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
    assert judged(History(2, {"rows_median": 5.0})) == [(False, "one pass", '{"min_value": 2.5}')]
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
    mean = {
        "type": "expect_column_mean_to_be_between",
        "kwargs": {"column": "value", "max_value": of("mean_of_value_mean + 10")},
        "meta": {"history": 1},
    }
    new = {
        "type": "expect_column_distinct_values_to_be_in_set", "kwargs": {"column": "station", "value_set": of("seen_station")},
        "meta": {"history": 1, "on_fail": "warn"},
    }  # fmt: skip
    write_suite(place.project, "silver.readings", {"expectations": [mean, new]})
    place.file("a.csv", ("north", "2026-03-01", 1.0), ("north", "2026-03-02", 3.0), ("west", "2026-03-02", 3.0))
    place.night()
    checks = ops.read(place.lake.store, "checks", [("address", "=", "silver.readings")])
    assert {(c["rule"], c["judged_by"]) for c in checks if c["judged_by"] == "history"} == {(mean["type"], "history"), (new["type"], "history")}
    place.file("b.csv", ("north", "2026-03-03", 2.0), ("south", "2026-03-03", 20.0))
    place.run("bronze.readings")
    told = place.run("silver.readings")
    assert told.status == "published" and 'expect_column_distinct_values_to_be_in_set on station: FAILS: saw ["north", "south"]' in told.message
    place.file("c.csv", ("north", "2026-03-04", 50.0))
    place.run("bronze.readings")
    refused = place.run("silver.readings")
    # The means so far: 2 and 11.
    assert refused.status == "refused" and 'saw 50.0, asked {"max_value": 16.5}' in refused.message
    standing = place.standing("silver.readings")
    past = history(
        place.lake.store, "silver.readings", standing.published, ["rows_median", "rejected_share_max", "mean_of_value_mean", "seen_station"]
    )
    values = {"rows_median": 2.0, "rejected_share_max": 1 / 3, "mean_of_value_mean": 6.5, "seen_station": ["north", "south"], "batches": 2}
    assert past == History(2, values)


@given(st.sampled_from(FIGURES), st.sampled_from(["rows", "rejected_share", "mean_of_value"]), st.floats(0.1, 10).map(lambda x: round(x, 3)))
def test_an_expression_is_computed_as_it_is_written(figure: str, what: str, factor: float) -> None:
    name = f"{what}_{figure}"
    asked = {"min_value": of(f"{name} * {factor}"), "column": "value"}
    assert parameters(asked) == {name} and unknown({name}, ["value"]) == []
    assert gx.resolved(asked, {name: 2.0}) == {"min_value": pytest.approx(2 * factor), "column": "value"}
