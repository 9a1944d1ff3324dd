"""What the data itself shows: logs by hour, sensors by hour, predictions; added up in DuckDB, so that a page costs the same on any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any, TypeVar

import duckdb

from lake.report.masks import cut, masked, shown_text
from lake.store import Store
from lake.table import Table

HOUR = 3600
LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
DAYS = 14  # of each source: what a person looks back over in the morning
BARS = 168  # a week of hours; more are thinner than a pixel on a phone
POINTS = 168
COMPONENTS = 9  # of each source: three rows of three
SERIES = 96  # in all: a page of more than a hundred curves is looked at by nobody
NO_UNITS = ("1", "unspecified")  # what silver writes where there is none to show
SPIKE = 6.0  # robust standard deviations from the median: normal noise gets there once in 500 million
SAMPLE = 12  # predictions shown
LEAST = 8
UNNAMED = "of no class known"
# A class is told, its message never: a stack trace is classified, and names people. Written as classes are: my.package.SomeError.
_CLASS = r"(?:^|[\s:\]])((?:[a-z_][\w$]*\.)*[A-Z][\w$]*(?:Exception|Error|Throwable|Failure|Timeout))(?:[\s:;,]|$)"
BINS = 20


@dataclass(frozen=True, slots=True)
class Bucket:
    """Events of one step of time, by level in the order of LEVELS."""

    at: int  # its start, seconds since 1970 UTC
    events: tuple[int, ...]
    exceptions: int = 0

    @property
    def total(self) -> int:
        """Events of all levels."""
        return sum(self.events)

    @property
    def errors(self) -> int:
        """Events of level ERROR and FATAL."""
        return sum(self.events[LEVELS.index("ERROR") :])

    @property
    def warnings(self) -> int:
        """Events of level WARN."""
        return self.events[LEVELS.index("WARN")]


@dataclass(frozen=True, slots=True)
class Component:
    """One component of one host of a source."""

    name: str
    host: str
    events: int
    errors: int
    exceptions: int
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class LogSource:
    """The last days of one source of logs."""

    source: str
    hosts: tuple[str, ...]
    start: int
    end: int
    step: int  # seconds of one bucket
    buckets: tuple[Bucket, ...]
    components: tuple[Component, ...]
    components_in_all: int
    earlier: bool  # whether the table has more before `start`

    @property
    def events(self) -> int:
        """Events shown."""
        return sum(b.total for b in self.buckets)

    @property
    def errors(self) -> int:
        """Errors shown."""
        return sum(b.errors for b in self.buckets)

    @property
    def exceptions(self) -> int:
        """Stack traces shown."""
        return sum(b.exceptions for b in self.buckets)

    @property
    def bursts(self) -> tuple[Bucket, ...]:
        """Steps with far more errors than this source usually has, the worst first."""
        return bursts(self.buckets, (self.end - self.start) // self.step)

    @property
    def warned(self) -> tuple[Bucket, ...]:
        """Steps with far more warnings than usual and no burst of errors: an attack on a gate is a flood of refusals."""
        found = bursts(self.buckets, (self.end - self.start) // self.step, least=50, of=lambda b: b.warnings)
        loud = {b.at for b in self.bursts}
        return tuple(b for b in found if all(abs(b.at - at) > self.step for at in loud))


@dataclass(frozen=True, slots=True)
class Thrown:
    """One kind of exception: its class, how often, and where."""

    kind: str
    events: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Logs:
    """Every source of logs, and what was thrown."""

    sources: tuple[LogSource, ...]
    thrown: tuple[Thrown, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One step of a sensor: mean, extremes, holes that ended in it."""

    at: int
    mean: float
    low: float
    high: float
    gaps: int


@dataclass(frozen=True, slots=True)
class Series:
    """The last days of one metric of one sensor."""

    sensor: str
    metric: str
    unit: str
    step: int
    readings: tuple[Reading, ...]
    count: int  # single readings behind them

    @property
    def group(self) -> str:
        """The source: a sensor's name up to its first slash."""
        return self.sensor.split("/")[0]

    @property
    def spikes(self) -> tuple[Reading, ...]:
        """Steps whose extremes lie far outside of what is usual, the furthest first."""
        return spikes(self.readings)

    @property
    def irregular(self) -> bool:
        """Whether holes are its pace: a mark in every third step would say nothing of any."""
        return sum(r.gaps > 0 for r in self.readings) * 3 > len(self.readings)

    @property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """(last before, first after) of each hole."""
        return holes(self.readings, self.step)


@dataclass(frozen=True, slots=True)
class Sensors:
    """Every series shown, and how many there are."""

    series: tuple[Series, ...]
    in_all: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row scored."""

    id: str
    text: str
    label: str
    probability: float
    model_version: int | None
    language: str | None = None
    source: str | None = None
    input_version: int | None = None  # of silver.texts, where it found the text


B = TypeVar("B", Bucket, Reading)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the champion said of the rows in the lake."""

    rows: int
    labels: tuple[tuple[str, int], ...]
    bins: tuple[int, ...]  # BINS equal steps of probability from 0 to 1
    mean: float
    versions: tuple[tuple[int, int], ...]
    sample: tuple[Prediction, ...]
    least: tuple[Prediction, ...]


# --- logs ---


def logs(store: Store) -> Logs | None:
    """The last days of gold.log_hourly by source, and the exceptions of silver.log_events in them; None before the first night."""
    table = Table("gold.log_hourly", store)
    if not table.exists():
        return None
    connection = _open(hourly=table)
    spans = connection.execute(
        "select source, epoch(min(hour))::bigint, epoch(max(hour))::bigint from hourly group by source order by source"
    ).fetchall()
    sources = tuple(_source(connection, source, first, last) for source, first, last in spans if first is not None)
    return Logs(tuple(sorted(sources, key=lambda s: (-s.events, s.source))), _thrown(store, sources))


def _source(connection: duckdb.DuckDBPyConnection, source: str, first: int, last: int) -> LogSource:
    start = max(first, last + HOUR - DAYS * 24 * HOUR)
    step = step_for(last + HOUR - start, BARS)
    start -= start % step
    end = last + HOUR + (-(last + HOUR - start)) % step
    rows = connection.execute(
        """
        select component, host, level, ((epoch(hour)::bigint - $start) // $step) * $step + $start as at,
               sum(events)::bigint as events, sum(exceptions)::bigint as exceptions
        from hourly where source = $source and hour >= to_timestamp($start) group by all
        """,
        {"source": source, "start": start, "step": step},
    ).fetchall()
    by_component: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        by_component.setdefault((row[0], row[1]), []).append(row)
    components = [_component(name, host, found) for (name, host), found in by_component.items()]
    components.sort(key=lambda c: (-c.errors, -c.events, c.host, c.name))
    hosts = tuple(sorted({c.host for c in components}))
    return LogSource(source, hosts, start, end, step, _buckets(rows), tuple(components[:COMPONENTS]), len(components), first < start)


def _component(name: str, host: str, rows: Sequence[Any]) -> Component:
    buckets = _buckets(rows)
    return Component(name, host, sum(b.total for b in buckets), sum(b.errors for b in buckets), sum(b.exceptions for b in buckets), buckets)


def _buckets(rows: Iterable[Any]) -> tuple[Bucket, ...]:
    found: dict[int, list[int]] = {}
    for _, _, level, at, events, exceptions in rows:
        counts = found.setdefault(at, [0] * (len(LEVELS) + 1))
        counts[LEVELS.index(level) if level in LEVELS else 1] += events
        counts[-1] += exceptions
    return tuple(Bucket(at, tuple(counts[:-1]), counts[-1]) for at, counts in sorted(found.items()))


def bursts(
    buckets: Sequence[Bucket], steps: int, most: int = 3, least: int = 5, of: Callable[[Bucket], int] = lambda b: b.errors
) -> tuple[Bucket, ...]:
    """Steps with at least `least` errors and 4 times as many as an ordinary step has, the worst first; of neighbours the worst.

    Ordinary is the mean without the worst tenth of steps: one great burst must not hide a lesser one.
    """
    errors = sorted((of(b) for b in buckets), reverse=True)
    calm = errors[max(1, steps // 10) :]
    ordinary = sum(calm) / max(1, steps - steps // 10)
    found = [b for b in buckets if of(b) >= least and of(b) >= 4 * ordinary]
    peaks = [max(run, key=of) for run in _neighbours(found, buckets)]
    return tuple(sorted(peaks, key=lambda b: (-of(b), b.at))[:most])


def _neighbours(some: Sequence[B], among: Sequence[B]) -> list[list[B]]:
    """Runs of neighbours: those that stand next to each other in the whole are one happening."""
    place = {b.at: i for i, b in enumerate(among)}
    runs = list[list[B]]()
    for b in some:
        if runs and place[b.at] == place[runs[-1][-1].at] + 1:
            runs[-1].append(b)
        else:
            runs.append([b])
    return runs


def _thrown(store: Store, sources: Sequence[LogSource]) -> tuple[Thrown, ...]:
    table = Table("silver.log_events", store)
    if not sources or not table.exists():
        return ()
    connection = _open(events=table)
    # Each source has its own days; partitions outside of them are not read.
    spans = " or ".join(f"(source = ? and date >= date '{datetime.fromtimestamp(s.start, UTC):%Y-%m-%d}')" for s in sources)
    rows = connection.execute(
        f"""
        with thrown as (
            select source, split_part(exception, chr(10), 1) as line from events where exception is not null and ({spans})
        )
        select regexp_extract(line, '{_CLASS}', 1) as kind, count(*) as events, list_sort(list(distinct source))
        from thrown group by kind order by events desc, kind limit 8
        """,
        [s.source for s in sources],
    ).fetchall()
    return tuple(Thrown(shown_text(kind, 80) or UNNAMED, events, tuple(where)) for kind, events, where in rows)


# --- sensors ---


def sensors(store: Store) -> Sensors | None:
    """The last days of each series of gold.sensor_hourly; of too many those with holes and spikes are kept first."""
    table = Table("gold.sensor_hourly", store)
    if not table.exists():
        return None
    connection = _open(hourly=table)
    window = DAYS * 24 * HOUR
    rows = connection.execute(
        """
        with ends as (
            select sensor, metric, epoch(max(hour))::bigint as last,
                   greatest(epoch(max(hour))::bigint + 3600 - $window, epoch(min(hour))::bigint) as first
            from hourly group by sensor, metric
        ), steps as (
            select *, greatest(1, ceil((last + 3600 - first) / 3600.0 / $points))::bigint * 3600 as step from ends
        )
        select h.sensor, h.metric, h.unit, step, ((epoch(h.hour)::bigint - first) // step) * step + first as since,
               sum(h.mean * h.readings) / sum(h.readings) as mean, min(h.minimum) as low, max(h.maximum) as high, sum(h.gaps)::bigint as gaps,
               sum(h.readings)::bigint as readings
        from hourly h join steps s using (sensor, metric) where epoch(h.hour)::bigint >= first
        group by h.sensor, h.metric, h.unit, step, since order by h.sensor, h.metric, h.unit, since
        """,
        {"window": window, "points": POINTS},
    ).fetchall()
    found: dict[tuple[str, str, str], list[Any]] = {}
    for row in rows:
        found.setdefault((row[0], row[1], row[2] or ""), []).append(row)
    series = [
        Series(
            sensor,
            metric,
            "" if unit in NO_UNITS else unit,
            part[0][3],
            tuple(Reading(r[4], r[5], r[6], r[7], r[8] or 0) for r in part),
            sum(r[9] for r in part),
        )
        for (sensor, metric, unit), part in found.items()
    ]
    if len(series) > SERIES:
        told = sorted(series, key=lambda s: (-len(s.spikes) - len(s.holes), s.sensor, s.metric))[:SERIES]
        series = sorted(told, key=lambda s: (s.sensor, s.metric))
    return Sensors(tuple(series), len(found))


def holes(readings: Sequence[Reading], step: int) -> tuple[tuple[int, int], ...]:
    """(last before, first after) where more time than usual lies between two readings."""
    apart = [b.at - a.at for a, b in pairwise(readings)]
    usual = max(step, int(median(apart))) if apart else step
    return tuple((a.at, b.at) for a, b in pairwise(readings) if b.at - a.at > 1.5 * usual)


def spikes(readings: Sequence[Reading], most: int = 5) -> tuple[Reading, ...]:
    """Steps that reach SPIKE robust standard deviations (1.4826 x the median distance from the median), the furthest first.

    Neighbours are one spike, which stands at the furthest of them.
    """
    if len(readings) < 8:
        return ()
    middle = median(r.mean for r in readings)
    spread = 1.4826 * median(abs(r.mean - middle) for r in readings)
    if spread <= 0:
        return ()
    far = {r.at: max(r.high - middle, middle - r.low) / spread for r in readings}
    found = [r for r in readings if far[r.at] >= SPIKE]
    if len(found) > len(readings) / 10:  # a tenth of the time is no spike: it is how this series is
        return ()
    peaks = [max(run, key=lambda r: far[r.at]) for run in _neighbours(found, readings)]
    return tuple(sorted(peaks, key=lambda r: (-far[r.at], r.at))[:most])


def step_for(span: int, most: int) -> int:
    """The step in seconds, a divisor or a multiple of a day, that gives `span` at most `most` buckets."""
    for hours in (1, 2, 3, 4, 6, 8, 12, 24):
        if span <= hours * HOUR * most:
            return hours * HOUR
    return -(-span // (24 * HOUR * most)) * 24 * HOUR


# --- predictions ---


def predictions(store: Store) -> Predictions | None:
    """Counts and confidence of predictions.intent, a sample that is the same for the same rows, and the least sure ones."""
    table = Table("predictions.intent", store)
    if not table.exists():
        return None
    connection = _open(predictions=table)
    names = {row[0] for row in connection.execute("describe predictions").fetchall()}
    key = next(n for n in ("text_id", "example_id", "row_id", *sorted(names)) if n in names)
    version = "model_version" if "model_version" in names else "null"
    counted = connection.execute("select count(*), coalesce(avg(probability), 0) from predictions").fetchone() or (0, 0.0)
    labels = connection.execute("select label, count(*) as n from predictions group by label order by n desc, label").fetchall()
    binned = dict(
        connection.execute(f"select least(floor(probability * {BINS})::int, {BINS - 1}) as bin, count(*) from predictions group by bin").fetchall()
    )
    versions = connection.execute(
        f"select {version}::bigint as v, count(*) from predictions group by v having v is not null order by v desc"
    ).fetchall()
    read = "input_version" if "input_version" in names else "null"
    columns = f"{key}, label, probability, {version}, {read}"
    sample = connection.execute(f"select {columns} from predictions order by md5({key}), {key} limit {SAMPLE}").fetchall()
    least = connection.execute(f"select {columns} from predictions order by probability, {key} limit {LEAST}").fetchall()
    texts = _texts(store, [str(r[0]) for r in (*sample, *least)])

    def told(row: Any) -> Prediction:
        text, language, source = texts.get(str(row[0]), ("", None, None))
        return Prediction(str(row[0]), text, row[1], float(row[2]), row[3], language, source, row[4])

    return Predictions(
        counted[0],
        tuple((str(label), n) for label, n in labels),
        tuple(binned.get(n, 0) for n in range(BINS)),
        float(counted[1]),
        tuple(versions),
        tuple(map(told, sample)),
        tuple(map(told, least)),
    )


def _texts(store: Store, ids: Sequence[str]) -> dict[str, tuple[str, str | None, str | None]]:
    """Texts of silver.texts by id, masked once more: a masking that missed one would be seen here by everybody."""
    table = Table("silver.texts", store)
    if not ids or not table.exists():
        return {}
    connection = _open(texts=table)
    marks = ", ".join("?" * len(ids))
    rows = connection.execute(f"select text_id, text, language, source from texts where text_id in ({marks})", list(ids)).fetchall()
    return {row[0]: (cut(masked(row[1] or ""), 240), row[2], row[3]) for row in rows}


def _open(**tables: Table) -> duckdb.DuckDBPyConnection:
    """A DuckDB with tables by name: only the columns and partitions that a query asks for are read."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, table in tables.items():
        connection.register(name, table.delta().to_pyarrow_dataset())
    return connection
