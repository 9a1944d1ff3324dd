"""Everything that the nightly page tells, read once through delta-rs and DuckDB (no Spark) into frozen facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from lake import ops
from lake.errors import LakeError
from lake.lake import Lake
from lake.plan import Plan, plan
from lake.report import books, data, model
from lake.report.masks import shown_text

T = TypeVar("T")
# What a part that can't be read may raise: a table half written or gone, a store that does not answer, books that hold what nobody wrote.
UNREADABLE = (LakeError, DeltaError, duckdb.Error, pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page tells of a night and of the lake after it. A part that is not there yet is None or empty."""

    night: str | None
    at: datetime
    seconds: float
    plan: Plan
    ran: tuple[books.Ran, ...]
    rejected: tuple[books.Rejected, ...]
    judged: tuple[books.Judged, ...]
    fresh: tuple[books.Fresh, ...]
    landed: tuple[books.Landed, ...]
    logs: data.Logs | None
    sensors: data.Sensors | None
    champion: model.Champion | None
    predictions: data.Predictions | None
    lineage: tuple[model.Link, ...]
    problems: Mapping[str, str]  # section -> why it could not be read

    def count(self, status: str) -> int:
        """Addresses of tonight with a status."""
        return sum(r.status == status for r in self.ran)

    @property
    def rows_in(self) -> int:
        """Rows that tonight's published runs took in."""
        return sum(r.rows_in or 0 for r in self.ran if r.status == "published" and r.zone != "models")

    @property
    def rows_kept(self) -> int:
        """Rows that tonight's runs published."""
        return sum(r.rows_kept or 0 for r in self.ran if r.status == "published" and r.zone != "models")

    @property
    def rows_rejected(self) -> int:
        """Rows that tonight's published runs set aside."""
        return sum(r.rows_rejected or 0 for r in self.ran if r.status == "published" and r.zone != "models")


def read_facts(lake: Lake) -> Facts:
    """The facts of a night that has run, or of the lake as it stands when no night is named.

    A part that can't be read is told as such on the page: a page with a section less says more than no page.
    """
    problems: dict[str, str] = {}

    def part(name: str, read: Callable[[], T], without: T) -> T:
        try:
            return read()
        except UNREADABLE as error:
            problems[name] = shown_text(f"{type(error).__name__}: {error}", 300)
            lake.say("reports.nightly", f"the page goes without {name}: {problems[name]}")
            return without

    now, store, whole = ops.now(), lake.store, plan()
    events = part("runs", lambda: ops.events(store), [])
    tables = [s.job.writes for s in whole.steps if s.job.writes.split(".")[0] not in ("models", "reports")]
    fresh = part("freshness", lambda: books.fresh(store, tables), ())
    ran = books.runs(whole, events, lake.night, {f.address: f.version for f in fresh})
    tonight = books.of_night(events, lake.night)
    champion = part("model", lambda: model.champion(store), None)
    predictions = part("predictions", lambda: data.predictions(store), None)
    told = predictions.sample[0] if predictions and predictions.sample else None
    return Facts(
        night=lake.night,
        at=now,
        seconds=max(0.0, (now - tonight[0].at).total_seconds()) if tonight and lake.night else sum(e.seconds or 0.0 for e in tonight),
        plan=whole,
        ran=ran,
        rejected=part("rejected rows", lambda: books.rejected(store, ran), ()),
        judged=part("verdicts", lambda: books.judged(store, ran), ()),
        fresh=fresh,
        landed=part("files", lambda: books.landed(store), ()),
        logs=part("logs", lambda: data.logs(store), None),
        sensors=part("sensors", lambda: data.sensors(store), None),
        champion=champion,
        predictions=predictions,
        lineage=part("lineage", lambda: model.lineage(store, told, champion, events), ()) if told else (),
        problems=problems,
    )
