"""One night: the whole plan in order, in one Spark JVM, past what failed, ending with a table and an exit code that tell the truth."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from lake import ops
from lake.alerts import alert
from lake.errors import LakeError, RunFailed
from lake.lake import Lake
from lake.plan import Plan, Step, plan
from lake.run import Intent, Outcome, load, run, run_row
from lake.settings import Settings
from lake.upkeep import Tended, tend

_FINE = ("published", "nothing")
_CALL_SECONDS = 30  # a webhook that does not answer must not hold up the night's end


@dataclass(frozen=True, slots=True)
class Night:
    """How a night went."""

    id: str
    outcomes: tuple[Outcome, ...]
    tended: tuple[Tended, ...]

    @property
    def exit_code(self) -> int:
        """0 when all is well; the failures' own code when they share one, else 1."""
        codes = {o.exit_code for o in self.outcomes if o.exit_code}
        return 0 if not codes else codes.pop() if len(codes) == 1 else 1

    def sentence(self) -> str:
        """The night in a line."""
        counts = {s: sum(o.status == s for o in self.outcomes) for s in ("published", "nothing", "refused", "failed", "skipped")}
        words = {"published": "published", "nothing": "had nothing new", "refused": "refused", "failed": "failed", "skipped": "skipped"}
        return f"night {self.id}: " + ", ".join(f"{n} {words[s]}" for s, n in counts.items() if n)

    def facts(self) -> dict[str, Any]:
        """What whoever is called on failure gets to know: no more than the books say."""
        missed = [{"address": o.address, "status": o.status, "message": o.message} for o in self.outcomes if o.status not in _FINE]
        return {"night": self.id, "exit_code": self.exit_code, "text": self.sentence(), "outcomes": missed}


def nightly(lake: Lake, *, only: Sequence[str] = (), whole: Plan | None = None) -> Night:
    """Run the plan; a job whose input failed tonight is skipped, everything else goes on. Reports come last, whatever happened."""
    whole = whole or plan()
    lake.night = lake.night or f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    outcomes: dict[str, Outcome] = {}
    steps = [s for s in whole.steps if not only or s.job.writes in only]
    data = [s for s in steps if not s.job.writes.startswith("reports.")]
    for n, step in enumerate(data, 1):
        lake.say(step.job.writes, f"[{n}/{len(data)}] {step.about}")
        outcomes[step.job.writes] = _one(step, lake, outcomes)
    tended = tend(lake) if not only else []
    for t in tended:
        lake.say(t.address, f"upkeep: {t.sentence()}")
    for step in (s for s in steps if s.job.writes.startswith("reports.")):
        outcomes[step.job.writes] = _one(step, lake, {})
    night = Night(lake.night, tuple(outcomes.values()), tuple(tended))
    if night.exit_code:
        call(lake.settings, night.facts())
    alert(lake, whole, night.outcomes, night.sentence())
    return night


def _one(step: Step, lake: Lake, so_far: Mapping[str, Outcome]) -> Outcome:
    """How one job ended. Whatever goes wrong, also with the books or with Spark itself, is the loss of this branch and not of the night."""
    address = step.job.writes
    began = time.monotonic()
    try:
        outcome = _ran(step, lake, so_far)
    except Exception as error:  # noqa: BLE001  it ends this branch, is told with the night, and has its exit code
        wrong = error if isinstance(error, LakeError) else RunFailed(f"{address}: {type(error).__name__}: {error}", next_step=f"lake run {address}")
        outcome = Outcome(address, "failed", seconds=time.monotonic() - began, message=wrong.what, error=wrong)
    lake.say(address, outcome.sentence() + (f"  [{outcome.seconds:.1f} s]" if outcome.seconds else ""))
    if outcome.error and outcome.error.next_step:
        lake.say(address, f"next: {outcome.error.next_step}")
    return outcome


def _ran(step: Step, lake: Lake, so_far: Mapping[str, Outcome]) -> Outcome:
    address = step.job.writes
    missing = [r for r in step.job.reads if r in so_far and so_far[r].status not in _FINE]
    if missing:
        why = "; ".join(f"{r} {so_far[r].status}" for r in missing)
        outcome = Outcome(address, "skipped", message=f"not touched tonight: {why}")
        ops.append(lake.store, "runs", [run_row(step, lake, Intent(0, {}, False), "skipped", time.monotonic(), message=outcome.message)])
    else:
        try:
            with lake.writing(address):
                outcome = run(step, load(step), lake)
        except LakeError as error:
            outcome = Outcome(address, "failed", message=error.what, error=error)
        except Exception as error:
            if not lake.jvm_died(error):
                raise
            lake.say(address, "the Spark JVM died; starting another and repeating the same intent")
            with lake.writing(address):
                outcome = run(step, load(step), lake)
    if outcome.error and not any(e.night == lake.night for e in ops.events(lake.store, address)):
        # It failed before it had an intent (a broken contract, a file that does not load): the books must say so too.
        ops.append(lake.store, "runs", [run_row(step, lake, Intent(0, {}, False), "failed", time.monotonic(), message=str(outcome.error))])
    return outcome


def show(night: Night, console: Console) -> None:
    """The night as a table."""
    table = RichTable(title=night.sentence(), title_justify="left", box=None, pad_edge=False)
    for name, side in (
        ("address", "left"),
        ("status", "left"),
        ("rows in", "right"),
        ("kept", "right"),
        ("rejected", "right"),
        ("version", "right"),
        ("s", "right"),
    ):
        table.add_column(name, justify=side)  # pyright: ignore[reportArgumentType]
    colour = {"published": "green", "nothing": "dim", "skipped": "yellow", "refused": "red", "failed": "red"}
    for o in night.outcomes:
        figures = (f"{o.rows_in:,}", f"{o.rows_kept:,}", f"{o.rows_rejected:,}") if o.status == "published" else ("", "", "")
        version = "" if o.version is None else str(o.version)
        table.add_row(o.address, f"[{colour[o.status]}]{o.status}[/]", *figures, version, f"{o.seconds:.1f}")
    console.print(table)
    for o in night.outcomes:
        if o.error:
            console.print(f"{o.address}: {o.error}", markup=False, style="red")


def call(settings: Settings, facts: Mapping[str, Any]) -> None:
    """Tell the outside of a failed night: LAKE_ON_FAILURE is a webhook, or a command that gets the facts as JSON on its input."""
    target = settings.on_failure
    if not target:
        return
    told = json.dumps({**facts, "root": settings.root})
    try:
        if target.startswith(("http://", "https://")):
            request = urllib.request.Request(target, told.encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=_CALL_SECONDS):
                pass
        else:
            # The command is the user's own setting; the lake's and its sources' keys are none of its business.
            clean = {k: v for k, v in os.environ.items() if not (k.startswith("LAKE_") and k.endswith("_KEY")) and k != "LAKE_ALERTS"}
            subprocess.run(target, shell=True, input=told, text=True, timeout=_CALL_SECONDS, check=True, env=clean)
    except (OSError, http.client.HTTPException, ValueError, subprocess.SubprocessError) as error:
        # Never the error's own words: they repeat the command or the address, which may hold a token.
        code = getattr(error, "returncode", None) or getattr(error, "code", None)
        print(f"LAKE_ON_FAILURE could not be called: {type(error).__name__}" + (f" {code}" if code else ""), file=sys.stderr, flush=True)
