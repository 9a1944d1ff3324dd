"""What a suite may hold is told by `lake expectations`, and held by a JSON schema that editors read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.gate.gallery import expectation, expectations, suite_schema

ROOT = Path(__file__).resolve().parents[2]
SUITES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "expectations").glob("*/*.yaml"))
BETWEEN = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "max_value": 3}}


def test_the_schema_in_the_project_is_the_one_that_the_pinned_version_makes() -> None:
    assert json.loads((ROOT / "expectations" / "suite.schema.json").read_text(encoding="utf-8")) == suite_schema(), "lake expectations --schema"


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_of_the_project_fits_the_schema_and_names_it(suite: str) -> None:
    text = (ROOT / suite).read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), suite_schema())
    assert text.startswith("# yaml-language-server: $schema=../suite.schema.json\n")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "expect_column_values_to_be_betwen"},
        {"kwargs": {"column": "a", "maximum": 3}},
        {"kwargs": {"max_value": 3}},
        {"meta": {"on_fail": "drop"}},
        {"severity": "fatal"},
        {"serverity": "info"},
    ],
    ids=str,
)
def test_an_editor_marks_what_loading_would_refuse(change: dict[str, Any]) -> None:
    jsonschema.validate({"expectations": [BETWEEN]}, suite_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"expectations": [BETWEEN | change]}, suite_schema())


def test_a_type_is_told_with_what_it_judges_and_its_arguments() -> None:
    between, mean = expectation("expect_column_values_to_be_between"), expectation("expect_column_mean_to_be_between")
    assert (between.kind, between.on_fail, between.required) == ("row", "quarantine", ("column",))
    assert {"column", "min_value", "max_value", "mostly", "row_condition"} <= between.arguments.keys()
    assert (mean.kind, mean.on_fail) == ("batch", "refuse")
    with pytest.raises(LookupError):
        expectation("expect_column_values_to_match_like_pattern")  # GX has it for SQL databases only


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.sampled_from([e.type for e in expectations()]), st.text(min_size=1, max_size=8))
def test_no_type_takes_an_argument_that_it_has_not(type_: str, name: str) -> None:
    one = expectation(type_)
    rule = {
        "type": type_,
        "kwargs": {n: "x" if told.get("type") == "string" else 1 for n, told in one.arguments.items() if n in one.required} | {name: 1},
    }
    fits = jsonschema.Draft202012Validator(suite_schema()).is_valid({"expectations": [rule]})
    assert fits == (name in one.arguments)
