"""A check of the gate as a sentence: what was seen and what was asked, in words and short figures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

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
_COLUMNS = frozenset({"column", "column_A", "column_B", "column_list"})
# Arguments that say which rows are judged, not what is asked of them.
_OF_THE_ROWS = _COLUMNS | {"mostly", "row_condition", "condition_parser", "ignore_row_if"}
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
        limits = _limits({k: v for k, v in asked.items() if k not in _OF_THE_ROWS})
        return f"{bad} of {all_} values of {column}{where} break “{what}{limits}”{mostly}."
    return message


def title(rule: str) -> str:
    """An expectation's name in few words: expect_column_values_to_match_regex as `values match regex`."""
    if not rule.startswith("expect_"):
        return rule.replace("_", " ")
    words = rule.removeprefix("expect_").removeprefix("column_").replace("_", " ")
    for long, short in ((" to not be ", " not "), (" to be ", " "), (" to ", " "), ("pair values a ", "first "), (" than b", " than the second")):
        words = words.replace(long, short)
    return words.removeprefix("compound ").removeprefix("select column ").removeprefix("table ").removeprefix("to ")


def seen(observed: str | None) -> str:
    """What was seen, in short figures."""
    if counted := _OF.fullmatch(observed or ""):
        bad, all_ = (int(n) for n in counted.groups())
        return f"{f'{bad:,}' if bad else 'none'} of {all_:,}"
    value = _read(observed)
    return "" if value is None else _figure(value)


def asked(threshold: str | None) -> str:
    """What was asked, columns and condition apart; empty where the expectation's name says it all."""
    limits = _read(threshold)
    if not isinstance(limits, Mapping):
        return (threshold or "").replace("<=", "at most").replace(">=", "at least")
    rest = {k: v for k, v in limits.items() if k not in _OF_THE_ROWS}
    said = [_limits(rest).removeprefix(": ").strip()]
    if _is_number(mostly := limits.get("mostly")):
        said.append(f"{mostly * 100:.6g}% of rows")
    return " · ".join(part for part in said if part)


def condition(threshold: str | None) -> str:
    """The row condition of an expectation, empty when it is about all rows."""
    limits = _read(threshold)
    return str(limits.get("row_condition") or "") if isinstance(limits, Mapping) else ""


def figure(observed: str | None) -> float | None:
    """What was seen as one number, the share of rows where rows were counted; None when it is none."""
    if counted := _OF.fullmatch(observed or ""):
        bad, all_ = (int(n) for n in counted.groups())
        return bad / all_ if all_ else 0.0
    value = _read(observed)
    return None if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) else float(value)


def limits(observed: str | None, threshold: str | None) -> tuple[float | None, float | None]:
    """The lowest and the highest value that the figure may have, where the expectation says so in numbers."""
    asked = _read(threshold)
    if (most := re.fullmatch(r"<= ([\d.]+)", threshold or "")) is not None:
        return None, float(most[1])
    if not isinstance(asked, Mapping):
        return None, None
    if _OF.fullmatch(observed or ""):
        mostly = asked.get("mostly", 1.0)
        return None, round(1.0 - mostly, 9) if _is_number(mostly) else None
    low, high = (asked.get(k) for k in ("min_value", "max_value"))
    return low if _is_number(low) else None, high if _is_number(high) else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    if len(asked) == 1 and (only := next(iter(asked))) in ("regex", "like_pattern", "strftime_format", "type_", "json_schema"):
        return f": {asked[only]}"  # the expectation's name says what it is
    return ": " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in asked.items())
