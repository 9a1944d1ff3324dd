"""A lake of a flow's own, worked on by real `lake` processes and read by delta-rs, never by Spark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from lake.contract import addresses
from lake.settings import Settings
from lake.store import Store, open_store
from lake.table import Table

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """Where a flow runs: its environment and its store."""

    env: Mapping[str, str]
    store: Store

    @classmethod
    def at(cls, root: str, home: Path, **more: str) -> Place:
        env = {k: v for k, v in os.environ.items() if not k.startswith("LAKE_")}
        env |= {"LAKE_ROOT": root, "LAKE_HOME": str(home), "LAKE_PROJECT": str(PROJECT), "LAKE_MASTER": "local[2]", "LAKE_DRIVER_MEMORY": "2g"} | more
        return cls(env, open_store(Settings(root=root, home=home)))  # pyright: ignore[reportCallIssue]

    def lake(self, *args: str, expect: int = 0, **more: str) -> str:
        """Run `lake ARGS` to its end and return what it said."""
        done = self.run([sys.executable, "-m", "lake.cli", *args], **more)
        assert done.returncode == expect, f"lake {' '.join(args)} ended with {done.returncode}, not {expect}:\n{done.stdout[-6000:]}"
        return done.stdout

    def run(self, command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env={**self.env, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=PROJECT, timeout=1500
        )

    def killed_at(self, point: str, *args: str) -> None:
        """Run `lake ARGS` until it reaches a point, then kill -9 it there."""
        child = subprocess.Popen(
            [sys.executable, "-m", "lake.cli", *args],
            env={**self.env, "LAKE_HOLD_AT": point, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROJECT,
        )
        said: list[str] = []
        assert child.stdout is not None
        try:
            for line in child.stdout:
                said.append(line)
                if line.startswith(f"holding at {point}"):
                    os.kill(child.pid, signal.SIGKILL)
                    break
        finally:
            if child.poll() is None:
                child.kill()
            child.stdout.close()
            child.wait()
        assert said and said[-1].startswith("holding at"), "it never came there:\n" + "".join(said[-40:])

    def delta(self, address: str) -> DeltaTable:
        return DeltaTable(self.store.delta_uri(address), storage_options=self.store.delta_options())

    def rows(self, address: str, *columns: str) -> pa.Table:
        return self.delta(address).to_pyarrow_table(columns=list(columns) or None)

    def count(self, address: str) -> int:
        return sum(f.rows for f in Table(address, self.store).snapshot().files)

    def versions(self) -> dict[str, int]:
        """Versions of every table that a job writes; ops and reports change every night."""
        tables = [Table(a, self.store) for a in addresses() if a.split(".")[0] in ("bronze", "silver", "gold", "predictions")]
        return {t.address: v for t in tables if (v := t.version()) is not None}
