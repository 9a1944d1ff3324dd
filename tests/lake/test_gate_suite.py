"""A suite is checked before any row is read: what can not be meant is an error with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.gate import gx
from lake.gate.suite import written
from tests.lake.project import contract, write, write_contract, write_suite

THINGS = [
    {"name": "id", "type": "string", "key": 1},
    {"name": "value", "type": "double", "minimum": 0, "maximum": 10},
    {"name": "level", "type": "string", "required": True, "allowed": ["a", "b"]},
    {"name": "code", "type": "string", "pattern": "[a-z]+"},
]
BETWEEN = "expect_column_values_to_be_between"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path))
    write_contract(tmp_path, contract("silver.things", THINGS))
    return tmp_path


def between(high: float, severity: str = "critical") -> dict[str, Any]:
    return {"type": BETWEEN, "kwargs": {"column": "value", "max_value": high}, "severity": severity}


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
        ({"expectations": [{"kwargs": {"column": "value"}}]}, "an expectation has keys"),
        ({"expectations": ["unique"]}, "an expectation has keys 'unique'"),
        ({"expectations": []}, "an empty suite would let everything pass"),
        ({"name": "silver.things"}, "an empty suite would let everything pass"),
        ({"expectations": [between(3)], "expectation": [between(1)]}, "unknown keys ['expectation']"),
        ({"expectations": [between(3)], "meta": {"max_rejected_share": "half"}}, "max_rejected_share"),
        ({"expectations": [between(3)], "meta": {"max_rejected_share": 5}}, "max_rejected_share"),
        ({"expectations": [between(3) | {"meta": {"on_fail": "drop"}}]}, "on_fail is 'drop'"),
        ({"expectations": [between(3) | {"meta": {"onfail": "warn"}}]}, "meta has unknown keys ['onfail']"),
        ({"expectations": [{"type": "expect_column_values_to_match_like_pattern", "kwargs": {"column": "code", "like_pattern": "a%"}}]}, "on Spark"),
        (
            {"expectations": [{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 3}, "meta": {"on_fail": "quarantine"}}]},
            "judges a batch as a whole",
        ),
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
    assert written("silver.things").rules == ()


def test_a_suite_that_was_mended_is_read_anew(project: Path) -> None:
    path = write_suite(project, "silver.things", {"expectations": [between(3)]})
    first = written("silver.things").rules[0].kwargs["max_value"]
    write(path, yaml.safe_dump({"expectations": [between(4)]}))
    assert (first, written("silver.things").rules[0].kwargs["max_value"]) == (3, 4)


REPEATS = [
    ({"type": "expect_column_to_exist", "kwargs": {"column": "value"}}, "which columns there are"),
    ({"type": "expect_column_values_to_be_of_type", "kwargs": {"column": "value", "type_": "DoubleType"}}, "of what type they are"),
    ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}}, "unique: id"),
    ({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "level"}}, "required: level"),
    ({"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "level", "value_set": ["a", "b", "c"]}}, "allowed values of level"),
    ({"type": "expect_column_values_to_match_regex", "kwargs": {"column": "code", "regex": "^[a-z]+$"}}, "the pattern of code"),
    ({"type": BETWEEN, "kwargs": {"column": "value", "min_value": -1, "max_value": 10}}, "the range of value"),
]


@pytest.mark.parametrize("rule, told", REPEATS, ids=[told for _, told in REPEATS])
def test_a_rule_that_says_the_contract_again_is_refused_with_its_line(rule: dict[str, Any], told: str, project: Path) -> None:
    write_suite(project, "silver.things", {"expectations": [between(3), rule]})
    with pytest.raises(ContractBroken, match="repeats the contract") as caught:
        written("silver.things")
    assert told in str(caught.value) and "things.yaml:" in str(caught.value)


STRICTER = [
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "code"}},
    {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "level", "value_set": ["a"]}},
    {"type": BETWEEN, "kwargs": {"column": "value", "max_value": 9}},
    {"type": BETWEEN, "kwargs": {"column": "value", "max_value": 10, "strict_max": True}},
    {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "code"}},
]


@pytest.mark.parametrize("rule", STRICTER, ids=[r["type"] for r in STRICTER])
def test_a_rule_that_asks_more_than_the_contract_is_taken(rule: dict[str, Any], project: Path) -> None:
    write_suite(project, "silver.things", {"expectations": [rule]})
    assert [r.type for r in written("silver.things").rules] == [rule["type"]]


def test_rows_are_quarantined_and_batches_refused_unless_the_suite_says_otherwise(project: Path) -> None:
    mean = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "value", "max_value": 3}}
    rising = {"type": "expect_column_values_to_be_increasing", "kwargs": {"column": "value"}}
    unique = {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["level", "code"]}}
    told = between(4, "info") | {"meta": {"on_fail": "warn", "why": "to see"}}
    write_suite(project, "silver.things", {"expectations": [between(3, "warning"), told, mean, rising, unique]})
    assert [(r.name, r.on_fail, r.severity) for r in written("silver.things").rules] == [
        (f"{BETWEEN}:value", "quarantine", "warning"),
        (f"{BETWEEN}:value#2", "warn", "info"),
        ("expect_column_mean_to_be_between:value", "refuse", "critical"),
        ("expect_column_values_to_be_increasing:value", "refuse", "critical"),
        ("expect_compound_columns_to_be_unique:level,code", "quarantine", "critical"),
    ]


def test_an_expectation_of_the_project_is_used_by_its_name(project: Path) -> None:
    write(
        project / "expectations" / "own.py",
        "from great_expectations.expectations.core import ExpectColumnValuesToBeInSet\n\n\n"
        "class ExpectColumnValuesToBeAKnownLevel(ExpectColumnValuesToBeInSet):\n    value_set: list = ['a', 'b', 'c']\n",
    )
    write_suite(project, "silver.things", {"expectations": [{"type": "expect_column_values_to_be_a_known_level", "kwargs": {"column": "code"}}]})
    [rule] = written("silver.things").rules
    assert (rule.kind, rule.on_fail) == ("row", "quarantine") and rule.type in gx.types()


@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.integers(0, 3), min_size=1, max_size=5), wrong=st.data())
def test_a_wrong_rule_is_named_by_the_line_on_which_it_begins(lines: list[int], wrong: Any, project: Path) -> None:
    at = wrong.draw(st.integers(0, len(lines) - 1))
    text, expected = ["expectations:"], 0
    for n, blank in enumerate(lines):
        text += ["  # a remark"] * blank
        expected = len(text) + 1 if n == at else expected
        text += [f"  - type: {'expect_nothing' if n == at else BETWEEN}", f"    kwargs: {{column: value, max_value: {n + 1}}}"]
    write(project / "expectations" / "silver" / "things.yaml", "\n".join(text))
    with pytest.raises(ContractBroken, match=f"things.yaml:{expected}: GX knows no expect_nothing"):
        written("silver.things")
