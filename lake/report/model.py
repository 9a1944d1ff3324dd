"""What the champion is: its card, its figures, why it was chosen; and the way back from one prediction to the bytes it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from lake import ops
from lake.models.registry import Registry
from lake.ops import Event
from lake.report.data import Prediction
from lake.report.masks import cut, escaped, shown_text
from lake.report.origin import maker, reader
from lake.store import Store
from lake.table import Table

CURVE_POINTS = 240  # of each curve: more are finer than a pixel
CONFUSED = 8  # pairs named in words


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of one split over the steps of training."""

    split: str
    metric: str
    points: tuple[tuple[float, float], ...]  # (step, value)


@dataclass(frozen=True, slots=True)
class Slice:
    """The figures of a part of the test rows."""

    column: str
    value: str
    rows: int
    accuracy: float
    macro_f1: float


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that scores, by its card."""

    name: str
    version: int
    at: datetime | None
    reason: str
    table: str
    table_version: int
    rows: int | None
    labels: tuple[str, ...]
    figures: Mapping[str, float]  # accuracy, macro_f1, loss, rows on the test split
    validation: Mapping[str, float]
    rival: Mapping[str, float]  # the champion before it, on the same rows
    confusion: tuple[tuple[int, ...], ...]
    slices: tuple[Slice, ...]
    curves: tuple[Curve, ...]
    seconds: float | None
    about: tuple[tuple[str, str], ...]  # base, steps, precision ... as the card says
    decided: tuple[tuple[int, str, str], ...]  # (version, status, reason) of the last versions, newest first

    @property
    def confused(self) -> tuple[tuple[str, str, int], ...]:
        """(true label, label said, rows) of the mistakes made most often."""
        pairs = [(self.labels[t], self.labels[s], n) for t, row in enumerate(self.confusion) for s, n in enumerate(row) if n and t != s]
        return tuple(sorted(pairs, key=lambda p: (-p[2], p[0], p[1]))[:CONFUSED])


@dataclass(frozen=True, slots=True)
class Link:
    """One step of the way back from a prediction."""

    what: str
    where: str
    when: str = ""


def champion(store: Store, name: str = "intent") -> Champion | None:
    """The champion of a model with its card and the decision that made it one; None before the first."""
    registry = Registry(store)
    standing = registry.champion(name)
    if standing is None:
        return None
    card = standing.facts
    crowned = [d for d in registry.history(name) if d.get("version") == standing.version]
    events = sorted(ops.read(store, "models", [("name", "=", name)]), key=lambda e: (e["at"], e["version"]))
    measured: Mapping[str, Any] = card.get("metrics") or {}
    test: Mapping[str, Any] = measured.get("test") or {}
    data: Mapping[str, Any] = card.get("data") or {}
    return Champion(
        name=name,
        version=standing.version,
        at=datetime.fromisoformat(crowned[-1]["at"]) if crowned else None,
        reason=shown_text(str(crowned[-1]["reason"]) if crowned else "", 400),
        table=str(data.get("address", "")),
        table_version=int(data.get("version", 0)),
        rows=data.get("rows"),
        labels=tuple(map(str, card.get("labels") or ())),
        figures=_numbers(test),
        validation=_numbers(measured.get("validation") or {}),
        rival=_numbers(measured.get("champion") or {}),
        confusion=tuple(tuple(row) for row in test.get("confusion") or ()),
        slices=_slices(test.get("slices") or {}),
        curves=_curves(card.get("curves") or _metrics(store, name, standing.version)),
        seconds=card.get("seconds"),
        about=_about(card),
        decided=tuple((e["version"], e["status"], shown_text(e["reason"], 200)) for e in reversed(events[-6:])),
    )


def lineage(store: Store, prediction: Prediction, model: Champion | None, events: Sequence[Event]) -> tuple[Link, ...]:
    """The way back from one prediction: the model, the rows it learnt from, the text, and the line of the file it stood in."""
    links = [
        Link(
            f"“{shown_text(prediction.text, 90)}”" if prediction.text else prediction.id,
            f"was labelled {prediction.label}, {prediction.probability:.0%} sure",
        )
    ]
    if prediction.model_version is not None:
        links.append(
            Link(
                f"models.intent version {prediction.model_version}",
                "said so",
                _day(model.at) if model and model.version == prediction.model_version else "",
            )
        )
    if model is not None and model.version == prediction.model_version:
        learnt = f"taught it{f', {model.rows:,} rows' if model.rows else ''}"
        made = maker(events, model.table, model.table_version)
        links.append(Link(f"{model.table} version {model.table_version}", learnt, _ran_on(made) if made else ""))
    address = "silver.texts"
    found = _row(store, address, "text_id", prediction.id, ("source", "file"))
    if found is None:
        return tuple(links)
    held = maker(events, address, prediction.input_version)
    version = held.version if prediction.input_version is None and held else prediction.input_version
    links.append(Link(address if version is None else f"{address} version {version}", "held the text, masked", _ran_on(held) if held else ""))
    bronze = f"bronze.{found['source']}"
    row = _row(store, bronze, "row_id", prediction.id, ("file", "line", "edition", "sha256"))
    if row is None:
        return tuple(links)
    taken = held.inputs.get(bronze) if held else None
    then = taken[1] if isinstance(taken, list) else None
    read = reader(store, events, bronze, row["file"], row["edition"], then)
    # Not read by then: the file had other content, which the ledger names; on which line it stood there nobody kept.
    before = None if read else reader(store, events, bronze, row["file"], None, then)
    ledger = read or before
    links.append(Link(f"run {ledger['run']} of {bronze}" if ledger else bronze, "read it", _day(ledger["at"]) if ledger else ""))
    edition, sha256 = (before["edition"], before["sha256"]) if before else (row["edition"], row["sha256"])
    line = f"{row['file']}, then replaced" if before else f"{row['file']}, line {row['line']:,}"
    links.append(Link(line, f"is where it {'stood' if before else 'stands'}: edition {edition}, sha256 {sha256[:12]}…"))
    return tuple(links)


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in figures.items() if isinstance(v, int | float)}


def _slices(said: Mapping[str, Mapping[str, Mapping[str, float]]]) -> tuple[Slice, ...]:
    found = [Slice(column, value, int(f["rows"]), f["accuracy"], f["macro_f1"]) for column, values in said.items() for value, f in values.items()]
    return tuple(sorted(found, key=lambda s: (s.column, -s.rows, s.value)))


def _metrics(store: Store, name: str, version: int) -> list[dict[str, Any]]:
    return ops.read(store, "metrics", [("name", "=", name), ("version", "=", version)])


def _curves(points: Sequence[Mapping[str, Any]]) -> tuple[Curve, ...]:
    found: dict[tuple[str, str], dict[int, float]] = {}
    for p in points:
        found.setdefault((p["split"], p["metric"]), {})[p["step"]] = p["value"]
    return tuple(Curve(split, metric, thinned(sorted(values.items()), CURVE_POINTS)) for (split, metric), values in sorted(found.items()))


def thinned(points: Sequence[tuple[float, float]], most: int) -> tuple[tuple[float, float], ...]:
    """At most so many points: the means of equal runs of neighbours, the last point as it is."""
    if len(points) <= most:
        return tuple(points)
    size = -(-(len(points) - 1) // (most - 1))
    runs = [points[i : min(i + size, len(points) - 1)] for i in range(0, len(points) - 1, size)]
    return (*((sum(x for x, _ in r) / len(r), sum(y for _, y in r) / len(r)) for r in runs), points[-1])


def _about(card: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not card:
        return ()
    spec: Mapping[str, Any] = card.get("spec") or {}
    stopped = {"finished": "as planned", "early": "early: no better any more", "over budget": "over its budget"}
    said = {
        "Base": card.get("base"),
        "Steps": f"{card['steps']:,}, {card['epochs']:.1f} epochs of {spec.get('epochs', '?')}" if "steps" in card and "epochs" in card else None,
        "Ended": stopped.get(str(card.get("stopped")), card.get("stopped")),
        "Precision": card.get("precision"),
        "Processes": card.get("processes"),
        "Speed": f"{card['samples_per_second']:,.0f} rows/s" if card.get("samples_per_second") else None,
        "Learning rate": f"{spec['learning_rate']:g}, batch {spec.get('batch')}" if "learning_rate" in spec else None,
        "Tokenizer": f"sha256 {str(card['tokenizer_sha256'])[:12]}…" if card.get("tokenizer_sha256") else None,
        "Libraries": ", ".join(f"{k} {v}" for k, v in (card.get("libraries") or {}).items() if k in ("torch", "transformers", "petastorm")) or None,
    }
    return tuple((k, cut(escaped(str(v)), 120)) for k, v in said.items() if v is not None)  # our own words: half a hash is no IBAN


def _row(store: Store, address: str, key: str, value: str, columns: Sequence[str]) -> dict[str, Any] | None:
    table = Table(address, store)
    if not table.exists():
        return None
    connection = duckdb.connect()
    connection.register("rows", table.delta().to_pyarrow_dataset())
    found = connection.execute(f"select {', '.join(columns)} from rows where {key} = ? limit 1", [value]).fetchone()
    return dict(zip(columns, found, strict=True)) if found else None


def _ran_on(event: Event) -> str:
    """The run that left a table as it was: one that only added to it may not be the one that wrote the row."""
    return f"left so by run {event.run}, {_day(event.at)}"


def _day(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M}" if at else ""
