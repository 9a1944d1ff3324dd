"""The page: facts set in one self-contained HTML file, with a sentence over every picture; no script, no asset from elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lake.lake import Lake
from lake.report import charts
from lake.report.books import Ran, Rejected, inputs_of
from lake.report.data import BINS, DAYS, LEVELS, Series
from lake.report.facts import Facts
from lake.report.masks import without
from lake.report.tables import Place

LABELS = 18  # bars of labels shown one by one; the rest are told in a line
FIRST_SERIES = 6  # of each source of sensors, two rows of three; the others open at a click
TABLE_LABELS = 16  # a confusion matrix of more labels is drawn without words
_SECRET = re.compile(r"LAKE_(?:.+_)?(?:SECRET_KEY|PII_KEY)|AWS_(?:SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN)")
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Headline:
    """The night in a sentence, and how it bodes: well, quiet, care or bad."""

    mood: str
    sentence: str


def render(facts: Facts, secrets: Iterable[str] = (), pages: Mapping[Place, str] | None = None) -> str:
    """The page of a night; none of `secrets` is in it, whatever message they came in. `pages` are those of its tables' runs."""
    page = (
        environment()
        .get_template("template.html.j2")
        .render(
            facts=facts,
            headline=headline(facts),
            style=style(),
            flow=charts.flow(_boxes(facts)),
            boxes=_boxes(facts),
            reasons=_by_address(facts.rejected),
            charts=charts,
            ago=ago,
            LEVELS=LEVELS,
            DAYS=DAYS,
            BINS=BINS,
            TABLE_LABELS=TABLE_LABELS,
            LABELS=LABELS,
            told={j.address: [c.message for c in j.failed] for j in facts.judged if j.failed},
            sensor_groups=_sensor_groups(facts),
            slowest=max((r.seconds or 0.0 for r in facts.ran), default=0.0) or 1.0,
            leads=leads(facts),
            pages=_newest(facts, pages or {}),
        )
    )
    return without(page, secrets)


def headline(facts: Facts) -> Headline:
    """What a person would say of the night who has one breath for it."""
    wrong = [r for r in facts.ran if r.wrong]
    skipped, published, still, absent = (facts.count(s) for s in ("skipped", "published", "nothing", "absent"))
    if wrong:
        said = [_wrong(r) for r in wrong[:3]] + ([f"{len(wrong) - 3} more went wrong"] if len(wrong) > 3 else [])
        sentence = _joined(said)
        behind = f"; {count(skipped, 'table')} behind {'it' if len(wrong) == 1 else 'them'} {_were(skipped)} not touched" if skipped else ""
        return Headline("bad", f"{_capital(sentence)}{behind}.")
    if not published and not still:
        return Headline("quiet", "Nothing has run yet.")
    if not published:
        more = f"; {count(absent, 'table')} {_are(absent)} not made yet" if absent else ""
        return Headline(
            "quiet",
            f"Nothing new tonight: {'all ' if not absent else ''}{count(still, 'table')} {'stand' if still != 1 else 'stands'} as before{more}.",
        )
    if facts.rows_rejected:
        aside = f"{facts.rows_rejected:,} of {facts.rows_in:,} rows {_were(facts.rows_rejected)} set aside"
    else:
        aside = "no row was set aside"
    left = [
        f"{still} had nothing new" if still else "",
        f"{skipped} {_were(skipped)} not touched" if skipped else "",
        f"{absent} {_are(absent)} not made yet" if absent else "",
    ]
    rest = _joined([part for part in left if part])
    mood = "care" if skipped or absent else "well"
    opening = "All well: " if mood == "well" else ""
    return Headline(mood, f"{opening}{count(published, 'table')} {_were(published)} published{f', {rest}' if rest else ''}; {aside}.")


def leads(facts: Facts) -> Mapping[str, str]:
    """The sentence over each section: what its picture shows, in words."""
    found: dict[str, str] = {}
    slow = max(facts.ran, key=lambda r: r.seconds or 0.0, default=None)
    busy = sum(r.seconds or 0.0 for r in facts.ran)
    if slow and slow.seconds and busy:
        found["runs"] = f"{slow.address} took longest: {duration(slow.seconds)}, {slow.seconds / busy:.0%} of all work."
    if facts.rejected:
        reasons, tables = {r.reason for r in facts.rejected}, {r.address for r in facts.rejected}
        found["rejected"] = (
            f"{count(sum(r.rows_rejected or 0 for r in facts.ran) or sum(r.rows for r in facts.rejected), 'row')} set aside in "
            f"{count(len(tables), 'table')} for {count(len(reasons), 'reason')}. They are kept in ops.rejects with the bytes they came from; "
            "a row with two reasons counts under both."
        )
    if facts.judged:
        held, asked = sum(j.held for j in facts.judged), sum(len(j.checks) for j in facts.judged)
        found["verdicts"] = f"{held:,} of {asked:,} expectations held, over {count(len(facts.judged), 'batch', 'batches')}."
    if facts.logs:
        events, errors = sum(s.events for s in facts.logs.sources), sum(s.errors for s in facts.logs.sources)
        worst = max((b for s in facts.logs.sources for b in s.bursts), key=lambda b: b.errors, default=None)
        burst = f" The worst hour began {charts.hour(worst.at)}: {worst.errors:,} errors." if worst else ""
        found["logs"] = f"{events:,} events, {errors:,} of them errors, in the last days of {count(len(facts.logs.sources), 'source')}.{burst}"
    if facts.sensors:
        gone, odd = sum(len(s.holes) for s in facts.sensors.series), sum(len(s.spikes) for s in facts.sensors.series)
        shown = f" The {len(facts.sensors.series)} most eventful are shown." if len(facts.sensors.series) < facts.sensors.in_all else ""
        found["sensors"] = (
            f"{count(facts.sensors.in_all, 'series', 'series')}, hour by hour, with {count(gone, 'hole')} and {count(odd, 'spike')}.{shown}"
        )
    if (champion := facts.champion) and champion.figures:
        against = f", the champion before it {champion.rival['accuracy']:.1%}" if champion.rival.get("accuracy") is not None else ""
        found["model"] = (
            f"Version {champion.version} is right on {champion.figures.get('accuracy', 0):.1%} of "
            f"{champion.figures.get('rows', 0):,.0f} test rows{against}."
        )
    if facts.predictions and facts.predictions.rows:
        unsure = sum(facts.predictions.bins[: BINS // 2])
        low = "all" if unsure == facts.predictions.rows else f"{unsure:,}"
        found["predictions"] = (
            f"{count(facts.predictions.rows, 'text')} labelled, {facts.predictions.mean:.0%} sure on average; {low} of them less than half sure."
        )
    return found


def row(facts: Facts, page: str) -> dict[str, Any]:
    """The row of reports.nightly behind the page."""
    champion = facts.champion
    return {
        "night": facts.night or "by hand",
        "at": facts.at,
        "seconds": facts.seconds,
        "mood": headline(facts).mood,
        "headline": headline(facts).sentence,
        "published": facts.count("published"),
        "unchanged": facts.count("nothing"),
        "refused": facts.count("refused"),
        "failed": facts.count("failed") + facts.count("cut"),
        "skipped": facts.count("skipped"),
        "rows_in": facts.rows_in,
        "rows_kept": facts.rows_kept,
        "rows_rejected": facts.rows_rejected,
        "checks": sum(len(j.checks) for j in facts.judged),
        "checks_held": sum(j.held for j in facts.judged),
        "model": f"models.{champion.name}" if champion else None,
        "model_version": champion.version if champion else None,
        "accuracy": champion.figures.get("accuracy") if champion else None,
        "macro_f1": champion.figures.get("macro_f1") if champion else None,
        "predictions": facts.predictions.rows if facts.predictions else None,
        "page": page,
    }


def page_name(facts: Facts) -> str:
    """The file's name: the night's id, or the moment for a page made by hand."""
    name = facts.night or f"by-hand-{facts.at:%Y-%m-%dT%H%M%SZ}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name) + ".html"


def style() -> Markup:
    """The style sheet, to be written into a page."""
    return Markup((_HERE / "style.css").read_text(encoding="utf-8"))


def secrets_of(lake: Lake) -> set[str]:
    """Keys that this process knows: a message of some library may hold one."""
    kept = [lake.store.secret_key, lake.settings.secret_key]
    return {s.get_secret_value() for s in kept if s} | {v for k, v in os.environ.items() if _SECRET.fullmatch(k)}


# --- words ---


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ago(then: datetime | None, now: datetime) -> str:
    """`just now`, `12 min ago`, `3 days ago`."""
    if then is None:
        return ""
    seconds = max(0, round((now - then).total_seconds()))
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{count(seconds // size, name)} ago"
    return "just now"


def when(at: datetime | None) -> str:
    """`Wed 11 Mar 2026, 14:07 UTC`."""
    return f"{at.astimezone(UTC):%a %-d %b %Y, %H:%M} UTC" if at else ""


def size(count: int | None) -> str:
    """`812 B`, `1.4 MB`."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _wrong(ran: Ran) -> str:
    if ran.status == "refused":
        return f"the gate refused {ran.address}"
    return f"{ran.address} failed" if ran.status == "failed" else f"{ran.address} was cut short"


def count(n: int, one: str, many: str = "") -> str:
    """`1 row`, `1,234 rows`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _capital(sentence: str) -> str:
    # An address keeps its small letter: Silver.texts is no table.
    return sentence if "." in sentence.split(" ")[0] else sentence[:1].upper() + sentence[1:]


# --- parts ---


def _boxes(facts: Facts) -> list[charts.Box]:
    notes = {f.address: count(f.rows, "row") if f.rows < 1e6 else f"{charts.number(f.rows)} rows" for f in facts.fresh if f.rows is not None}
    notes |= {s.address: f"{s.files:,} file{'s' * (s.files != 1)}" for s in facts.landed}
    if champion := facts.champion:
        right = champion.figures.get("accuracy")
        notes[f"models.{champion.name}"] = f"version {champion.version}{f' · {right:.1%}' if right is not None else ''}"
    reports = {s.job.writes: s.job.reads for s in facts.plan.steps if s.job.writes.startswith("reports.")}
    return charts.boxes(facts.ran, notes, reports)


def _by_address(rejected: Sequence[Rejected]) -> list[tuple[str, list[Rejected]]]:
    found: dict[str, list[Rejected]] = {}
    for r in rejected:
        found.setdefault(r.address, []).append(r)
    return sorted(found.items(), key=lambda f: (-sum(r.rows for r in f[1]), f[0]))


def _newest(facts: Facts, pages: Mapping[Place, str]) -> dict[str, str]:
    """The page of each address: of tonight's run, else of the last one."""
    runs = [(r.address, n) for r in facts.ran for n in (r.last.run if r.last else None, r.run) if n]
    return {place[0]: pages[place] for place in runs if place in pages}


def _sensor_groups(facts: Facts) -> list[tuple[str, list[Series], list[Series]]]:
    """(source, the series shown first, the others): those with holes and spikes before calm ones."""
    if not facts.sensors:
        return []
    found = list[tuple[str, list[Series], list[Series]]]()
    for name, series in groupby(facts.sensors.series, key=lambda s: s.group):
        ordered = sorted(series, key=lambda s: -len(s.spikes) - len(s.holes))
        few = len(ordered) if len(ordered) <= FIRST_SERIES + 3 else FIRST_SERIES
        found.append((name, ordered[:few], ordered[few:]))
    return found


def unit(name: str) -> str:
    """A unit as people write it: degC as °C, ug/m3 as µg/m³."""
    written = {"deg": "°", "ug": "µg", "m3": "m³", "m2": "m²"}
    return re.sub(r"\bdeg(?=[CF]\b)|\bug\b|\bm[23]\b", lambda m: written[m[0]], name)


def environment() -> Environment:
    """What every page is set with: its templates, and the words and figures that they ask for."""
    made = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters: dict[str, Any] = made.filters
    filters.update(number=charts.number, duration=duration, when=when, size=size, inputs=inputs_of, count=count, unit=unit)
    return made
