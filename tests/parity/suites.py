"""Random rows and random rules about them, by a seed: nulls, NaN, infinities, empty texts, text that is no JSON, dates that are none."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

DDL = "id string, n int, m int, v double, w double, s string, t string, j string, d date, at timestamp"
COLUMNS: list[dict[str, Any]] = [{"name": part.split()[0], "type": part.split()[1]} for part in DDL.split(", ")]
COLUMNS[0] |= {"key": 1}
NUMBERS, TEXTS = ("n", "m", "v", "w"), ("s", "t")

Row = tuple[Any, ...]
Rule = dict[str, Any]


def rows(random_: random.Random) -> list[Row]:
    """1 to 40 rows; `id` is their key. One column or other is null throughout now and then."""
    number, absent = random_.randint(1, 40), random_.choice([None, None, "n", "v", "s"])

    def maybe(name: str, value: Any, share: float = 0.2) -> Any:
        return None if name == absent or random_.random() < share else value

    return [
        (
            f"id{k}",
            maybe("n", random_.randint(-3, 3)),
            random_.randint(0, 5),
            maybe("v", random_.choice([random_.uniform(-3, 3), float(random_.randint(-2, 2)), float("nan"), float("inf"), float("-inf")])),
            maybe("w", round(random_.uniform(-3, 3), 2)),
            maybe("s", random_.choice(["a", "b", "ab1", "", "A", "é", "a\n", "xyz"])),
            maybe("t", random_.choice(["2026-01-05", "2026-13-05", "05/01/2026", "x", ""])),
            maybe("j", random_.choice(['{"a": 1}', '{"a": "x"}', "[1]", "{", "null", "1"])),
            maybe("d", date(2026, 1, 1) + timedelta(days=random_.randint(0, 4))),
            maybe("at", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=random_.randint(0, 4))),
        )
        for k in range(number)
    ]


def rule(type_: str, random_: random.Random) -> Rule:
    """A rule of this type, about columns that it fits nearly always; a map expectation has now and then a `mostly` and a row_condition."""
    kwargs = _KWARGS[type_](random_)
    if type_ in _MAPS and random_.random() < 0.4:
        kwargs["mostly"] = random_.choice([0.3, 0.5, 0.8, 0.95])
    if (type_ in _MAPS or type_ in _CONDITIONED) and random_.random() < 0.3:
        kwargs |= {"row_condition": random_.choice(["m > 2", "s = 'a'", "n is not null", "v > 0 or s is null"]), "condition_parser": "spark"}
    return {"type": type_, "kwargs": kwargs}


def _range(random_: random.Random, low: float, high: float, strict: bool = True) -> dict[str, Any]:
    first, second = sorted([round(random_.uniform(low, high), 1), round(random_.uniform(low, high), 1)])
    found: dict[str, Any] = random_.choice([{"min_value": first}, {"max_value": second}, {"min_value": first, "max_value": second}])
    return found | (random_.choice([{}, {"strict_min": True}, {"strict_max": True}]) if strict else {})


def _whole(random_: random.Random, most: int) -> dict[str, Any]:
    first, second = sorted([random_.randint(0, most), random_.randint(0, most)])
    return random_.choice([{"min_value": first}, {"max_value": second}, {"min_value": first, "max_value": second}])


def _number(random_: random.Random) -> dict[str, Any]:
    return {"column": random_.choice(NUMBERS)}


def _text(random_: random.Random) -> dict[str, Any]:
    return {"column": random_.choice(TEXTS)}


def _some(random_: random.Random, column: str | None = None) -> dict[str, Any]:
    name = column or random_.choice(["n", "m", "s"])
    values: list[Any] = ["a", "b", "", "ab1"] if name in TEXTS else [-2, -1, 0, 1, 2, 3]
    return {"column": name, "value_set": random_.sample(values, random_.randint(1, 3))}


def _pair(random_: random.Random) -> dict[str, Any]:
    first, second = random_.choice([("n", "m"), ("v", "w"), ("w", "n")])
    return {"column_A": first, "column_B": second, "ignore_row_if": random_.choice(["both_values_are_missing", "either_value_is_missing", "neither"])}


def _several(random_: random.Random) -> dict[str, Any]:
    return {
        "column_list": random_.choice([["n", "m"], ["s", "t"], ["n", "m", "w"]]),
        "ignore_row_if": random_.choice(["all_values_are_missing", "any_value_is_missing", "never"]),
    }


_LETTERS = ("^a", "[a-z]+", "^$", "1$", r"\d", "é|A")
_SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

_KWARGS: Mapping[str, Callable[[random.Random], dict[str, Any]]] = {
    "expect_column_distinct_values_to_be_in_set": _some,
    "expect_column_distinct_values_to_contain_set": _some,
    "expect_column_distinct_values_to_equal_set": _some,
    "expect_column_kl_divergence_to_be_less_than": lambda r: {
        "column": "m",
        "partition_object": {"values": [0, 1, 2, 3, 4, 5], "weights": [0.1, 0.1, 0.2, 0.2, 0.2, 0.2]},
        "threshold": r.choice([0.05, 0.5]),
    },
    "expect_column_max_to_be_between": lambda r: _number(r) | _range(r, -3, 4),
    "expect_column_mean_to_be_between": lambda r: _number(r) | _range(r, -2, 2),
    "expect_column_median_to_be_between": lambda r: {"column": r.choice(["n", "m", "w"])} | _range(r, -2, 4),
    "expect_column_min_to_be_between": lambda r: _number(r) | _range(r, -4, 1),
    "expect_column_most_common_value_to_be_in_set": lambda r: _some(r) | {"ties_okay": r.choice([True, False])},
    "expect_column_pair_values_a_to_be_greater_than_b": lambda r: _pair(r) | r.choice([{}, {"or_equal": True}]),
    "expect_column_pair_values_to_be_equal": _pair,
    "expect_column_pair_values_to_be_in_set": lambda r: _pair(r) | {"column_A": "n", "column_B": "m", "value_pairs_set": [(0, 1), (1, 2), (2, 2)]},
    "expect_column_proportion_of_non_null_values_to_be_between": lambda r: {"column": r.choice(["n", "v", "s"])} | _range(r, 0, 1, strict=False),
    "expect_column_proportion_of_unique_values_to_be_between": lambda r: {"column": r.choice(["n", "w", "s"])} | _range(r, 0, 1, strict=False),
    "expect_column_quantile_values_to_be_between": lambda r: {
        "column": r.choice(["m", "w"]),
        "quantile_ranges": {"quantiles": [0.25, 0.75], "value_ranges": [[-3, r.randint(0, 3)], [r.randint(-1, 2), 5]]},
    },
    "expect_column_stdev_to_be_between": lambda r: _number(r) | _range(r, 0, 3),
    "expect_column_sum_to_be_between": lambda r: _number(r) | _range(r, -20, 60),
    "expect_column_type_to_be": lambda r: {"column": "n", "type_": r.choice(["IntegerType", "StringType"])},
    "expect_column_unique_value_count_to_be_between": lambda r: {"column": r.choice(["n", "s", "d"])} | _whole(r, 6),
    "expect_column_value_lengths_to_be_between": lambda r: _text(r) | _whole(r, 4),
    "expect_column_value_lengths_to_equal": lambda r: _text(r) | {"value": r.randint(0, 3)},
    "expect_column_value_z_scores_to_be_less_than": lambda r: {
        "column": r.choice(["m", "w"]),
        "threshold": r.choice([0.5, 1, 2]),
        "double_sided": True,
    },
    "expect_column_values_to_be_between": lambda r: (
        _number(r) | _range(r, -3, 4) if r.random() < 0.9 else {"column": "d", "min_value": date(2026, 1, 2).isoformat()}
    ),
    "expect_column_values_to_be_decreasing": lambda r: {"column": r.choice(["m", "w"])},
    "expect_column_values_to_be_in_set": _some,
    "expect_column_values_to_be_in_type_list": lambda r: {"column": "n", "type_list": r.choice([["IntegerType", "LongType"], ["StringType"]])},
    "expect_column_values_to_be_increasing": lambda r: {"column": r.choice(["m", "w"])},
    "expect_column_values_to_be_json_parseable": lambda r: {"column": "j"},
    "expect_column_values_to_be_null": lambda r: {"column": r.choice(["n", "v", "s"])},
    "expect_column_values_to_be_of_type": lambda r: {"column": "n", "type_": r.choice(["IntegerType", "StringType"])},
    "expect_column_values_to_be_unique": lambda r: {"column": r.choice(["n", "s", "w"])},
    "expect_column_values_to_match_json_schema": lambda r: {"column": "j", "json_schema": _SCHEMA},
    "expect_column_values_to_match_regex": lambda r: _text(r) | {"regex": r.choice(_LETTERS)},
    "expect_column_values_to_match_regex_list": lambda r: _text(r) | {"regex_list": r.sample(_LETTERS, 2), "match_on": r.choice(["any", "all"])},
    "expect_column_values_to_match_strftime_format": lambda r: {"column": "t", "strftime_format": r.choice(["%Y-%m-%d", "%d/%m/%Y"])},
    "expect_column_values_to_not_be_in_set": _some,
    "expect_column_values_to_not_be_null": lambda r: {"column": r.choice(["n", "v", "s", "at"])},
    "expect_column_values_to_not_be_outliers": lambda r: {"column": r.choice(["m", "w"]), "method": "iqr", "multiplier": 1.0},
    "expect_column_values_to_not_match_regex": lambda r: _text(r) | {"regex": r.choice(_LETTERS)},
    "expect_column_values_to_not_match_regex_list": lambda r: _text(r) | {"regex_list": r.sample(_LETTERS, 2)},
    "expect_compound_columns_to_be_unique": _several,
    "expect_multicolumn_sum_to_equal": lambda r: _several(r) | {"column_list": ["n", "m"], "sum_total": r.randint(0, 4)},
    "expect_multicolumn_values_to_be_equal": _several,
    "expect_select_column_values_to_be_unique_within_record": _several,
    "expect_table_row_count_to_be_between": lambda r: _whole(r, 40),
    "expect_table_row_count_to_equal": lambda r: {"value": r.randint(1, 40)},
    "unexpected_rows_expectation": lambda r: {"unexpected_rows_query": f"SELECT * FROM {{batch}} WHERE m > {r.randint(2, 5)}"},
}
_CONDITIONED = frozenset(
    t for t in _KWARGS if t.startswith(("expect_column_mean", "expect_column_max", "expect_column_sum", "expect_column_unique_value"))
)
_MAPS = frozenset(
    t for t in _KWARGS
    if t.startswith(("expect_column_value_lengths", "expect_column_values_to", "expect_column_pair", "expect_multicolumn", "expect_select"))
)  # fmt: skip

TYPES = tuple(_KWARGS)
