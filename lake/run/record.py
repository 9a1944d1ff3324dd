"""What a run says before, while and after it runs: its intent, its outcome, its row in ops.runs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lake import ops
from lake.contract import Contract
from lake.errors import ContractBroken, LakeError
from lake.lake import Lake
from lake.plan import Step
from lake.sources.files import FileEdition

Status = Literal["published", "nothing", "refused", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    address: str
    status: Status
    run: int | None = None
    version: int | None = None
    rows_in: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    seconds: float = 0.0
    message: str = ""
    error: LakeError | None = None

    @property
    def exit_code(self) -> int:
        """0 when the table stands as it should, else the error's own code."""
        return self.error.exit_code if self.error else 0

    def sentence(self) -> str:
        """The outcome in a line."""
        if self.status == "published":
            rejected = f", {self.rows_rejected:,} rejected" if self.rows_rejected else ""
            return (
                f"published run {self.run} as version {self.version}: {self.rows_kept:,} rows{rejected}{'; ' + self.message if self.message else ''}"
            )
        return f"{self.status}: {self.message}" if self.message else self.status


@dataclass(frozen=True)
class Intent:
    """What a run is going to do, written down before it does it."""

    run: int
    inputs: Mapping[str, Any]  # address -> [since, to]; a raw source -> {"files": n, "bytes": n, "again": whether some were read before}
    full: bool
    files: tuple[FileEdition, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """What a run takes in once more, though nothing about it is new: raw files by path, or slices from one to another."""

    files: frozenset[str] = frozenset()
    slices: tuple[str, str] | None = None


def run_row(step: Step, lake: Lake, intent: Intent, status: str, began: float, outcome: Outcome | None = None, message: str = "") -> dict[str, Any]:
    """A row of ops.runs."""
    return {
        "address": step.job.writes, "run": intent.run, "status": status, "at": ops.now(), "night": lake.night,
        "seconds": None if status == "planned" else time.monotonic() - began,
        "inputs": json.dumps(intent.inputs), "full": intent.full,
        "rows_in": outcome.rows_in if outcome else None, "rows_kept": outcome.rows_kept if outcome else None,
        "rows_rejected": outcome.rows_rejected if outcome else None, "version": outcome.version if outcome else None, "back_to": None,
        "code": step.code, "contract": _contract_of(step), "message": (message or (outcome.message if outcome else "")) or None,
    }  # fmt: skip


def contract_hash(contract: Contract, reads: Sequence[str]) -> str:
    """Hash of what a job's rows obey: its output's contract and, behind a +, that by which its raw sources are read: zone, marks, patterns."""
    raw = [Contract.load(address).reading for address in reads if address.startswith("raw.")]
    return f"{contract.hash}+{hashlib.sha256(' '.join(raw).encode()).hexdigest()[:16]}" if raw else contract.hash


def read_by(told: str) -> str:
    """That part of a `contract_hash` by which raw sources are read; empty where there are none."""
    return told.partition("+")[2]


def _contract_of(step: Step) -> str:
    """The same of a step; a model's is its training table's. Empty when there is none to read."""
    address = step.job.reads[0] if step.job.writes.startswith("models.") and step.job.reads else step.job.writes
    try:
        return contract_hash(Contract.load(address), step.job.reads)
    except ContractBroken:
        return ""


def taken_of(inputs: Mapping[str, Any]) -> dict[str, int]:
    """Versions that a run with these inputs had taken in, by address; raw sources have the ledger instead."""
    return {a: v[1] for a, v in inputs.items() if isinstance(v, list)}
