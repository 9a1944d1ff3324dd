"""A batch is judged as a whole: a failure sets rows aside, refuses the batch or is told; a broken rule is never taken for bad data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lake.contract import Contract
from lake.errors import ContractBroken
from lake.gate.batch import Check, Verdict
from tests.lake.gate import through
from tests.lake.project import contract, write_contract, write_suite

THINGS = [
    {"name": "id", "type": "string", "key": 1},
    {"name": "value", "type": "double"},
    {"name": "other", "type": "double"},
]
BETWEEN = "expect_column_values_to_be_between"
ROWS = [("a", 1.0, 2.0), ("b", 2.0, 3.0), ("c", 3.0, None)]
DDL = "id string, value double, other double"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two contracts: one with a simple key, one with a key of two columns."""
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path))
    write_contract(tmp_path, contract("silver.things", THINGS))
    write_contract(
        tmp_path, contract("silver.pairs", [{**c, "key": 2 if c["name"] == "value" else c.get("key")} if c["name"] != "other" else c for c in THINGS])
    )
    return tmp_path


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, DDL)


def judge(project: Path, rows: DataFrame, *expectations: Mapping[str, Any], address: str = "silver.things", **meta: Any) -> Verdict:
    if expectations:
        write_suite(project, address, {"expectations": list(expectations), "meta": meta})
    return through(rows, Contract.load(address))[1]


def between(high: float, on_fail: str | None = None, severity: str = "critical", **more: Any) -> dict[str, Any]:
    said = {"type": BETWEEN, "kwargs": {"column": "value", "max_value": high, **more}, "severity": severity}
    return said | ({"meta": {"on_fail": on_fail}} if on_fail else {})


def checks(verdict: Verdict, rule: str) -> list[Check]:
    return [c for c in verdict.checks if c.rule == rule]


def test_each_expectation_is_told_with_what_it_saw_and_its_fate_decides_not_its_severity(project: Path, rows: DataFrame) -> None:
    verdict = judge(
        project,
        rows,
        between(3, "refuse"),
        between(2, "warn"),
        between(1, "warn", severity="info"),
        between(2.5, "refuse", mostly=0.9, severity="info"),
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "value", "min_value": 2, "max_value": 2}},
        {
            "type": "expect_column_pair_values_a_to_be_greater_than_b",
            "kwargs": {"column_A": "other", "column_B": "value", "ignore_row_if": "either_value_is_missing"},
        },
    )
    seen = {(c.rule, c.threshold): (c.column, c.on_fail, c.success, c.unexpected, c.rows, c.judged_by) for c in verdict.checks}
    assert seen == {
        ("rejected_share", "<= 0.5"): (None, "refuse", True, 0, 3, "one pass"),
        ("missing", "required"): ("id", "quarantine", True, 0, 3, "one pass"),
        ("expect_column_values_to_be_unique", "{}"): ("id", "quarantine", True, 0, 3, "keys"),
        (BETWEEN, '{"max_value": 3}'): ("value", "refuse", True, 0, 3, "one pass"),
        (BETWEEN, '{"max_value": 2}'): ("value", "warn", False, 1, 3, "one pass"),
        (BETWEEN, '{"max_value": 1}'): ("value", "warn", False, 2, 3, "one pass"),
        (BETWEEN, '{"max_value": 2.5, "mostly": 0.9}'): ("value", "refuse", False, 1, 3, "one pass"),
        ("expect_column_mean_to_be_between", '{"min_value": 2, "max_value": 2}'): ("value", "refuse", True, None, 3, "one pass"),
        ("expect_column_pair_values_a_to_be_greater_than_b", '{"ignore_row_if": "either_value_is_missing"}'): (
            "other, value", "quarantine", True, 0, 3, "one pass",
        ),
    }  # fmt: skip
    assert [c.threshold for c in verdict.refusals] == ['{"max_value": 2.5, "mostly": 0.9}']
    assert [c.severity for c in verdict.warnings] == ["critical", "info"]
    assert "1 of 3 unexpected" in verdict.warnings[0].message and "FAILS" in verdict.warnings[0].message


def test_what_quarantines_sets_its_rows_aside_and_the_batch_is_judged_without_them(project: Path, rows: DataFrame) -> None:
    mean = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "value", "max_value": 1.5}}
    write_suite(project, "silver.things", {"expectations": [between(2), mean, between(2, "refuse", mostly=0.5)]})
    kept, verdict = through(rows, Contract.load("silver.things"))
    assert [row["id"] for row in kept.collect()] == ["a", "b"]
    assert [(c.threshold, c.success, c.unexpected, c.rows) for c in checks(verdict, BETWEEN)] == [
        ('{"max_value": 2}', False, 1, 3),
        ('{"max_value": 2, "mostly": 0.5}', True, 1, 3),  # what refuses is asked of all rows
    ]
    assert [(c.success, c.observed, c.rows) for c in checks(verdict, "expect_column_mean_to_be_between")] == [(True, "1.5", 2)]
    assert verdict.refusals == () and verdict.rows == 2


@pytest.mark.parametrize(
    "address, type_", [("silver.things", "expect_column_values_to_be_unique"), ("silver.pairs", "expect_compound_columns_to_be_unique")]
)
def test_rows_that_share_their_key_are_set_aside_all_of_them(address: str, type_: str, project: Path, rows: DataFrame) -> None:
    kept, verdict = through(rows.union(rows.limit(1)), Contract.load(address))
    assert sorted(row["id"] for row in kept.collect()) == ["b", "c"]
    assert [(c.success, c.unexpected, c.rows, c.judged_by, c.on_fail) for c in checks(verdict, type_)] == [(False, 2, 4, "keys", "quarantine")]


def test_what_must_be_unique_by_a_written_rule_is_set_aside_or_told_and_nulls_are_not_compared(project: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a", 1.0, None), ("b", 1.0, None), ("c", 2.0, 5.0)], DDL)
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "value"}}
    nulls = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "other"}}
    write_suite(project, "silver.things", {"expectations": [unique, nulls]})
    kept, verdict = through(rows, Contract.load("silver.things"))
    assert [row["id"] for row in kept.collect()] == ["c"]
    assert [(c.column, c.unexpected) for c in checks(verdict, "expect_column_values_to_be_unique")] == [("id", 0), ("value", 2), ("other", 0)]
    write_suite(project, "silver.things", {"expectations": [unique | {"meta": {"on_fail": "warn"}}]})
    kept, verdict = through(rows, Contract.load("silver.things"))
    assert (kept.count(), [(c.column, c.unexpected, c.judged_by) for c in verdict.warnings]) == (3, [("value", 2, "keys")])


def test_a_column_that_the_contract_calls_unique_stands_once_whatever_the_key_does(project: Path, spark: SparkSession) -> None:
    write_contract(project, contract("silver.things", [*THINGS[:2], {**THINGS[2], "unique": True}]))
    rows = spark.createDataFrame([("a", 1.0, 2.0), ("b", 2.0, 2.0), ("c", 3.0, None), ("d", 3.0, None)], DDL)
    kept, verdict = through(rows, Contract.load("silver.things"))
    assert sorted(row["id"] for row in kept.collect()) == ["c", "d"]  # what is not there equals no other
    assert [(c.column, c.unexpected) for c in checks(verdict, "expect_column_values_to_be_unique")] == [("id", 0), ("other", 2)]


def test_a_key_of_two_columns_may_repeat_one_of_them(project: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a", 1.0, 0.0), ("a", 2.0, 0.0)], DDL)
    assert through(rows, Contract.load("silver.pairs"))[0].count() == 2


@pytest.mark.parametrize(
    "good, bad, meta, refused",
    [
        (10, 10, {}, False),  # a half is borne
        (9, 11, {}, True),
        (0, 20, {}, True),  # nothing is kept: the batch is asked nothing, but the share is
        (9, 10, {}, False),  # under 20 rows a share says nothing
        (95, 5, {"max_rejected_share": 0.04}, True),
        (95, 5, {"max_rejected_share": 0.05}, False),
    ],
)
def test_the_share_of_rejected_rows_is_borne_up_to_its_limit(
    good: int, bad: int, meta: dict[str, float], refused: bool, project: Path, spark: SparkSession
) -> None:
    rows = spark.createDataFrame([(str(n), 0.0 if n < good else 9.0, 0.0) for n in range(good + bad)], DDL)
    assert [c.rule for c in judge(project, rows, between(3), **meta).refusals] == (["rejected_share"] if refused else [])


def test_an_empty_batch_carries_no_expectations(project: Path, rows: DataFrame) -> None:
    some = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}
    write_suite(project, "silver.things", {"expectations": [some, between(1, "refuse")]})
    things = Contract.load("silver.things")
    assert [(c.rule, c.success) for c in through(rows.limit(0), things)[1].checks] == [("rejected_share", True), ("missing", True)]
    # But one that empties a table is asked how many rows it has.
    emptied = through(rows.limit(0), things, emptied=True)[1]
    assert [c.rule for c in emptied.refusals] == ["expect_table_row_count_to_be_between"]


def test_a_rule_that_is_a_python_function_is_counted_in_the_same_pass(project: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([("{}", 1.0, 0.0), ("{", 2.0, 0.0), ("[1]", 3.0, 0.0)], DDL)
    json = {"type": "expect_column_values_to_be_json_parseable", "kwargs": {"column": "id"}}
    for fate, kept in (("warn", 3), ("quarantine", 2)):
        write_suite(project, "silver.things", {"expectations": [json | {"meta": {"on_fail": fate}}]})
        found, verdict = through(rows, Contract.load("silver.things"))
        assert (found.count(), [(c.unexpected, c.judged_by) for c in checks(verdict, json["type"])]) == (kept, [(1, "one pass")])


def test_a_query_judges_rows_of_a_session_of_their_own(project: Path, spark: SparkSession) -> None:
    own = spark.newSession()
    rows = own.createDataFrame(ROWS, DDL)
    query = {
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE value > 2", "description": "at most two"},
    }
    verdict = judge(project, rows, query)
    assert [(c.rule, c.success, c.judged_by) for c in verdict.refusals] == [("unexpected_rows_expectation", False, "Great Expectations")]
    query["kwargs"]["unexpected_rows_query"] = "SELECT * FROM {batch} WHERE value > 3"  # type: ignore[index]
    assert judge(project, rows, query).refusals == ()


@pytest.mark.parametrize(
    "rule, told",
    [
        (
            {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE nothing > 2"}},
            "unexpected_rows_expectation broke while it was judged",
        ),
        ({"type": "expect_column_values_to_be_between", "kwargs": {"column": "id", "max_value": 3}}, "is broken"),
        (
            {"type": BETWEEN, "kwargs": {"column": "value", "max_value": 3, "row_condition": "nothing > 2", "condition_parser": "spark"}},
            "is broken: .*nothing",
        ),
        ({"type": "expect_column_mean_to_be_between", "kwargs": {"column": "id", "max_value": 3}}, "broke while it was judged"),
    ],
)
def test_a_rule_that_breaks_is_a_broken_contract_and_not_bad_data(rule: dict[str, Any], told: str, project: Path, rows: DataFrame) -> None:
    with pytest.raises(ContractBroken, match=told) as caught:
        judge(project, rows, rule | {"meta": {"on_fail": "warn"}})
    assert "things.yaml:" in str(caught.value) and caught.value.exit_code == 65


@settings(max_examples=2, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=12), high=st.integers(-6, 5))
def test_a_batch_is_refused_exactly_when_a_value_is_outside(values: list[int | None], high: int, project: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([(str(n), None if v is None else float(v), 0.0) for n, v in enumerate(values)], DDL)
    outside = sum(v is not None and v > high for v in values)
    verdict = judge(project, rows, between(high, "refuse"))
    assert [(c.rule, c.unexpected) for c in verdict.refusals] == ([(BETWEEN, outside)] if outside else [])


def test_a_failure_names_some_of_its_rows_by_their_keys_and_never_by_a_value(project: Path, rows: DataFrame) -> None:
    [failed] = judge(project, rows, between(1, "refuse")).refusals
    assert failed.message.endswith("; 2 rows, such as id = b; id = c") and failed.examples == ("id = b", "id = c")


def test_a_check_has_what_its_failure_means_as_its_suite_says_it(project: Path, rows: DataFrame) -> None:
    why = {"why": "A sensor that shows more\nis broken."}
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "value"}, "meta": why}
    expectations = [between(1, "warn") | {"meta": {"on_fail": "warn"} | why}, between(3) | {"meta": why}, unique]
    found = judge(project, rows.union(rows.limit(1).selectExpr("'d'", "value", "other")), *expectations).checks
    meant = [(c.success, c.on_fail) for c in found if c.why == "A sensor that shows more is broken."]
    assert meant == [(False, "quarantine"), (False, "warn"), (True, "quarantine")]
    assert {c.why for c in found if c.success and c.rule == "rejected_share"} == {""}


@pytest.mark.parametrize("ignored, shared", [(None, 4), ("all_values_are_missing", 4), ("any_value_is_missing", 2), ("never", 6)])
def test_rows_that_lack_values_are_compared_as_ignore_row_if_says(ignored: str | None, shared: int, project: Path, spark: SparkSession) -> None:
    pairs = [(1.0, 1.0), (1.0, 1.0), (2.0, None), (2.0, None), (None, None), (None, None), (3.0, 3.0)]
    rows = spark.createDataFrame([(str(n), *pair) for n, pair in enumerate(pairs)], DDL)
    kwargs = {"column_list": ["value", "other"]} | ({"ignore_row_if": ignored} if ignored else {})
    write_suite(project, "silver.things", {"expectations": [{"type": "expect_compound_columns_to_be_unique", "kwargs": kwargs}]})
    kept, verdict = through(rows, Contract.load("silver.things"))
    assert (kept.count(), checks(verdict, "expect_compound_columns_to_be_unique")[0].unexpected) == (7 - shared, shared)


@pytest.mark.parametrize("on_fail", ["quarantine", "refuse"])
def test_a_python_function_sees_no_row_that_a_row_condition_leaves_out(on_fail: str, project: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([('{"a": 1}', 1.0, 5.0), ("{}", 1.0, 5.0), ("no JSON: it would break", 2.0, 5.0)], DDL)
    schema = {"type": "object", "required": ["a"]}
    kwargs = {"column": "id", "json_schema": schema, "row_condition": "value = 1", "condition_parser": "spark"}
    write_suite(
        project, "silver.things",
        {"expectations": [{"type": "expect_column_values_to_match_json_schema", "kwargs": kwargs, "meta": {"on_fail": on_fail}}]},
    )  # fmt: skip
    kept, verdict = through(rows, Contract.load("silver.things"))
    [check] = checks(verdict, "expect_column_values_to_match_json_schema")
    assert (check.success, check.unexpected, kept.columns) == (False, 1, rows.columns)
    assert kept.count() == (2 if on_fail == "quarantine" else 3)
    assert check.examples == (("id = {}",) if on_fail == "refuse" else ())
