"""Holes, spikes and bursts out of literal series; logs, sensors and predictions out of small tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from lake.contract import Contract
from lake.report import data
from lake.report.data import HOUR, Bucket, Reading
from lake.report.model import champion, lineage, thinned
from lake.store import Store
from tests.lake.report import lakes


def readings(*values: float | None, step: int = HOUR) -> tuple[Reading, ...]:
    return tuple(Reading(i * step, v, v - 0.5, v + 0.5, 0) for i, v in enumerate(values) if v is not None)


def test_holes() -> None:
    assert data.holes(readings(1, 2, None, None, 3, 4), HOUR) == ((HOUR, 4 * HOUR),)
    assert data.holes(readings(1, None, 2, None, 3, None, 4), HOUR) == ()  # every second hour is its pace
    assert data.holes((), HOUR) == ()
    assert data.holes(readings(1), HOUR) == ()


def test_spikes_are_told_once_and_at_their_furthest() -> None:
    calm = [20.0 + (i % 5) / 10 for i in range(40)]
    found = data.spikes(readings(*calm[:10], 60.0, 90.0, *calm[10:]))
    assert [(s.at // HOUR, s.high) for s in found] == [(11, 90.5)]
    assert data.spikes(readings(*calm)) == ()
    assert data.spikes(readings(*[5.0] * 40)) == ()  # no spread, no measure
    assert data.spikes(readings(1, 2, 99)) == ()  # too few to know what is usual


def test_bursts_are_the_worst_of_their_neighbours() -> None:
    errors = [0, 1, 0, 2, 0, 0, 30, 70, 25, 0, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1]
    buckets = tuple(Bucket(i * HOUR, (0, 100, 0, n, 0)) for i, n in enumerate(errors))
    assert [(b.at // HOUR, b.errors) for b in data.bursts(buckets, len(errors))] == [(7, 70), (13, 9)]
    assert data.bursts((), 10) == ()
    assert data.bursts((Bucket(0, (0, 9, 0, 3, 0)),), 1) == ()  # fewer than five are no burst


@given(st.integers(1, 10**9), st.integers(10, 400))
def test_steps_are_few_enough(span: int, most: int) -> None:
    step = data.step_for(span, most)
    assert -(-span // step) <= most
    assert step % HOUR == 0 and (86400 % step == 0 or step % 86400 == 0)


def test_logs_by_source_and_component(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    found = data.logs(lake.store)
    assert found is not None
    assert [s.source for s in found.sources] == ["kafka", "auth", "access"]
    kafka = found.sources[0]
    assert (kafka.hosts, kafka.step, kafka.end - kafka.start) == (("kafka0", "kafka1"), HOUR, 48 * HOUR)
    assert kafka.events == sum(c.events for c in kafka.components)
    assert [datetime.fromtimestamp(b.at, UTC).hour for b in kafka.bursts] == [14]
    auth = found.sources[1]
    assert (auth.bursts, [(datetime.fromtimestamp(b.at, UTC).hour, b.warnings >= 180) for b in auth.warned]) == ((), [(22, True)])
    assert kafka.warned == ()  # the warnings beside a burst of errors are the same happening
    assert {t.kind for t in found.thrown} == {
        "java.io.IOException",
        "org.apache.kafka.common.errors.NotLeaderForPartitionException",
        "java.net.ConnectException",
    }
    assert "192.0.2.17" not in str(found.thrown)


def test_of_what_was_thrown_only_the_class_is_told(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    at = datetime(2026, 3, 10, tzinfo=UTC)
    common = {"source": "kafka", "host": "h", "component": "c", "level": "ERROR", "date": at.date()}
    lakes.write(lake.store, "gold.log_hourly", [common | {"hour": at, "events": 4, "exceptions": 4}])
    thrown = (
        "java.io.IOException: letter for Eleanor Whitcombe was not sent",
        "Caused by: java.io.IOException: Whitcombe",
        'Exception in thread "main" KafkaError',
        "Eleanor Whitcombe, 14 Harbour Lane",
    )
    rows = [common | {"row_id": f"{n:032x}", "time": at, "message": "m", "exception": f"{line}\n\tat x"} for n, line in enumerate(thrown)]
    lakes.write(lake.store, "silver.log_events", rows)
    found = data.logs(lake.store)
    assert found is not None
    assert [(t.kind, t.events, t.sources) for t in found.thrown] == [
        ("java.io.IOException", 2, ("kafka",)),
        (data.UNNAMED, 1, ("kafka",)),
        ("KafkaError", 1, ("kafka",)),
    ]


def test_only_the_last_days_of_a_long_log_are_shown(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    start = datetime(2016, 1, 1, tzinfo=UTC)
    days = [start + timedelta(days=n) for n in range(400)]
    lakes.write(
        lake.store,
        "gold.log_hourly",
        [
            {"source": "k", "host": "h", "component": f"c{n % 20}", "level": "INFO", "hour": d, "date": d.date(), "events": 3, "exceptions": 0}
            for n, d in enumerate(days)
        ],
    )
    found = data.logs(lake.store)
    assert found is not None
    (source,) = found.sources
    assert source.earlier and source.end - source.start <= (data.DAYS + 1) * 24 * HOUR
    assert len(source.buckets) <= data.BARS
    assert len(source.components) == data.COMPONENTS and source.components_in_all > data.COMPONENTS


def test_sensors_with_units_and_without(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    found = data.sensors(lake.store)
    assert found is not None and found.in_all == len(found.series) == 11
    by_name = {(s.sensor, s.metric): s for s in found.series}
    assert by_name["nab/realKnownCause/machine_temperature_press_7", "value"].unit == ""
    gate = by_name["nab/realTraffic/speed_gate_4", "value"]
    assert (gate.unit, gate.group, len(gate.holes)) == ("km/h", "nab", 1)
    assert by_name["beijing_air/Liuyuan", "pm25"].spikes[0].high > 400


def test_of_too_many_series_the_eventful_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "SERIES", 3)
    found = data.sensors(lakes.full(tmp_path).store)
    assert found is not None and found.in_all == 11 and len(found.series) == 3
    assert all(s.holes or s.spikes for s in found.series)


def test_long_series_are_cut_to_the_last_days(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    start = datetime(2014, 1, 1, tzinfo=UTC)
    lakes.write(
        lake.store,
        "gold.sensor_hourly",
        [
            {
                "sensor": "s",
                "metric": "m",
                "unit": "K",
                "hour": (at := start + timedelta(hours=n)),
                "month": date(at.year, at.month, 1),
                "readings": 2,
                "mean": float(n),
                "minimum": n - 1.0,
                "maximum": n + 1.0,
                "gaps": 0,
                "repeats": 0,
            }
            for n in range(2000)
        ],
    )
    found = data.sensors(lake.store)
    assert found is not None
    (series,) = found.series
    assert len(series.readings) <= data.POINTS
    assert series.readings[-1].high == 2000.0
    assert series.holes == ()


def test_predictions_add_up(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    found = data.predictions(lake.store)
    assert found is not None
    assert found.rows == 460 == sum(n for _, n in found.labels) == sum(found.bins)
    assert found.versions == ((1, 460),)
    assert len(found.sample) == data.SAMPLE and len(found.least) == data.LEAST
    assert [p.probability for p in found.least] == sorted(p.probability for p in found.least)
    assert found.sample == data.predictions(lake.store).sample  # pyright: ignore[reportOptionalMemberAccess]
    assert all(p.text for p in found.sample)


def test_champion_and_the_way_back(tmp_path: Path) -> None:
    from lake import ops

    lake = lakes.full(tmp_path)
    model = champion(lake.store)
    assert model is not None and model.version == 1
    assert model.figures["rows"] == sum(map(sum, model.confusion))
    assert {(s.column, s.value) for s in model.slices} == {("language", "en"), ("language", "zh")}
    assert {(c.split, c.metric) for c in model.curves} >= {("train", "loss"), ("validation", "accuracy")}
    assert model.confused[0][2] == max(n for t, row in enumerate(model.confusion) for s, n in enumerate(row) if s != t)
    predictions = data.predictions(lake.store)
    assert predictions is not None
    links = lineage(lake.store, predictions.sample[0], model, ops.events(lake.store))
    assert [link.what.split(" ")[0] for link in links[1:5]] == ["models.intent", "gold.intent_examples", "silver.texts", "run"]
    assert links[-1].what.startswith("train.csv, line ")


def test_a_prediction_of_an_earlier_night_names_the_runs_of_that_night(tmp_path: Path) -> None:
    """A second night adds to silver.texts and reads train.csv anew; the prediction was made of what lay there before."""
    from lake import ops

    lake = lakes.full(tmp_path)
    model, predictions = champion(lake.store), data.predictions(lake.store)
    assert predictions is not None and predictions.sample[0].input_version == 1
    before = lineage(lake.store, predictions.sample[0], model, ops.events(lake.store))
    books = lakes.Books(lake.store, "second", lakes.BEGAN + timedelta(days=1))
    books.run("bronze.banking77", "published", run=2, inputs={"raw.banking77": {"files": 1}}, version=2, kept=1)
    books.run("silver.texts", "published", run=2, inputs={"bronze.banking77": [1, 2]}, version=2, kept=1)
    file = {"source": "raw.banking77", "path": "train.csv", "edition": 2, "size": 1, "etag": "f", "sha256": "1" * 64, "modified": books.at}
    books.add("files", file | {"status": "read", "address": "bronze.banking77", "run": 2, "at": books.at})
    books.close()
    assert lineage(lake.store, predictions.sample[0], model, ops.events(lake.store)) == before
    # Then the row itself comes of the new content: the old one is named, of which the ledger kept no line.
    table = lake.store.delta_uri("bronze.banking77")
    rows = [row | {"edition": 2} for row in DeltaTable(table).to_pyarrow_table().to_pylist()]
    write_deltalake(table, pa.Table.from_pylist(rows, schema=Contract.load("bronze.banking77").schema), mode="overwrite")
    after = lineage(lake.store, predictions.sample[0], model, ops.events(lake.store))
    assert [link.what for link in after[-2:]] == ["run 1 of bronze.banking77", "train.csv, then replaced"]
    assert after[-1].where == f"is where it stood: edition 1, sha256 {'0' * 12}…"


def test_nothing_is_there_before_the_first_night(tmp_path: Path) -> None:
    store: Store = lakes.lake_in(tmp_path).store
    assert (data.logs(store), data.sensors(store), data.predictions(store), champion(store)) == (None, None, None, None)


@given(st.lists(st.floats(0, 5), max_size=2000), st.integers(2, 240))
def test_thinned_keeps_the_end_and_the_room(values: list[float], most: int) -> None:
    points = list(enumerate(map(float, values)))
    found = thinned(points, most)
    assert len(found) <= max(most, len(points) if len(points) <= most else 0)
    assert found[-1:] == tuple(points[-1:])
    assert [x for x, _ in found] == sorted(x for x, _ in found)
