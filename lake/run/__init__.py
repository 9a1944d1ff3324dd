"""Run jobs: one alone (`main` of a job file, `lake run`), whatever it runs on; errors become outcomes, so that a night goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lake import ops
from lake.errors import BatchRefused, LakeError, RunFailed, SettingsWrong
from lake.job import Job
from lake.lake import Lake
from lake.plan import Step
from lake.run.record import Again, Intent, Outcome, run_row

__all__ = ["Again", "Intent", "Outcome", "load", "main", "run", "run_row"]


def main(job: Job, build: Any) -> int:
    """Run one job as a script and return its exit code."""
    try:
        path = Path(str(getattr(sys.modules["__main__"], "__file__", "")))
        step = Step(job, path)
        with Lake.open() as lake, lake.writing(job.writes):
            outcome = run(step, build, lake, full="--full" in sys.argv)
        print(f"{outcome.address}  {outcome.sentence()}", file=sys.stderr if outcome.error else sys.stdout)
        return outcome.exit_code
    except LakeError as error:
        print(f"{job.writes}: {error}", file=sys.stderr)
        return error.exit_code


def load(step: Step) -> Any:
    """What a job file gives to main(): its build function, or the spec of a model; loaded without running it as a script."""
    import importlib.util

    name = f"lake_job_{step.job.writes.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(name, step.path)
    if spec is None or spec.loader is None:
        raise SettingsWrong(f"{step.path} can't be loaded", next_step="is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except LakeError:
        raise
    except Exception as error:
        raise RunFailed(
            f"{step.path} can't be loaded: {type(error).__name__}: {error}", next_step=f"mend it, then: lake run {step.job.writes}"
        ) from error
    if step.job.runs_on == "spark":
        from pyspark import cloudpickle

        cloudpickle.register_pickle_by_value(module)  # workers have no module of this name to import
    return getattr(module, "SPEC", None) or module.build


def run(step: Step, build: Any, lake: Lake, *, full: bool = False, rebuild: bool = False, again: Again | None = None) -> Outcome:
    """Run one job to its end; errors come back as an outcome, so that a night goes on with what does not depend on it.

    `full` makes it from all its inputs, and a model without its time budget; `rebuild` does the first only; `again` are
    files or slices that a table takes in once more.
    """
    began = time.monotonic()
    job = step.job
    try:
        if job.runs_on == "lake":
            outcome = _report(step, build, lake)
        elif job.runs_on == "torch":
            from lake.run.models import ModelRun  # it starts child processes: torch is never imported here

            outcome = ModelRun(step, build, lake).go(full=full, rebuild=rebuild)
        else:
            from lake.run.tables import TableRun

            outcome = TableRun(step, build, lake).go(full=full or rebuild, again=again)
    except LakeError as error:
        outcome = Outcome(job.writes, "refused" if isinstance(error, BatchRefused) else "failed", message=error.what, error=error)
    except Exception as error:
        if lake.jvm_died(error):
            raise  # the night starts another and repeats the same intent
        wrong = RunFailed(f"{job.writes}: {type(error).__name__}: {error}", next_step=f"mend {step.path}, then: lake run {job.writes}")
        wrong.__cause__ = error
        outcome = Outcome(job.writes, "failed", message=wrong.what, error=wrong)
    return replace(outcome, seconds=time.monotonic() - began)


def _report(step: Step, build: Callable[[Lake], list[dict[str, Any]]], lake: Lake) -> Outcome:
    """Run a job of the driver alone: it makes its page and gives the rows of its table."""
    rows = build(lake)
    ops.append_to(lake.store, step.job.writes, rows)
    return Outcome(step.job.writes, "published", rows_kept=len(rows), message=str(rows[-1].get("page", "")) if rows else "")
