"""Pictures of the page as functions from facts to SVG: no library, no script, colours by CSS class so that light and dark both fit.

Plots stretch with the page (`preserveAspectRatio="none"`, strokes that do not scale); their words stand beside them as HTML, so that
they stay readable on a phone. Only the flow, whose words belong into its boxes, is drawn whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

from lake.report.books import Ran
from lake.report.data import HOUR, LEVELS, Bucket, LogSource, Series
from lake.report.model import Curve
from lake.report.tables import Point
from lake.settings import ZONES

WIDE, HIGH = 1000.0, 240.0  # of a plot, in its own units
_DAY = 24 * HOUR

# Widths of the flow's columns and the room between them, in pixels at full size.
_COLUMNS = {"raw": 84, "bronze": 158, "silver": 150, "gold": 158, "models": 136, "predictions": 116, "reports": 100}
_BETWEEN, _BOX, _PITCH, _TOP = 42, 38, 47, 34
_LETTER = 7.6  # width of a bold letter in the widest of our fonts: longer names are set tighter, in every font

# Besides its colour every state has a sign of its own, for who sees no colours and for print.
SIGNS: Mapping[str, str] = {
    "published": "✓",
    "nothing": "=",
    "refused": "!",
    "failed": "✕",
    "skipped": "↷",
    "restored": "↶",
    "cut": "…",
    "absent": "·",
}


# --- scales ---


def scale(value: float, low: float, high: float, start: float, end: float) -> float:
    """Where a value between low and high lies between start and end; outside values at the edge, without a span in the middle."""
    if not math.isfinite(value) or not high > low:
        return (start + end) / 2
    share = min(1.0, max(0.0, (value / 2 - low / 2) / (high / 2 - low / 2)))  # halves: the span of two huge numbers is no number
    return start + share * (end - start)


def ticks(low: float, high: float, most: int = 4) -> tuple[float, ...]:
    """Round numbers between low and high, at most so many and at least one when there is a span."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return (low,) if math.isfinite(low) else ()
    rough = span / most
    if rough <= 0 or not math.isfinite(rough):
        return (low,)
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * f for f in (1, 2, 2.5, 5, 10, 20)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            found = tuple(float(f"{n * step:.12g}") for n in range(first, last + 1))
            return found or (low,)
    return (low,)


def time_ticks(start: int, end: int, most: int = 6) -> tuple[int, ...]:
    """Full hours, days or weeks between two times (seconds since 1970 UTC)."""
    for step in (HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, _DAY, 2 * _DAY, 4 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 91 * _DAY, 365 * _DAY):
        found = tuple(range(start + -start % step, end + 1, step))
        if len(found) <= most:
            return found or (start,)
    return (start,)


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones (given in order), at least `apart` from each other, between low and high where they fit."""
    if not wanted:
        return []
    places = list(wanted)
    for i in range(len(places)):
        places[i] = max(places[i], low + i * apart, places[i - 1] + apart if i else low)
    for i in reversed(range(len(places))):
        room = high - (len(places) - 1 - i) * apart
        places[i] = min(places[i], max(room, low + i * apart), places[i + 1] - apart if i + 1 < len(places) else math.inf)
    return places


# --- words ---


def number(value: float) -> str:
    """A figure in few signs: 0.042, 12.5, 1,234, 5.6 M."""
    size = abs(value)
    if not math.isfinite(value):
        return "–"
    if size >= 1e9:
        return f"{value / 1e9:,.1f} G".replace(".0 ", " ") if size < 1e12 else f"{value:.2g}"
    if size >= 1e6:
        return f"{value / 1e6:,.1f} M".replace(".0 ", " ")
    if value == int(value):
        return f"{int(value):,}"
    if size < 0.01:
        return f"{value:.1e}" if size < 1e-4 else f"{value:.2g}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}".removesuffix(".0") if size >= 100 else f"{value:.3g}"


def short(value: float) -> str:
    """A figure for the edge of a picture, in six signs at most: 12,500 as 12.5 k."""
    if 1e4 <= abs(value) < 1e6:
        return f"{value / 1e3:.1f} k".replace(".0 ", " ") if abs(value) < 1e5 else f"{value / 1e3:.0f} k"
    return number(value)


def moment(at: int) -> str:
    """A time as a label: the day at midnight, else the hour."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when:%-d %b}" if at % _DAY == 0 else f"{when:%H:%M}"


def hour(at: int) -> str:
    """A time in full."""
    return f"{datetime.fromtimestamp(at, UTC):%a %-d %b %Y %H:%M} UTC"


# --- parts ---


def _plot(inside: Iterable[str], label: str, *, beside: Iterable[str] = (), kind: str = "") -> Markup:
    """A picture that stretches, with words over it."""
    return Markup(
        f'<div class="plot {kind}" role="img" aria-label="{escape(label)}">'
        f'<svg viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" preserveAspectRatio="none" focusable="false">{"".join(inside)}</svg>{"".join(beside)}</div>'
    )


def _time_axis(start: int, end: int, most: int) -> str:
    """Labels under a plot; those that would hang over its edges lean inwards."""
    words = list[str]()
    for at in time_ticks(start, end, most):
        left = scale(at, start, end, 0, 100)
        side = " first" if left < 6 else " last" if left > 94 else ""
        words.append(f'<span class="tick{side}" style="left:{left:.2f}%">{moment(at)}</span>')
    return f'<div class="axis" aria-hidden="true">{"".join(words)}</div>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<path class="{css}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _dot(x: float, y: float, css: str, title: str) -> str:
    """A round dot in a plot that stretches: a line of no length with round ends."""
    return f'<path class="dot {css}" d="M{x:.1f} {y:.1f}h.01"><title>{escape(title)}</title></path>'


def _level_label(value: float, top: float, css: str = "") -> str:
    return f'<span class="level {css}" style="top:{top / HIGH * 100:.1f}%" aria-hidden="true">{short(value)}</span>'


# --- logs ---


def stacked(source: LogSource) -> Markup:
    """Events of a source by level, stacked, with its bursts of errors marked."""
    top = max((b.total for b in source.buckets), default=0) or 1
    inside = [_line(0, scale(t, 0, top, HIGH, 14), WIDE, scale(t, 0, top, HIGH, 14), "grid") for t in ticks(0, top, 3) if t]
    inside += _columns(source.buckets, source.start, source.end, source.step, top, 14)
    beside = [_level_label(t, scale(t, 0, top, HIGH, 14)) for t in ticks(0, top, 3) if t]
    marks = [(b, b.errors, "errors", "") for b in source.bursts] + [(b, b.warnings, "warnings", " mild") for b in source.warned]
    for burst, count, what, css in marks:
        left = scale(burst.at + source.step / 2, source.start, source.end, 0, 100)
        side = " first" if left < 12 else " last" if left > 88 else ""
        height = scale(burst.total, 0, top, HIGH, 14) / HIGH * 100
        beside.append(
            f'<span class="burst{css}{side}" style="left:{left:.2f}%;top:{height:.1f}%" title="{escape(hour(burst.at))}: {count:,} {what}">'
            f"{number(count)}</span>"
        )
    label = f"{source.source}: {source.events:,} events from {hour(source.start)} to {hour(source.end)}, {source.errors:,} of them errors"
    return _plot(inside, label, beside=beside, kind="tall") + Markup(_time_axis(source.start, source.end, 6))


def spark(buckets: Sequence[Bucket], source: LogSource, label: str) -> Markup:
    """The same as a small multiple, scaled to its own highest step."""
    top = max((b.total for b in buckets), default=0) or 1
    return _plot(_columns(buckets, source.start, source.end, source.step, top, 4), label, kind="spark")


def _columns(buckets: Sequence[Bucket], start: int, end: int, step: int, top: float, head: float) -> list[str]:
    wide = WIDE * step / max(step, end - start)
    parts = list[str]()
    for bucket in buckets:
        left, below = scale(bucket.at, start, end, 0, WIDE), 0.0
        told = ", ".join(f"{n:,} {level}" for level, n in zip(LEVELS, bucket.events, strict=True) if n)
        parts.append(f"<g><title>{escape(hour(bucket.at))}: {told}</title>")
        for level, count in zip(LEVELS, bucket.events, strict=True):
            if count:
                low, high = scale(below, 0, top, HIGH, head), scale(below + count, 0, top, HIGH, head)
                # An error among thousands of events is less than a pixel: errors are never thinner than they can be seen.
                tall = max(low - high, 3.0 if level in ("ERROR", "FATAL") else 1.0)
                parts.append(
                    f'<rect class="lv-{level.lower()}" x="{left + wide * 0.08:.1f}" y="{low - tall:.1f}" '
                    f'width="{wide * 0.84:.1f}" height="{tall:.1f}"/>'
                )
                below += count
        parts.append("</g>")
    return parts


# --- sensors ---


def curve(series: Series) -> Markup:
    """One series: the band from lowest to highest, the mean, holes as breaks with their marks, spikes as dots."""
    readings = series.readings
    if not readings:
        return Markup('<div class="plot"></div>')
    start, end = readings[0].at, readings[-1].at + series.step
    low, high = min(r.low for r in readings), max(r.high for r in readings)
    if not high - low > 1e-3 * max(abs(low), abs(high)):  # level: noise in the fourth digit is not drawn as mountains
        middle, room = (low + high) / 2, max(abs(low), abs(high)) * 0.01 or 1.0
        low, high = middle - room, middle + room

    def x(at: float) -> float:
        return scale(at + series.step / 2, start, end, 0, WIDE)

    def y(value: float) -> float:
        return scale(value, low, high, HIGH - 14, 14)

    inside = list[str]()
    for before, after in series.holes:
        title = f"no readings from {hour(before + series.step)} to {hour(after)}"
        inside.append(
            f'<rect class="hole" x="{x(before):.1f}" y="0" width="{x(after) - x(before):.1f}" height="{HIGH:.0f}">'
            f"<title>{escape(title)}</title></rect>"
        )
    gone = {after for _, after in series.holes}
    pieces = list[list[int]]()
    for i, reading in enumerate(readings):
        if not pieces or reading.at in gone:
            pieces.append([])
        pieces[-1].append(i)
    for piece in pieces:
        points = [readings[i] for i in piece]
        there = "L".join(f"{x(r.at):.1f} {y(r.high):.1f}" for r in points)
        back = "L".join(f"{x(r.at):.1f} {y(r.low):.1f}" for r in reversed(points))
        inside.append(f'<path class="band" d="M{there}L{back}Z"/>')
        if len(points) == 1:
            inside.append(_dot(x(points[0].at), y(points[0].mean), "alone", f"{hour(points[0].at)}: {number(points[0].mean)}"))
        else:
            inside.append(f'<path class="mean" d="M{"L".join(f"{x(r.at):.1f} {y(r.mean):.1f}" for r in points)}"/>')
    for r in readings:
        if r.gaps and not series.irregular:
            inside.append(_dot(x(r.at), HIGH - 4, "gap", f"{hour(r.at)}: {r.gaps} hole{'s' * (r.gaps != 1)} in the readings ended here"))
    for r in series.spikes:
        middle = (low + high) / 2
        value = r.high if abs(r.high - middle) >= abs(r.low - middle) else r.low
        inside.append(_dot(x(r.at), y(value), "spike", f"{hour(r.at)}: {number(value)} {series.unit}"))
    label = (
        f"{series.sensor} {series.metric}: {series.count:,} readings from {hour(start)} to {hour(end)}, "
        f"between {number(low)} and {number(high)} {series.unit}; "
        f"{len(series.holes)} holes, {len(series.spikes)} spikes"
    )
    beside = [_level_label(high, 14, "high"), _level_label(low, HIGH - 14, "low")]
    return _plot(inside, label, beside=beside, kind="small") + Markup(_time_axis(start, end, 3))


# --- a table's runs ---


def trend(points: Sequence[Point], low: float | None, high: float | None, label: str, *, share: bool = False) -> Markup:
    """A rule's figure over the last runs with the limits that it has to keep; where there is no figure, whether it held."""
    if all(p.value is None for p in points):
        marks = "".join(f'<i class="{"held" if p.held else "lost"}" title="{_run(p)}: {"held" if p.held else "broken"}"></i>' for p in points)
        told = f"{label}: held in {sum(p.held for p in points)} of {len(points)} runs"
        return Markup(f'<div class="strip" role="img" aria-label="{escape(told)}">{marks}</div>')
    values = [p.value for p in points if p.value is not None]
    floor, top = (0.0 if share else min(values)), max(values)
    span = top - floor or abs(top) or 1.0
    # A limit that lies far away would press the figure flat, and says no more than that it is far away.
    near = [limit for limit in (low, high) if limit is not None and floor - 2 * span <= limit <= top + 2 * span]
    floor, top = min([floor, *near]), max([top, *near])
    if not top > floor:
        room = abs(top) * 0.1 or 1.0
        floor, top = (floor if share else floor - room), top + room
    wide = WIDE / max(len(points), 8)  # the first runs stand left: room is for those to come

    def y(value: float) -> float:
        return scale(value, floor, top, HIGH - 26, 26)

    inside = [_line(0, y(limit), WIDE, y(limit), "limit") for limit in near]
    places = [((n + 0.5) * wide, p, p.value) for n, p in enumerate(points)]
    there = [(x, y(value)) for x, _, value in places if value is not None]
    if len(there) > 1:
        inside.append(f'<path class="mean" d="M{"L".join(f"{x:.0f} {at:.0f}" for x, at in there)}"/>')
    level = len(set(values)) == 1  # then a dot a run says no more than the line does
    for x, p, value in places:
        if value is not None and (not level or not p.held or p is points[-1]):
            said = f"{value:.4%}".replace(".0000", "") if share else number(value)
            css = f"{'held' if p.held else 'lost'}{' now' if p is points[-1] else ''}"
            inside.append(_dot(x, y(value), css, f"{_run(p)}: {said}{'' if p.held else ', broken'}"))
    return _plot(inside, f"{label}, over {len(points)} run{'s' * (len(points) != 1)}", kind="trend")


def columns(points: Sequence[Point], label: str, *, part: Sequence[float | None] = (), unit: str = "", kind: str = "small") -> Markup:
    """A bar a run, `part` of each drawn over it. Of a run that was refused the bar is hollow; without a figure a mark stands at its foot."""
    top = max((p.value or 0.0 for p in points), default=0.0) or 1.0
    wide = WIDE / max(len(points), 8)
    marks = [t for t in ticks(0, top, 2) if t]
    inside = [_line(0, scale(t, 0, top, HIGH, 14), WIDE, scale(t, 0, top, HIGH, 14), "grid") for t in marks]
    for n, p in enumerate(points):
        left, over = n * wide + wide * 0.12, part[n] if n < len(part) else None
        said = "no figure" if p.value is None else f"{number(p.value)}{unit}" + (f", {number(over)} set aside" if over else "")
        inside.append(f"<g><title>{_run(p)}: {said}{'' if p.held else ', refused'}</title>")
        inside.append(f'<rect class="none" x="{n * wide:.0f}" y="0" width="{wide:.0f}" height="{HIGH:.0f}"/>')
        css = f"bar{'' if p.held else ' lost'}{' now' if p is points[-1] else ''}"
        # What is there is never thinner than it can be seen.
        for value, what, least in ((p.value, css, 3.0), (over, "bar aside", 4.0)):
            if value:
                tall = max(HIGH - scale(value, 0, top, HIGH, 14), least)
                inside.append(f'<rect class="{what}" x="{left:.0f}" y="{HIGH - tall:.0f}" width="{wide * 0.76:.0f}" height="{tall:.0f}"/>')
        if not p.held and not p.value:
            inside.append(_dot(left + wide * 0.38, HIGH - 12, "lost", f"{_run(p)}: refused"))
        inside.append("</g>")
    beside = [_level_label(t, scale(t, 0, top, HIGH, 14)) for t in marks] if kind == "small" else []
    return _plot(inside, label, beside=beside, kind=kind)


def _run(point: Point) -> str:
    return f"run {point.run}, {point.at.astimezone(UTC):%-d %b %H:%M}"


# --- the model ---


def curves(found: Sequence[Curve], *, share: bool) -> Markup:
    """Training curves over optimiser steps; `share`: figures between 0 and 1."""
    points = [p for c in found for p in c.points if math.isfinite(p[1])]
    if not points:
        return Markup('<div class="plot"></div>')
    last = max(x for x, _ in points)
    first = min(x for x, _ in points) if len({x for x, _ in points}) > 1 else 0.0
    # Shares begin near their lowest value: from 0 on, the epochs that matter would be one flat line.
    low = max(0.0, math.floor(min(v for _, v in points) * 10) / 10) if share else 0.0
    high = 1.0 if share else max(v for _, v in points) * 1.05
    inside, beside = list[str](), list[str]()
    for t in ticks(low, high, 4):
        at = scale(t, low, high, HIGH - 6, 12)
        inside.append(_line(0, at, WIDE, at, "grid"))
        beside.append(f'<span class="level" style="top:{at / HIGH * 100:.1f}%" aria-hidden="true">{f"{t:.0%}" if share else short(t)}</span>')
    for c in found:
        css = f"curve c-{c.split} m-{c.metric}"
        places = [(scale(x, first, last, 4, WIDE - 8), scale(v, low, high, HIGH - 6, 12), x, v) for x, v in c.points if math.isfinite(v)]
        if len(places) > 1:
            inside.append(f'<path class="{css}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in places)}"/>')
        if len(places) <= 24:
            inside += [_dot(x, y, css, f"step {step:,.0f}: {c.split} {c.metric} {v:.4f}") for x, y, step, v in places]
    label = "; ".join(f"{c.split} {c.metric} from {c.points[0][1]:.3f} to {c.points[-1][1]:.3f}" for c in found if c.points)
    words = "".join(
        f'<span class="tick{" first" if x < 6 else " last" if x > 94 else ""}" style="left:{x:.1f}%">{number(t)}</span>'
        for t in ticks(first, last, 5)
        for x in (scale(t, first, last, 0.4, 99.2),)
    )
    return _plot(inside, label, beside=beside, kind="tall") + Markup(f'<div class="axis" aria-hidden="true">{words}</div>')


def heat(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> Markup:
    """A confusion matrix of many labels: truth downwards, what was said across; cells that are not empty, shaded by their row's share."""
    n = len(labels)
    cells = list[str]()
    for t, row in enumerate(confusion):
        whole = sum(row)
        for s, count in enumerate(row):
            if count:
                css = "hit" if s == t else "miss"
                title = f"{labels[t]}: {count:,} of {whole:,} said to be {labels[s]}"
                cells.append(
                    f'<rect class="{css}" x="{s}" y="{t}" width="1" height="1" fill-opacity="{0.15 + 0.85 * count / whole:.2f}">'
                    f"<title>{escape(title)}</title></rect>"
                )
    right = sum(row[i] for i, row in enumerate(confusion))
    label = f"confusion matrix of {n} labels: {right:,} of {sum(map(sum, confusion)):,} rows on the diagonal"
    return Markup(
        f'<svg class="heat" viewBox="0 0 {n} {n}" role="img" aria-label="{label}"><rect class="bed" width="{n}" height="{n}"/>{"".join(cells)}</svg>'
    )


def histogram(bins: Sequence[int]) -> Markup:
    """How sure the model was: rows by probability in equal steps from 0 to 1."""
    top, wide = max(bins, default=0) or 1, WIDE / max(1, len(bins))
    inside = [_line(0, scale(t, 0, top, HIGH, 12), WIDE, scale(t, 0, top, HIGH, 12), "grid") for t in ticks(0, top, 3) if t]
    for i, count in enumerate(bins):
        y = scale(count, 0, top, HIGH, 12)
        title = f"{i / len(bins):.0%} to {(i + 1) / len(bins):.0%} sure: {count:,} rows"
        # Rows are never thinner than they can be seen: the unsure ones are few, and the ones to look at.
        tall = max(HIGH - y, 3.0) if count else 0.0
        inside.append(
            f'<g><title>{title}</title><rect class="none" x="{i * wide:.1f}" y="0" width="{wide:.1f}" height="{HIGH:.0f}"/>'
            f'<rect class="sure" style="--sure:{(i + 0.5) / len(bins):.2f}" x="{i * wide + wide * 0.06:.1f}" y="{HIGH - tall:.1f}" '
            f'width="{wide * 0.88:.1f}" height="{tall:.1f}"/></g>'
        )
    beside = [_level_label(t, scale(t, 0, top, HIGH, 12)) for t in ticks(0, top, 3) if t]
    words = "".join(
        f'<span class="tick{" first" if s == 0 else " last" if s == 100 else ""}" style="left:{s}%">{s}%</span>' for s in (0, 25, 50, 75, 100)
    )
    label = f"{sum(bins):,} predictions by confidence; {sum(bins[len(bins) // 2 :]):,} of them at 50 % or more"
    return _plot(inside, label, beside=beside, kind="tall") + Markup(f'<div class="axis" aria-hidden="true">{words}</div>')


# --- the flow ---


@dataclass(frozen=True, slots=True)
class Box:
    """One address of the flow: its state tonight, and a word or two."""

    address: str
    status: str
    note: str
    title: str
    reads: tuple[str, ...]

    @property
    def zone(self) -> str:
        """The zone of its address."""
        return self.address.split(".")[0]


def boxes(ran: Sequence[Ran], notes: Mapping[str, str], reports: Mapping[str, tuple[str, ...]]) -> list[Box]:
    """A box for every address of tonight's plan: raw sources, tables, models, and the reports (which read everything they name)."""
    found = [Box(r.address, r.status, notes.get(r.address, ""), f"{r.address}: {STATES[r.status]}. {r.about}", r.reads) for r in ran]
    sources = sorted({a for r in ran for a in r.reads if a.startswith("raw.")})
    found = [Box(a, "raw", notes.get(a, ""), f"{a}: raw files, as they came", ()) for a in sources] + found
    return [*found, *(Box(a, "published", notes.get(a, "this page"), f"{a}: this page", reads) for a, reads in reports.items())]


STATES: Mapping[str, str] = {
    "published": "published tonight",
    "nothing": "nothing new tonight",
    "refused": "refused by the gate",
    "failed": "failed",
    "skipped": "not touched: an input is missing",
    "restored": "set back to an earlier version",
    "cut": "cut short",
    "absent": "not made yet",
}


def flow(found: Sequence[Box]) -> Markup:
    """The flow from left to right: a column a zone, a box an address, an arrow for everything read."""
    zones = [z for z in ZONES if any(b.zone == z for b in found)]
    columns = {z: [b for b in found if b.zone == z] for z in zones}
    places = _places(zones, columns)
    if not places:
        return Markup("")
    lefts, right = dict[str, float](), 0.0
    for z in zones:
        lefts[z] = right
        right += _COLUMNS.get(z, 130) + _BETWEEN
    wide = right - _BETWEEN
    tall = max(places.values()) + _BOX / 2 + 6
    by_address = {b.address: b for b in found}
    parts = [f'<text class="zone" x="{lefts[z]:.0f}" y="14">{z}</text>' for z in zones]
    parts += [_arrow(by_address[r], b, lefts, places, {b.address: b.zone for b in found}) for b in found for r in b.reads if r in by_address]
    parts += [_box(b, lefts[b.zone], places[b.address]) for b in found]
    label = "The flow of tonight: " + "; ".join(
        f"{z} " + ", ".join(f"{b.address.split('.')[1]} {'' if b.zone == 'raw' else STATES[b.status]}".strip() for b in columns[z]) for z in zones
    )
    return Markup(f'<svg class="flow" viewBox="-1 0 {wide + 2:.0f} {tall:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>')


def _box(box: Box, left: float, middle: float) -> str:
    wide, top = _COLUMNS.get(box.zone, 130), middle - _BOX / 2
    name = box.address.split(".")[1]
    if box.zone == "raw":
        return (
            f'<g class="box raw"><title>{escape(box.title)}</title>'
            f'<rect x="{left:.1f}" y="{top + 5:.1f}" width="{wide}" height="{_BOX - 10}" rx="14"/>'
            f'<text class="note" x="{left + wide / 2:.1f}" y="{middle + 4:.1f}" text-anchor="middle">{escape(box.note or "files")}</text></g>'
        )
    name = name if len(name) <= 24 else name[:23] + "…"
    tight = f' textLength="{wide - 22}" lengthAdjust="spacingAndGlyphs"' if len(name) * _LETTER > wide - 22 else ""
    return (
        f'<g class="box s-{box.status}"><title>{escape(box.title)}</title><rect x="{left:.1f}" y="{top:.1f}" width="{wide}" height="{_BOX}" rx="7"/>'
        f'<rect class="edge" x="{left:.1f}" y="{top:.1f}" width="4" height="{_BOX}" rx="2"/>'
        f'<text class="name" x="{left + 13:.1f}" y="{middle - 2.5:.1f}"{tight}>{escape(name)}</text>'
        f'<text class="note" x="{left + 13:.1f}" y="{middle + 12:.1f}">{escape(box.note)}</text>'
        f'<text class="sign" x="{left + wide - 9:.1f}" y="{middle + 12:.1f}" text-anchor="end">{SIGNS.get(box.status, "")}</text></g>'
    )


def _arrow(a: Box, b: Box, lefts: Mapping[str, float], places: Mapping[str, float], zones: Mapping[str, str]) -> str:
    x1, x2 = lefts[a.zone] + _COLUMNS.get(a.zone, 130), lefts[b.zone]
    y1, y2 = places[a.address], places[b.address]
    held = a.status in ("refused", "failed", "cut", "skipped", "absent")
    css = f"held s-{a.status}" if held else "live" if b.status in ("published", "restored") else "still"
    if x2 <= x1:  # within a zone, or back: around the outside
        bend = 28
        return f'<path class="arrow {css}" d="M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x1 + bend:.1f} {y2:.1f} {x1:.1f} {y2:.1f}"/>'
    bend = min(60.0, (x2 - x1) * 0.55)
    between = [places[at] for at, zone in zones.items() if x1 < lefts[zone] < x2 and at in places]
    if any(abs(y - (y1 + y2) / 2) < _BOX / 2 for y in between) and abs(y1 - y2) < _BOX:
        # A box stands in the way: around it, on the side where no other one stands.
        side = -1 if not any(abs(y - (y1 - _PITCH)) < _BOX for y in between) else 1
        over = (y1 + y2) / 2 + side * (_BOX / 2 + 9)
        return (
            f'<path class="arrow {css}" d="M{x1:.1f} {y1:.1f}C{x1 + 22:.1f} {y1:.1f} {x1 + 14:.1f} {over:.1f} {x1 + 40:.1f} {over:.1f}'
            f'H{x2 - 40:.1f}C{x2 - 14:.1f} {over:.1f} {x2 - 22:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"/>'
        )
    return f'<path class="arrow {css}" d="M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"/>'


def _places(zones: Sequence[str], columns: Mapping[str, Sequence[Box]]) -> dict[str, float]:
    """The middle of each box: the fullest column is spaced evenly, the others stand beside what they are tied to."""
    if not zones:
        return {}
    tied: dict[str, set[str]] = {}
    for b in (b for z in zones for b in columns[z]):
        for r in b.reads:
            tied.setdefault(b.address, set()).add(r)
            tied.setdefault(r, set()).add(b.address)
    spine = max(zones, key=lambda z: (len(columns[z]), z == "bronze"))
    at = zones.index(spine)
    # In the fullest column those that flow into the same table stand together.
    onward = {
        b.address: min((n for n, c in enumerate(columns[zones[at + 1]]) if b.address in c.reads), default=99) if at + 1 < len(zones) else 0
        for b in columns[spine]
    }
    ordered = sorted(columns[spine], key=lambda b: (onward[b.address], b.address))
    places = {b.address: _TOP + _BOX / 2 + i * _PITCH for i, b in enumerate(ordered)}
    low, high = _TOP + _BOX / 2, _TOP + _BOX / 2 + (len(ordered) - 1) * _PITCH
    for zone in [*reversed(zones[:at]), *zones[at + 1 :]]:
        wanted = list[tuple[float, str]]()
        for b in columns[zone]:
            near = [places[a] for a in tied.get(b.address, ()) if a in places]
            wanted.append((sum(near) / len(near) if near else (low + high) / 2, b.address))
        wanted.sort()
        for (_, address), place in zip(wanted, spread([w for w, _ in wanted], _PITCH, low, high), strict=True):
            places[address] = place
    return places
