"""Known damage planted in every source, and what became of it: `python -m tests.damage --seed 7`.

Raw files are those of LAKE_SAMPLES, else samples/raw. Exit code 0 only when every planted record was caught where it had to
be, with its reasons, and every good one kept, value for value.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from rich.console import Console

from lake.contract import addresses
from lake.lake import Lake
from lake.settings import Settings, project_root
from lake.store import Store
from tests.damage.kinds import KINDS
from tests.damage.place import SILVER, Found, Place


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.damage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--times", type=int, default=3, help="ways of each kind that a source gets at most, default 3")
    parser.add_argument("--files", type=int, default=3, help="files of each source, default 3")
    parser.add_argument("--rows", type=int, default=200, help="good records of each file, default 200")
    parser.add_argument("--sources", default="", help="some sources only: access,nab")
    parser.add_argument("--markdown", type=Path, help="write the table of kinds there")
    asked = parser.parse_args()
    console = Console(width=170, highlight=False)
    samples = Path(os.environ.get("LAKE_SAMPLES") or project_root() / "samples" / "raw")
    names = asked.sources.split(",") if asked.sources else [a.split(".")[1] for a in addresses("raw")]
    began, found = time.monotonic(), Found()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LAKE_ROOT"] = str(Path(folder) / "root")
        os.environ.setdefault("LAKE_MASTER", "local[2]")
        settings = Settings.load()
        with Lake(settings, Store(settings.root), listener=lambda *_: None) as lake:
            place = Place(lake, samples, asked.seed)
            for name in names:
                since = time.monotonic()
                place.source(name, found, times=asked.times, files=asked.files, rows=asked.rows)
                console.print(f"{name:<22} {sum(p.source == name for p in found.planted):>4} planted  {time.monotonic() - since:5.1f} s")
            for address in SILVER:
                place.silver(address, found)
            place.jobs(found)
    console.print(table(found))
    for line in found.wrong:
        console.print(line, style="red", markup=False)
    console.print(
        f"seed {asked.seed}: {len(found.planted)} records damaged in {len(found.kinds)} kinds, {sum(found.caught.values())} caught; "
        f"{found.good:,} good rows kept; {len(found.wrong)} wrong; {time.monotonic() - began:.0f} s"
    )
    if asked.markdown:
        asked.markdown.write_text(f"{table(found)}\n\n{matrix(found)}\n", encoding="utf-8")
    return 1 if found.wrong else 0


def table(found: Found) -> str:
    """A line for each kind, caught of planted in each source, as Markdown."""
    sources = sorted({p.source for p in found.planted})
    lines = ["| kind | what it is | sources | planted | caught | as |", "|---|---|---:|---:|---:|---|"]
    for kind in KINDS.values():
        mine = [p for p in found.planted if p.damage.kind == kind.name]
        if not mine:
            continue
        caught = sum(found.caught[kind.name, s] for s in sources)
        reasons = sorted({r.split(":")[0] for p in mine for r in p.damage.reasons})
        told = ", ".join(f"`{r}`" for r in reasons)
        lines.append(f"| {kind.name} | {kind.about} | {len({p.source for p in mine})} | {len(mine)} | {caught} | {told} |")
    return "\n".join(lines)


def matrix(found: Found) -> str:
    """A line for each kind, a column for each source: how many were planted there, and of them caught where those are fewer."""
    sources = sorted({p.source for p in found.planted})
    lines = ["| kind | " + " | ".join(sources) + " |", "|---|" + "---:|" * len(sources)]
    for kind in KINDS:
        due = {s: sum(p.source == s and p.damage.kind == kind for p in found.planted) for s in sources}
        if any(due.values()):
            told = [str(n) if found.caught[kind, s] == n else f"{found.caught[kind, s]} of {n}" for s, n in due.items()]
            lines.append(f"| {kind} | " + " | ".join("" if cell == "0" else cell for cell in told) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
