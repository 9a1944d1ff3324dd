"""A page for each run of a table: its verdict rule by rule, in one self-contained HTML file beside the nightly page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lake import ops
from lake.lake import Lake
from lake.ops import Event
from lake.plan import Plan
from lake.report import charts
from lake.report.facts import UNREADABLE
from lake.report.masks import shown_text, without
from lake.report.page import Headline, count, environment, secrets_of, style
from lake.report.tables import Place, Point, TableFacts, due, has_page, read_tables

PAGES = "reports/pages"
MANY = 12  # rules: more are set under their columns, with a picture of all of them on top
_FATES: Mapping[str, str] = {"quarantine": "sets rows aside", "refuse": "refuses the batch", "warn": "warns"}
_KEY = re.compile(rf"{PAGES}/tables/([a-z_]+\.[a-z0-9_]+)/(\d+)\.html")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the last runs, each as a row of bars."""

    rows: tuple[Point, ...]
    aside: tuple[float | None, ...]
    share: tuple[Point, ...]
    broken: tuple[Point, ...]
    seconds: tuple[Point, ...]


def page_of(place: Place) -> str:
    """Where the page of a run lies, beside the nightly pages."""
    address, run = place
    return f"tables/{address}/{run}.html"


def pages_there(lake: Lake) -> set[Place]:
    """The runs that have a page in the lake."""
    return {(found[1], int(found[2])) for key in lake.store.keys(f"{PAGES}/tables/") if (found := _KEY.fullmatch(key))}


def write_pages(lake: Lake, plan: Plan, events: Sequence[Event], night: str | None, report: str | None = None) -> dict[Place, str]:
    """Make the pages of a night's runs, and those that are missing of the last runs; gives every run that has a page, with its place.

    `report` is the name of the nightly page that they lead back to. The pages of older runs stay as they are. Where they can't be
    made it is told, and the night goes on with those that are there.
    """
    there = set[Place]()
    try:
        there = pages_there(lake)
        runs = due(events, night, there)
        made = there | {(e.address, e.run) for e in runs}
        _write(lake, read_tables(lake.store, plan, events, runs), made, report)
        there = made
    except UNREADABLE as error:
        lake.say("reports.nightly", f"the pages of its tables could not be made: {shown_text(f'{type(error).__name__}: {error}', 300)}")
    return {place: page_of(place) for place in there}


def write_run_pages(lake: Lake, plan: Plan, addresses: Collection[str], since: datetime) -> list[Path]:
    """Make the pages of what ran by hand since a moment; gives their copies beside the other local state."""
    try:
        events = ops.events(lake.store)
        runs = {(e.address, e.run): e for e in events if e.address in addresses and e.at >= since and has_page(e)}
        there = pages_there(lake) | runs.keys() if runs else set[Place]()
        return _write(lake, read_tables(lake.store, plan, events, list(runs.values())), there, None)
    except UNREADABLE as error:
        lake.say("lake", f"the pages could not be made: {shown_text(f'{type(error).__name__}: {error}', 300)}")
        return []


def put_page(lake: Lake, name: str, page: bytes) -> Path:
    """A page into the lake, and beside the other local state; gives the local one."""
    lake.store.put(f"{PAGES}/{name}", page)
    return put_local(lake.settings.state / "reports" / name, page)


def put_local(path: Path, page: bytes) -> Path:
    """A page as a file: whole or not at all, since somebody may be looking."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_bytes(page)
    return aside.replace(path)


def render_table(table: TableFacts, there: Collection[Place] = (), report: str | None = None, secrets: Iterable[str] = ()) -> str:
    """The page of one run; `there` are the runs that it may link to, `report` the nightly page that it leads back to."""
    before = table.past[-2].run if len(table.past) > 1 else 0
    page = (
        environment()
        .get_template("table.html.j2")
        .render(
            table=table,
            style=style(),
            charts=charts,
            headline=headline(table),
            lead=_lead(table),
            past_lead=_past_lead(table),
            figures=_figures(table),
            before=f"{before}.html" if (table.address, before) in there else None,
            links={p: f"../{p[0]}/{p[1]}.html" for i in table.inputs if i.made_by and (p := (i.address, i.made_by)) in there},
            report=f"../../{report}" if report else None,
            FATES=_FATES,
            MANY=MANY,
        )
    )
    return without(page, secrets)


def headline(table: TableFacts) -> Headline:
    """The verdict in a sentence, and how it bodes."""
    refusing = [r for r in table.failed if r.fate == "refuse"]
    warning = [r for r in table.failed if r.fate == "warn"]
    if table.event.status == "refused":
        told = f": {count(len(refusing), 'rule')} did not hold" if refusing else ""
        return Headline("bad", f"The gate refused this batch of {table.address}{told}.")
    kept = f"{count(table.event.rows_kept or 0, 'row')} published"
    aside = f"{table.rejected:,} set aside" if table.rejected else "none set aside"
    if not table.rules:
        return Headline("well", f"{kept}, {aside}; no rule was judged.")
    if warning or refusing:  # one that refuses did not hold and the batch is published: before it was recorded what a failure does
        odd = len(warning) + len(refusing)
        return Headline("care", f"{kept}, {aside}; {count(odd, 'rule')} did not hold and {'warns' if odd == 1 else 'warn'}.")
    held = len(table.rules) - len(table.failed)
    rules = f"all {count(held, 'rule')} held" if held == len(table.rules) else f"{held} of {len(table.rules)} rules held, the others set rows aside"
    return Headline("well", f"{kept}, {aside}; {'the one rule held' if held == len(table.rules) == 1 else rules}.")


def _write(lake: Lake, tables: Iterable[TableFacts], there: Collection[Place], report: str | None) -> list[Path]:
    secrets = secrets_of(lake)
    return [put_page(lake, page_of(table.place), render_table(table, there, report, secrets).encode()) for table in tables]


def _lead(table: TableFacts) -> str:
    if not table.rules:
        return ""
    by = {name: sum(r.judged_by == name for r in table.rules) for name in {r.judged_by for r in table.rules if r.judged_by}}
    judged = ""
    if by:
        alone = by.get("Great Expectations", 0)
        judged = f" {len(table.rules) - alone} of them were judged in the pass that wrote the rows, {alone} by Great Expectations itself."
    held = len(table.rules) - len(table.failed)
    return f"{held:,} of {count(len(table.rules), 'rule')} held.{judged}"


def _past_lead(table: TableFacts) -> str:
    refused = sum(p.status == "refused" for p in table.past)
    clean = sum(p.broken == 0 for p in table.past)
    if len(table.past) == 1:
        return "This is the first run."
    held = "all" if clean == len(table.past) else clean or "none"
    return f"{refused or 'None'} of {len(table.past)} runs {'were' if refused > 1 else 'was'} refused; all rules held in {held} of them."


def _figures(table: TableFacts) -> Figures:
    past = table.past

    def bars(values: Iterable[float | None]) -> tuple[Point, ...]:
        return tuple(Point(p.run, p.at, value, p.status != "refused") for p, value in zip(past, values, strict=True))

    return Figures(
        rows=bars(p.rows_in for p in past),
        aside=tuple(p.rejected for p in past),
        share=bars(100 * p.rejected / p.rows_in if p.rejected is not None and p.rows_in else None for p in past),
        broken=bars(p.broken for p in past),
        seconds=bars(p.seconds for p in past),
    )
