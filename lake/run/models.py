"""Run one model job: pin the training table, train in child processes, register the version, decide about the champion, record.

The order of a run, and what a crash after each step leaves (recovery is the next run of the same address):

    intent in ops.runs                   the same intent is run again under the same number, to the end if it was to go to the end
    checkpoints in .lake/training        the same training (spec, pinned files) goes on from the last one, whatever its run's number
    THE CARD of version n                the repeat trains nothing: it takes the version as it stands, decides and records
    the champion's pointer               the repeat is told the decision that moved it
    rows in ops.models, ops.metrics      the repeat writes what is not there yet
    `published` in ops.runs              and the checkpoints are removed
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lake import ops
from lake.errors import LakeError, SourceMissing, TrainingFailed
from lake.lake import Lake
from lake.models.candidate import Candidate
from lake.models.launch import train_apart
from lake.models.registry import Decision, Evidence, ModelVersion, Registry
from lake.models.spec import FineTune
from lake.plan import Step
from lake.run.record import Intent, Outcome, run_row, taken_of
from lake.settings import reached
from lake.table import Manifest, Table

_TRIES = 3  # two promotions at once: the slower one is compared again with the new champion


class ModelRun:
    """One model job on its way from intent to record."""

    def __init__(self, step: Step, spec: FineTune, lake: Lake) -> None:
        self.step, self.spec, self.lake = step, spec, lake
        self.address = step.job.writes
        self.name = self.address.split(".")[1]
        self.table = Table(step.job.reads[0], lake.store)
        self.registry = Registry(lake.store)
        root = hashlib.sha256(lake.store.root.encode()).hexdigest()[:8]  # lakes of two roots may share their local state
        self.trainings = lake.settings.state / "training" / f"{self.name}-{root}"
        self.whole = False  # a version of this run is in the registry
        self.began = time.monotonic()

    def go(self, *, full: bool, rebuild: bool = False) -> Outcome:
        """Train if the table has changed since the last version, and decide about the champion.

        `rebuild` trains although nothing has changed, `full` also to the end, without the budget.
        """
        found, standing = self._standing()
        opened, to = standing.open, self.table.version()
        goes_on = opened is not None and self._goes_on(opened, to, full=full, rebuild=rebuild)
        rows = self._pinned_rows(opened) if opened is not None and goes_on else None
        if opened is not None and opened.run in self.registry.versions(self.name):
            outcome = self._finish(opened)
            if goes_on or not (full or rebuild):
                return outcome
            found, standing = self._standing()
            opened = None
        elif opened is not None and rows == 0:
            self._event(_intent_of(opened), "nothing", message=f"{self.table.address} had no rows")
            found, standing = self._standing()
            opened = None
        if opened is not None and rows:
            intent = _intent_of(opened)
            self.lake.say(self.address, f"run {intent.run} was cut short: the same intent again")
        else:
            if opened is not None:  # what it was to do is still wanted
                full, rebuild = full or opened.full, True
            intent = self._planned(found, standing, to, full=full, rebuild=rebuild)
            if isinstance(intent, Outcome):
                return intent
        reached(f"planned:{self.address}")
        try:
            return self._publish(intent)
        except LakeError as error:
            if not self.whole:  # else the intent stays open: the next run finishes what this one could not
                self._event(intent, "failed", message=str(error))
            raise

    # -- what is to be done ----------------------------------------------------------------------------------------

    def _standing(self) -> tuple[list[ops.Event], ops.Standing]:
        found = ops.events(self.lake.store, self.address)
        return found, ops.standing(found, max(self.registry.versions(self.name), default=0))

    def _goes_on(self, opened: ops.Event, to: int | None, *, full: bool, rebuild: bool) -> bool:
        """Whether a run that was cut short does what is asked now: the same code, and on request the newest rows, and to the end."""
        if opened.code != self.step.code:
            return False
        newest = taken_of(opened.inputs).get(self.table.address) == to
        return newest and (opened.full or not full) if full or rebuild else True

    def _pinned_rows(self, opened: ops.Event) -> int | None:
        """Rows of the version that a run has pinned; None when it can't be read any more."""
        try:
            return self.table.snapshot(taken_of(opened.inputs).get(self.table.address)).rows
        except SourceMissing:
            return None

    def _planned(self, found: Sequence[ops.Event], standing: ops.Standing, to: int | None, *, full: bool, rebuild: bool) -> Intent | Outcome:
        if to is None:
            return Outcome(self.address, "skipped", message=f"{self.table.address} is not there yet")
        if self.table.snapshot(to).rows == 0:
            return Outcome(self.address, "skipped", message=f"{self.table.address} has no rows yet")
        since = taken_of(standing.taken).get(self.table.address)
        if not (full or rebuild) and since is not None and not self._changed(since, to):
            return Outcome(self.address, "nothing", message=self._stale(found))
        intent = Intent(standing.next_run, {self.table.address: [since, to]}, full)
        self._event(intent, "planned")
        return intent

    def _changed(self, since: int, to: int) -> bool:
        """Whether the pinned rows differ: a compaction makes a version with other files, but the same rows were trained on already."""
        if since == to:
            return False
        found = ops.events(self.lake.store, self.table.address)
        return any(e.status in ("published", "restored") and e.version is not None and since < e.version <= to for e in found)

    def _stale(self, found: Sequence[ops.Event]) -> str:
        trained = [e.code for e in found if e.status == "published"]
        return f"trained by older code or spec; lake rebuild {self.address}" if trained and trained[-1] != self.step.code else ""

    # -- training --------------------------------------------------------------------------------------------------

    def _publish(self, intent: Intent) -> Outcome:
        budget = None if intent.full else self.lake.settings.train_seconds or self.spec.budget_seconds
        spec, manifest = replace(self.spec, budget_seconds=budget), self.table.snapshot(intent.inputs[self.table.address][1])
        candidate = self._trained(spec, manifest)
        model = self.registry.publish(self.name, intent.run, candidate.folder)
        self.whole = True
        return self._settled(intent, candidate, model)

    def _trained(self, spec: FineTune, manifest: Manifest) -> Candidate:
        standing = self.registry.champion(self.name)
        self.lake.say(self.address, f"training on {manifest.address} version {manifest.version}: {manifest.rows:,} rows, {spec.processes} processes")
        candidate = train_apart(
            spec,
            manifest,
            self._folder(spec, manifest),
            launcher="torchrun" if spec.processes > 1 else "alone",
            champion=self.registry.fetched(standing) if standing else None,
            say=lambda line: self.lake.say(self.address, line),
        )
        reached(f"staged:{self.address}")
        return candidate

    def _folder(self, spec: FineTune, manifest: Manifest) -> Path:
        """Where this very training keeps its checkpoints: a run of another number, after a failure, goes on from them."""
        return self.trainings / hashlib.sha256(f"{spec.to_json()}\n{manifest.to_json()}".encode()).hexdigest()[:16]

    # -- the decision and the books --------------------------------------------------------------------------------

    def _finish(self, opened: ops.Event) -> Outcome:
        """The version is whole, but its process died before it could say so: decide and say it now, under the same number."""
        self.lake.say(self.address, f"run {opened.run} had made its version: finishing its books")
        model = self.registry.version(self.name, opened.run)
        return self._settled(_intent_of(opened), Candidate.of(self.registry.fetched(model)), model, code=opened.code)

    def _settled(self, intent: Intent, candidate: Candidate, model: ModelVersion, code: str = "") -> Outcome:
        """Decide and record. What a process that died has written stands: each table got its rows of a version in one commit."""
        mine = [("name", "=", self.name), ("version", "=", model.version)]
        rows = [r for r in ops.read(self.lake.store, "models", mine) if r["status"] != "retired"]
        if not rows:
            decision = self._decided(candidate, model)
            reached(f"decided:{self.address}")
            rows = self._model_rows(candidate, model, decision)
            ops.append(self.lake.store, "models", rows)
        if not ops.read(self.lake.store, "metrics", mine, columns=["step"]):
            ops.append(self.lake.store, "metrics", self._metric_rows(candidate, model))
        reached(f"committed:{self.address}")
        said = f"{'champion' if rows[0]['status'] == 'champion' else 'kept as candidate'}: {rows[0]['reason']}"
        tested = candidate.test.rows if candidate.test else 0
        outcome = Outcome(self.address, "published", intent.run, model.version, candidate.manifest.rows, tested, message=said)
        self._event(intent, "published", outcome, code=code)
        shutil.rmtree(self.trainings, ignore_errors=True)  # this training's, and what older ones have left that nobody went on with
        return outcome

    def _decided(self, candidate: Candidate, model: ModelVersion) -> Decision:
        for _ in range(_TRIES):
            decision = self.registry.promote(self.name, model.version, Evidence.of(candidate, self.registry.champion(self.name)))
            if decision.promoted or "compare again" not in decision.reason:
                return decision
        raise TrainingFailed(
            f"{self.address} version {model.version}: the champion moved {_TRIES} times while it was compared with it",
            next_step=f"lake run {self.address}",
        )

    def _model_rows(self, candidate: Candidate, model: ModelVersion, decision: Decision) -> list[dict[str, Any]]:
        """The version's row in ops.models, and one that says that the champion before it is retired."""
        at = datetime.fromisoformat(decision.at)
        test = candidate.test
        figures = {"accuracy": test.accuracy, "macro_f1": test.macro_f1, "loss": test.loss, "rows": test.rows, "slices": test.slices} if test else {}
        row = {
            "name": self.name, "version": model.version, "at": at, "status": "champion" if decision.promoted else "refused",
            "table": candidate.manifest.address, "table_version": candidate.manifest.version, "metrics": json.dumps(figures),
            "card": f"{model.uri}/card.json", "reason": decision.reason,
        }  # fmt: skip
        retired = decision.evidence.champion_version if decision.promoted else None
        if retired is None:
            return [row]
        before = ops.read(self.lake.store, "models", [("name", "=", self.name), ("version", "=", retired)])
        why = f"version {model.version} is better: {decision.reason}"
        return [row, *({**r, "status": "retired", "at": at, "reason": why} for r in sorted(before, key=lambda r: r["at"])[-1:])]

    def _metric_rows(self, candidate: Candidate, model: ModelVersion) -> list[dict[str, Any]]:
        return [
            {
                "name": self.name, "version": model.version, "step": p.step, "epoch": float(p.epoch), "split": p.split, "metric": p.metric,
                "value": p.value, "at": datetime.fromisoformat(p.at),
            }
            for p in candidate.curves
        ]  # fmt: skip

    def _event(self, intent: Intent, status: str, outcome: Outcome | None = None, message: str = "", code: str = "") -> None:
        row = run_row(self.step, self.lake, intent, status, self.began, outcome, message)
        ops.append(self.lake.store, "runs", [row | ({"code": code} if code else {})])


def _intent_of(opened: ops.Event) -> Intent:
    return Intent(opened.run, opened.inputs, opened.full, repeated=True)
