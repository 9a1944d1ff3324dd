"""What the books say of a night: its runs, the rows set aside, the verdicts, and how fresh each table is."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from lake import ops
from lake.job import Job
from lake.ops import Event
from lake.plan import Plan, Step
from lake.report.masks import shown_text, without_values
from lake.report.rejects import classified, guarded, shown
from lake.report.sentences import verdict
from lake.store import Store
from lake.table import Table

MOST_OF_A_ROW = 100_000  # characters: of a row cut off nothing can be shown, since no column of it is known
EXAMPLES = 3  # of each reason: the fourth says nothing that the first three did not
FATES = ("refuse", "warn", "quarantine")  # the gravest first
_COUNTED = re.compile(r"unique_value_count|proportion_of|\d+ of \d+ unexpected$")  # checks that saw a count, not a value
_AT_ONCE = 8  # tables asked at the same time: on S3 each is a few round trips, and the page waits for all
_BY_HAND = timedelta(hours=24)  # a page asked for by hand tells of the day before the last event


@dataclass(frozen=True, slots=True)
class Ran:
    """How one address fared tonight."""

    address: str
    about: str
    status: str  # published | nothing | refused | failed | skipped | restored | cut (begun, not ended) | absent (never made)
    reads: tuple[str, ...]
    run: int | None = None
    version: int | None = None
    rows_in: int | None = None
    rows_kept: int | None = None
    rows_rejected: int | None = None
    seconds: float | None = None
    message: str = ""
    next_step: str = ""
    at: datetime | None = None
    last: Event | None = None  # the last event that published, tonight's or an older one

    @property
    def zone(self) -> str:
        """The zone of its address."""
        return self.address.split(".")[0]

    @property
    def name(self) -> str:
        """The name in its zone."""
        return self.address.split(".")[1]

    @property
    def wrong(self) -> bool:
        """Whether a person should look at it."""
        return self.status in ("refused", "failed", "cut")


@dataclass(frozen=True, slots=True)
class Example:
    """One row set aside, as it may be shown."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows of one address set aside for one reason."""

    address: str
    reason: str
    rows: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation judged."""

    rule: str
    severity: str
    success: bool
    message: str
    on_fail: str | None = None  # quarantine | refuse | warn; None: judged before that was recorded

    @property
    def fate(self) -> str:
        """What its failure did: as recorded, else as its severity was taken then."""
        return ops.fate(self.on_fail, self.severity)


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one batch of tonight."""

    address: str
    run: int
    checks: tuple[Check, ...]

    @property
    def held(self) -> int:
        """Checks that held."""
        return sum(c.success for c in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that did not, those that refuse first."""
        return tuple(sorted((c for c in self.checks if not c.success), key=lambda c: (FATES.index(c.fate) if c.fate in FATES else 9, c.rule)))


@dataclass(frozen=True, slots=True)
class Fresh:
    """A table as it stands."""

    address: str
    version: int | None
    rows: int | None
    size: int | None
    files: int | None
    changed: datetime | None


@dataclass(frozen=True, slots=True)
class Landed:
    """The raw files of one source that have been read."""

    address: str
    files: int
    size: int


def landed(store: Store) -> tuple[Landed, ...]:
    """Files and bytes of each source, the newest edition of each path counted once."""
    newest: dict[tuple[str, str], tuple[int, int]] = {}
    for row in ops.read(store, "files", [("status", "=", "read")], columns=["source", "path", "edition", "size"]):
        place = (row["source"], row["path"])
        newest[place] = max(newest.get(place, (0, 0)), (row["edition"], row["size"]))
    sources = sorted({source for source, _ in newest})
    return tuple(Landed(s, sum(a == s for a, _ in newest), sum(size for (a, _), (_, size) in newest.items() if a == s)) for s in sources)


def of_night(events: Iterable[Event], night: str | None) -> list[Event]:
    """The events of a night, oldest first; without a night those of the last day that has any."""
    found = sorted(events, key=lambda e: (e.at, e.run))
    if night is not None:
        return [e for e in found if e.night == night]
    return [e for e in found if e.at > found[-1].at - _BY_HAND] if found else []


def runs(plan: Plan, events: Iterable[Event], night: str | None, standing: Mapping[str, int | None] | None = None) -> tuple[Ran, ...]:
    """Every address of the plan with how it fared tonight, in plan order; reports, which are not done yet, apart.

    `standing` are the tables' versions now: an address without an event tonight had nothing new, or was never made.
    """
    events = sorted(events, key=lambda e: (e.at, e.run))
    tonight = of_night(events, night)
    last = {e.address: e for e in events if e.status in ("published", "restored")}
    ended = {e.address: e for e in tonight if e.status != "planned"}
    begun = {e.address: e for e in tonight if e.status == "planned"}
    found = list[Ran]()
    for step in plan.steps:
        address = step.job.writes
        if step.job.writes.startswith("reports."):
            continue
        event = ended.get(address)
        if event is None and address in begun:
            cut = begun[address]
            found.append(_ran(step, "cut", cut, last.get(address), "began, but never said how it ended; the next night takes it up again"))
        elif event is None:
            made = address in last or (standing or {}).get(address) is not None
            found.append(_ran(step, "nothing" if made else "absent", None, last.get(address)))
        else:
            found.append(_ran(step, event.status, event, last.get(address)))
    return tuple(found)


def rejected(store: Store, ran: Sequence[Ran]) -> tuple[Rejected, ...]:
    """Rows that tonight's runs set aside, by address and reason, most first; a row with two reasons counts under each."""
    return tuple(r for _, r in rejected_by(store, {(r.address, r.run) for r in ran if r.run and r.status in ("published", "refused")}))


def rejected_by(store: Store, runs: Collection[tuple[str, int]]) -> tuple[tuple[int, Rejected], ...]:
    """The same of any runs (address, number), each with its number."""
    table = Table("ops.rejects", store)
    if not runs or not table.exists():
        return ()
    connection = duckdb.connect()
    connection.register("rejects", table.delta().to_pyarrow_dataset())
    connection.register("runs", pa.table({"address": [a for a, _ in sorted(runs)], "run": pa.array([n for _, n in sorted(runs)], pa.int64())}))
    # arg_min with a count keeps three payloads a group in memory, however many rows a bad file has.
    found = connection.execute(
        f"""
        with told as (
            select address, run, unnest(reasons) as reason, source, file, line, row, raw,
                   concat_ws('|', file, lpad(cast(coalesce(line, 0) as varchar), 12, '0'), row_id) as place
            from rejects semi join runs using (address, run)
            where address in ({", ".join("?" * len({a for a, _ in runs}))})
        )
        select address, run, reason, count(*) as rows,
               arg_min({{'source': source, 'file': file, 'line': line, 'row': row[:{MOST_OF_A_ROW}], 'raw': raw}}, place, {EXAMPLES}) as examples
        from told group by all order by rows desc, address, reason, run
        """,
        sorted({a for a, _ in runs}),
    ).fetchall()
    return tuple(
        (run, Rejected(a, reason, rows, _told_once(_example({**e, "address": a}) for e in examples))) for a, run, reason, rows, examples in found
    )


def judged(store: Store, ran: Sequence[Ran]) -> tuple[Judged, ...]:
    """The verdicts on tonight's batches, in plan order."""
    tonight = {r.address: r.run for r in ran if r.run and r.status in ("published", "refused")}
    if not tonight:
        return ()
    found = checks_of(store, tonight.items())
    return tuple(Judged(r.address, r.run, found[r.address, r.run]) for r in ran if r.run and (r.address, r.run) in found)


def checks_of(store: Store, runs: Collection[tuple[str, int]]) -> dict[tuple[str, int], tuple[Check, ...]]:
    """The checks of these runs, as they may be shown."""
    found: dict[tuple[str, int], list[Check]] = {}
    for row in ops.read(store, "checks", [("address", "in", sorted({a for a, _ in runs}))]) if runs else ():
        if (row["address"], row["run"]) in runs:
            said = sentence(row) if row["success"] else ops.told(sentence(row), row["why"])
            check = Check(row["rule"], row["severity"], row["success"], shown_text(said, 600), row["on_fail"])
            found.setdefault((row["address"], row["run"]), []).append(check)
    return {run: tuple(checks) for run, checks in found.items()}


def fresh(store: Store, addresses: Sequence[str]) -> tuple[Fresh, ...]:
    """Each table as it stands now, asked side by side; a model is no table, its version is a champion's."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(lambda address: _fresh(store, address), addresses))


def _fresh(store: Store, address: str) -> Fresh:
    table = Table(address, store)
    if not table.exists():
        return Fresh(address, None, None, None, None, None)
    delta = table.delta()
    adds = pa.table(delta.get_add_actions(flatten=True)).to_pydict()
    changed = delta.history(1)[0].get("timestamp")
    return Fresh(
        address,
        delta.version(),
        sum(n or 0 for n in adds["num_records"]),
        sum(adds["size_bytes"]),
        len(adds["size_bytes"]),
        datetime.fromtimestamp(changed / 1000, UTC) if changed else None,
    )


def hides(row: Mapping[str, Any]) -> bool:
    """Whether what a row of ops.checks saw may be values of a classified column: the different ones, the highest, the most frequent."""
    hidden = classified(row["address"])
    about = set((row["column"] or "").split(", ")) - {""}
    return bool(about) and (hidden is None or bool(about & set(hidden))) and not _COUNTED.search(f"{row['rule']} {row['observed']}")


def sentence(row: Mapping[str, Any]) -> str:
    """A row of ops.checks in words, without what is classified."""
    if hides(row):
        return f"{row['rule']} on {row['column']} {'holds' if row['success'] else 'FAILS'}; what was seen is hidden, for it is classified."
    return verdict(row["rule"], row["column"], row["observed"], row["threshold"], row["message"])


def _ran(step: Step, status: str, event: Event | None, last: Event | None, message: str = "") -> Ran:
    said, _, next_step = (message or (event.message if event else None) or "").partition("\n  next: ")
    shown = (step.job.writes, step.about, status, step.job.reads)
    if event is None:
        return Ran(*shown, message=said, last=last)
    return Ran(
        *shown,
        run=event.run or None,  # a skipped job writes run 0: it had none
        version=event.version,
        rows_in=event.rows_in,
        rows_kept=event.rows_kept,
        rows_rejected=event.rows_rejected,
        seconds=event.seconds,
        message=told(step.job, status, said),
        next_step=shown_text(next_step, 300),
        at=event.at,
        last=last,
    )


def told(job: Job, status: str, message: str) -> str:
    """The message of a run as it may be shown: what an error quotes may be a value of a classified column."""
    return shown_text(without_values(message) if status == "failed" and guarded(job.writes, *job.reads) else message, 600)


def _example(found: Mapping[str, Any]) -> Example:
    place = " ".join(filter(None, [shown_text(found["file"] or "", 120), f"line {found['line']:,}" if found["line"] else ""]))
    return Example(place or (found["source"] or ""), shown(found))


def _told_once(examples: Iterable[Example]) -> tuple[Example, ...]:
    """Examples of which each looks different; those that look the same stand together, each file named once."""
    places: dict[str, dict[str, list[str]]] = {}
    for example in examples:
        file, _, line = example.place.rpartition(" line ")
        places.setdefault(example.text, {}).setdefault(file or line, []).extend([line] if file else [])

    def joined(files: Mapping[str, list[str]]) -> str:
        said = [f"{file} {'lines' if len(lines) > 1 else 'line'} {', '.join(lines)}" if lines else file for file, lines in files.items()]
        return "; ".join(said)

    return tuple(Example(joined(files), text) for text, files in places.items())


def inputs_of(event: Event | None) -> str:
    """What a run read, in words: `silver.texts versions 3 to 4`, `12 files`."""
    if event is None:
        return ""
    files = {a for a, read in event.inputs.items() if isinstance(read, Mapping)}
    return ", ".join(f"{read_of(read)} of {a}" if a in files else f"{a} {read_of(read)}" for a, read in event.inputs.items())


def read_of(read: Any) -> str:
    """What a run read of one input: `versions 3 to 4`, `12 files`."""
    if isinstance(read, Sequence) and not isinstance(read, str):
        since, to = read
        return f"versions {since + 1} to {to}" if since is not None and to > since + 1 else f"version {to}"
    if isinstance(read, Mapping) and "files" in read:
        return f"{read['files']} file{'s' * (read['files'] != 1)}"
    return json.dumps(read)
