"""Scales, ticks and places by property; pictures by what is in them."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from lake.report import charts
from lake.report.data import HOUR, Bucket, LogSource, Reading, Series
from lake.report.model import Curve

numbers = st.floats(allow_nan=False, allow_infinity=False)


def svg(markup: str) -> ElementTree.Element:
    """The picture, parsed: it is well-formed, or this raises."""
    return ElementTree.fromstring(markup[markup.index("<svg") : markup.index("</svg>") + 6])


def coordinates(markup: str) -> list[float]:
    found = [n for d in re.findall(r' d="([^"]*)"', markup) for n in re.findall(r"-?[\d.]+|nan|inf", d)]
    found += re.findall(r' (?:x|y|width|height)="([^"%]*)"', markup)
    return [float(n) for n in found]


@given(st.floats(), numbers, numbers, st.sampled_from([(0.0, 1000.0), (240.0, 14.0), (0.0, 100.0)]))
def test_scale_stays_inside_and_keeps_order(value: float, low: float, high: float, span: tuple[float, float]) -> None:
    start, end = span
    place = charts.scale(value, low, high, start, end)
    assert min(start, end) <= place <= max(start, end)
    if low < high and math.isfinite(value) and math.isfinite(math.nextafter(value, math.inf)):
        further = charts.scale(math.nextafter(value, math.inf), low, high, start, end)
        assert further >= place if end > start else further <= place


@given(st.floats(0.0, 1.0), numbers, st.floats(1e-6, 1e12))
def test_scale_is_a_straight_line(share: float, low: float, span: float) -> None:
    high = low + span
    if high > low:
        value = low + share * (high - low)
        assert math.isclose(charts.scale(value, low, high, 0, 1000), 1000 * (value - low) / (high - low), abs_tol=1e-6)


def test_scale_ends() -> None:
    assert charts.scale(5, 0, 10, 0, 1000) == 500
    assert charts.scale(0, 0, 10, 240, 14) == 240
    assert charts.scale(10, 0, 10, 240, 14) == 14
    assert charts.scale(7, 3, 3, 0, 1000) == 500
    assert charts.scale(math.nan, 0, 1, 0, 1000) == 500


@given(numbers, numbers, st.integers(2, 8))
def test_ticks_are_few_in_order_and_inside(one: float, other: float, most: int) -> None:
    low, high = sorted((one, other))
    found = charts.ticks(low, high, most)
    assert 0 < len(found) <= most
    room = (high - low) * 1e-6 + 1e-9
    assert all(low - room <= t <= high + room for t in found)
    assert all(a < b for a, b in pairwise(found))


def test_ticks_are_round() -> None:
    assert charts.ticks(0, 10, 3) == (0, 5, 10)
    assert charts.ticks(0, 871, 3) == (0, 500)
    assert charts.ticks(0.3, 1.0, 4) == (0.4, 0.6, 0.8, 1.0)


@given(st.integers(0, 4_000_000_000), st.integers(HOUR, 40 * 365 * 86400), st.integers(2, 8))
def test_time_ticks_are_full_hours_inside(start: int, span: int, most: int) -> None:
    found = charts.time_ticks(start, start + span, most)
    assert 1 <= len(found) <= max(most, 1) or len(found) == 1
    assert all(start <= t <= start + span for t in found)


@given(st.lists(st.floats(-1e4, 1e4), max_size=20), st.floats(0.5, 50))
def test_spread_keeps_order_and_distance(wanted: list[float], apart: float) -> None:
    wanted.sort()
    low, high = 0.0, apart * max(0, len(wanted) - 1) + 10
    places = charts.spread(wanted, apart, low, high)
    assert len(places) == len(wanted)
    assert all(b - a >= apart - 1e-6 for a, b in pairwise(places))
    assert all(low - 1e-6 <= p <= high + 1e-6 for p in places)


def test_numbers_in_few_signs() -> None:
    said = {0: "0", 0.04219: "0.0422", 12.5: "12.5", 467.04: "467", 1234: "1,234", 5_600_000: "5.6 M", 2_000_000_000: "2 G", math.inf: "–"}
    assert {n: charts.number(n) for n in said} == said


def a_source(buckets: tuple[Bucket, ...], name: str = "kafka") -> LogSource:
    return LogSource(name, ("kafka0",), 0, 4 * HOUR, HOUR, buckets, (), 0, False)


def test_stacked_bars_show_every_level_and_mark_bursts() -> None:
    drawn = charts.stacked(a_source((Bucket(0, (0, 50, 2, 0, 0)), Bucket(2 * HOUR, (0, 40, 0, 60, 1)))))
    picture = svg(drawn)
    assert {r.get("class") for r in picture.iter("rect")} == {"lv-info", "lv-warn", "lv-error", "lv-fatal"}
    assert 'class="burst' in drawn and ">61<" in drawn
    assert all(math.isfinite(n) for n in coordinates(drawn))


def test_an_error_among_a_million_is_seen() -> None:
    drawn = svg(charts.stacked(a_source((Bucket(0, (0, 1_000_000, 0, 1, 0)),))))
    error = next(r for r in drawn.iter("rect") if r.get("class") == "lv-error")
    assert float(error.get("height", 0)) >= 3


def test_a_hole_breaks_the_line() -> None:
    readings = tuple(Reading(h * HOUR, 20.0 + h % 3, 19.0, 24.0, 0) for h in (*range(10), *range(14, 24)))
    drawn = charts.curve(Series("nab/x", "value", "°C", HOUR, readings, 240))
    picture = svg(drawn)
    assert len([p for p in picture.iter("path") if p.get("class") == "mean"]) == 2
    assert len([r for r in picture.iter("rect") if r.get("class") == "hole"]) == 1
    assert "1 holes" in drawn


@given(st.lists(st.tuples(st.integers(0, 400), numbers, numbers, numbers), max_size=40, unique_by=lambda r: r[0]))
def test_any_series_can_be_drawn(rows: list[tuple[int, float, float, float]]) -> None:
    readings = tuple(Reading(h * HOUR, sorted(v)[1], min(v), max(v), h % 7) for h, *v in sorted(rows))
    drawn = charts.curve(Series("a/<b>", 'm"', "&", HOUR, readings, len(rows)))
    assert all(math.isfinite(n) and -1100 <= n <= 1100 for n in coordinates(drawn))
    if readings:
        svg(drawn)


def test_curves_of_one_point_and_of_none() -> None:
    assert "NaN" not in charts.curves([Curve("validation", "accuracy", ((28, 0.5),))], share=True)
    svg(charts.curves([Curve("train", "loss", ((1, 2.0), (2, math.nan), (3, 1.0)))], share=False))
    assert charts.curves([], share=True) == '<div class="plot"></div>'


def test_heat_leaves_empty_cells_out() -> None:
    drawn = charts.heat(["a", "<b>"], [[3, 1], [0, 2]])
    assert len(list(svg(drawn).iter("rect"))) == 1 + 3
    assert "<b>" not in drawn


def test_flow_has_a_box_for_each_address_and_an_arrow_for_each_reading() -> None:
    boxes = [
        charts.Box("raw.x", "raw", "2 files", "", ()),
        charts.Box("bronze.x", "published", "10 rows", "", ("raw.x",)),
        charts.Box("silver.y", "refused", "", "", ("bronze.x",)),
        charts.Box("gold.z", "skipped", "", "", ("silver.y", "bronze.x")),
    ]
    picture = svg(charts.flow(boxes))
    assert len(list(picture.iter("g"))) == 4
    arrows = [p.get("class") for p in picture.iter("path")]
    assert len(arrows) == 4
    assert "arrow held s-refused" in arrows
    assert charts.flow([]) == ""
