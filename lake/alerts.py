"""Alerts: what was refused, failed or warned, told once at the end of a night to mail, Slack, Teams or a webhook, through Apprise.

What is told is what the pages show: no personal data, no secret. An alert that can't be sent is said in a line; it fails no night.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lake import ops
from lake.errors import LakeError
from lake.lake import Lake
from lake.plan import Plan
from lake.report import books
from lake.report.masks import shown_text, without
from lake.report.page import secrets_of
from lake.report.table_page import PAGES, page_of
from lake.run import Outcome
from lake.settings import Settings

_KEY = "reports/alerts.json"  # what was told of each address: in the lake, since the next night may run on another machine
_AGAIN = timedelta(days=7)  # trouble that stands is told once more after a week: the first message may have met nobody
_SENTENCES, _TROUBLES = 5, 20  # of each address, and addresses: who reads more opens the page
_SPLIT = re.compile(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)", re.IGNORECASE)  # an address may have commas in it: mailto://...?to=a,b


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with one address."""

    address: str
    status: str  # refused | failed | warned
    run: int | None
    sentences: tuple[str, ...]
    next_step: str
    page: str
    mark: str  # the same for the same batch, judged the same way

    @property
    def grave(self) -> bool:
        """Whether it stopped the address, and not only warns."""
        return self.status != "warned"


def alert(lake: Lake, plan: Plan, outcomes: Sequence[Outcome], said: str) -> bool:
    """Tell what went wrong, if any of it is new; whether a message went out.

    A batch that is refused again as it was, or a job that fails as it did the night before, was told already. `said` is how it
    went, in a line.
    """
    if lake.settings.alerts is None:
        return False
    try:
        return _alert(lake, plan, outcomes, said)
    except Exception as error:  # noqa: BLE001  whatever it is, the night went as it went
        lake.say("alerts", f"not sent: {type(error).__name__}; the night itself is not touched by it")
        return False


def _alert(lake: Lake, plan: Plan, outcomes: Sequence[Outcome], said: str) -> bool:
    found = troubles(lake, plan, outcomes)
    told = _told(lake)
    now = ops.now()
    new = [t for t in found if not _is_told(t, told.get(t.address), now)]
    asked = [t for t in new if t.grave or lake.settings.alert_on == "warning"]
    went = False
    if asked:
        title, body = message(found, said, next((o.message for o in outcomes if o.address == "reports.nightly" and o.status == "published"), ""))
        secrets = secrets_of(lake)
        problems = send(lake.settings, without(title, secrets), without(body, secrets), grave=any(t.grave for t in asked))
        for problem in problems:
            lake.say("alerts", problem)
        went = len(problems) < len(addresses(lake.settings))
        if went:
            lake.say("alerts", f"told: {title}")
    # What could not be told is not marked: the next night tries again. What is well again is forgotten, so that it is told when it comes back.
    well = {o.address for o in outcomes if o.status in ("published", "nothing")} - {t.address for t in found}
    marks = {a: m for a, m in told.items() if a not in well}
    if went:
        marks |= {t.address: {"mark": t.mark, "at": now.isoformat()} for t in found}
    if marks != told:
        lake.store.put(_KEY, json.dumps(marks, indent=1, sort_keys=True).encode())
    return went


def troubles(lake: Lake, plan: Plan, outcomes: Sequence[Outcome]) -> list[Trouble]:
    """What went wrong, in the order of the plan, those that stopped first: as it may be shown."""
    runs = {(o.address, o.run or 0): o for o in outcomes}
    events = [e for e in ops.events(lake.store) if e.status != "planned"]
    newest = {e.address: e for e in sorted(events, key=lambda e: e.at)}
    # The outcome of a run that was refused or failed does not know its number, the books do.
    places = {(o.address, o.run or newest[o.address].run): o for o in runs.values() if o.address in newest and o.status in ("published", "refused")}
    checks = books.checks_of(lake.store, places.keys())
    steps = {s.job.writes: s for s in plan.steps}
    found = list[Trouble]()
    for outcome in outcomes:
        event = newest.get(outcome.address)
        run = outcome.run or (event.run if event and event.status == outcome.status else None)
        broken = [c for c in checks.get((outcome.address, run or 0), ()) if not c.success]
        inputs = json.dumps([event.inputs, event.code, event.contract] if event and event.run == run else [], sort_keys=True)
        if outcome.status == "refused":
            said = [c.message for c in broken if c.fate == "refuse"] or [shown_text(outcome.message, 600)]
            mark = _mark("refused", inputs, *sorted(c.rule for c in broken if c.fate == "refuse"))
        elif outcome.status == "failed":
            step = steps.get(outcome.address)
            said = [books.told(step.job, "failed", outcome.message) if step else shown_text(outcome.message, 600)]
            mark = _mark("failed", inputs, re.sub(r"\d+", "0", outcome.message))
        elif outcome.status == "published" and (warned := [c.message for c in broken if c.fate == "warn"]):
            said, mark = warned, _mark("warned", str(run))
        else:
            continue
        status = outcome.status if outcome.status != "published" else "warned"
        page = lake.store.key_uri(f"{PAGES}/{page_of((outcome.address, run))}") if run and status != "failed" else ""
        next_step = shown_text(outcome.error.next_step, 300) if outcome.error else ""
        found.append(Trouble(outcome.address, status, run, tuple(said), next_step, page, mark))
    return sorted(found, key=lambda t: not t.grave)


def message(found: Sequence[Trouble], said: str, page: str) -> tuple[str, str]:
    """Title and text: what stopped, why and what to do next, then what warns, then where to look."""
    parts = list[str]()
    for status in ("refused", "failed", "warned"):
        of = [t.address for t in found if t.status == status]
        word = status if status != "warned" else "warns" if len(of) == 1 else "warn"
        parts += [f"{of[0] if len(of) == 1 else f'{len(of)} tables'} {word}"] if of else []
    title = f"Millrace: {', '.join(parts)}"
    lines = [said]
    for trouble in found[:_TROUBLES]:
        number = f" (run {trouble.run})" if trouble.run else ""
        how = {"refused": "was refused: nothing of the batch is visible", "failed": "failed", "warned": "is published, and warns"}[trouble.status]
        lines += ["", f"{trouble.address}{number} {how}."]
        lines += [f"- {s}" for s in trouble.sentences[:_SENTENCES]]
        lines += [f"- and {len(trouble.sentences) - _SENTENCES} more"] if len(trouble.sentences) > _SENTENCES else []
        lines += [f"next: {trouble.next_step}"] if trouble.next_step else []
        lines += [f"page: {trouble.page}"] if trouble.page else []
    lines += ["", f"and {len(found) - _TROUBLES} more"] if len(found) > _TROUBLES else []
    lines += ["", f"the night's page: {page}"] if page else []
    return title, "\n".join(lines)


def broke_off(settings: Settings, error: BaseException, say: Callable[[str], object]) -> None:
    """Tell that a night ended before its jobs, or after them."""
    if settings.alerts is None:
        return
    what = error.what if isinstance(error, LakeError) else f"{type(error).__name__}: {error}"
    next_step = f"\nnext: {shown_text(error.next_step, 300)}" if isinstance(error, LakeError) and error.next_step else ""
    for problem in send(settings, "Millrace: the night broke off", shown_text(what, 600) + next_step, grave=True):
        say(problem)


def addresses(settings: Settings) -> list[str]:
    """The addresses of LAKE_ALERTS."""
    return [a for a in _SPLIT.split(settings.alerts.get_secret_value().strip(" \t\r\n,")) if a] if settings.alerts else []


def services(settings: Settings) -> tuple[list[str], list[str]]:
    """The names of the services behind LAKE_ALERTS, and what is wrong with it: never an address, which may hold a token."""
    names, wrong = list[str](), list[str]()
    with _quiet():
        for n, address in enumerate(addresses(settings), 1):
            plugin = _plugin(address)
            (wrong if plugin is None else names).append(_unknown(n) if plugin is None else str(plugin.service_name))
    return names, wrong


def send(settings: Settings, title: str, body: str, *, grave: bool) -> list[str]:
    """Send a message to every address of LAKE_ALERTS; gives what did not work, in words that hold no address."""
    import apprise

    problems = list[str]()
    with _quiet() as told:
        for n, address in enumerate(addresses(settings), 1):
            plugin = _plugin(address)
            if plugin is None:
                problems.append(_unknown(n))
                continue
            told.clear()
            one = apprise.Apprise()
            one.add(plugin)
            kind = apprise.NotifyType.FAILURE if grave else apprise.NotifyType.WARNING
            try:
                went = one.notify(title=title, body=without(body, addresses(settings)), notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
            except Exception as error:  # noqa: BLE001  a plugin of one service must not keep the others from being told
                went, told[:] = False, [type(error).__name__]
            if not went:
                problems.append(f"{_nth(n)} ({plugin.service_name}) could not be told: {_why(told)}")
    return problems


def _plugin(address: str) -> Any:
    import apprise

    try:
        return apprise.Apprise.instantiate(address, suppress_exceptions=True)
    except Exception:  # noqa: BLE001  what an address makes of a plugin is not ours; it is told as unknown
        return None


def _nth(n: int) -> str:
    return f"address {n} of LAKE_ALERTS"


def _unknown(n: int) -> str:
    return f"{_nth(n)} is none that Apprise knows"


def _why(told: Iterable[str]) -> str:
    """Why a message did not go, from what Apprise logs: its status, never its words, which may hold the address."""
    said = " ".join(told)
    if status := re.search(r"error=(\d{3})\b", said):
        return f"it answered {status[1]}"
    return "no connection" if "onnection" in said else "it gave no reason"


@contextmanager
def _quiet() -> Generator[list[str]]:
    """Apprise's own log, which names addresses with their tokens, goes nowhere; its warnings are gathered."""
    gathered = list[str]()

    class Gather(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            gathered.append(record.getMessage())

    logger = logging.getLogger("apprise")
    before = logger.propagate, logger.level, logger.handlers[:]
    logger.propagate, logger.handlers = False, [Gather(logging.WARNING)]
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its 183 plugins, loaded at the first address, warn of Python's future
            yield gathered
    finally:
        logger.propagate, logger.handlers = before[0], before[2]
        logger.setLevel(before[1])


def _mark(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _told(lake: Lake) -> Mapping[str, Mapping[str, str]]:
    """What was told of each address; a file that can't be read is one that says nothing."""
    try:
        found = json.loads(lake.store.get(_KEY) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_told(trouble: Trouble, mark: Mapping[str, str] | None, now: datetime) -> bool:
    if mark is None or mark.get("mark") != trouble.mark:
        return False
    try:
        return now - datetime.fromisoformat(mark["at"]).astimezone(UTC) < _AGAIN
    except (KeyError, ValueError):
        return False
