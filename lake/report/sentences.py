"""A check of the gate as a sentence: what was seen and what was asked, in words and short figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_FIGURES = {
    "mean": "mean",
    "median": "median",
    "min": "lowest value",
    "max": "highest value",
    "sum": "sum",
    "stdev": "standard deviation",
    "unique_value_count": "number of different values",
    "proportion_of_unique_values": "share of different values",
    "proportion_of_non_null_values": "share of values that are there",
}
_OF = re.compile(r"(\d+) of (\d+) unexpected")
_AGGREGATE = re.compile(r"expect_column_(\w+)_to_be_between")
_VALUES = re.compile(r"expect_(?:compound_columns|column_pair_values|column_value_lengths|column_values|select_column_values|multicolumn)_?(\w*)")


def verdict(rule: str, column: str | None, observed: str | None, threshold: str | None, message: str) -> str:
    """The check in a sentence; the gate's own message where the rule is one that has no better words."""
    asked = _read(threshold)
    if not rule.startswith("expect_") or not isinstance(asked, Mapping):
        return message
    where = f", where {asked['row_condition']}" if asked.get("row_condition") else ""
    seen = _figure(_read(observed))
    if rule == "expect_table_row_count_to_be_between":
        return f"The batch has {seen} rows; {_between(asked)} asked."
    if (found := _AGGREGATE.fullmatch(rule)) and found[1] in _FIGURES:
        return f"The {_FIGURES[found[1]]} of {column}{where} is {seen}; {_between(asked)} asked."
    if (counted := _OF.fullmatch(observed or "")) and (found := _VALUES.fullmatch(rule)):
        bad, all_ = (f"{int(n):,}" for n in counted.groups())
        mostly = f"; {asked['mostly']:.0%} must hold" if "mostly" in asked else ""
        what = found[1].removesuffix("_between").replace("_", " ").strip()
        limits = _limits({k: v for k, v in asked.items() if k not in ("mostly", "row_condition", "condition_parser", "column_list")})
        return f"{bad} of {all_} values of {column}{where} break “{what}{limits}”{mostly}."
    return message


def _read(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return text


def _figure(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _between(asked: Mapping[str, Any]) -> str:
    low, high = asked.get("min_value"), asked.get("max_value")
    if low is not None and low == high:
        return f"{_figure(low)} was"
    if low is not None and high is not None:
        return f"{_figure(low)} to {_figure(high)} was"
    if low is not None:
        return f"{'more than' if asked.get('strict_min') else 'at least'} {_figure(low)} was"
    return f"{'less than' if asked.get('strict_max') else 'at most'} {_figure(high)} was"


def _limits(asked: Mapping[str, Any]) -> str:
    if not asked:
        return ""
    if "value_set" in asked:
        values = [str(v) for v in asked["value_set"]]
        return f": {', '.join(values[:8])}{' …' if len(values) > 8 else ''}"
    if "min_value" in asked or "max_value" in asked:
        return f" {_between(asked).removesuffix(' was')}"
    return ": " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in asked.items())
