"""A batch is judged as a whole: what fails and is critical refuses it, a warning is told, and a broken rule is never taken for bad data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lake.contract import Contract
from lake.errors import ContractBroken
from lake.gate.batch import Verdict, check_batch, derived, written
from tests.lake.project import contract, write, write_contract, write_suite

THINGS = [
    {"name": "id", "type": "string", "key": 1},
    {"name": "value", "type": "double"},
    {"name": "other", "type": "double"},
]
BETWEEN = "expect_column_values_to_be_between"
ROWS = [("a", 1.0, 2.0), ("b", 2.0, 3.0), ("c", 3.0, None)]


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
    return spark.createDataFrame(ROWS, "id string, value double, other double")


def judge(
    project: Path, rows: DataFrame, *expectations: Mapping[str, Any], kept: int = 3, rejected: int = 0, address: str = "silver.things", **meta: Any
) -> Verdict:
    if expectations:
        write_suite(project, address, {"expectations": list(expectations), "meta": meta})
    return check_batch(rows, Contract.load(address), kept=kept, rejected=rejected)


def between(high: float, severity: str | None = None, **more: Any) -> dict[str, Any]:
    said = {"type": BETWEEN, "kwargs": {"column": "value", "max_value": high, **more}}
    return said | ({"severity": severity} if severity else {})


def test_each_expectation_is_told_with_what_it_saw_and_only_a_critical_failure_refuses(project: Path, rows: DataFrame) -> None:
    verdict = judge(
        project,
        rows,
        between(3),
        between(2, "warning"),
        between(1, "info"),
        between(2.5, "critical", mostly=0.9),
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "value", "min_value": 2, "max_value": 2}},
        {
            "type": "expect_column_pair_values_a_to_be_greater_than_b",
            "kwargs": {"column_A": "other", "column_B": "value", "ignore_row_if": "either_value_is_missing"},
        },
    )
    seen = {(c.rule, c.threshold): (c.column, c.severity, c.success, c.unexpected) for c in verdict.checks}
    assert seen == {
        ("rejected_share", "<= 0.5"): (None, "critical", True, 0),
        ("expect_column_values_to_be_unique", "{}"): ("id", "critical", True, 0),
        (BETWEEN, '{"max_value": 3}'): ("value", "critical", True, 0),
        (BETWEEN, '{"max_value": 2}'): ("value", "warning", False, 1),
        (BETWEEN, '{"max_value": 1}'): ("value", "info", False, 2),
        (BETWEEN, '{"max_value": 2.5, "mostly": 0.9}'): ("value", "critical", False, 1),
        ("expect_column_mean_to_be_between", '{"min_value": 2, "max_value": 2}'): ("value", "critical", True, None),
        ("expect_column_pair_values_a_to_be_greater_than_b", '{"ignore_row_if": "either_value_is_missing"}'): ("other, value", "critical", True, 0),
    }
    assert [c.threshold for c in verdict.refusals] == ['{"max_value": 2.5, "mostly": 0.9}']
    assert [c.severity for c in verdict.warnings] == ["warning", "info"]
    assert "1 of 3 unexpected" in verdict.warnings[0].message and "FAILS" in verdict.warnings[0].message


def test_a_key_that_comes_twice_refuses_the_batch_without_a_written_word(project: Path, rows: DataFrame) -> None:
    twice = rows.union(rows.limit(1))
    assert [c.rule for c in judge(project, twice, kept=4).refusals] == ["expect_column_values_to_be_unique"]
    assert [c.rule for c in judge(project, twice, kept=4, address="silver.pairs").refusals] == ["expect_compound_columns_to_be_unique"]


def test_a_key_that_hashes_show_to_be_unique_is_not_put_to_great_expectations(project: Path, rows: DataFrame, monkeypatch: Any) -> None:
    monkeypatch.setattr("lake.gate.batch._judged", lambda *_: pytest.fail("asked"))
    check = judge(project, rows).checks[-1]
    assert (check.rule, check.success, check.unexpected, check.observed) == ("expect_column_values_to_be_unique", True, 0, "0 of 3 unexpected")


def test_a_key_of_two_columns_may_repeat_one_of_them(project: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a", 1.0, 0.0), ("a", 2.0, 0.0)], "id string, value double, other double")
    assert judge(project, rows, kept=2, address="silver.pairs").refusals == ()
    assert derived(Contract.load("silver.pairs"))[0]["kwargs"] == {"column_list": ["id", "value"]}


@pytest.mark.parametrize(
    "kept, rejected, meta, refused",
    [
        (10, 10, {}, False),  # a half is borne
        (9, 11, {}, True),
        (0, 20, {}, True),  # nothing was kept: no expectation is asked, but the share is
        (9, 10, {}, False),  # under 20 rows a share says nothing
        (90, 10, {"max_rejected_share": 0.05}, True),
        (90, 10, {"max_rejected_share": 0.1}, False),
    ],
)
def test_the_share_of_rejected_rows_is_borne_up_to_its_limit(
    kept: int, rejected: int, meta: dict[str, float], refused: bool, project: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("lake.gate.batch._judged", lambda rows, asked: [])  # Great Expectations has no part in this
    monkeypatch.setattr("lake.gate.batch._is_unique", lambda *_: True)
    verdict = judge(project, None, between(3), kept=kept, rejected=rejected, **meta)  # pyright: ignore[reportArgumentType]
    assert [c.rule for c in verdict.refusals] == (["rejected_share"] if refused else [])


def test_an_empty_batch_carries_no_expectations(project: Path, rows: DataFrame) -> None:
    verdict = judge(project, rows.limit(0), {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}, kept=0)
    assert [(c.rule, c.success) for c in verdict.checks] == [("rejected_share", True)]


@pytest.mark.parametrize(
    "document, told",
    [
        (
            {"expectations": [{"type": "expect_column_values_to_be_betwen", "kwargs": {"column": "value"}}]},
            "GX knows no expect_column_values_to_be_betwen",
        ),
        ({"expectations": [{"type": BETWEEN, "kwargs": {"column": "value", "max": 3}}]}, "max"),
        ({"expectations": [{"type": BETWEEN, "kwargs": {"column": "valeu", "max_value": 3}}]}, "valeu: not a column of silver.things"),
        ({"expectations": [{"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["id", "nil"]}}]}, "nil: not a column"),
        ({"expectations": [between(3, "fatal")]}, "severity 'fatal'"),
        ({"expectations": [{**between(3), "serverity": "warning"}]}, "serverity"),
        ({"expectations": [{"kwargs": {"column": "value"}}]}, "expectation 1 has keys"),
        ({"expectations": ["unique"]}, "expectation 1"),
        ({"expectations": []}, "an empty suite would let everything pass"),
        ({"name": "silver.things"}, "an empty suite would let everything pass"),
        ({"expectations": [between(3)], "expectation": [between(1)]}, "unknown keys ['expectation']"),
        ({"expectations": [between(3)], "meta": {"max_rejected_share": "half"}}, "max_rejected_share"),
        ({"expectations": [between(3)], "meta": {"max_rejected_share": 5}}, "max_rejected_share"),
    ],
)
def test_a_suite_that_can_not_be_meant_is_refused_before_any_row_is_read(document: dict[str, Any], told: str, project: Path) -> None:
    write_suite(project, "silver.things", document)
    with pytest.raises(ContractBroken) as caught:
        written("silver.things")
    assert told in str(caught.value) and "silver/things.yaml" in str(caught.value)


def test_a_suite_that_is_no_yaml_is_refused_with_its_line(project: Path) -> None:
    write(project / "expectations" / "silver" / "things.yaml", "expectations: [\n")
    with pytest.raises(ContractBroken, match="line"):
        written("silver.things")


def test_no_file_means_no_written_expectations(project: Path) -> None:
    assert written("silver.things").expectations == ()


def test_a_suite_that_was_mended_is_read_anew(project: Path) -> None:
    path = write_suite(project, "silver.things", {"expectations": [between(3)]})
    first = written("silver.things").expectations[0]["kwargs"]["max_value"]
    write(path, yaml.safe_dump({"expectations": [between(4)]}))
    assert (first, written("silver.things").expectations[0]["kwargs"]["max_value"]) == (3, 4)


def test_a_query_judges_rows_of_a_session_of_their_own(project: Path, spark: SparkSession) -> None:
    own = spark.newSession()
    rows = own.createDataFrame(ROWS, "id string, value double, other double")
    query = {
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE value > 2", "description": "at most two"},
    }
    verdict = judge(project, rows, query)
    assert [(c.rule, c.success) for c in verdict.refusals] == [("unexpected_rows_expectation", False)]
    query["kwargs"]["unexpected_rows_query"] = "SELECT * FROM {batch} WHERE value > 3"  # type: ignore[index]
    assert judge(project, rows, query).refusals == ()


def test_a_rule_that_breaks_is_a_broken_contract_and_not_bad_data(project: Path, rows: DataFrame) -> None:
    query = {
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE nothing > 2"},
        "severity": "warning",
    }
    with pytest.raises(ContractBroken, match="unexpected_rows_expectation broke while it was judged") as caught:
        judge(project, rows, query)
    assert "nothing" in str(caught.value) and caught.value.exit_code == 65


@settings(max_examples=2, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=12), high=st.integers(-6, 5))
def test_a_batch_is_refused_exactly_when_a_value_is_outside(values: list[int | None], high: int, project: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [(str(n), None if v is None else float(v), 0.0) for n, v in enumerate(values)], "id string, value double, other double"
    )
    outside = sum(v is not None and v > high for v in values)
    verdict = judge(project, rows, between(high), kept=len(values))
    assert [(c.rule, c.unexpected) for c in verdict.refusals] == ([(BETWEEN, outside)] if outside else [])


def test_a_failure_names_some_of_its_rows_by_their_keys_and_never_by_a_value(project: Path, rows: DataFrame) -> None:
    [failed] = [c for c in judge(project, rows, between(1, "critical")).checks if not c.success]
    assert failed.message.endswith("; 2 rows, such as id = b; id = c")


def test_a_batch_that_empties_a_table_is_asked_how_many_rows_it_has(project: Path, rows: DataFrame) -> None:
    some = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "critical"}
    write_suite(project, "silver.things", {"expectations": [some, between(1)]})
    none, things = rows.limit(0), Contract.load("silver.things")
    verdict = check_batch(none, things, kept=0, rejected=0, emptied=True)
    assert [(c.rule, c.success) for c in verdict.checks] == [("rejected_share", True), ("expect_table_row_count_to_be_between", False)]
    assert [c.rule for c in check_batch(none, things, kept=0, rejected=0).checks] == ["rejected_share"]


def test_a_column_that_the_contract_calls_unique_stands_once_whatever_the_key_does(project: Path, spark: SparkSession) -> None:
    write_contract(project, contract("silver.things", [*THINGS[:2], {**THINGS[2], "unique": True}]))
    twice = spark.createDataFrame([("a", 1.0, 2.0), ("b", 2.0, 2.0), ("c", 3.0, None), ("d", 3.0, None)], "id string, value double, other double")
    verdict = judge(project, twice, kept=4)
    assert [(c.rule, c.column, c.unexpected) for c in verdict.refusals] == [("expect_column_values_to_be_unique", "other", 2)]
    assert judge(project, twice.where("id <> 'b'"), kept=3).refusals == ()  # what is not there equals no other
