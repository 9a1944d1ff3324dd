"""Light imports: what a scheduler or a shell asks for every minute starts no Spark and loads none of the heavy engines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pyspark", "py4j", "delta", "great_expectations", "torch", "transformers", "petastorm", "pandas", "sklearn", "matplotlib")


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python where there is no Java: whatever starts Spark fails."""
    env = {k: v for k, v in os.environ.items() if k not in ("JAVA_HOME", "SPARK_HOME")} | {"PATH": str(ROOT / "none"), "LAKE_PROJECT": str(ROOT)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=env, cwd=ROOT, timeout=120, check=False)


def loaded(statement: str) -> set[str]:
    """The heavy engines that are loaded after a statement."""
    ran = python("-c", f"import sys\n{statement}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))")
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import lake",
        "import lake.contract",
        "import lake.plan",
        "import lake.cli",
        "import lake.job, lake.settings, lake.errors",
        "from lake.plan import plan; assert plan().steps",
        "from lake.contract import Contract; assert Contract.load('silver.texts').schema",
    ],
)
def test_what_a_plan_needs_loads_no_engine(statement: str) -> None:
    assert loaded(statement) == set()


def test_an_engine_would_be_seen() -> None:
    assert loaded("import lake.gate.rows") >= {"pyspark", "py4j"}


@pytest.mark.parametrize(
    ("words", "told"),
    [(("plan",), "gold.sensor_hourly"), (("plan", "--mermaid"), "silver_sensor_readings --> gold_sensor_hourly"), (("--help",), "nightly")],
)
def test_the_plan_is_printed_on_a_machine_without_java(words: tuple[str, ...], told: str) -> None:
    ran = python("-m", "lake.cli", *words)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert told in ran.stdout
