"""Run one model job: pin the training table, train in child processes, register the version, decide about the champion, record.

What a crash leaves: the intent in ops.runs, and checkpoints in .lake/training/<name>-<n>. The next run has the same intent and
the same number, and the training goes on from its last checkpoint. The version is there when its card is there.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from datetime import datetime
from typing import Any

from lake import ops
from lake.errors import LakeError, TrainingFailed
from lake.lake import Lake
from lake.models.candidate import Candidate
from lake.models.launch import train_apart
from lake.models.registry import Decision, Evidence, ModelVersion, Registry
from lake.models.spec import FineTune
from lake.plan import Step
from lake.run.record import Intent, Outcome, reached, run_row, taken_of
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
        self.began = time.monotonic()

    def go(self, *, full: bool) -> Outcome:
        """Train if the table has changed since the last version (or `full`), and decide."""
        spec = replace(self.spec, budget_seconds=None if full else self.lake.settings.train_seconds or self.spec.budget_seconds)
        versions = self.registry.versions(self.name)
        found = ops.events(self.lake.store, self.address)
        standing = ops.standing(found, max(versions, default=0))
        if standing.open is not None and not full:
            intent = Intent(standing.open.run, standing.open.inputs, standing.open.full, repeated=True)
            self.lake.say(self.address, f"run {intent.run} was cut short: the same intent again")
        else:
            to = self.table.version()
            if to is None:
                return Outcome(self.address, "skipped", message=f"{self.table.address} is not there yet")
            since = taken_of(standing.taken).get(self.table.address)
            if not full and since is not None and not self._changed(since, to):
                return Outcome(self.address, "nothing")
            intent = Intent(standing.next_run, {self.table.address: [since, to]}, full)
            self._event(intent, "planned")
        reached(f"planned:{self.address}")
        try:
            return self._publish(spec, intent)
        except LakeError as error:
            self._event(intent, "failed", message=str(error))
            raise

    def _changed(self, since: int, to: int) -> bool:
        """Whether the pinned rows differ: a compaction makes a version with other files, but the same rows were trained on already."""
        if since == to:
            return False
        found = ops.events(self.lake.store, self.table.address)
        return any(e.status in ("published", "restored") and e.version is not None and since < e.version <= to for e in found)

    def _publish(self, spec: FineTune, intent: Intent) -> Outcome:
        version = intent.inputs[self.table.address][1]
        manifest = self.table.snapshot(version)
        if manifest.rows == 0:
            return Outcome(self.address, "skipped", message=f"{self.table.address} has no rows yet")
        folder = self.lake.settings.state / "training" / f"{self.name}-{intent.run}"
        candidate, model = self._trained(spec, manifest, intent.run, folder)
        decision = self._decided(candidate, model)
        self._record(candidate, model, decision)
        reached(f"committed:{self.address}")
        said = f"{'champion' if decision.promoted else 'kept as candidate'}: {decision.reason}"
        outcome = Outcome(
            self.address, "published", intent.run, intent.run, manifest.rows, candidate.test.rows if candidate.test else 0, message=said
        )
        self._event(intent, "published", outcome)
        shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def _trained(self, spec: FineTune, manifest: Manifest, version: int, folder: Any) -> tuple[Candidate, ModelVersion]:
        standing = self.registry.champion(self.name)
        self.lake.say(self.address, f"training on {manifest.address} version {manifest.version}: {manifest.rows:,} rows, {spec.processes} processes")
        candidate = train_apart(
            spec,
            manifest,
            folder,
            champion=self.registry.fetched(standing) if standing else None,
            say=lambda line: self.lake.say(self.address, line),
        )
        reached(f"staged:{self.address}")
        return candidate, self.registry.publish(self.name, version, folder / "model")

    def _decided(self, candidate: Candidate, model: ModelVersion) -> Decision:
        for _ in range(_TRIES):
            decision = self.registry.promote(self.name, model.version, Evidence.of(candidate, self.registry.champion(self.name)))
            if decision.promoted or "compare again" not in decision.reason:
                return decision
        raise TrainingFailed(
            f"{self.address} version {model.version}: the champion moved {_TRIES} times while it was compared with it",
            next_step=f"lake run {self.address}",
        )

    def _record(self, candidate: Candidate, model: ModelVersion, decision: Decision) -> None:
        at = datetime.fromisoformat(decision.at)
        test = candidate.test
        figures = {"accuracy": test.accuracy, "macro_f1": test.macro_f1, "loss": test.loss, "rows": test.rows, "slices": test.slices} if test else {}
        row = {
            "name": self.name, "version": model.version, "at": at, "status": "champion" if decision.promoted else "refused",
            "table": candidate.manifest.address, "table_version": candidate.manifest.version, "metrics": json.dumps(figures),
            "card": f"{model.uri}/card.json", "reason": decision.reason,
        }  # fmt: skip
        retired = decision.evidence.champion_version if decision.promoted else None
        rows = [row]
        if retired is not None and retired != model.version:
            last = ops.read(self.lake.store, "models", [("name", "=", self.name), ("version", "=", retired)])
            why = f"version {model.version} is better: {decision.reason}"
            rows += [{**last[-1], "status": "retired", "at": at, "reason": why}] if last else []
        ops.append(self.lake.store, "models", rows)
        model_is = {"name": self.name, "version": model.version}
        points = [
            {
                **model_is,
                "step": p.step,
                "epoch": float(p.epoch),
                "split": p.split,
                "metric": p.metric,
                "value": p.value,
                "at": datetime.fromisoformat(p.at),
            }
            for p in candidate.curves
        ]
        ops.append(self.lake.store, "metrics", points)

    def _event(self, intent: Intent, status: str, outcome: Outcome | None = None, message: str = "") -> None:
        ops.append(self.lake.store, "runs", [run_row(self.step, self.lake, intent, status, self.began, outcome, message)])
