"""Checks of the gate as sentences."""

from __future__ import annotations

import pytest

from lake.report.sentences import verdict


@pytest.mark.parametrize(
    ("rule", "column", "observed", "threshold", "sentence"),
    [
        (
            "expect_column_mean_to_be_between", "probability", "0.06886694809996687", '{"min_value": 0.1}',
            "The mean of probability is 0.06887; at least 0.1 was asked.",
        ),
        (
            "expect_column_unique_value_count_to_be_between", "model_version", "2", '{"min_value": 1, "max_value": 1}',
            "The number of different values of model_version is 2; 1 was asked.",
        ),
        (
            "expect_column_min_to_be_between", "p", "0", '{"min_value": 0, "strict_min": true, "row_condition": "unit = 1"}',
            "The lowest value of p, where unit = 1 is 0; more than 0 was asked.",
        ),
        (
            "expect_table_row_count_to_be_between", None, "3235", '{"min_value": 10000, "max_value": 20000}',
            "The batch has 3,235 rows; 10,000 to 20,000 was asked.",
        ),
        (
            "expect_column_values_to_be_in_set", "label", "1517 of 3235 unexpected", '{"value_set": ["positive"], "mostly": 0.9}',
            "1,517 of 3,235 values of label break “to be in set: positive”; 90% must hold.",
        ),
        ("expect_column_values_to_be_unique", "text_id", "4 of 11854 unexpected", "{}", "4 of 11,854 values of text_id break “to be unique”."),
        (
            "expect_column_values_to_be_between", "value", "3 of 9 unexpected", '{"max_value": 60}',
            "3 of 9 values of value break “to be at most 60”.",
        ),
        ("rejected_share", None, "0.51", "<= 0.5", "the gate's own words"),
        ("unexpected_rows_expectation", None, "7", '{"unexpected_rows_query": "select 1"}', "the gate's own words"),
        ("expect_something_new", "x", None, None, "the gate's own words"),
    ],
)  # fmt: skip
def test_verdict(rule: str, column: str | None, observed: str | None, threshold: str | None, sentence: str) -> None:
    assert verdict(rule, column, observed, threshold, "the gate's own words") == sentence
