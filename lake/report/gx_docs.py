"""Great Expectations' own Data Docs of a run, on request: built from ops.checks, beside the other local state and in the lake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake import ops
from lake.errors import SourceMissing
from lake.gate.docs import Docs, build_docs
from lake.lake import Lake
from lake.report.books import hides
from lake.report.masks import masked
from lake.report.sentences import figure


@dataclass(frozen=True, slots=True)
class Written:
    """Where the pages of a run lie."""

    run: int
    docs: Docs
    page: Path
    uri: str


def write_docs(lake: Lake, address: str, run: int | None = None) -> Written:
    """Build GX's pages of a run of an address, the last one judged if none is named, and bring them into the lake.

    Raises:
        SourceMissing: nothing was judged.
    """
    checks: dict[int, list[dict[str, Any]]] = {}
    for row in ops.read(lake.store, "checks", [("address", "=", address)]):
        checks.setdefault(row["run"], []).append(row)
    if not checks:
        raise SourceMissing(f"{address} has no verdict yet", next_step=f"lake run {address}")
    number = max(checks) if run is None else run
    if number not in checks:
        judged = ", ".join(map(str, sorted(checks)[-8:]))
        raise SourceMissing(f"{address} has no verdict of run {number}", next_step=f"lake docs {address} --run N; the last ones judged are {judged}")
    rows = sorted(checks[number], key=lambda r: (r["rule"], r["column"] or "", r["threshold"] or ""))
    place = f"docs/{address}/{number}"
    folder = lake.settings.state / "reports" / place
    shutil.rmtree(folder, ignore_errors=True)
    docs = build_docs(folder, address, number, max(r["at"] for r in rows), [_shown(r) for r in rows])
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        lake.store.put(f"reports/{place}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return Written(number, docs, folder / "index.html", lake.store.key_uri(f"reports/{place}/index.html"))


def _shown(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of ops.checks as it may be shown: values hidden or masked, figures as they are."""
    if hides(row):
        return {**row, "observed": json.dumps("hidden: classified")}
    return row if figure(row["observed"]) is not None else {**row, "observed": masked(row["observed"] or "")}
