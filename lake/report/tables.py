"""What the page of a table tells of one run: its rules with their figures over the last runs, rows set aside by reason, what it read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

from lake import ops
from lake.ops import Event
from lake.plan import Plan
from lake.report import sentences
from lake.report.books import FATES, Rejected, hides, of_night, read_of, rejected_by, sentence, told
from lake.report.masks import cut, shown_text
from lake.report.origin import maker
from lake.store import Store
from lake.table import Table

Place = tuple[str, int]  # a run by its address and its number
RUNS = 30  # that a chart goes back: a month of nights
FILES = 12  # of a run, named one by one
_WITH_PAGE = ("published", "refused")  # what was judged
_WITHOUT_PAGE = ("models", "reports", "ops")  # no batch of theirs is judged
# A rule on rows, in the reasons of rows set aside: `expect_column_values_to_match_regex:text`.
_REASON = re.compile(r"(?P<rule>[a-z][a-z0-9_]*):(?P<columns>.+)", re.DOTALL)
_REASONS: Mapping[str, str] = {
    "missing": "value missing",
    "not_allowed": "value not allowed",
    "out_of_range": "value out of range",
    "wrong_shape": "value of a wrong shape",
    "not_unique": "key not unique",
}


@dataclass(frozen=True, slots=True)
class Point:
    """What one run saw."""

    run: int
    at: datetime
    value: float | None
    held: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule judged, with what the runs before saw of it."""

    rule: str  # GX's name
    columns: str  # empty: the whole batch
    where: str
    severity: str
    success: bool
    on_fail: str | None
    judged_by: str | None
    sentence: str
    seen: str
    asked: str
    why: str
    rows: int | None
    unexpected: int | None
    examples: tuple[str, ...]
    low: float | None
    high: float | None
    share: bool  # its figure is a share of rows
    past: tuple[Point, ...]  # oldest first; the last one is this run

    @property
    def title(self) -> str:
        """Its name in few words."""
        return sentences.title(self.rule)

    @property
    def fate(self) -> str:
        """What its failure does: as recorded, else as its severity was taken then."""
        return ops.fate(self.on_fail, self.severity)


@dataclass(frozen=True, slots=True)
class Cause:
    """Rows set aside for one reason, with how many they were in the runs before."""

    found: Rejected
    title: str
    columns: str
    past: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """The figures of one run."""

    run: int
    at: datetime
    status: str
    rows_in: int | None
    kept: int | None
    rejected: int | None
    seconds: float | None
    broken: int | None  # rules that did not hold
    judged: int


@dataclass(frozen=True, slots=True)
class Input:
    """What a run read of one address, and the run that had made it so."""

    address: str
    read: str
    made_by: int | None


@dataclass(frozen=True, slots=True)
class File:
    """A raw file that a run read."""

    path: str
    edition: int
    size: int
    rows: int | None
    rejected: int | None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One run of one table."""

    address: str
    about: str
    event: Event
    at: datetime
    message: str
    next_step: str
    rules: tuple[Rule, ...]  # those that did not hold first, the gravest of them first
    causes: tuple[Cause, ...]
    past: tuple[Past, ...]  # oldest first; the last one is this run
    inputs: tuple[Input, ...]
    files: tuple[File, ...]
    files_in_all: int
    changed: tuple[str, ...]  # what is another than at the run before: code, contract

    @property
    def place(self) -> Place:
        """The run."""
        return self.address, self.event.run

    @property
    def failed(self) -> tuple[Rule, ...]:
        """Rules that did not hold."""
        return tuple(r for r in self.rules if not r.success)

    @property
    def rejected(self) -> int:
        """Rows that the run set aside."""
        return self.event.rows_rejected or 0


def due(events: Sequence[Event], night: str | None, there: Collection[Place]) -> list[Event]:
    """Runs whose page is to be made: those of a night, and of each address the last one that was judged, if it has none yet."""
    judged = [e for e in sorted(events, key=lambda e: (e.at, e.run)) if has_page(e)]
    last = {e.address: e for e in judged}
    found = {(e.address, e.run): e for e in last.values() if (e.address, e.run) not in there}
    return list((found | {(e.address, e.run): e for e in of_night(events, night) if has_page(e)}).values())


def has_page(event: Event) -> bool:
    """Whether a run is one that was judged."""
    return event.status in _WITH_PAGE and event.run > 0 and event.address.split(".")[0] not in _WITHOUT_PAGE


def read_tables(store: Store, plan: Plan, events: Sequence[Event], runs: Sequence[Event]) -> tuple[TableFacts, ...]:
    """The facts of some runs: each of the books is read once for all of them."""
    places = {(e.address, e.run) for e in runs}
    past = {(e.address, e.run): _before(events, e) for e in runs}
    checks = _checks(store, [e for before in past.values() for e in before])
    causes: dict[Place, list[Rejected]] = {}
    for run, found in rejected_by(store, places):
        causes.setdefault((found.address, run), []).append(found)
    counts = _counts(store, {a for a, _ in causes})
    files = _files(store, places)
    steps = {s.job.writes: s for s in plan.steps}
    at, facts = ops.now(), list[TableFacts]()
    for event in runs:
        place, step = (event.address, event.run), steps.get(event.address)
        said, _, next_step = (event.message or "").partition("\n  next: ")
        before = past[place]
        facts.append(
            TableFacts(
                address=event.address,
                about=step.about if step else "",
                event=event,
                at=at,
                message=told(step.job, event.status, said) if step else shown_text(said, 600),
                next_step=shown_text(next_step, 300),
                rules=_rules([(e, checks.get((e.address, e.run), [])) for e in before]),
                causes=tuple(_cause(c, before, counts) for c in causes.get(place, [])),
                past=tuple(_past(e, checks.get((e.address, e.run), [])) for e in before),
                inputs=tuple(_input(a, read, event, events) for a, read in event.inputs.items()),
                files=tuple(files.get(place, [])[:FILES]),
                files_in_all=len(files.get(place, [])),
                changed=_changed(before),
            )
        )
    return tuple(facts)


def reason(name: str) -> tuple[str, str]:
    """A reason of ops.rejects in words, and the columns that it is about."""
    if (found := _REASON.fullmatch(name)) is None:
        return name.replace("_", " "), ""
    rule, columns = found["rule"], found["columns"].replace(",", ", ")
    return _REASONS.get(rule) or sentences.title(rule), columns


def _before(events: Iterable[Event], event: Event) -> list[Event]:
    """The run itself, last, and the judged runs of its address before it."""
    runs = {e.run: e for e in sorted(events, key=lambda e: e.at) if e.address == event.address and has_page(e) and e.run <= event.run}
    return [runs[n] for n in sorted(runs)][-RUNS:]


def _checks(store: Store, events: Sequence[Event]) -> dict[Place, list[dict[str, Any]]]:
    """Rows of ops.checks by run; what is older than the oldest of these runs is not looked at."""
    if not events:
        return {}
    # The checks of a run are written before it ends: its own seconds earlier at most, and an hour for clocks that differ.
    oldest = min(e.at - timedelta(seconds=e.seconds or 0.0) for e in events) - timedelta(hours=1)
    places = {(e.address, e.run) for e in events}
    found: dict[Place, list[dict[str, Any]]] = {}
    for row in ops.read(store, "checks", [("address", "in", sorted({e.address for e in events})), ("at", ">=", oldest)]):
        if (row["address"], row["run"]) in places:
            found.setdefault((row["address"], row["run"]), []).append(row)
    return found


def _counts(store: Store, addresses: Collection[str]) -> Mapping[tuple[str, str], Mapping[int, int]]:
    """Rows set aside by address and reason, of every run."""
    table = Table("ops.rejects", store)
    if not addresses or not table.exists():
        return {}
    with duckdb.connect() as connection:
        connection.register("rejects", table.delta().to_pyarrow_dataset())
        asked = sorted(addresses)
        rows = connection.execute(
            f"""
            select address, reason, run, count(*) from (select address, run, unnest(reasons) as reason from rejects
            where address in ({", ".join("?" * len(asked))})) group by all
            """,
            asked,
        ).fetchall()
    found: dict[tuple[str, str], dict[int, int]] = {}
    for address, name, run, n in rows:
        found.setdefault((address, name), {})[run] = n
    return found


def _files(store: Store, places: Collection[Place]) -> dict[Place, list[File]]:
    """The raw files that runs read, those with most rows set aside first."""
    addresses, runs = sorted({a for a, _ in places if a.startswith("bronze.")}), sorted({n for a, n in places if a.startswith("bronze.")})
    if not addresses:
        return {}
    asked = [("address", "in", addresses), ("run", "in", runs), ("status", "=", "read")]
    found: dict[Place, list[File]] = {}
    for row in ops.read(store, "files", asked, ["address", "run", "path", "edition", "size", "rows", "rejected"]):
        if (row["address"], row["run"]) in places:
            file = File(shown_text(row["path"], 160), row["edition"], row["size"], row["rows"], row["rejected"])
            found.setdefault((row["address"], row["run"]), []).append(file)
    return {place: sorted(files, key=lambda f: (-(f.rejected or 0), f.path)) for place, files in found.items()}


def _rules(runs: Sequence[tuple[Event, Sequence[Mapping[str, Any]]]]) -> tuple[Rule, ...]:
    """The rules of the last of these runs; a rule is found again in the runs before by its name, columns and condition, whatever it asked then."""
    seen: dict[tuple[str, str, str, int], list[tuple[Event, Mapping[str, Any]]]] = {}
    for event, rows in runs:
        times: dict[tuple[str, str, str], int] = {}
        for row in sorted(rows, key=lambda r: (r["rule"], r["column"] or "", r["threshold"] or "")):
            key = row["rule"], row["column"] or "", sentences.condition(row["threshold"])
            times[key] = times.get(key, 0) + 1
            seen.setdefault((*key, times[key]), []).append((event, row))
    if not runs:
        return ()
    last = runs[-1][0].run
    found = [_rule(points) for points in seen.values() if points[-1][0].run == last]

    def gravest_first(rule: Rule) -> tuple[Any, ...]:
        grave = FATES.index(rule.fate) if not rule.success and rule.fate in FATES else len(FATES)
        return rule.success, grave, rule.columns, rule.rule, rule.asked

    return tuple(sorted(found, key=gravest_first))


def _rule(points: Sequence[tuple[Event, Mapping[str, Any]]]) -> Rule:
    row = points[-1][1]
    hidden = hides(row)
    low, high = (None, None) if hidden else sentences.limits(row["observed"], row["threshold"])
    return Rule(
        rule=row["rule"],
        columns=row["column"] or "",
        where=shown_text(sentences.condition(row["threshold"]), 200),
        severity=row["severity"],
        success=row["success"],
        on_fail=row["on_fail"],
        judged_by=row["judged_by"],
        sentence=shown_text(sentence(row), 600),
        seen="hidden" if hidden else shown_text(sentences.seen(row["observed"]), 80),
        asked=shown_text(sentences.asked(row["threshold"]), 160),
        why=shown_text(row["why"] or "", 500),
        rows=row["rows"],
        unexpected=row["unexpected"],
        examples=tuple(shown_text(e, 120) for e in row["examples"] or ()),
        low=low,
        high=high,
        share=bool(re.search(r"\d+ of \d+ unexpected$", row["observed"] or "")) or row["rule"] == "rejected_share",
        past=tuple(Point(e.run, e.at, None if hides(r) else sentences.figure(r["observed"]), r["success"]) for e, r in points),
    )


def _cause(found: Rejected, runs: Sequence[Event], counts: Mapping[tuple[str, str], Mapping[int, int]]) -> Cause:
    title, columns = reason(found.reason)
    by_run = counts.get((found.address, found.reason), {})
    return Cause(found, shown_text(title, 120), shown_text(columns, 120), tuple(Point(e.run, e.at, float(by_run.get(e.run, 0))) for e in runs))


def _past(event: Event, checks: Sequence[Mapping[str, Any]]) -> Past:
    broken = sum(not c["success"] for c in checks) if checks else None
    return Past(event.run, event.at, event.status, event.rows_in, event.rows_kept, event.rows_rejected, event.seconds, broken, len(checks))


def _input(address: str, read: Any, event: Event, events: Sequence[Event]) -> Input:
    by = maker((e for e in events if e.at <= event.at), address, read[1]) if isinstance(read, list) and len(read) == 2 else None
    return Input(address, cut(read_of(read), 160), by.run if by else None)


def _changed(runs: Sequence[Event]) -> tuple[str, ...]:
    if len(runs) < 2:
        return ()
    now, then = runs[-1], runs[-2]
    return tuple(what for what in ("code", "contract") if getattr(now, what) != getattr(then, what))
