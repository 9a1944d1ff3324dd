"""Millrace: the shortest trustworthy way from raw data to predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lake.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Job", "main"]
__version__ = "0.1.0"


def main(job: Job, build: Callable[..., Any] | Any) -> int:
    """Run one job as a script: `raise SystemExit(main(JOB, build))`; the exit code tells how it ended (lake.errors)."""
    from lake.run import main as run_main  # here, so that `import lake` stays light: no pyspark, GX or torch

    return run_main(job, build)
