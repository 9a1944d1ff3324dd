"""models.intent: a spec that says why, trained by the plan's own reading of the job."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

from lake.models.spec import FineTune

FILE = Path(__file__).parents[3] / "jobs" / "models" / "intent.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("job_models_intent", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_declares_what_it_reads_and_writes() -> None:
    job = loaded().JOB
    assert (job.writes, job.reads, job.runs_on) == ("models.intent", ("gold.intent_examples",), "torch")


def test_every_knob_has_its_reason() -> None:
    source = FILE.read_text(encoding="utf-8")
    call = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "FineTune")
    lines = source.splitlines()
    without = [k.arg for k in call.keywords if "#" not in lines[k.lineno - 1] and k.arg not in ("label",)]
    assert without == []


def test_trains_for_minutes_unless_told_otherwise() -> None:
    spec = loaded().SPEC
    assert isinstance(spec, FineTune)
    assert spec.budget_seconds is not None and spec.budget_seconds <= 300 and spec.processes == 2 and spec.epochs == 7
    assert "language" in spec.slices
